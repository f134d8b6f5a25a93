"""The stories under examples/ run as they are, and their notebooks are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "stories"
#: Story: what it imports besides the core, the pictures it writes, a line that it must print.
STORIES = {
    "credit_recourse": ([], [], "noise_validity"),
    "margins_of_three_models": (["art", "matplotlib"], ["margins.png"], "R_overall"),
    "crack_masks": (["torch", "matplotlib"], ["crack_masks.png", "crack_masks.npz"], "|x - G(x)|"),
    "hair_colour_audit": (["torch", "matplotlib"], ["hair_audit.png"], "light_hair"),
}
#: These take more than 40 s of one core.
SLOW = ("margins_of_three_models", "hair_colour_audit")
IN_TIME = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in STORIES]


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


@pytest.mark.parametrize("name", IN_TIME)
def test_a_story_runs_as_it_is(name, tmp_path):
    _require(name)
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    _check(name, done.stdout, tmp_path)


@pytest.mark.parametrize("name", ["credit_recourse"])
def test_a_story_runs_without_the_data_folder(name, tmp_path):
    """Everybody can run it: the bundled table takes the place of the papers'."""
    empty = tmp_path / "no_data"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DICE_EXTENDED_DATA": str(empty)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "bundled" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_a_notebook_executes(name, tmp_path):
    _require(name)
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra: test)")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra: test)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra: test)")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=where).execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream"
    )
    _check(name, printed, tmp_path)


def _require(name: str) -> None:
    for module in STORIES[name][0]:
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)


def _check(name: str, printed: str, folder: Path) -> None:
    _, pictures, line = STORIES[name]
    assert line in printed
    for picture in pictures:
        assert (folder / "story_output" / picture).stat().st_size > 1000, picture
    written = {path.name for path in folder.iterdir()} - {"story_output"}
    assert not written, f"a story writes to its output folder only, not {written}"
