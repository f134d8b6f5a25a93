"""Dask and Ray: clusters that treat chunks.

Both are asked directly. joblib's back-ends for them are not used: that of Dask waits for ever for a
task whose worker was killed (joblib 1.5), and that of Ray hands out lists only and keeps a dead
worker's task.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dice_extended_plugin.jobs.config import JobConfig, RunOptions
from dice_extended_plugin.jobs.errors import JobError
from dice_extended_plugin.jobs.feed import Feed, losses_named
from dice_extended_plugin.jobs.sources import Chunk
from dice_extended_plugin.jobs.worker import Treated, treat

__all__ = ["dask_cluster", "ray_cluster"]

#: Seconds in which a scheduler must answer.
_PATIENCE = 30.0


@contextmanager
def dask_cluster(
    config: JobConfig, run: RunOptions
) -> Iterator[Callable[[Feed], Iterator[Treated]]]:
    """Reach a Dask cluster, or start workers here, and yield what treats a stream of chunks.

    Without an address the client of this process is used if there is one.

    Raises
    ------
    ImportError
        distributed is not installed.
    JobError
        The scheduler does not answer.
    """
    distributed = _imported("distributed", "dask")
    with _dask_client(distributed, run) as client:
        width = 2 * (run.workers or max(1, sum(client.nthreads().values())))

        def first_done(under_way: list[Any]) -> Any:
            done = distributed.wait(under_way, return_when="FIRST_COMPLETED").done
            return next(future for future in under_way if future in done)

        yield lambda feed: _windowed(
            feed,
            width,
            # Not pure: the same chunk may be asked again, after a worker's death.
            submit=lambda chunk: client.submit(treat, config, chunk, pure=False),
            first_done=first_done,
            result=lambda future: future.result(),
            drop=client.cancel,
        )


@contextmanager
def _dask_client(distributed: Any, run: RunOptions) -> Iterator[Any]:
    known = None if run.address else _client_here(distributed)
    if known is not None:
        yield known
        return
    cluster = None if run.address else _local_dask(distributed, run)
    try:
        client = distributed.Client(run.address or cluster, timeout=_PATIENCE)
    except (OSError, ValueError) as error:  # nobody answers there; it is no address
        raise JobError(f"cannot reach the Dask scheduler {run.address!r}: {error}") from error
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _client_here(distributed: Any) -> Any:
    """Return the client of this process; None without one."""
    try:
        return distributed.get_client()
    except ValueError:
        return None


def _local_dask(distributed: Any, run: RunOptions) -> Any:
    import dask
    import joblib

    # A chunk that kills its worker comes back to us at once and is split: Dask would let it kill
    # three more first, and each takes seconds to replace.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        return distributed.LocalCluster(
            n_workers=run.workers or joblib.cpu_count(),
            threads_per_worker=1,
            dashboard_address=None,
        )


@contextmanager
def ray_cluster(
    config: JobConfig, run: RunOptions
) -> Iterator[Callable[[Feed], Iterator[Treated]]]:
    """Reach a Ray cluster, or start one here, and yield what treats a stream of chunks.

    Without an address Ray is used as it is, if it runs in this process.

    Raises
    ------
    ImportError
        ray is not installed.
    JobError
        The cluster does not answer.
    """
    ray = _imported("ray", "ray")
    mine = not ray.is_initialized()
    if mine:
        _start_ray(ray, run)
    try:
        width = 2 * (run.workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
        work = ray.remote(num_cpus=1, max_retries=0)(treat)
        shared = ray.put(config)

        def drop(tasks: list[Any]) -> None:
            for task in tasks:
                ray.cancel(task, force=True)

        yield lambda feed: _windowed(
            feed,
            width,
            submit=lambda chunk: work.remote(shared, chunk),
            first_done=lambda tasks: ray.wait(tasks, num_returns=1)[0][0],
            result=ray.get,
            drop=drop,
        )
    finally:
        if mine:
            ray.shutdown()


def _start_ray(ray: Any, run: RunOptions) -> None:
    local = {} if run.address else {"num_cpus": run.workers, "include_dashboard": False}
    try:
        _check_answers(run.address)
        ray.init(address=run.address, log_to_driver=False, logging_level="warning", **local)
    except (OSError, ValueError) as error:
        raise JobError(f"cannot reach the Ray cluster {run.address!r}: {error}") from error


def _check_answers(address: str | None) -> None:
    """Raise OSError if nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def _windowed(
    feed: Feed,
    width: int,
    submit: Callable[[Chunk], Any],
    first_done: Callable[[list[Any]], Any],
    result: Callable[[Any], Treated],
    drop: Callable[[list[Any]], object],
) -> Iterator[Treated]:
    """Keep up to `width` chunks under way, and yield what comes back in any order.

    Twice as many as there are workers: one in work and one waiting for each. What is under way
    when the stream is left is dropped.
    """
    under_way: list[Any] = []
    stream, more = iter(feed), True
    try:
        while more or under_way:
            while more and len(under_way) < width:
                chunk = next(stream, None)
                more = chunk is not None
                if chunk is not None:
                    under_way.append(submit(chunk))
            if not under_way:
                return
            done = first_done(under_way)
            under_way.remove(done)
            with losses_named():
                treated = result(done)
            yield treated
    finally:
        drop(under_way)


def _imported(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"backend={extra!r} needs {module!r}, which is not installed; run: pip install "
            f"'dice-extended[{extra}]'"
        ) from error
