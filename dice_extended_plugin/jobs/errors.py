"""The two ways a job ends early."""

from __future__ import annotations

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["JobError", "TaskError"]


class JobError(RuntimeError):
    """A job cannot go on. What it has finished is kept; the text says how to go on."""


class TaskError(InvalidInputError):
    """No row can be treated, whatever its values: the fault is the model's or the options'.

    Raised by tasks. Any other error is taken for the fault of the rows at hand, which are split
    until the guilty ones are found.
    """
