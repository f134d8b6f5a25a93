"""Encoded rows as a table the model knows: the queries' own columns, types and spellings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.columns import write_levels, write_numbers
from dice_extended_plugin.distinct import level_codes
from dice_extended_plugin.space import SAME, FeatureSpace

__all__ = ["RowWriter"]


class RowWriter:
    """Writes many rows at once, for the length of one call.

    :meth:`FeatureSpace.decode` writes rows for the reader, rounded; this one writes rows for the
    model, off the grid where noise has moved them, and looks each level up instead of writing it.

    Parameters
    ----------
    space : FeatureSpace
    frame : DataFrame of Q rows
        The raw queries.
    x : ndarray of shape (Q, d)
        The encoded queries.
    """

    def __init__(self, space: FeatureSpace, frame: pd.DataFrame, x: np.ndarray) -> None:
        self.space, self.frame, self.x = space, frame, x
        self.own_levels = level_codes(x, space)
        self.columns = [
            self._level_column(j, feature) for j, feature in enumerate(space.categorical)
        ]
        self.own_numbers = frame[list(space.continuous)].to_numpy(dtype=np.float64)
        #: Whether every query writes its levels as the table does.
        self.usual = not any(odd.any() for _, _, odd in self.columns)
        #: Whether rows depend on their query by their codes alone: its numbers are what they say.
        self.plain = self.usual and bool((self.own_numbers == self._raw(self.x)).all())

    @property
    def signature(self) -> tuple[str, ...]:
        """What tells apart tables a model may treat differently: the columns' types."""
        return tuple(
            f"{self.frame[name].dtype!s}:{type(self.frame[name].iloc[0]).__name__}"
            for name in self.space.names
        )

    def _level_column(self, j: int, feature: str) -> tuple[Any, Any, np.ndarray]:
        """Levels as the queries write them, the queries' own cells, and where these differ."""
        levels, own = self.space.levels[j], self.frame[feature].reset_index(drop=True)
        n = max(len(levels), len(own))
        every = np.resize(np.arange(len(levels)), n)
        template = own.take(np.resize(np.arange(len(own)), n)).reset_index(drop=True)
        written = write_levels(levels, every, np.ones(n, dtype=bool), template)
        values = written if isinstance(written, pd.Categorical) else _array(pd.Series(written))
        if isinstance(values, pd.Categorical):
            own = own.cat.set_categories(values.categories)
        cells, texts = _array(own), np.asarray(values[: len(levels)], dtype=object)
        odd = np.asarray(cells, dtype=object) != texts[self.own_levels[:, j]]
        return values[: len(levels)], cells, np.asarray(odd, dtype=bool)

    def numbers(self, rows: np.ndarray, query: np.ndarray | None) -> np.ndarray:
        """Return the numbers that :meth:`table` writes, (n, n_continuous), in double precision."""
        raw = self._raw(rows)
        if query is None:
            return raw
        changed = np.abs(rows[:, : raw.shape[1]] - self.x[query, : raw.shape[1]]) > SAME
        return np.where(changed, raw, self.own_numbers[query])

    def _raw(self, rows: np.ndarray) -> np.ndarray:
        """Values in the table's units, exact decimals where a row lies on the grid."""
        space = self.space
        raw = space.low + rows[:, : space.n_continuous] * space.scale
        per_unit = 10.0**space.precision
        grid = np.rint(raw * per_unit) / per_unit
        return np.where(np.abs(raw - grid) <= SAME * space.scale, grid, raw)

    def table(self, rows: np.ndarray, query: np.ndarray | None) -> pd.DataFrame:
        """Write rows with one level per block.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
        query : ndarray of int, shape (n,), or None
            Query of each row; a cell equal to the query's is copied from it. None for rows of
            the training table.

        Returns
        -------
        DataFrame with the features in the table's order.
        """
        space, columns = self.space, {}
        n = space.n_continuous
        raw, alone = self._raw(rows), query is None
        query = np.zeros(len(rows), dtype=int) if query is None else query
        changed = (np.abs(rows[:, :n] - self.x[query, :n]) > SAME) | alone
        for j, feature in enumerate(space.continuous):
            own = self.frame[feature].take(query)
            columns[feature] = write_numbers(raw[:, j], changed[:, j], own)
        levels = level_codes(rows, space)
        for j, feature in enumerate(space.categorical):
            values, cells, odd = self.columns[j]
            column = values.take(levels[:, j])
            theirs = odd[query] & (levels[:, j] == self.own_levels[query, j])
            if theirs.any() and not alone:
                column[theirs] = cells.take(query[theirs])
            # pandas 3 would take text in an array of objects for its own string type.
            as_it_is = isinstance(column, np.ndarray) and column.dtype == object
            columns[feature] = pd.Series(column, dtype=object) if as_it_is else column
        return pd.DataFrame({name: columns[name] for name in space.names})


def _array(column: pd.Series) -> Any:
    """Values with a ``take``, in the column's own type."""
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array
