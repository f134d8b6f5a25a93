"""``dice-extended run`` and ``dice-extended resume``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dice_extended_plugin import read_job
from dice_extended_plugin.cli import main

HERE = Path(__file__).parent


@pytest.fixture
def job_file(rows, tmp_path):
    rows.to_parquet(tmp_path / "rows.parquet")
    path = tmp_path / "job.toml"
    path.write_text(
        f"""
        task = "explain"
        output = "out"
        chunk_size = 7
        [input]
        path = "rows.parquet"
        [model]
        factory = "job_models:pair"
        folders = [{json.dumps(str(HERE))}]
        [options]
        method = "random"
        total_CFs = 1
        """
    )
    return path


def test_run(job_file, capsys):
    assert main(["run", str(job_file)]) == 0
    printed = capsys.readouterr()
    assert "complete, 20 of 20 rows done, 0 failed" in printed.out
    assert "rows a second" in printed.out
    assert "20/20" in printed.err  # the progress bar


def test_quiet_is_silent(job_file, capsys):
    assert main(["run", str(job_file), "--quiet"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_budget_and_resume(job_file, tmp_path, capsys):
    assert main(["run", str(job_file), "--seconds", "1e-9", "--quiet"]) == 3
    assert main(["run", str(job_file), "--seconds", "1e-9"]) == 3
    assert "go on with: dice-extended resume" in capsys.readouterr().out
    assert main(["resume", str(tmp_path / "out"), "--quiet"]) == 0
    assert read_job(tmp_path / "out").status == "complete"


def test_resume_after_the_rows_moved(job_file, tmp_path, capsys):
    assert main(["run", str(job_file), "--seconds", "1e-9", "--quiet"]) == 3
    moved = (tmp_path / "rows.parquet").rename(tmp_path / "moved.parquet")
    assert main(["resume", str(tmp_path / "out"), "--quiet"]) == 1
    assert "there is no input file" in capsys.readouterr().err
    assert main(["resume", str(tmp_path / "out"), "--quiet", "--input", str(moved)]) == 0


@pytest.mark.parametrize("arguments", [["run", "no.toml"], ["resume", "nowhere"]])
def test_errors_are_one_line(arguments, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("dice-extended: error: ")
    assert error.count("\n") == 1
