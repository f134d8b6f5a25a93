"""What a counterfactual may change, declared by column number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Constraints"]


@dataclass(frozen=True)
class Constraints:
    """Rules for the columns of an array, each named by its number.

    Parameters
    ----------
    immutable : sequence of int
        Columns that keep their value.
    integer : sequence of int
        Columns that move in whole steps of 1 from the values of the training data.
    steps : mapping of int to float
        Columns that move in steps of another size: a whole number scaled to [0, 1] has the step
        ``1 / (highest - lowest)``.
    ordinal : mapping of int to sequence of float
        Columns that take one of a few values.
    one_hot : sequence of sequences of int
        Groups of columns of which exactly one is on. On and off are the largest and the smallest
        value of the column in the training data. Neighbouring columns, in ascending order.
    increasing, decreasing : sequence of int
        Columns that may only rise, only fall.
    ranges : mapping of int to (low, high)
        Permitted values; narrower than the classifier's clip values or the training data.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: rules that contradict each other.
    """

    immutable: Sequence[int] = ()
    integer: Sequence[int] = ()
    steps: Mapping[int, float] = field(default_factory=dict)
    ordinal: Mapping[int, Sequence[float]] = field(default_factory=dict)
    one_hot: Sequence[Sequence[int]] = ()
    increasing: Sequence[int] = ()
    decreasing: Sequence[int] = ()
    ranges: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look for contradictions that need no data."""
        for name in ("immutable", "integer", "one_hot", "increasing", "decreasing"):
            if not _is_list(getattr(self, name)):
                raise InvalidInputError(
                    f"{name} must be a list of columns, not {getattr(self, name)!r}"
                )
        for name in ("steps", "ordinal", "ranges"):
            if not isinstance(getattr(self, name), Mapping):
                raise InvalidInputError(
                    f"{name} must map columns to values, not {getattr(self, name)!r}"
                )
        for group in self.one_hot:
            if not _is_list(group):
                raise InvalidInputError(f"one_hot must be a list of groups, not of {group!r}")
        self._disjoint("increasing", self.increasing, "decreasing", self.decreasing)
        self._disjoint("integer", self.integer, "steps", self.steps)
        for name, columns in (("integer", self.integer), ("steps", self.steps)):
            self._disjoint(name, columns, "ordinal", self.ordinal)
        hot = [column for group in self.one_hot for column in group]
        if len(set(hot)) < len(hot):
            raise InvalidInputError("one_hot: a column stands in more than one group")
        for group in self.one_hot:
            if len(group) < 2 or list(group) != list(range(group[0], group[0] + len(group))):
                raise InvalidInputError(
                    f"one_hot group {list(group)} must be two or more neighbouring columns in "
                    f"ascending order"
                )
        for name in ("integer", "steps", "ordinal", "increasing", "decreasing", "ranges"):
            self._disjoint("one_hot", hot, name, getattr(self, name))
        for column, step in self.steps.items():
            if not (_is_number(step) and 0 < step < np.inf):
                raise InvalidInputError(f"steps[{column}] must be a positive number, not {step!r}")
        for column, values in self.ordinal.items():
            if not _is_list(values) or len(values) == 0 or not all(map(_is_finite, values)):
                raise InvalidInputError(f"ordinal[{column}] must be finite values, not {values!r}")
        for column, ends in self.ranges.items():
            if not (_is_list(ends) and len(ends) == 2 and all(map(_is_number, ends))):
                raise InvalidInputError(f"ranges[{column}] must be (low, high), not {ends!r}")
            low, high = ends
            if not low <= high:
                raise InvalidInputError(f"ranges[{column}] = ({low}, {high}) is empty")

    @staticmethod
    def _disjoint(one: str, first: object, other: str, second: object) -> None:
        both = sorted(set(first) & set(second))  # type: ignore[call-overload]
        if both:
            raise InvalidInputError(f"column(s) {both} stand in both {one} and {other}")

    @property
    def columns(self) -> set[int]:
        """All columns that a rule names."""
        named: set[int] = {column for group in self.one_hot for column in group}
        for name in ("immutable", "integer", "steps", "ordinal"):
            named |= set(getattr(self, name))
        for name in ("increasing", "decreasing", "ranges"):
            named |= set(getattr(self, name))
        return named

    def check(self, d: int) -> None:
        """Raise unless every named column exists and something is left to change."""
        outside = [c for c in self.columns if not (_is_column(c) and 0 <= c < d)]
        if outside:
            named = sorted(outside, key=str)
            raise InvalidInputError(
                f"constraints name the column(s) {named}; columns are numbered 0 to {d - 1}"
            )
        if len(set(self.immutable)) == d:
            raise InvalidInputError("constraints make every column immutable; leave one to change")


def _is_list(value: object) -> bool:
    return isinstance(value, (Sequence, np.ndarray, range)) and not isinstance(value, (str, bytes))


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return _is_number(value) and bool(np.isfinite(value))  # type: ignore[call-overload]


def _is_column(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
