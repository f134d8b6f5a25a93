"""The stream of chunks that workers take from, and what a lost worker means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dice_extended_plugin.jobs.sources import Chunk

__all__ = ["Feed", "WorkerLost", "losses_named"]

#: Errors of the back-ends that mean "a worker died", by name: their packages may be absent.
_LOST = {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "RayActorError"}
_LOST |= {"ActorDiedError", "WorkerCrashedError", "ActorUnavailableError", "OutOfMemoryError"}


class WorkerLost(RuntimeError):
    """A worker died while it treated a chunk."""


@contextmanager
def losses_named() -> Iterator[None]:
    """Raise :class:`WorkerLost` for every error that means a dead worker."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if any(kind.__name__ in _LOST for kind in type(cause).__mro__):
                raise WorkerLost(f"{type(error).__name__}: {error}") from error
            cause = cause.__cause__ or cause.__context__
        raise


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
