"""Run a job: from rows to a folder of finished chunks."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.factories import load_factory
from dice_extended_plugin.jobs.config import JobConfig, RunOptions
from dice_extended_plugin.jobs.errors import JobError
from dice_extended_plugin.jobs.executors import Executor, executor
from dice_extended_plugin.jobs.feed import Feed, WorkerLost
from dice_extended_plugin.jobs.sources import (
    Chunk,
    RowSource,
    chunks,
    digest,
    load_parquet,
    open_source,
    part,
)
from dice_extended_plugin.jobs.store import Store
from dice_extended_plugin.jobs.worker import Failure, Treated, load_task, resident_bytes
from dice_extended_plugin.versions import versions

__all__ = ["JobResult", "read_job", "resume_job", "run_job", "work"]

logger = logging.getLogger(__name__)

#: With so many rows failed and none treated, a job stops: the fault is hardly the rows'.
_NONE_GOOD = 10
_DIED = "the worker process died while it treated this row"


@dataclass(frozen=True)
class JobResult:
    """What is in a job's folder.

    Attributes
    ----------
    folder : Path
    status : {"begun", "stopped", "complete"}
        "stopped": a budget was spent; :func:`resume_job` goes on.
    reason : str
        Why it stopped; "" otherwise.
    n_rows, n_done, n_failed : int
        Rows of the input, rows treated or failed so far, rows that failed.
    seconds : float
        Wall time of the last run.
    new_rows : int
        Rows that the last run treated.
    summary : dict
        The task's figures over the whole, once complete.
    """

    folder: Path
    status: str
    reason: str
    n_rows: int
    n_done: int
    n_failed: int
    seconds: float = 0.0
    new_rows: int = 0
    summary: Mapping[str, Any] | None = None

    @property
    def rows_per_second(self) -> float:
        """Rate of the last run."""
        return self.new_rows / self.seconds if self.seconds else 0.0

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the finished chunks' tables in order; for results that memory does not hold."""
        return Store(self.folder).tables()

    def to_frame(self) -> pd.DataFrame:
        """Return all finished chunks in one table."""
        tables = list(self.tables())
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def failures(self) -> list[Failure]:
        """Return the failed rows with their reasons, in order."""
        return Store(self.folder).failures()

    def _repr_html_(self) -> str:
        """Show counts and summary; the rows, of which there may be millions, stay in the folder."""
        from dice_extended_plugin.html_tables import facts, table, titled

        state = {"status": self.status} | ({"reason": self.reason} if self.reason else {})
        counts = {"rows": self.n_rows, "done": self.n_done, "failed": self.n_failed}
        rows = [[name, value] for name, value in (self.summary or {}).items()]
        return titled(
            f"Job in {self.folder}",
            facts({**state, **counts, "rows a second": self.rows_per_second}),
            table(["figure", "value"], rows) if rows else "",
        )


def run_job(
    task: str,
    factory: str,
    rows: Any,
    folder: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    factory_options: Mapping[str, Any] | None = None,
    array: str | None = None,
    folders: Sequence[str | Path] = (".",),
    chunk_size: int = 100,
    random_state: int = 0,
    threads: int = 1,
    max_failures: int = 1000,
    **run: Any,
) -> JobResult:
    """Treat many rows in chunks, or go on with a job that was interrupted.

    The result is the same for every back-end, number of workers and chunk size, and for a job that
    was killed at any moment and run again.

    Parameters
    ----------
    task : str
        "explain", "attack", "analyse", "audit", or a plugin's.
    factory : str
        ``"package.module:function"`` that makes the model; called once in each worker. For
        "explain" it returns ``(dice_ml.Data, dice_ml.Model)``, or an explainer.
    rows : DataFrame, ndarray or path
        A path ends in ``.csv``, ``.csv.gz``, ``.parquet`` or ``.npz`` and is read as a stream.
    folder : path
        New or empty, or that of the same job. One Parquet file per chunk is written there.
    options, factory_options : mapping, optional
        Keywords of the task and of the factory, as JSON can write them.
    array : str, optional
        Which array of an npz file.
    folders : sequence of path, default the working directory
        Where the factory's module is looked for first.
    chunk_size, random_state, threads, max_failures
        See :class:`~dice_extended_plugin.jobs.config.JobConfig`.
    **run
        Members of :class:`~dice_extended_plugin.jobs.config.RunOptions`: ``backend``, ``workers``,
        ``address``, ``seconds``, ``memory_gib``, ``allow_other_versions``, ``verbose``.

    Returns
    -------
    JobResult

    Raises
    ------
    InvalidInputError
        A ``ValueError``: arguments, input or folder that cannot be worked with. Nothing is written.
    JobError
        The job cannot go on: no row can be treated, too many failed, the disk is full. What is
        finished is kept.
    ImportError
        A package is missing; the text says what to install.
    """
    config = JobConfig(
        task=task,
        factory=factory,
        options=options or {},
        factory_options=factory_options or {},
        folders=tuple(map(str, folders)),
        chunk_size=chunk_size,
        random_state=random_state,
        threads=threads,
        max_failures=max_failures,
    )
    return work(config, open_source(rows, array), folder, _run_options(run))


