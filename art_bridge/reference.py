"""Training rows that a search starts from."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

__all__ = ["Reference"]


class Reference:
    """Training rows by the class that the model gives them.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Training rows; n may be 0.
    label : ndarray of int, shape (n,)
        The class each stands for; -1 leaves a row out of the classes.
    norm : {1, 2, inf}
        By which rows are near.
    scale : ndarray of shape (d,), optional
        Distances are measured on columns divided by it.
    """

    def __init__(
        self,
        rows: np.ndarray,
        label: np.ndarray,
        norm: float = 2,
        scale: np.ndarray | None = None,
    ) -> None:
        self.rows, self.label = np.asarray(rows, dtype=np.float64), np.asarray(label)
        self.norm = norm
        self.scale = np.ones(self.rows.shape[1]) if scale is None else scale
        self._columns: _SortedColumns | None = None
        self._trees: dict[int, tuple[cKDTree, np.ndarray]] = {}

    def nearest(self, x: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
        """Return for each query the nearest different rows of its target class, nearest first.

        Parameters
        ----------
        x : ndarray of shape (Q, d)
        target : ndarray of int, shape (Q,)
        k : int

        Returns
        -------
        ndarray of shape (Q, k, d)
            NaN where the class has fewer rows.
        """
        out = np.full((len(x), k, x.shape[1]), np.nan)
        for label in np.unique(target):
            tree, rows = self._tree(int(label))
            if len(rows) == 0:
                continue
            who = np.flatnonzero(target == label)
            count = min(k, len(rows))
            near = tree.query(x[who] / self.scale, k=np.arange(1, count + 1), p=self.norm)[1]
            out[who, :count] = rows[near]
        return out

    def values_near(
        self, low: np.ndarray, high: np.ndarray, k: int, place: np.ndarray
    ) -> np.ndarray:
        """Return values that occur in each column between two bounds, evenly by rank, ascending.

        Models of trees change between values that occur, so these find every step.

        Parameters
        ----------
        low, high : ndarray of shape (Q, d)
        k : int
            Values of each column; where fewer occur, some stand twice.
        place : ndarray of shape (Q,)
            In [0, 1): shifts the ranks that are taken.

        Returns
        -------
        ndarray of shape (Q, d, k)
            NaN where no value occurs. Without training rows evenly spaced values.
        """
        share = (np.arange(k) + place[:, None]) / k
        column = np.arange(low.shape[1])[:, None]
        return self.value_near(low[:, :, None], high[:, :, None], column, share[:, None])

    def value_near(
        self, low: np.ndarray, high: np.ndarray, column: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        """Return one value of a column between two bounds; arrays broadcast.

        Parameters
        ----------
        place : ndarray
            Share in [0, 1) of the values in between that are lower.
        """
        if len(self.rows) == 0:
            return low + place * (high - low)
        if self._columns is None:
            self._columns = _SortedColumns(self.rows)
        return self._columns.between(low, high, column, place)

    def wide_columns(self, least: int) -> int:
        """Return how many columns have more than `least` different values."""
        if len(self.rows) == 0:
            return self.rows.shape[1]
        if self._columns is None:
            self._columns = _SortedColumns(self.rows)
        return int((self._columns.counts > least).sum())

    def _tree(self, label: int) -> tuple[cKDTree, np.ndarray]:
        if label not in self._trees:
            rows = np.unique(self.rows[self.label == label], axis=0)
            self._trees[label] = (cKDTree(rows / self.scale), rows)
        return self._trees[label]


class _SortedColumns:
    """The different values of all columns in one ascending array: column j lies in [2j, 2j + 1]."""

    def __init__(self, rows: np.ndarray) -> None:
        d = rows.shape[1]
        self.low = rows.min(axis=0) if len(rows) else np.zeros(d)
        width = (rows.max(axis=0) if len(rows) else self.low) - self.low
        self.width = np.where(width > 0, width, 1.0)
        columns = [np.unique(rows[:, j]) for j in range(d)]
        self.counts = np.array([len(column) for column in columns])
        self.values = np.concatenate(columns)
        owner = np.repeat(np.arange(d), self.counts)
        self.keys = self._key(self.values, owner)

    def _key(self, value: np.ndarray, column: np.ndarray) -> np.ndarray:
        place = (value - self.low[column]) / self.width[column]
        return 2.0 * column + np.clip(place, -0.4, 1.4)

    def between(
        self, low: np.ndarray, high: np.ndarray, column: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        first = np.searchsorted(self.keys, self._key(low, column))
        count = np.searchsorted(self.keys, self._key(high, column), side="right") - first
        rank = first + np.floor(place * count).astype(np.int64)
        rank = np.minimum(rank, len(self.values) - 1)
        return np.where(count > 0, self.values[rank], np.nan)
