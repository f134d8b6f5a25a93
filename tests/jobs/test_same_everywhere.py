"""A job gives the same result for every back-end and chunk size, killed or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from dice_extended_plugin import read_job, resume_job
from dice_extended_plugin.jobs.store import Store

HERE = Path(__file__).parent


def whole(result):
    assert result.status == "complete"
    assert result.n_done == result.n_rows
    return result.to_frame()


@pytest.fixture
def expected(explain, tmp_path):
    return whole(explain(folder=tmp_path / "expected", chunk_size=100))


def test_it_is_what_one_call_gives(expected, rows):
    from job_models import pair

    from dice_extended_plugin import Dice

    explainer = Dice(*pair(), method="random", random_state=0)
    direct = explainer.generate_counterfactuals(rows, total_CFs=2).to_frame()
    assert expected["row"].tolist() == direct["query"].tolist()
    for name in (*rows.columns, "progression", "status", "counterfactual", "noise_validity"):
        assert expected[name].astype(direct[name].dtype).tolist() == direct[name].tolist(), name


@pytest.mark.parametrize("chunk_size", [1, 7])
def test_chunk_sizes(explain, expected, chunk_size):
    pd.testing.assert_frame_equal(whole(explain(chunk_size=chunk_size)), expected)


def test_two_loky_workers(explain, expected):
    pd.testing.assert_frame_equal(whole(explain(backend="loky", workers=2)), expected)


def test_dask(explain, expected):
    pytest.importorskip("distributed", reason="dask is not installed")
    pd.testing.assert_frame_equal(whole(explain(backend="dask", workers=2)), expected)


def test_ray(explain, expected):
    pytest.importorskip("ray", reason="ray is not installed")
    pd.testing.assert_frame_equal(whole(explain(backend="ray", workers=2)), expected)


def test_the_hash_of_the_rows_does_not_depend_on_the_chunks(explain, tmp_path):
    hashes = set()
    for size in (1, 7, 100):
        explain(chunk_size=size, folder=tmp_path / str(size))
        hashes.add(Store(tmp_path / str(size)).read()["rows_sha256"])
    assert len(hashes) == 1


def test_the_model_is_built_once_in_each_worker(explain, tmp_path):
    built = tmp_path / "built"
    built.mkdir()
    explain(
        factory="counted",
        factory_options={"folder": str(built)},
        backend="loky",
        workers=2,
        chunk_size=1,
    )
    processes = [path.name.split("-")[0] for path in built.iterdir()]
    assert 1 <= len(processes) <= 2
    assert len(set(processes)) == len(processes)


def test_a_worker_is_killed(explain, poisoned_rows, tmp_path, caplog):
    expected = whole(explain(rows=poisoned_rows, folder=tmp_path / "undisturbed"))
    result = explain(
        rows=poisoned_rows,
        factory="deadly",
        factory_options={"marker": str(tmp_path / "killed")},
        backend="loky",
        workers=2,
    )
    assert (tmp_path / "killed").exists()
    assert "tried again" in caplog.text
    pd.testing.assert_frame_equal(whole(result), expected)


def test_a_row_that_always_kills_its_worker_costs_one_row(explain, poisoned_rows, tmp_path):
    expected = whole(explain(rows=poisoned_rows, folder=tmp_path / "undisturbed"))
    result = explain(rows=poisoned_rows, factory="deadly", backend="loky", workers=2, chunk_size=2)
    assert [failure.row for failure in result.failures()] == [11]
    assert "died" in result.failures()[0].reason
    survivors = expected[expected["row"] != 11].reset_index(drop=True)
    pd.testing.assert_frame_equal(whole(result), survivors)


def test_the_driver_is_killed(rows, expected, tmp_path):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "job.toml").write_text(
        f"""
        task = "explain"
        output = "out"
        chunk_size = 1
        [input]
        path = "rows.csv"
        [model]
        factory = "job_models:pair"
        folders = [{json.dumps(str(HERE))}]
        [options]
        method = "random"
        total_CFs = 2
        [run]
        backend = "loky"
        workers = 2
        """
    )
    command = [sys.executable, "-m", "dice_extended_plugin", "run", str(tmp_path / "job.toml")]
    driver = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    store = Store(tmp_path / "out")
    for _ in range(3000):
        if len(store.finished()) >= 3 or driver.poll() is not None:
            break
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    finished = store.finished()
    assert 3 <= len(finished) < len(rows)
    assert read_job(tmp_path / "out").status == "begun"
    before = {index: store.part(index).stat().st_mtime_ns for index in finished}
    result = resume_job(tmp_path / "out")
    assert result.new_rows == len(rows) - len(finished)
    assert before == {index: store.part(index).stat().st_mtime_ns for index in finished}
    pd.testing.assert_frame_equal(whole(result), expected)
