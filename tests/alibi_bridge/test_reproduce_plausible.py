"""The reproduction script runs from end to end, and takes up what it has done."""

import importlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "reproduce"
SMALL = {
    "--faces": 120,
    "--steps": 4,
    "--width": 4,
    "--budget": 130,
    "--audited": 6,
    "--runs": 1,
    "--images": 1,
}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("plausible_counterfactuals")


def run(script, monkeypatch, out, **changes):
    options = {**SMALL, "--out": out, **changes}
    words = [str(word) for pair in options.items() for word in pair]
    monkeypatch.setattr(sys, "argv", ["plausible_counterfactuals.py", *words])
    return script.main()


@pytest.mark.slow
def test_every_step_is_written_and_not_done_twice(script, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    steps = importlib.import_module("plausible_steps")
    # Four steps train nothing: there may be no counterfactual to audit or to draw.
    plan = {name: steps.PLAN[name] for name in ("predictors", "attgan", "engines")}
    monkeypatch.setattr(steps, "PLAN", plan)
    assert run(script, monkeypatch, tmp_path) == 0
    path = tmp_path / "procedural_32.json"
    found = json.loads(path.read_text())["steps"]
    assert found.keys() == plan.keys()
    assert set(found["engines"]["engines"]) == {"smpso", "nsga2", "gde3", "random"}
    assert found["engines"]["most_calls"] <= SMALL["--budget"]
    for name in plan:
        plan[name] = lambda run, name=name: pytest.fail(f"{name} was done again")
    assert run(script, monkeypatch, tmp_path) == 0
    assert json.loads(path.read_text())["steps"] == found


def test_real_faces_that_are_not_there_are_named(script, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("DICE_EXTENDED_DATA", str(tmp_path))
    assert run(script, monkeypatch, tmp_path, **{"--data": "celeba"}) == 1
    assert "celeba64_jpeg.npz is not there" in caplog.text


def test_the_page_shows_the_stored_results():
    sys.path.insert(0, str(FOLDER))
    try:
        render = importlib.import_module("plausible_render")
    finally:
        sys.path.remove(str(FOLDER))
    assert render.rendered(render.PAGE.read_text()) == render.PAGE.read_text()
