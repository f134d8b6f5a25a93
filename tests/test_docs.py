"""What the README and the docs show runs as printed, and their tables are the stored results'."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "dice_extended",
            "evaluation",
            "plugins",
            "robust_tabular",
            "jobs",
            "audit_report",
        )
    ),
    *(
        f"docs/{name}.md"
        for name in ("plausible_counterfactuals", "counterfactual_gan", "conformance")
    ),
    *(f"docs/from_{name}.md" for name in ("dice_ml", "art", "alibi")),
]
#: Alibi's explainers; their networks and searches work without it.
NEED_ALIBI = ("PlausibleCounterfactual", "CounterfactualGAN")
BLOCKS = [
    (page, number, block)
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    )
]


def test_every_page_has_a_block():
    assert {page for page, _, _ in BLOCKS} == set(PAGES)


@pytest.mark.parametrize(
    ("page", "number", "block"), BLOCKS, ids=[f"{p}-{n}" for p, n, _ in BLOCKS]
)
def test_the_block_runs_as_printed(page, number, block, tmp_path, monkeypatch, capsys):
    if any(name in block for name in NEED_ALIBI):
        pytest.importorskip("alibi", reason="alibi is not installed", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, f"{page}[{number}]", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert ((ROOT / page).parent / link).exists(), link


def test_the_tables_are_the_stored_results():
    check = [sys.executable, str(ROOT / "examples" / "benchmarks" / "render.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
