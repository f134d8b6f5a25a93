"""Figures that prose quotes are those of the stored runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_analysis_of_ten_thousand_rows():
    found = json.loads((DOCS / "results" / "analysis_scale_adult.json").read_text())
    page = " ".join((DOCS / "robust_tabular.md").read_text().split())
    assert found["rows"] == found["found"] == 10_000
    assert f"took {found['cpu_seconds']:.0f} CPU seconds" in page
    assert f"({found['wall_seconds']:.0f} s by the clock)" in page
    assert f"{found['peak_mib']} MiB" in page


def test_brightness_as_the_rival_of_drawn_bright_cracks():
    pytest.importorskip("torch")
    from alibi_bridge import draw_cracks
    from alibi_bridge.saliency import MaskedImages, compare_saliency

    drawn = draw_cracks(2000, 32, bright=True)
    parts, maps = [], []
    for name in ("validation", "test"):
        part = drawn.part(name)
        cracked = part.rows(part.labels == 1)
        channels_first = cracked.images.transpose(0, 3, 1, 2)
        parts.append(MaskedImages(channels_first, cracked.masks, cracked.groups))
        maps.append(cracked.images.mean(axis=3))
    rows = compare_saliency({"brightness": tuple(maps)}, *parts).rows
    page = (DOCS / "counterfactual_gan.md").read_text()
    assert f"brightness is, and scores {rows['brightness']['IoU']:.3f}" in page
