"""The stories under examples/ run as they are, and their notebooks are the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "stories"
#: Story: what it imports besides the core, the pictures it writes, what it must print.
STORIES = {
    "credit_recourse": ([], [], r"noise_validity +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+\n"),
    "margins_of_three_models": (["art", "matplotlib"], ["margins.png"], "R_overall"),
    "crack_masks": (
        ["torch", "matplotlib"],
        ["crack_masks.png", "crack_masks.npz"],
        r"\|x - G\(x\)\| +[\d.]+",
    ),
    # The bias that was put in is found, and not where it was not put in.
    "hair_colour_audit": (
        ["torch", "matplotlib"],
        ["hair_audit.png", "hair_strip.png"],
        r"(?s)suspect: [^\n]*moves most: light_hair\n.*twin: [^\n]*moves most: (?!light_hair)",
    ),
}
#: Two use the papers' tables where they are, and bundled ones elsewhere; the images are drawn.
ON_TABLES = ("credit_recourse", "margins_of_three_models")
#: A minute of one core each: their notebooks run always, their scripts, the same cells, on demand.
SCRIPTS = [
    pytest.param(name, marks=() if name in ON_TABLES else pytest.mark.slow) for name in STORIES
]


def test_every_story_is_in_the_table():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(STORIES)


@pytest.mark.parametrize("name", STORIES)
def test_a_notebook_is_its_script(name):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed (extra: test)")
    script = jupytext.read(FOLDER / f"{name}.py")
    notebook = jupytext.read(FOLDER / f"{name}.ipynb")

    def cells(book):
        return [(cell.cell_type, cell.source) for cell in book.cells]

    assert cells(notebook) == cells(script), (
        f"after a change run: jupytext --to ipynb examples/stories/{name}.py"
    )
    assert all(not cell.get("outputs") for cell in notebook.cells), "store it without outputs"


@pytest.mark.parametrize("name", STORIES)
def test_a_story_begins_and_ends_with_prose(name):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed (extra: test)")
    cells = jupytext.read(FOLDER / f"{name}.py").cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert "honestly" in cells[-1].source


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_story_runs_as_it_is(name, tmp_path):
    """As a script, with the papers' table where it is asked for."""
    _require(name)
    folder = os.environ.get("DICE_EXTENDED_DATA", "")
    if name in ON_TABLES and not (Path(folder) / "tabular" / "german_credit.csv.gz").is_file():
        pytest.skip("DICE_EXTENDED_DATA names no folder with German credit; the notebook is run")
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert name not in ON_TABLES or "german" in done.stdout.lower()
    _check(name, done.stdout, tmp_path)


@pytest.mark.parametrize("name", STORIES)
def test_a_notebook_executes(name, tmp_path, monkeypatch):
    """On bundled data: everybody can run it."""
    _require(name)
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra: test)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra: test)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra: test)")
    (tmp_path / "no_data").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("DICE_EXTENDED_DATA", str(tmp_path / "no_data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Another test of this process may have chosen a backend that shows nothing.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path / "run")}}
    nbclient.NotebookClient(notebook, timeout=600, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(one.text for one in outputs if one.output_type == "stream")
    _check(name, printed, tmp_path / "run")
    assert name not in ON_TABLES or "breast" in printed
    shown = sum("image/png" in one.get("data", {}) for one in outputs)
    assert shown >= len([one for one in STORIES[name][1] if one.endswith(".png")])


def _require(name: str) -> None:
    for module in STORIES[name][0]:
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)


def _check(name: str, printed: str, folder: Path) -> None:
    _, pictures, text = STORIES[name]
    assert re.search(text, printed), printed
    for picture in pictures:
        assert (folder / "story_output" / picture).stat().st_size > 1000, picture
    written = {path.name for path in folder.iterdir()} - {"story_output"}
    assert not written, f"a story writes to its output folder only, not {written}"
