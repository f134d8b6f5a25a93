"""``dice-extended run CONFIG.toml`` and ``dice-extended resume DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.backends import BACKENDS
from dice_extended_plugin.jobs.errors import JobError

if TYPE_CHECKING:
    from dice_extended_plugin.jobs.run import JobResult

__all__ = ["add_resume_arguments", "add_run_arguments", "resume", "run"]

#: Exit status of a job that a budget stopped: not wrong, and not done.
STOPPED = 3


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``dice-extended run`` takes."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="the job file")
    _add_common(parser)


def add_resume_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``dice-extended resume`` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the job's output folder")
    parser.add_argument("--input", type=Path, metavar="FILE", help="the rows, if they have moved")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--workers", type=int, metavar="N")
    parser.add_argument("--address", help="of a running Dask scheduler or Ray cluster")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no chunk after them")
    parser.add_argument("--memory-gib", type=float, metavar="G")
    parser.add_argument(
        "--allow-other-versions", action="store_true", default=None, help="resume all the same"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no report")


def run(arguments: argparse.Namespace) -> int:
    """Run the job of a TOML file.

    Returns
    -------
    int
        0 complete, 3 stopped by a budget, 1 an error.
    """

    def job() -> JobResult:
        from dice_extended_plugin.jobs.config import RunOptions, read_toml
        from dice_extended_plugin.jobs.run import work
        from dice_extended_plugin.jobs.sources import open_source

        config, options, places = read_toml(arguments.config)
        options = RunOptions(**(asdict(options) | _given(arguments)))
        source = open_source(places["input"], places["array"])
        return work(config, source, places["output"], options)

    return _report(job, arguments.quiet)


def resume(arguments: argparse.Namespace) -> int:
    """Go on with the job in a folder; returns as :func:`run` does."""

    def job() -> JobResult:
        from dice_extended_plugin.jobs.run import resume_job

        return resume_job(arguments.folder, arguments.input, **_given(arguments))

    return _report(job, arguments.quiet)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("backend", "workers", "address", "seconds", "memory_gib", "allow_other_versions")
    given = {name: getattr(arguments, name) for name in names}
    return {k: v for k, v in given.items() if v is not None} | {"verbose": not arguments.quiet}


def _report(job: Callable[[], JobResult], quiet: bool) -> int:
    try:
        result = job()
    except (InvalidInputError, JobError, ImportError) as error:
        print(f"dice-extended: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dice-extended: interrupted; `dice-extended resume` goes on", file=sys.stderr)
        return 130
    if not quiet:
        print(_text(result))
    return 0 if result.status == "complete" else STOPPED


def _text(result: JobResult) -> str:
    lines = [
        f"{result.folder}: {result.status}, {result.n_done} of {result.n_rows} rows done, "
        f"{result.n_failed} failed",
        f"this run: {result.new_rows} rows in {result.seconds:.1f} s "
        f"({result.rows_per_second:.1f} rows a second)",
    ]
    if result.reason:
        lines.append(f"stopped: {result.reason}; go on with: dice-extended resume {result.folder}")
    if failures := result.failures():
        lines += [f"row {failure.row} failed: {failure.reason}" for failure in failures[:5]]
        lines += [f"... all in {result.folder / 'failed.parquet'}"] if len(failures) > 5 else []
    for name, value in (result.summary or {}).items():
        lines.append(f"{name}: {value}")
    return "\n".join(lines)
