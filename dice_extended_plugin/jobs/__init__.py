"""Jobs over many rows: in chunks, on any number of workers, resumable, and always the same result.

A job reads rows as a stream (:mod:`~dice_extended_plugin.jobs.sources`), gives them chunk by chunk
to workers (:mod:`~dice_extended_plugin.jobs.executors`), each of which builds the model once
(:mod:`~dice_extended_plugin.jobs.worker`), and keeps every finished chunk in a folder
(:mod:`~dice_extended_plugin.jobs.store`). What is done with the rows is a *task*: "explain" here,
"attack" and "analyse" in ``art_bridge``, "audit" in ``alibi_bridge``, and what plugins register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dice_extended_plugin.jobs.config import JobConfig, RunOptions
    from dice_extended_plugin.jobs.errors import JobError, TaskError
    from dice_extended_plugin.jobs.run import JobResult, read_job, resume_job, run_job

__all__ = [
    "JobConfig",
    "JobError",
    "JobResult",
    "RunOptions",
    "TaskError",
    "read_job",
    "resume_job",
    "run_job",
]

#: Public name -> the module it comes from: the command line lists jobs without importing pandas.
_LAZY: dict[str, tuple[str, str | None]] = {
    "JobConfig": ("config", None),
    "JobError": ("errors", None),
    "JobResult": ("run", None),
    "RunOptions": ("config", None),
    "TaskError": ("errors", None),
    "read_job": ("run", None),
    "resume_job": ("run", None),
    "run_job": ("run", None),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value
