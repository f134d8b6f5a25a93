"""The box of a batch of queries: bounds, and the way to rows that obey every constraint.

The search knows only :class:`Box`. :class:`ArrayBox` is built from numeric columns (the ART side),
:class:`SpaceBox` from a ``FeatureSpace`` (the dice-ml side).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from art_bridge.constraints import Constraints
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    from dice_extended_plugin.space import FeatureSpace

__all__ = ["ArrayBox", "Box", "SpaceBox"]

#: Two values closer than this share of the column's width are the same value.
SAME = 1e-6


class Box(ABC):
    """Bounds of Q queries and the way to a row that obeys every constraint.

    Attributes
    ----------
    x : ndarray of shape (Q, d), float64
        The queries.
    lower, upper : ndarray of shape (Q, d)
        Lowest and highest value of each column; equal where the column is frozen.
    unit : ndarray of int, shape (d,)
        Feature of each column, ascending from 0; the columns of a one-hot group share one.
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    unit: np.ndarray

    @abstractmethod
    def project(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return the nearest permitted rows.

        Parameters
        ----------
        u : ndarray of shape (n, d)
        query : ndarray of int, shape (n,)
            Query each row belongs to.

        Returns
        -------
        ndarray of shape (n, d), float64
        """

    def project_rows(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return the nearest permitted rows of (Qs, k, d), k of each query (Qs,)."""
        flat = self.project(u.reshape(-1, u.shape[2]), np.repeat(query, u.shape[1]))
        return flat.reshape(u.shape)

    @abstractmethod
    def take(self, index: np.ndarray) -> Box:
        """Return the box of some of the queries."""

    @cached_property
    def free(self) -> np.ndarray:
        """Which features can change, bool of shape (Q, features)."""
        width = self.upper - self.lower > 0
        return np.logical_or.reduceat(width, self.first_column, axis=1)

    @cached_property
    def peers(self) -> np.ndarray:
        """Which other columns belong to the same feature, bool of shape (d, d)."""
        return (self.unit[:, None] == self.unit) & ~np.eye(len(self.unit), dtype=bool)

    @cached_property
    def grouped(self) -> np.ndarray:
        """Which columns belong to a one-hot group, bool of shape (d,)."""
        return self.peers.any(axis=1)

    @cached_property
    def first_column(self) -> np.ndarray:
        """First column of each feature, shape (features,)."""
        return np.searchsorted(self.unit, np.arange(int(self.unit[-1]) + 1))


@dataclass(frozen=True)
class _Snap:
    """How the values of some columns are rounded."""

    step_columns: np.ndarray
    step: np.ndarray
    origin: np.ndarray
    ordinal_columns: np.ndarray
    ordinals: tuple[np.ndarray, ...]
    groups: np.ndarray  # (groups, most columns), -1 pads
    on: np.ndarray  # (d,) value of a column that is on
    off: np.ndarray

    @property
    def anything(self) -> bool:
        """Whether there is a rule besides the bounds."""
        return bool(len(self.step_columns) or len(self.ordinal_columns) or len(self.groups))

    def steps_between(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the first and the last step between bounds (n, d)."""
        columns, step, origin = self.step_columns, self.step, self.origin
        first = np.ceil((lower[:, columns] - origin) / step - 1e-4)
        return first, np.floor((upper[:, columns] - origin) / step + 1e-4)

    def without_level(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Whether no step or level lies between bounds (n, d)."""
        out = np.zeros(lower.shape, dtype=bool)
        first, last = self.steps_between(lower, upper)
        out[:, self.step_columns] = first > last
        for column, values in zip(self.ordinal_columns, self.ordinals, strict=True):
            low, high = lower[:, column, None], upper[:, column, None]
            out[:, column] = ~((values >= low) & (values <= high)).any(axis=1)
        return out


@dataclass(frozen=True)
class ArrayBox(Box):
    """The box of rows of numbers, as ART has them; permitted rows are exact in float32.

    Made by :meth:`build`.
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    unit: np.ndarray
    snap: _Snap

    @classmethod
    def build(
        cls,
        x: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        constraints: Constraints | None = None,
        mask: np.ndarray | None = None,
        reference: np.ndarray | None = None,
    ) -> ArrayBox:
        """Make the box of a batch.

        Parameters
        ----------
        x : ndarray of shape (Q, d)
            Queries, exact in float32. A query's own value is permitted wherever it lies.
        low, high : ndarray of shape (d,)
            Lowest and highest value of each column.
        constraints : Constraints, optional
        mask : ndarray of bool, shape (Q, d), optional
            False where a value must stay. A one-hot group with a masked column stays whole.
        reference : ndarray of shape (n, d), optional
            Training rows; they tell where steps begin and what on and off are.

        Raises
        ------
        InvalidInputError
            Rules that contradict the data.
        """
        rules = constraints or Constraints()
        x = np.asarray(x, dtype=np.float64)
        n, d = x.shape
        rules.check(d)
        lower, upper = np.tile(_up(low), (n, 1)), np.tile(_down(high), (n, 1))
        ends = _range_ends(rules)
        for column, (least, most) in rules.ranges.items():
            lower[:, column] = np.maximum(lower[:, column], ends[column].low)
            upper[:, column] = np.minimum(upper[:, column], ends[column].high)
            if (lower[:, column] > upper[:, column]).any():
                raise InvalidInputError(
                    f"ranges[{column}] = ({least}, {most}) lies outside the data or the clip "
                    f"values ({low[column]:g} to {high[column]:g})"
                )
        rising, falling = list(rules.increasing), list(rules.decreasing)
        lower[:, rising] = np.maximum(lower[:, rising], x[:, rising])
        upper[:, falling] = np.minimum(upper[:, falling], x[:, falling])
        lower, upper = np.minimum(lower, x), np.maximum(upper, x)
        # A range that was asked for binds; elsewhere a query may keep a value beyond the data.
        outside = np.zeros((n, d), dtype=bool)
        for column, end in ends.items():
            out = (x[:, column] < end.first) | (x[:, column] > end.last)
            lower[out, column] = np.maximum(lower[out, column], end.low)
            upper[out, column] = np.minimum(upper[out, column], end.high)
            outside[:, column] = out
        frozen = np.zeros((n, d), dtype=bool)
        frozen[:, list(rules.immutable)] = True
        if mask is not None:
            frozen |= ~mask
        for group in rules.one_hot:
            columns = list(group)
            frozen[:, columns] = frozen[:, columns].any(axis=1, keepdims=True)
        snap = _snap(rules, x if reference is None else reference)
        # A row whose range lies where another rule does not let it go cannot obey: it stays whole.
        barred = frozen | (lower > upper) | snap.without_level(lower, upper)
        frozen[(outside & barred).any(axis=1)] = True
        lower, upper = np.where(frozen, x, lower), np.where(frozen, x, upper)
        return cls(x, lower, upper, _units(d, rules.one_hot), snap)

    def take(self, index: np.ndarray) -> ArrayBox:
        """Return the box of some of the queries."""
        return replace(self, x=self.x[index], lower=self.lower[index], upper=self.upper[index])

    def project_rows(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return the nearest permitted rows, see :meth:`Box.project_rows`."""
        if self.snap.anything:
            return super().project_rows(u, query)
        out = np.maximum(u, self.lower[query][:, None])
        np.minimum(out, self.upper[query][:, None], out=out)
        return out.astype(np.float32).astype(np.float64)

    def project(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return the nearest permitted rows, see :meth:`Box.project`."""
        lower, upper, snap = self.lower[query], self.upper[query], self.snap
        out = np.maximum(u, lower)
        np.minimum(out, upper, out=out)
        if len(snap.step_columns):
            self._step(out, lower, upper, query)
        if len(snap.ordinal_columns):
            self._choose(out, lower, upper, query)
        if len(snap.groups):
            self._switch(out, u, lower, upper, query)
        return out.astype(np.float32).astype(np.float64)

    def _step(
        self, out: np.ndarray, lower: np.ndarray, upper: np.ndarray, query: np.ndarray
    ) -> None:
        columns, step, origin = self.snap.step_columns, self.snap.step, self.snap.origin
        first, last = self.snap.steps_between(lower, upper)
        number = np.rint((out[:, columns] - origin) / step)
        own = self.x[query][:, columns]
        stays = (number == np.rint((own - origin) / step)) & (
            (own >= lower[:, columns]) & (own <= upper[:, columns])
        )
        value = np.clip(number, first, np.maximum(first, last)) * step + origin
        value = np.clip(value, lower[:, columns], upper[:, columns])
        out[:, columns] = np.where(stays | (first > last), own, value)

    def _choose(
        self, out: np.ndarray, lower: np.ndarray, upper: np.ndarray, query: np.ndarray
    ) -> None:
        for column, values in zip(self.snap.ordinal_columns, self.snap.ordinals, strict=True):
            own = self.x[query, column]
            away = np.abs(out[:, column, None] - values)
            permitted = (values >= lower[:, column, None]) & (values <= upper[:, column, None])
            away[~permitted] = np.inf
            best = away.argmin(axis=1)
            keeps = np.abs(out[:, column] - own) <= away[np.arange(len(out)), best]
            # Where a range does not permit the query's own value it stays for want of a level only.
            inside = (own >= lower[:, column]) & (own <= upper[:, column])
            keeps &= inside | ~permitted.any(axis=1)
            out[:, column] = np.where(keeps, own, values[best])

    def _switch(
        self,
        out: np.ndarray,
        u: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        query: np.ndarray,
    ) -> None:
        groups, on, off = self.snap.groups, self.snap.on, self.snap.off
        width = np.where(on > off, on - off, 1.0)
        own = self.x[query]
        share = np.where(on > off, (u - off) / width, -np.inf)
        share = np.where((groups >= 0), share[:, groups], -np.inf)
        choice = groups[np.arange(len(groups)), share.argmax(axis=2)]
        hot = np.zeros(out.shape, dtype=bool)
        np.put_along_axis(hot, choice, True, axis=1)
        columns = groups[groups >= 0]
        value = np.where(hot, on, off)[:, columns]
        # A frozen group stays, and the query's own values are kept even where they are no level.
        apart = np.abs(u - own)[:, groups]
        same = np.where(groups >= 0, apart, 0.0).max(axis=2) < SAME
        fixed = (np.where(groups >= 0, (upper - lower)[:, groups], 0.0) <= 0).all(axis=2)
        keeps = np.repeat(same | fixed, (groups >= 0).sum(axis=1), axis=1)
        out[:, columns] = np.where(keeps, own[:, columns], value)


@dataclass(frozen=True)
class SpaceBox(Box):
    """The box of encoded rows of a ``FeatureSpace``, the table of a dice-ml explainer.

    Made by :meth:`build`.
    """

    x: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    unit: np.ndarray
    space: FeatureSpace

    @classmethod
    def build(cls, x: np.ndarray, space: FeatureSpace) -> SpaceBox:
        """Make the box of encoded queries, (Q, d)."""
        lower, upper = space.bounds(x)
        return cls(x, lower, upper, np.asarray(space.column_feature), space)

    def take(self, index: np.ndarray) -> SpaceBox:
        """Return the box of some of the queries."""
        return replace(self, x=self.x[index], lower=self.lower[index], upper=self.upper[index])

    def project(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return the nearest permitted rows, see :meth:`Box.project`."""
        return self.space.project(u, self.x[query], self.lower[query], self.upper[query])


class _Ends(NamedTuple):
    """Ends of a range: of the values that are tried, and of those that a query may have."""

    low: float
    high: float
    first: float
    last: float


def _range_ends(rules: Constraints) -> dict[int, _Ends]:
    """Return the ends in float32: a query, or a level, at the very end is inside."""
    out = {}
    for column, (least, most) in rules.ranges.items():
        near = float(np.float32(least)), float(np.float32(most))
        inner = near if column in rules.ordinal else (float(_up(least)), float(_down(most)))
        out[column] = _Ends(*inner, *near)
    return out


def _units(d: int, groups: Sequence[Sequence[int]]) -> np.ndarray:
    begins = np.ones(d, dtype=int)
    for group in groups:
        begins[list(group)[1:]] = 0
    return np.cumsum(begins) - 1


def _snap(rules: Constraints, reference: np.ndarray) -> _Snap:
    step = {**{column: 1.0 for column in rules.integer}, **rules.steps}
    columns = np.array(sorted(step), dtype=int)
    size = max((len(group) for group in rules.one_hot), default=0)
    padded = [list(group) + [-1] * (size - len(group)) for group in rules.one_hot]
    on, off = reference.max(axis=0).astype(float), reference.min(axis=0).astype(float)
    for group in rules.one_hot:
        values = reference[:, list(group)]
        if (np.isclose(values, on[list(group)]) & (on > off)[list(group)]).sum(axis=1).max() > 1:
            raise InvalidInputError(
                f"one_hot group {list(group)}: training rows have more than one column on"
            )
    return _Snap(
        step_columns=columns,
        step=np.array([step[column] for column in columns], dtype=float),
        origin=reference.min(axis=0).astype(float)[columns],
        ordinal_columns=np.array(sorted(rules.ordinal), dtype=int),
        ordinals=tuple(
            np.unique(np.asarray(rules.ordinal[c], dtype=np.float32)).astype(float)
            for c in sorted(rules.ordinal)
        ),
        groups=np.array(padded, dtype=int).reshape(len(padded), size),
        on=on,
        off=off,
    )


def _up(value: np.ndarray | float) -> np.ndarray:
    """Return the lowest float32 number that is not below, as float64."""
    single = np.asarray(value, dtype=np.float32)
    low = single.astype(np.float64) < np.asarray(value, dtype=np.float64)
    return np.where(low, np.nextafter(single, np.float32(np.inf)), single).astype(np.float64)


def _down(value: np.ndarray | float) -> np.ndarray:
    """Return the highest float32 number that is not above, as float64."""
    return -_up(-np.asarray(value, dtype=np.float64))