def resume_job(folder: str | Path, rows: Any = None, **run: Any) -> JobResult:
    """Go on with a job from what its folder says.

    Parameters
    ----------
    folder : path
    rows : DataFrame, ndarray or path, optional
        Needed if the job's rows came from memory, or if their file has moved.
    **run
        As in :func:`run_job`.

    Returns
    -------
    JobResult

    Raises
    ------
    InvalidInputError, JobError, ImportError
        As from :func:`run_job`; and if the rows are not those of before.
    """
    options = _run_options(run)
    manifest = Store(folder).read()
    try:
        config, source = JobConfig.from_dict(manifest["config"]), manifest["input"]
        kind = source["kind"]
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"the manifest in {folder} is damaged: no {error}") from error
    if rows is None:
        if kind == "memory":
            raise InvalidInputError(f"the rows of {folder} came from memory: give them again")
        rows = source.get("path")
    return work(config, open_source(rows, source.get("array")), folder, options)


def read_job(folder: str | Path) -> JobResult:
    """Return what a job's folder holds, without running anything."""
    return _result(Store(folder))


def _run_options(run: Mapping[str, Any]) -> RunOptions:
    try:
        return RunOptions(**run)
    except TypeError as error:
        raise InvalidInputError(f"{error}; see RunOptions for what there is") from error


def work(config: JobConfig, source: RowSource, folder: str | Path, run: RunOptions) -> JobResult:
    """Do what is not done yet."""
    load_task(config.task).check(config.options)
    load_factory(config.factory, config.folders)
    load_parquet()
    store = Store(folder)
    with store.locked():
        store.begin(config, source.describe(), versions(), run.allow_other_versions)
        begin = time.perf_counter()
        driver = _Driver(config, source, store, run)
        with executor(config, run) as treat_all:
            driver.run(treat_all)
        seconds = time.perf_counter() - begin
        _close(store, config, driver)
    return replace(_result(store), seconds=seconds, new_rows=driver.new_rows)


def _close(store: Store, config: JobConfig, driver: _Driver) -> None:
    """Say in the manifest how the run ended."""
    if driver.reason:
        store.write_manifest(status="stopped", reason=driver.reason)
        return
    store.write_failed(store.failures())
    summary = load_task(config.task).summary(store.tables(), config.options, config.random_state)
    store.write_manifest(status="complete", reason="", rows_sha256=driver.sha256(), summary=summary)


def _result(store: Store) -> JobResult:
    manifest = store.read()
    notes = [store.note(index) for index in sorted(store.finished())]
    return JobResult(
        folder=store.folder,
        status=manifest["status"],
        reason=manifest.get("reason", ""),
        n_rows=manifest["input"]["n_rows"],
        n_done=sum(note["n_rows"] for note in notes),
        n_failed=sum(len(note["failures"]) for note in notes),
        summary=manifest.get("summary"),
    )


