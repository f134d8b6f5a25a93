"""Training rows that a search starts from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from art_bridge.cuts import Cuts

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

    @cached_property
    def cuts(self) -> Cuts:
        """Where the columns of the training rows are cut."""
        return Cuts(self.rows)

    def learn(
        self, score: Callable[[np.ndarray], np.ndarray], scores: np.ndarray, most: int
    ) -> int:
        """Find out where the model changes, see :meth:`Cuts.learn`; return the rows it took."""
        return self.cuts.learn(score, scores, most) if len(self.rows) else 0

    def values_near(
        self, low: np.ndarray, high: np.ndarray, own: np.ndarray, k: int, place: np.ndarray
    ) -> np.ndarray:
        """Return values of each column between two bounds, just beyond cuts seen from `own`.

        Parameters
        ----------
        low, high, own : ndarray of shape (Q, d)
        k : int
            Values of each column, evenly by the cuts' weights; with few cuts some stand twice.
        place : ndarray of shape (Q,)
            In [0, 1): shifts the values that are taken.

        Returns
        -------
        ndarray of shape (Q, d, k)
            Ascending, NaN where no cut lies between. Without training rows evenly spaced values.
        """
        share = ((np.arange(k) + place[:, None]) / k)[:, None]
        if len(self.rows) == 0:
            return low[:, :, None] + share * (high - low)[:, :, None]
        first, last = self.cuts.span(low, high)
        return self.cuts.take(first[:, :, None], last[:, :, None], own[:, :, None], share)

    def value_near(
        self,
        low: np.ndarray,
        high: np.ndarray,
        own: np.ndarray,
        cell: tuple[np.ndarray, np.ndarray],
        place: np.ndarray,
    ) -> np.ndarray:
        """Return one value for each of some cells, as :meth:`values_near` does.

        Parameters
        ----------
        low, high, own : ndarray of shape (Q, d)
        cell : tuple of ndarray of int, shape (m,)
            Query and column of each.
        place : ndarray of shape (m,)
            In [0, 1): share of the weight in between that lies lower.
        """
        if len(self.rows) == 0:
            return low[cell] + place * (high - low)[cell]
        first, last = self.cuts.span(low, high)
        return self.cuts.take(first[cell], last[cell], own[cell], place)

    def wide_columns(self, least: int) -> int:
        """Return how many columns have more than `least` different values."""
        if len(self.rows) == 0:
            return self.rows.shape[1]
        return int((self.cuts.counts > least).sum())

    def _tree(self, label: int) -> tuple[cKDTree, np.ndarray]:
        if label not in self._trees:
            rows = np.unique(self.rows[self.label == label], axis=0)
            self._trees[label] = (cKDTree(rows / self.scale), rows)
        return self._trees[label]
