"""Nothing of ours reaches for a network unless a loader is told to."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("offline.py")
PARTS = {
    "modules": (),
    "explain": (),
    "fit": ("torch",),
    "swin": ("torch", "transformers"),
    "openml": (),
}


@pytest.mark.parametrize(
    "part", [pytest.param(p, marks=[pytest.mark.slow] if p == "swin" else []) for p in PARTS]
)
def test_no_network(part, tmp_path):
    for module in PARTS[part]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    homes = {name: str(tmp_path) for name in ("HF_HOME", "SCIKIT_LEARN_DATA", "TORCH_HOME")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), part],
        env={**os.environ, **homes, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"offline: {part}" in result.stdout
