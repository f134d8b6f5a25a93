"""Measure: what a number that is reported means, whatever computes it."""

from __future__ import annotations

from dataclasses import dataclass

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Measure"]


@dataclass(frozen=True)
class Measure:
    """A named number and how to read it.

    Parameters
    ----------
    name : str
    direction : {"higher", "lower", ""}
        What is better; "" for a value that only describes.
    low, high : float
        Range.
    chance : str
        What a method without any skill reaches; "" if that has no meaning.
    reference : str
        Where it is defined.
    summary : str
        One line.
    """

    name: str
    direction: str
    low: float
    high: float
    chance: str
    reference: str
    summary: str

    def __post_init__(self) -> None:
        if self.direction not in ("higher", "lower", ""):
            raise InvalidInputError(
                f"direction of {self.name!r} must be 'higher', 'lower' or '', not "
                f"{self.direction!r}"
            )

    @property
    def heading(self) -> str:
        """The name with an arrow that points where it is better."""
        return self.name + {"higher": " ↑", "lower": " ↓", "": ""}[self.direction]