class _Driver:
    """Feeds chunks to the workers, keeps what comes back, and watches budgets and failures."""

    def __init__(self, config: JobConfig, source: RowSource, store: Store, run: RunOptions) -> None:
        self.config, self.source, self.store, self.options = config, source, store, run
        self.done = store.finished()
        self.reason = ""
        self.n_done = self.n_failed = self.new_rows = 0
        self._deadline = None if run.seconds is None else time.monotonic() + run.seconds
        self._resident: dict[int, int] = {}
        self._hash = hashlib.sha256()
        self._hashes: dict[int, str] = {}

    def run(self, treat_all: Executor) -> None:
        """Go through all rows; set `reason` if a budget ends it before."""
        from tqdm import tqdm

        feed = Feed(self._unfinished(), self._go_on)
        bar = tqdm(
            total=self.source.n_rows, disable=not self.options.verbose, unit="row", desc="rows"
        )
        with bar:
            self._bar = bar
            for treated in self._survive(treat_all, feed):
                self._keep(treated)
        feed.check()

    def sha256(self) -> str:
        """Hash of all rows' digests, the same for every chunk size."""
        return self._hash.hexdigest()

    # -- what goes out ---------------------------------------------------------------------------

    def _unfinished(self) -> Iterator[Chunk]:
        """Yield the chunks to do; check that the others' rows are still the same."""
        for chunk in chunks(self.source, self.config.chunk_size):
            digests = digest(chunk.rows)
            self._hash.update(digests)
            own = hashlib.sha256(digests).hexdigest()
            if chunk.index not in self.done:
                self._hashes[chunk.index] = own
                yield chunk
                continue
            note = self.store.note(chunk.index)
            if (note["rows_sha256"], note["n_rows"]) != (own, len(chunk.rows)):
                raise JobError(
                    f"rows {chunk.start} ... {chunk.start + len(chunk.rows) - 1} of the input are "
                    f"not those of before: give the same rows, or choose another output folder"
                )
            self._count(note["n_rows"], len(note["failures"]))

    def _go_on(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = f"{self.options.seconds:g} seconds are spent"
        if self.options.memory_gib is not None:
            used = (resident_bytes() + sum(self._resident.values())) / 2**30
            if used > self.options.memory_gib:
                self.reason = (
                    f"{used:.2f} GiB of memory are in use, {self.options.memory_gib:g} allowed: "
                    "take fewer workers, smaller chunks, or allow more"
                )
        return not self.reason

    # -- what comes back -------------------------------------------------------------------------

    def _keep(self, treated: Treated) -> None:
        if treated.broken is not None:
            raise JobError(
                f"no row can be treated: {treated.broken}. Mend the model or the options; "
                f"{len(self.done)} finished chunk(s) are kept in {self.store.folder}"
            )
        n_failed = len(treated.failures)
        none_good = self.n_done == self.n_failed
        if none_good and n_failed == treated.n_rows and self.n_failed + n_failed >= _NONE_GOOD:
            raise JobError(
                f"the first {self.n_failed + n_failed} rows all failed, the last with: "
                f"{treated.failures[-1].reason}. Mend the model, the options or the rows"
            )
        if self.n_failed + n_failed > self.config.max_failures:
            raise JobError(
                f"more than max_failures={self.config.max_failures} rows failed, the last with: "
                f"{treated.failures[-1].reason}. {len(self.done)} finished chunks are kept in "
                f"{self.store.folder}"
            )
        self.store.write(treated, self._hashes.pop(treated.index))
        self.done.add(treated.index)
        self._resident[treated.process] = treated.resident
        self.new_rows += treated.n_rows
        self._count(treated.n_rows, n_failed)

    def _count(self, n_rows: int, n_failed: int) -> None:
        self.n_done += n_rows
        self.n_failed += n_failed
        self._bar.update(n_rows)

    def _survive(self, treat_all: Executor, feed: Feed) -> Iterator[Treated]:
        """Go on after a worker's death: the chunks under way are tried again, one at a time."""
        while True:
            try:
                for treated in treat_all(feed):
                    feed.finished(treated.index)
                    yield treated
                return
            except WorkerLost as error:
                suspects = feed.lost()
                logger.warning("%s; %d chunks are tried again", error, len(suspects))
                self._resident.clear()
            for chunk in suspects:
                yield self._alone(treat_all, chunk)

    def _alone(self, treat_all: Executor, chunk: Chunk) -> Treated:
        """Treat a chunk with no other under way; split it while it kills its worker."""
        try:
            (treated,) = treat_all(Feed(iter([chunk]), lambda: True))
            return treated
        except WorkerLost:
            n = len(chunk.rows)
            if n == 1:
                return Treated(chunk.index, chunk.start, 1, None, [Failure(chunk.start, _DIED)])
            halves = [
                self._alone(
                    treat_all,
                    Chunk(chunk.index, chunk.start + begin, part(chunk.rows, begin, end)),
                )
                for begin, end in ((0, n // 2), (n // 2, n))
            ]
        return _joined(chunk, halves)


def _joined(chunk: Chunk, halves: list[Treated]) -> Treated:
    """Make one of what came of a chunk's halves."""
    tables = [half.table for half in halves if half.table is not None]
    last = halves[-1]
    return Treated(
        chunk.index,
        chunk.start,
        len(chunk.rows),
        pd.concat(tables, ignore_index=True) if tables else None,
        [failure for half in halves for failure in half.failures],
        sum(half.seconds for half in halves),
        last.process,
        last.resident,
        next((half.broken for half in halves if half.broken), None),
    )
