"""Clusters that are there already, that are not, and that lose workers."""

from __future__ import annotations

import pandas as pd
import pytest

from dice_extended_plugin.jobs import JobError, clusters
from dice_extended_plugin.jobs.config import JobConfig, RunOptions


@pytest.fixture
def dask_cluster():
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


def test_a_running_dask_cluster(explain, tmp_path, dask_cluster):
    """By its address, and by the client that this process has; neither is closed."""
    from distributed import Client

    expected = explain(folder=tmp_path / "expected").to_frame()
    found = explain(
        folder=tmp_path / "address", backend="dask", address=dask_cluster.scheduler_address
    )
    pd.testing.assert_frame_equal(found.to_frame(), expected)
    with Client(dask_cluster) as client:
        found = explain(folder=tmp_path / "client", backend="dask")
        pd.testing.assert_frame_equal(found.to_frame(), expected)
        assert client.submit(int, "7").result() == 7
        # What goes wrong in a job is not taken for a client that is not there.
        config, run = JobConfig("explain", "a:b"), RunOptions(backend="dask")
        with (
            pytest.raises(ValueError, match="went wrong"),
            clusters.dask_cluster(config, run),
        ):
            raise ValueError("went wrong")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address"])
def test_a_dask_scheduler_that_does_not_answer(explain, address, monkeypatch):
    pytest.importorskip("distributed", reason="dask is not installed")
    monkeypatch.setattr(clusters, "_PATIENCE", 1.0)
    with pytest.raises(JobError, match=f"cannot reach the Dask scheduler '{address}'"):
        explain(backend="dask", address=address)


def test_a_ray_cluster_that_does_not_answer(explain):
    pytest.importorskip("ray", reason="ray is not installed")
    with pytest.raises(JobError, match=r"cannot reach the Ray cluster '127.0.0.1:9'"):
        explain(backend="ray", address="127.0.0.1:9")


# Ray takes most of a minute to replace a few workers.
@pytest.mark.parametrize("backend", ["dask", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_row_that_always_kills_its_worker(explain, poisoned_rows, tmp_path, backend):
    """joblib's back-ends wait for the dead worker's answer for ever."""
    pytest.importorskip("distributed" if backend == "dask" else backend)
    expected = explain(rows=poisoned_rows, folder=tmp_path / "undisturbed").to_frame()
    result = explain(rows=poisoned_rows, factory="deadly", backend=backend, workers=2, chunk_size=2)
    assert result.status == "complete"
    assert [failure.row for failure in result.failures()] == [11]
    survivors = expected[expected["row"] != 11].reset_index(drop=True)
    pd.testing.assert_frame_equal(result.to_frame(), survivors)


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_worker_is_killed_once(explain, poisoned_rows, tmp_path, backend):
    pytest.importorskip("distributed" if backend == "dask" else backend)
    expected = explain(rows=poisoned_rows, folder=tmp_path / "undisturbed").to_frame()
    result = explain(
        rows=poisoned_rows,
        factory="deadly",
        factory_options={"marker": str(tmp_path / "killed")},
        backend=backend,
        workers=2,
    )
    assert (tmp_path / "killed").exists()
    assert result.status == "complete" and result.n_failed == 0
    pd.testing.assert_frame_equal(result.to_frame(), expected)
