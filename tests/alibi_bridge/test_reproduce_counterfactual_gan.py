"""The reproduction script: small cells, going on where it stopped, tables equal to the store."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "reproduce"))
    import counterfactual_gan

    yield counterfactual_gan
    for name in [name for name in sys.modules if name.startswith("counterfactual_gan")]:
        del sys.modules[name]


@pytest.fixture
def rendering(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "reproduce"))
    import counterfactual_gan_render

    yield counterfactual_gan_render
    del sys.modules["counterfactual_gan_render"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # ART's and captum's; the collapse of four steps
def test_cells_are_run_once_and_rendered(script, monkeypatch, tmp_path):
    for name in ("art", "captum", "torchmetrics", "matplotlib"):
        pytest.importorskip(name)
    import counterfactual_gan_data as data

    monkeypatch.setattr(data, "DRAWN", 160)
    arguments = [
        *("--data", "bright", "--size", "32", "--generator", "unet", "--discriminator", "cnn"),
        *("--cycles", "1", "--training", "hardened", "--steps", "4", "--seed", "0"),
        *("--limit", "40", "--attacked", "6", "--queries", "3", "--device", "cpu"),
        *("--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")),
    ]
    assert script.main(arguments) == 0
    stored = json.loads((tmp_path / "out" / "counterfactual_gan.json").read_text())
    assert sorted(cell["kind"] for cell in stored.values()) == ["ceiling", "joint", "twin", "twin"]
    joint = next(cell for cell in stored.values() if cell["kind"] == "joint")
    # Four steps are warm-up: G is still the identity, and every measure must say so.
    assert joint["L1"] == 0 and joint["FID"]["full"] == pytest.approx(0, abs=1e-4)
    for c in (0, 1):
        row = joint["FID"][f"class {c}"]
        assert row["counterfactual"] == pytest.approx(row["unchanged"], rel=1e-4)
    assert joint["saliency"]["|x − x̂|"]["area"] in (0, 1)
    assert set(joint["D curves"]) == {
        *("pgd", "paper", "noise", "autopgd", "square", "transfer", "masking")
    }
    before = (tmp_path / "out" / "counterfactual_gan.json").stat().st_mtime_ns
    assert script.main(arguments) == 0  # nothing is run again
    assert (tmp_path / "out" / "counterfactual_gan.json").stat().st_mtime_ns == before
    text = (tmp_path / "out" / "counterfactual_gan.md").read_text()
    assert "## table5" in text and "darkness, blurred 5x5" in text
    for name in ("figure3-bright-32.png", "figure4-bright-32.png", "figure5-bright-32.png"):
        assert (tmp_path / "out" / name).stat().st_size > 1000


@pytest.mark.filterwarnings("ignore")
def test_real_crops_are_drawn_into_the_ignored_folder_only(script):
    options = script.parse([])
    assert "output" in options.work.relative_to(ROOT / "examples").parts
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "examples/**/output/" in ignored


def test_the_page_shows_what_is_stored(rendering):
    cells = list(rendering.load_cells(rendering.RESULTS / rendering.STORE).values())
    assert cells, "no stored cells"
    page = rendering.PAGE.read_text(encoding="utf-8")
    tables = {name: make(cells) for name, make in rendering.TABLES.items()}
    assert rendering.filled(page, tables) == page
    assert {name for name in tables if f"<!-- begin {name} -->" in page} == set(tables)


def test_tables_keep_their_columns(rendering):
    cells = list(rendering.load_cells(rendering.RESULTS / rendering.STORE).values())
    for make in rendering.TABLES.values():
        lines = make(cells).replace("\\|", "").splitlines()
        assert len({line.count("|") for line in lines}) == 1, lines[0]
    others = ("measures", "defaults")  # they are not made from cells
    assert all(make([]) == "" for name, make in rendering.TABLES.items() if name not in others)
