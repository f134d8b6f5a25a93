"""What the tests of jobs share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="jobs write Parquet: pip install 'dice-extended[jobs]'")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from job_models import POISON  # noqa: E402

from dice_extended_plugin import load_dataset, run_job  # noqa: E402


@pytest.fixture
def rows():
    data = load_dataset("diabetes")
    _, test = data.split()
    return test[data.features].drop(columns="sex").head(20).reset_index(drop=True)


@pytest.fixture
def poisoned_rows(rows):
    rows = rows.copy()
    rows.loc[11, "glu"] = POISON
    return rows


@pytest.fixture
def explain(rows, tmp_path):
    """Run a small "explain" job: explain(rows=..., factory=..., folder=..., **settings)."""

    def run(rows=rows, factory="pair", folder=None, **settings):
        options = {"method": "random", "total_CFs": 2, **settings.pop("options", {})}
        return run_job(
            "explain",
            f"job_models:{factory}",
            rows,
            tmp_path / "job" if folder is None else folder,
            options=options,
            folders=[HERE],
            **{"chunk_size": 7, **settings},
        )

    return run
