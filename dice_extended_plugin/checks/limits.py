"""Nothing that is checked may run for ever: limits on model calls and on seconds."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dice_extended_plugin.checks.case import Overrun

__all__ = ["Watch", "time_limit"]


class Watch:
    """Counts the calls of a model, and ends a run that makes too many.

    Parameters
    ----------
    max_calls : int

    Attributes
    ----------
    calls, rows : int
        So far, all copies of the model together.
    """

    def __init__(self, max_calls: int) -> None:
        self.max_calls = max_calls
        self.calls = self.rows = 0

    def add(self, rows: int) -> None:
        """Count one call; raise :class:`~dice_extended_plugin.checks.case.Overrun` beyond."""
        self.calls += 1
        self.rows += rows
        if self.calls > self.max_calls:
            raise Overrun(f"it made more than {self.max_calls} model calls in one check")

    def __deepcopy__(self, memo: Any) -> Watch:
        return self  # copies of a model are counted together


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`Overrun` in the block after so many seconds.

    Only where the system has alarms, and in the main thread; elsewhere there is no limit.
    """
    usable = hasattr(signal, "setitimer") and (
        threading.current_thread() is threading.main_thread()
    )
    if not usable:
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise Overrun(f"it did not end within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
