"""Figures that prose quotes are those of the stored runs."""

from __future__ import annotations

import json
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_analysis_of_ten_thousand_rows():
    found = json.loads((DOCS / "results" / "analysis_scale_adult.json").read_text())
    page = " ".join((DOCS / "robust_tabular.md").read_text().split())
    assert found["rows"] == found["found"] == 10_000
    assert f"took {found['cpu_seconds']:.0f} CPU seconds" in page
    assert f"({found['wall_seconds']:.0f} s by the clock)" in page
    assert f"{found['peak_mib']} MiB" in page
