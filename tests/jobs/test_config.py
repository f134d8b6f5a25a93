"""A job file says everything, and a typo in it says so before anything starts."""

from __future__ import annotations

import pytest

from dice_extended_plugin import run_job
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.config import JobConfig, RunOptions, read_toml

GOOD = """
task = "explain"
output = "out"
chunk_size = 50
random_state = 7
[input]
path = "data/rows.csv"
[model]
factory = "credit:load"
folders = ["code"]
[model.options]
name = "german"
[options]
method = "random"
total_CFs = 4
permitted_range = { age = [20, 60] }
[run]
backend = "loky"
workers = 2
seconds = 60
"""


@pytest.fixture
def toml(tmp_path):
    (tmp_path / "code").mkdir()

    def write(text):
        (tmp_path / "job.toml").write_text(text)
        return tmp_path / "job.toml"

    return write


def test_a_good_file(toml, tmp_path):
    config, run, places = read_toml(toml(GOOD))
    assert (config.task, config.factory, config.chunk_size) == ("explain", "credit:load", 50)
    assert config.random_state == 7
    assert config.factory_options == {"name": "german"}
    assert config.options["permitted_range"] == {"age": [20, 60]}
    assert config.folders == (str(tmp_path / "code"),)
    assert (run.backend, run.workers, run.seconds) == ("loky", 2, 60)
    assert places["input"] == str(tmp_path / "data" / "rows.csv")
    assert places["output"] == str(tmp_path / "out")


def test_it_survives_json(toml):
    config = read_toml(toml(GOOD))[0]
    again = JobConfig.from_dict(config.to_dict())
    assert again == config
    assert again.digest == config.digest


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("chunk_size = 50", "chunksize = 50", "unknown key 'chunksize'.*did you mean 'chunk_size'"),
        ("[input]", "[inputs]", "unknown key 'inputs'"),
        ("workers = 2", "worker = 2", r"unknown key 'worker' in \[run\].*'workers'"),
        ('path = "data/rows.csv"', "", r"lacks the key 'path' \[input\]"),
        ('factory = "credit:load"', "", "lacks the key 'factory'"),
        ('task = "explain"', "", "lacks the key 'task'"),
        ("chunk_size = 50", "chunk_size = 0", "chunk_size must be an integer of at least 1"),
        ("random_state = 7", 'random_state = "x"', "random_state"),
        ('backend = "loky"', 'backend = "locky"', "did you mean 'loky'"),
        ("seconds = 60", "seconds = -1", "seconds"),
        ('folders = ["code"]', 'folders = ["cod"]', "there is no folder"),
        ('folders = ["code"]', 'folders = "code"', "list of paths"),
        ("total_CFs = 4", "total_CFs = nan", "cannot write down"),
        ("total_CFs = 4", "total_CFs = ", "is no TOML file"),
    ],
)
def test_mistakes(toml, old, new, text):
    assert old in GOOD
    with pytest.raises(InvalidInputError, match=text):
        read_toml(toml(GOOD.replace(old, new)))


def test_no_file(tmp_path):
    with pytest.raises(InvalidInputError, match="cannot read the job file"):
        read_toml(tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"task": "explane"}, "did you mean 'explain'"),
        ({"factory": "model.pkl"}, "files with pickled models are not loaded"),
        ({"factory": "job_models:pare"}, "did you mean 'pair'"),
        ({"factory": "job_models:not_callable"}, "has no function"),
        ({"factory": "no_such_module:f"}, "cannot import 'no_such_module'.*looked in"),
        ({"options": {"method": "random"}}, "lack total_CFs"),
        ({"options": {"total_CFs": 1, "verbose": True}}, "the job's own"),
        ({"workers": 0}, "workers"),
        ({"worker": 2}, "worker"),
        ({"address": "x:1"}, "for dask and ray"),
    ],
)
def test_nothing_is_written_for_a_wrong_job(rows, tmp_path, change, text):
    arguments = {
        "task": "explain",
        "factory": "job_models:pair",
        "rows": rows,
        "folder": tmp_path / "out",
        "options": {"total_CFs": 1},
    }
    with pytest.raises(InvalidInputError, match=text):
        run_job(**(arguments | change))
    assert not (tmp_path / "out").exists()


def test_the_folders_of_the_code_are_no_part_of_a_job(tmp_path):
    here, there = JobConfig("explain", "a:b"), JobConfig("explain", "a:b", folders=(str(tmp_path),))
    assert here.digest == there.digest


def test_run_options_have_their_defaults():
    assert RunOptions().backend == "serial"
