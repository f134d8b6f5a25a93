"""Who treats the chunks: this process, or joblib's workers here or on a cluster.

Every executor takes a stream of chunks and yields what came of them, in any order. A chunk is taken
from the stream when a worker is about to be free, so that few are in memory. A worker that dies
raises :class:`WorkerLost`; which chunks were under way is the feed's to know.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from dice_extended_plugin.jobs.config import JobConfig, RunOptions
from dice_extended_plugin.jobs.errors import JobError
from dice_extended_plugin.jobs.sources import Chunk
from dice_extended_plugin.jobs.worker import Treated, forget, treat

__all__ = ["Executor", "Feed", "WorkerLost", "executor"]

#: Takes a stream of chunks, yields what came of them.
Executor: TypeAlias = Callable[["Feed"], Iterator[Treated]]
#: Errors of the back-ends that mean "a worker died", by name: their packages may be absent.
_LOST = {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "RayActorError"}
#: Chunks a worker gets at once where a back-end takes lists only.
_WAVE = 4
_LOST |= {"ActorDiedError", "WorkerCrashedError", "ActorUnavailableError", "OutOfMemoryError"}


class WorkerLost(RuntimeError):
    """A worker died while it treated a chunk."""


class Feed:
    """A stream of chunks that knows which are under way, for use by several threads.

    Parameters
    ----------
    chunks : iterator of Chunk
    go_on : callable
        Asked before every chunk is given out; when it says no, the stream ends.
    """

    def __init__(self, chunks: Iterator[Chunk], go_on: Callable[[], bool]) -> None:
        self._chunks, self._go_on = chunks, go_on
        self._lock = threading.Lock()
        self._failed: BaseException | None = None
        self.under_way: dict[int, Chunk] = {}

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> Chunk:
        with self._lock:
            if self._failed is not None:
                raise StopIteration
            try:
                chunk = next(self._chunks)
            except StopIteration:
                raise
            except BaseException as error:
                # joblib reads the stream in a thread of its own, where an error would be lost.
                self._failed = error
                raise StopIteration from error
            # Asked only now: a budget spent after the last chunk ends nothing.
            if not self._go_on():
                raise StopIteration
            self.under_way[chunk.index] = chunk
            return chunk

    def finished(self, index: int) -> None:
        """Note that a chunk has come back."""
        with self._lock:
            self.under_way.pop(index, None)

    def lost(self) -> list[Chunk]:
        """Return the chunks that were under way, in order, and forget them."""
        with self._lock:
            chunks = [self.under_way[index] for index in sorted(self.under_way)]
            self.under_way.clear()
            return chunks

    def check(self) -> None:
        """Raise what went wrong while the stream was read."""
        if self._failed is not None:
            raise self._failed


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
        return
    with _started(config, run) as (options, workers):
        yield lambda feed: _joblib(config, feed, run.backend, options, workers)


def _joblib(
    config: JobConfig, feed: Feed, backend: str, options: dict[str, Any], workers: int
) -> Iterator[Treated]:
    import joblib

    # Tables are sent (max_nbytes), not mapped: a mapped one could not be written to by a model.
    # Chunks are large enough to be sent alone (batch_size).
    common = {"n_jobs": workers, "batch_size": 1, "max_nbytes": None}
    work = joblib.delayed(treat)
    try:
        with joblib.parallel_config(backend=backend, **options):
            if backend != "ray":
                # One chunk under way and one waiting for each worker.
                stream = joblib.Parallel(
                    return_as="generator_unordered", pre_dispatch="2*n_jobs", **common
                )
                yield from stream(work(config, chunk) for chunk in feed)
                return
            # Ray's back-end returns lists only: the stream goes out in waves.
            with joblib.Parallel(pre_dispatch="all", **common) as parallel:
                while wave := list(itertools.islice(feed, _WAVE * workers)):
                    yield from parallel(work(config, chunk) for chunk in wave)
    except Exception as error:
        if _is_loss(error):
            raise WorkerLost(f"{type(error).__name__}: {error}") from error
        raise


def _is_loss(error: BaseException | None) -> bool:
    while error is not None:
        if any(kind.__name__ in _LOST for kind in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _started(config: JobConfig, run: RunOptions) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield joblib's options for the back-end, and the number of workers."""
    if run.backend == "dask":
        with _dask(run) as workers:
            yield {}, workers
    elif run.backend == "ray":
        with _ray(run) as workers:
            yield {}, workers
    else:
        import joblib

        workers = run.workers or joblib.cpu_count()
        # With one, joblib would work in this process, where a crash ends everything.
        yield {"inner_max_num_threads": config.threads}, max(workers, 2)


@contextmanager
def _dask(run: RunOptions) -> Iterator[int]:
    distributed = _imported("distributed", "dask")
    if run.address is None:
        try:
            client = distributed.get_client()
        except ValueError:  # no client in this process
            client = None
        if client is not None:
            yield run.workers or _dask_size(client)
            return
    cluster = None
    if run.address is None:
        import joblib

        cluster = distributed.LocalCluster(
            n_workers=run.workers or joblib.cpu_count(),
            threads_per_worker=1,
            dashboard_address=None,
        )
    try:
        client = distributed.Client(run.address or cluster)
    except OSError as error:
        raise JobError(f"cannot reach the Dask scheduler {run.address!r}: {error}") from error
    try:
        yield run.workers or _dask_size(client)
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _dask_size(client: Any) -> int:
    return max(1, sum(client.nthreads().values()))


@contextmanager
def _ray(run: RunOptions) -> Iterator[int]:
    ray = _imported("ray", "ray")
    from ray.util.joblib import register_ray

    register_ray()
    mine = not ray.is_initialized()
    if mine:
        local = {} if run.address else {"num_cpus": run.workers, "include_dashboard": False}
        try:
            ray.init(address=run.address, log_to_driver=False, logging_level="warning", **local)
        except ConnectionError as error:
            raise JobError(f"cannot reach the Ray cluster {run.address!r}: {error}") from error
    try:
        yield run.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if mine:
            ray.shutdown()


def _imported(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"backend={extra!r} needs {module!r}, which is not installed; run: pip install "
            f"'dice-extended[{extra}]'"
        ) from error
