"""Who treats the chunks: this process, joblib's workers here, or a cluster.

Every executor takes a stream of chunks and yields what came of them, in any order. A chunk is taken
from the stream when a worker is about to be free, so that few are in memory. A worker that dies
raises :class:`~dice_extended_plugin.jobs.feed.WorkerLost`; which chunks were under way is the
feed's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from dice_extended_plugin.jobs.clusters import dask_cluster, ray_cluster
from dice_extended_plugin.jobs.config import JobConfig, RunOptions
from dice_extended_plugin.jobs.feed import Feed, losses_named
from dice_extended_plugin.jobs.worker import Treated, forget, treat

__all__ = ["Executor", "executor"]

#: Takes a stream of chunks, yields what came of them.
Executor: TypeAlias = Callable[["Feed"], Iterator[Treated]]
_CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


@contextmanager
def executor(config: JobConfig, run: RunOptions) -> Iterator[Executor]:
    """Start the workers, and stop them at the end.

    Raises
    ------
    ImportError
        The back-end is not installed.
    JobError
        A cluster cannot be reached.
    """
    if run.backend == "serial":
        yield lambda feed: (treat(config, chunk) for chunk in feed)
        forget()
    elif run.backend == "loky":
        yield lambda feed: _loky(config, feed, run.workers)
    else:
        with _CLUSTERS[run.backend](config, run) as stream:
            yield stream


def _loky(config: JobConfig, feed: Feed, workers: int | None) -> Iterator[Treated]:
    import joblib

    # With one, joblib would work in this process, where a crash ends everything.
    workers = max(workers or joblib.cpu_count(), 2)
    work = joblib.delayed(treat)
    with losses_named(), joblib.parallel_config("loky", inner_max_num_threads=config.threads):
        stream = joblib.Parallel(
            n_jobs=workers,
            return_as="generator_unordered",
            # One chunk under way and one waiting for each worker.
            pre_dispatch="2*n_jobs",
            # Chunks are large enough to be sent alone. They are sent, not mapped: a mapped table
            # could not be written to by a model.
            batch_size=1,
            max_nbytes=None,
        )
        yield from stream(work(config, chunk) for chunk in feed)
