"""What happens to a chunk in a worker: the model is built once, bad rows are set apart."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from dice_extended_plugin.factories import importable_from, load_factory
from dice_extended_plugin.jobs.config import JobConfig
from dice_extended_plugin.jobs.errors import TaskError
from dice_extended_plugin.jobs.sources import Chunk, Rows, part
from dice_extended_plugin.plugins import get_registry

__all__ = ["Failure", "Task", "Treated", "forget", "load_task", "resident_bytes", "treat"]


class Task(Protocol):
    """What is done with rows; a class of this form is a component of the kind "job_task".

    A task gives a row the same result whatever other rows are in its chunk, and always the same
    columns of the same types.
    """

    def __init__(self, made: Any, options: Mapping[str, Any], random_state: int) -> None:
        """Take what the factory returned; raise TaskError if that or the options will not do."""

    def __call__(self, rows: Rows, start: int) -> pd.DataFrame:
        """Treat rows, the first of which is number `start` of the whole.

        The result's first column, ``row``, says for each line which row it belongs to; lines are
        in the order of the rows. An error is taken for the fault of some row.
        """

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Raise InvalidInputError for options that cannot be right, before anything is built."""

    @staticmethod
    def summary(
        tables: Iterator[pd.DataFrame], options: Mapping[str, Any], random_state: int
    ) -> dict[str, Any]:
        """Return figures over the whole result, as JSON can write them."""


@dataclass(frozen=True)
class Failure:
    """A row without a result.

    Parameters
    ----------
    row : int
    reason : str
        Type and text of the error.
    """

    row: int
    reason: str


@dataclass(frozen=True)
class Treated:
    """What a worker returns.

    Parameters
    ----------
    index, start, n_rows : int
        Of the chunk.
    table : DataFrame or None
        None if every row failed.
    failures : list of Failure
        In the order of the rows.
    seconds : float
        Wall time in the worker, without building the model.
    process, resident : int
        Who did it, and how much memory (bytes) that process held then.
    broken : str, optional
        Why no row of any chunk can be treated. Then the rest says nothing.
    """

    index: int
    start: int
    n_rows: int
    table: pd.DataFrame | None
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    process: int = 0
    resident: int = 0
    broken: str | None = None


def load_task(name: str) -> Any:
    """Return the class of a registered task."""
    return get_registry().load("job_task", name)


#: Tasks built in this process, by job. A worker serves one job at a time: more are not kept.
_built: dict[str, Any] = {}


def forget() -> None:
    """Drop the tasks that were built in this process."""
    _built.clear()


def treat(config: JobConfig, chunk: Chunk) -> Treated:
    """Treat one chunk; never raises for what a row or a model does."""
    with importable_from(config.folders):
        try:
            with capped(config.threads):
                task = _task(config)
        except Exception as error:  # the user's factory may raise anything
            return _broken(chunk, _text(error))
        return _treat(task, config, chunk)


def _treat(task: Any, config: JobConfig, chunk: Chunk) -> Treated:
    # Capped anew: the factory may have been the one to import torch.
    with capped(config.threads):
        begin = time.perf_counter()
        failures: list[Failure] = []
        try:
            tables = list(_attempt(task, chunk.rows, chunk.start, failures))
        except TaskError as error:
            return _broken(chunk, str(error))
        return Treated(
            chunk.index,
            chunk.start,
            len(chunk.rows),
            pd.concat(tables, ignore_index=True) if tables else None,
            failures,
            time.perf_counter() - begin,
            os.getpid(),
            resident_bytes(),
        )


def _task(config: JobConfig) -> Any:
    key = json.dumps(config.to_dict(), sort_keys=True)
    if key not in _built:
        _built.clear()
        made = load_factory(config.factory, config.folders)(**config.factory_options)
        _built[key] = load_task(config.task)(made, config.options, config.random_state)
    return _built[key]


def _attempt(task: Any, rows: Rows, start: int, failures: list[Failure]) -> Iterator[pd.DataFrame]:
    """Treat rows; where that fails, treat their halves, down to the row that is the reason."""
    try:
        table = task(rows, start)
    except TaskError:
        raise
    except Exception as error:  # a row may make the user's model raise anything
        if len(rows) == 1:
            failures.append(Failure(start, _text(error)))
            return
    else:
        yield table
        return
    middle = len(rows) // 2
    for begin, end in ((0, middle), (middle, len(rows))):
        yield from _attempt(task, part(rows, begin, end), start + begin, failures)


def _broken(chunk: Chunk, reason: str) -> Treated:
    return Treated(chunk.index, chunk.start, len(chunk.rows), None, broken=reason)


def _text(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:500]}"


@contextmanager
def capped(threads: int) -> Iterator[None]:
    """Cap the threads of BLAS, OpenMP and torch, for speed and for equal last digits anywhere."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    with threadpool_limits(threads):
        if torch is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


def resident_bytes() -> int:
    """Return this process's resident memory in bytes, 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
