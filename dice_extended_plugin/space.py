"""FeatureSpace: what a row is made of, what may change in it, and how it becomes numbers.

A row is encoded as ``[continuous features scaled to their data range | one block of 0/1 columns
per categorical feature]``, the layout of dice-ml's ``ohe-min-max`` transformation. Everything a
search must respect (ranges, permitted levels, immutable features, the number of decimals) lives
here, so that a search that clamps to :meth:`FeatureSpace.bounds` and finishes with
:meth:`FeatureSpace.project` cannot break a constraint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.columns import factorize, write_levels, write_numbers
from dice_extended_plugin.constraints import permit, restrict_vary
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.projection import SAME, bounds, contradictions, legal, project

__all__ = ["SAME", "FeatureSpace"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureSpace:
    """The features of a table, their encoding, and what a counterfactual may do to them.

    Immutable: :meth:`constrain` returns a new space, so that nothing set for one call can leak
    into the next.

    Parameters
    ----------
    names : tuple of str
        All features in the table's order.
    continuous, categorical : tuple of str
        The two kinds, in encoding order.
    levels : tuple of tuple of str
        Levels of each categorical feature, in encoding order.
    low, high : ndarray of shape (n_continuous,)
        Data range in the table's units; the encoding maps it to [0, 1].
    precision : ndarray of int, shape (n_continuous,)
        Decimals of each continuous feature (0 = whole numbers).
    integer : ndarray of bool, shape (n_continuous,)
        True where the table stores whole numbers.
    permitted_low, permitted_high : ndarray of shape (n_continuous,)
        Range of the values a counterfactual may take, in the table's units.
    asked : ndarray of bool, shape (n_continuous,)
        True where the permitted range was asked for. Elsewhere it is the data range, and a query
        that lies outside may keep its own value.
    permitted_levels : ndarray of bool, shape (n_columns - n_continuous,)
        Levels a counterfactual may take, block after block.
    vary : ndarray of bool, shape (n_features,)
        Which features may change, continuous first.
    step : ndarray of shape (n_continuous,)
        Changed values are whole multiples of it, in the table's units.
    direction : ndarray of int, shape (n_continuous,)
        1 where a value may only rise, -1 where it may only fall, else 0.
    forbidden : ndarray of bool, shape (n_columns - n_continuous,) twice
        Level of the row to level of the column: transitions that must not happen.
    order : tuple of (int, int)
        Continuous features of which the first is never larger than the second.
    """

    names: tuple[str, ...]
    continuous: tuple[str, ...]
    categorical: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    low: np.ndarray
    high: np.ndarray
    precision: np.ndarray
    integer: np.ndarray
    permitted_low: np.ndarray
    permitted_high: np.ndarray
    asked: np.ndarray
    permitted_levels: np.ndarray
    vary: np.ndarray
    step: np.ndarray
    direction: np.ndarray
    forbidden: np.ndarray
    order: tuple[tuple[int, int], ...] = ()

    @classmethod
    def build(
        cls,
        names: Sequence[str],
        ranges: Mapping[str, tuple[float, float]],
        levels: Mapping[str, Sequence[str]],
        precision: Mapping[str, int] | None = None,
        integer: Iterable[str] = (),
    ) -> FeatureSpace:
        """Make a space in which every feature may take any value of the data.

        Parameters
        ----------
        names : sequence of str
            All features in the table's order.
        ranges : mapping of str to (low, high)
            Data range of each continuous feature; its order is the encoding order.
        levels : mapping of str to sequence of str
            Levels of each categorical feature; its order is the encoding order.
        precision : mapping of str to int, optional
            Decimals of continuous features; 0 for the features in `integer`, else 2.
        integer : iterable of str
            Continuous features stored as whole numbers.
        """
        whole = set(integer)
        decimals = dict(precision or {})
        low = np.array([ranges[f][0] for f in ranges], dtype=np.float64)
        high = np.array([ranges[f][1] for f in ranges], dtype=np.float64)
        is_whole = np.array([f in whole for f in ranges], dtype=bool)
        default = [0 if f in whole else 2 for f in ranges]
        digits = np.array([decimals.get(f, d) for f, d in zip(ranges, default, strict=True)], int)
        n_levels = sum(len(levels[f]) for f in levels)
        constant = high <= low
        single = np.array([len(levels[f]) < 2 for f in levels], dtype=bool)
        fixed = np.concatenate([constant, single])
        for feature in np.array([*ranges, *levels], dtype=object)[fixed]:
            logger.warning(
                "feature %r has a single value in the data; it is kept as it is", feature
            )
        return cls(
            names=tuple(names),
            continuous=tuple(ranges),
            categorical=tuple(levels),
            levels=tuple(tuple(str(level) for level in levels[f]) for f in levels),
            low=low,
            high=high,
            precision=digits,
            integer=is_whole,
            permitted_low=low.copy(),
            permitted_high=high.copy(),
            asked=np.zeros(len(low), dtype=bool),
            permitted_levels=np.ones(n_levels, dtype=bool),
            vary=~fixed,
            step=10.0 ** -digits.astype(float),
            direction=np.zeros(len(low), dtype=int),
            forbidden=np.zeros((n_levels, n_levels), dtype=bool),
        )

    # -- layout ---------------------------------------------------------------------------------

    @property
    def n_continuous(self) -> int:
        """Number of continuous features, which are the first columns of the encoding."""
        return len(self.continuous)

    @property
    def n_features(self) -> int:
        """Number of features m (the paper counts features, not one-hot columns)."""
        return len(self.continuous) + len(self.categorical)

    @cached_property
    def n_columns(self) -> int:
        """Number of encoded columns d."""
        return self.n_continuous + sum(len(block) for block in self.levels)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Encoded column names, ``feature`` or ``feature_level`` as dice-ml writes them."""
        blocks = zip(self.categorical, self.levels, strict=True)
        return self.continuous + tuple(f"{f}_{level}" for f, block in blocks for level in block)

    @cached_property
    def scale(self) -> np.ndarray:
        """Width of each continuous feature's data range; 1 for a constant feature."""
        width = self.high - self.low
        return np.where(width > 0, width, 1.0)

    @cached_property
    def column_feature(self) -> np.ndarray:
        """Feature index (continuous first) of every encoded column, shape (d,)."""
        sizes = [1] * self.n_continuous + [len(block) for block in self.levels]
        return np.repeat(np.arange(self.n_features), sizes)

    @cached_property
    def blocks(self) -> np.ndarray:
        """Column numbers of each categorical block, shape (n_categorical, most levels); -1 pads."""
        width = max((len(block) for block in self.levels), default=0)
        starts = self.n_continuous + np.cumsum([0] + [len(block) for block in self.levels])[:-1]
        sizes = np.array([len(block) for block in self.levels], dtype=int)
        offsets = np.arange(width)
        padded = starts[:, None] + offsets
        return np.where(offsets < sizes[:, None], padded, -1).astype(int)

    @cached_property
    def permitted_blocks(self) -> np.ndarray:
        """Permitted levels in the shape of :attr:`blocks`; False in the padding."""
        allowed = np.concatenate([np.ones(self.n_continuous, bool), self.permitted_levels])
        return np.where(self.blocks >= 0, allowed[self.blocks], False)

    @cached_property
    def coarse(self) -> np.ndarray:
        """True where values move in larger steps than their decimals allow, (n_continuous,)."""
        return self.step > 1.5 * 10.0**-self.precision

    @cached_property
    def per_unit(self) -> np.ndarray:
        """Steps per unit of each continuous feature, (n_continuous,)."""
        return np.where(self.coarse, 1.0 / self.step, 10.0**self.precision)

    @cached_property
    def ruled(self) -> bool:
        """Whether there are rules besides ranges, levels and immutable features."""
        return bool(self.order or self.forbidden.any() or self.direction.any() or self.coarse.any())

    # -- constraints ----------------------------------------------------------------------------

    def constrain(
        self,
        features_to_vary: str | Sequence[str] = "all",
        permitted_range: Mapping[str, Sequence[Any]] | None = None,
    ) -> FeatureSpace:
        """Return a space with fewer freedoms; this one stays as it is.

        Parameters
        ----------
        features_to_vary : "all" or sequence of str
            Features that may change.
        permitted_range : mapping, optional
            ``[low, high]`` for a continuous feature, the permitted levels for a categorical one.
            Features not named keep their present range.

        Raises
        ------
        InvalidInputError
            Unknown feature or level, reversed or empty range, a range wholly outside the data,
            or nothing left to vary.
        """
        space = self
        for feature, wanted in (permitted_range or {}).items():
            space = permit(space, feature, wanted)
        vary = restrict_vary(self, features_to_vary)
        if not vary.any():
            raise InvalidInputError(
                "features_to_vary leaves no feature that can change; name at least one feature "
                "with more than one value in the data"
            )
        return replace(space, vary=vary)

    def level_index(self, feature: str, values: Sequence[Any]) -> np.ndarray:
        """Return the level number of each value of a categorical feature, -1 where unknown.

        A value matches a level by its text, as in dice-ml; a number also matches the level that
        stands for the same number ("1" and 1.0), a truth value the level "1" or "0" as well.
        """
        levels = self.levels[self.categorical.index(feature)]
        texts = pd.Index(levels)
        uniques, inverse = factorize(values)
        index = texts.get_indexer(pd.Index([str(value) for value in uniques], dtype=object))
        numbers = pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce").to_numpy(float)
        for i, value in enumerate(uniques):
            if index[i] < 0 and isinstance(value, _NUMBERS):
                same = np.flatnonzero(numbers == float(value))
                index[i] = same[0] if len(same) == 1 else -1
        return index[inverse]

    # -- encoding -------------------------------------------------------------------------------

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Encode rows (checked by :meth:`check_rows`) as float64 of shape (n, d).

        Whole-number features are truncated and the others rounded to float32, as dice-ml does
        before it asks the model; a constant feature is 0.
        """
        codes = np.zeros((len(frame), self.n_columns))
        if self.continuous:
            numbers = frame[list(self.continuous)].to_numpy(dtype=np.float64)
            seen = np.where(self.integer, np.trunc(numbers), numbers.astype(np.float32))
            scaled = (seen - self.low) / self.scale
            codes[:, : self.n_continuous] = np.where(self.high > self.low, scaled, 0.0)
        rows = np.arange(len(frame))
        for j, feature in enumerate(self.categorical):
            index = self.level_index(feature, frame[feature].tolist())
            codes[rows, self.blocks[j, 0] + index] = 1.0
        return codes

    def bounds(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest permitted encoded values for each query.

        A frozen feature has both equal to the query's own value, so clamping freezes it.

        Parameters
        ----------
        x : ndarray of shape (n, d)
            Encoded queries.

        Returns
        -------
        lower, upper : ndarray of shape (n, d)
        """
        return bounds(self, x)

    def project(
        self, u: np.ndarray, x: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Return the nearest rows that can be written down: rounded, in bounds, one level a block.

        A value that rounds to the query's rounded value becomes the query's own value, so that a
        feature counts as changed only if a reader sees it change.

        Parameters
        ----------
        u : ndarray of shape (..., d)
            Encoded candidates; `x`, `lower` and `upper` broadcast against it.

        Returns
        -------
        ndarray of shape (..., d), float64
        """
        return project(self, u, x, lower, upper)

    def legal(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Tell which projected rows keep every bound and order; bool of shape (n,).

        Projected rows do, unless nothing does: a query that itself breaks an order, or for which
        rules and ranges contradict each other.

        Parameters
        ----------
        u, x : ndarray of shape (n, d)
            Rows and the encoded query of each.
        """
        return legal(self, u, x)

    def contradictions(self, x: np.ndarray) -> list[str]:
        """Say for each query (n, d) why nothing is permitted; "" where something is."""
        return contradictions(self, x) if self.ruled else [""] * len(x)

    def changed(self, u: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return which features differ, bool of shape (..., m), continuous features first."""
        differs = np.abs(u - x) > SAME
        starts = np.searchsorted(self.column_feature, np.arange(self.n_features))
        return np.logical_or.reduceat(differs, starts, axis=-1)

    def decode(self, u: np.ndarray, x: np.ndarray, queries: pd.DataFrame) -> pd.DataFrame:
        """Write projected rows as a table with the query's column types.

        Parameters
        ----------
        u, x : ndarray of shape (n, d)
            Projected candidates and the encoded query of each.
        queries : DataFrame of n rows
            The raw query of each candidate; unchanged cells are copied from it, bit for bit.

        Returns
        -------
        DataFrame with the features in the table's order and a fresh index.
        """
        changed = self.changed(u, x)
        columns: dict[str, Any] = {}
        for j, feature in enumerate(self.continuous):
            per_unit = 10.0 ** self.precision[j]
            raw = np.rint((self.low[j] + u[:, j] * self.scale[j]) * per_unit) / per_unit
            columns[feature] = write_numbers(raw, changed[:, j], queries[feature])
        for j, feature in enumerate(self.categorical):
            start, size = self.blocks[j, 0], len(self.levels[j])
            level = u[:, start : start + size].argmax(axis=1)
            flags = changed[:, self.n_continuous + j]
            columns[feature] = write_levels(self.levels[j], level, flags, queries[feature])
        return pd.DataFrame({name: columns[name] for name in self.names})


#: What may stand for a level by its number.
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
