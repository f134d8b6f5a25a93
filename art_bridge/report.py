"""The figures of Algorithm 1, from distances between rows and their counterfactuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Figures", "RobustnessReport", "class_figures"]

#: Resamples worked on at once.
_CHUNK = 64


class Figures(NamedTuple):
    """What Algorithm 1 computes from D and N; leading dimensions are kept.

    Attributes
    ----------
    margins : ndarray of shape (..., C, C)
        D_ij / N_ij, NaN on the diagonal and where nothing was measured.
    r_overall : ndarray of shape (...)
        Sum over all ordered pairs; NaN if a pair has no measurement.
    alpha, beta : ndarray of shape (..., C)
        Turnover effort Σ_j D_ij/N_ij and takeover effort Σ_j D_ji/N_ji.
    r_class : ndarray of shape (..., C)
        alpha / beta; below 1 the class is vulnerable.
    """

    margins: np.ndarray
    r_overall: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    r_class: np.ndarray


def class_figures(distances: np.ndarray, counts: np.ndarray) -> Figures:
    """Compute Algorithm 1's figures from the sums D and the counts N, both (..., C, C)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        margins = np.where(counts > 0, distances / counts, np.nan)
        diagonal = np.eye(margins.shape[-1], dtype=bool)
        off = np.where(diagonal, 0.0, margins)
        alpha, beta = off.sum(axis=-1), off.sum(axis=-2)
        return Figures(
            np.where(diagonal, np.nan, margins), alpha.sum(axis=-1), alpha, beta, alpha / beta
        )


@dataclass(frozen=True, eq=False)
class RobustnessReport:
    """Class-wise robustness of a classifier, with every distance behind it.

    One entry per attempt, that is per row and class that is not the row's own; (m,) arrays.

    Attributes
    ----------
    n_classes, n_rows : int
        Classes of the classifier, rows given.
    row : ndarray of int, shape (m,)
        Row of the table that was analysed.
    source, target : ndarray of int, shape (m,)
        Class predicted for the row, class that was aimed at.
    distance : ndarray of float, shape (m,)
        Norm of the change, NaN where none was found.
    success : ndarray of bool, shape (m,)
        Whether the classifier's own label of the float32 row is the target.
    probability : ndarray of float, shape (m,)
        Score of the target class, NaN where none was found.
    counterfactuals : ndarray of float32, shape (m, d)
        What the attack returned.
    norm : float
        1, 2 or inf.
    seconds : float
        Wall time of the attack.
    reasons : dict of str to int
        Rows or attempts that count nowhere, by reason.
    accuracy : float or None
        Share of rows predicted as labelled, None without labels.
    random_state, n_bootstrap : int
        Of the intervals.
    """

    n_classes: int
    n_rows: int
    row: np.ndarray
    source: np.ndarray
    target: np.ndarray
    distance: np.ndarray
    success: np.ndarray
    probability: np.ndarray
    counterfactuals: np.ndarray
    norm: float
    seconds: float
    reasons: Mapping[str, int]
    accuracy: float | None = None
    random_state: int = 0
    n_bootstrap: int = 1000

    @cached_property
    def figures(self) -> Figures:
        """All of Algorithm 1's figures."""
        return class_figures(self.D, self.N.astype(float))

    @cached_property
    def D(self) -> np.ndarray:
        """Sums of distances from predicted class i to j, (C, C)."""
        return self._pair_sum(np.where(self.success, self.distance, 0.0))

    @cached_property
    def N(self) -> np.ndarray:
        """Counts of counterfactuals found from i to j, int of shape (C, C)."""
        return self._pair_sum(self.success.astype(float)).astype(np.int64)

    @cached_property
    def attempts(self) -> np.ndarray:
        """Counts of counterfactuals asked for from i to j, int of shape (C, C)."""
        return self._pair_sum(np.ones(len(self.row))).astype(np.int64)

    @property
    def margins(self) -> np.ndarray:
        """Mean distance D_ij / N_ij, (C, C), NaN where there is none."""
        return self.figures.margins

    @property
    def r_overall(self) -> float:
        """Sum of the margins of all ordered pairs; higher is more robust, range [0, inf).

        NaN if a pair has no measurement, because a shorter sum would compare with nothing; see
        :attr:`unmeasured`.
        """
        return float(self.figures.r_overall)

    @property
    def alpha(self) -> np.ndarray:
        """Turnover effort of each class, (C,): how far its rows are from the other classes."""
        return self.figures.alpha

    @property
    def beta(self) -> np.ndarray:
        """Takeover effort of each class, (C,): how far other classes' rows are from it."""
        return self.figures.beta

    @property
    def r_class(self) -> np.ndarray:
        """Ratio alpha / beta of each class, (C,); 1 is balanced, below 1 vulnerable."""
        return self.figures.r_class

    @property
    def vulnerable_class(self) -> int:
        """Class of the lowest ratio.

        Raises
        ------
        InvalidInputError
            If no class has a ratio.
        """
        if np.isnan(self.r_class).all():
            raise InvalidInputError(
                "no class has both a turnover and a takeover effort: "
                + "; ".join(f"{i} to {j}: {why}" for (i, j), why in self.unmeasured.items())
            )
        return int(np.nanargmin(self.r_class))

    @property
    def unmeasured(self) -> dict[tuple[int, int], str]:
        """Ordered pairs without a margin, and why."""
        pairs = zip(*np.nonzero((self.N == 0) & ~np.eye(self.n_classes, dtype=bool)), strict=True)
        return {
            (int(i), int(j)): f"no counterfactual found for {self.attempts[i, j]} rows"
            if self.attempts[i, j]
            else f"class {i} is never predicted"
            for i, j in pairs
        }

    @cached_property
    def intervals(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """95 % percentile intervals of every figure, rows resampled.

        Keys are the names of :class:`Figures`; values (low, high) have the figure's shape. A
        resample without a pair is left out of the figures that need that pair.
        """
        draws = [class_figures(D, N) for D, N in self._resampled()]
        found = {}
        for name in Figures._fields:
            values = np.concatenate([getattr(draw, name) for draw in draws])
            found[name] = _percentiles(values)
        return found

    def to_frame(self, what: Literal["pairs", "classes", "rows"] = "pairs") -> pd.DataFrame:
        """Return the figures as a table.

        Parameters
        ----------
        what : {"pairs", "classes", "rows"}
            One row per ordered pair of classes (``margin`` with ``low`` and ``high``, ``found``,
            ``attempts``, ``median``), per class (``alpha``, ``beta``, ``r_class``, each with its
            interval), or per attempt.

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        makers: dict[str, Any] = {
            "pairs": self._pairs,
            "classes": self._classes,
            "rows": self._rows,
        }
        if what not in makers:
            raise InvalidInputError(f"what must be one of {', '.join(makers)}, it is {what!r}")
        return pd.DataFrame(makers[what]())

    def plot(
        self, kind: Literal["matrix", "distribution"] = "matrix", ax: Axes | None = None
    ) -> Axes:
        """Draw the margins: a matrix of class pairs, or their distributions.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from art_bridge.plots import plot_distribution, plot_matrix

        makers = {"matrix": plot_matrix, "distribution": plot_distribution}
        if kind not in makers:
            raise InvalidInputError(f"kind must be 'matrix' or 'distribution', it is {kind!r}")
        return makers[kind](self, ax)

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        low, high = (float(end) for end in self.intervals["r_overall"])
        head = facts(
            {
                "R_overall": f"{self.r_overall:.4g} (95 %: {low:.4g} to {high:.4g})",
                "rows": self.n_rows,
                "accuracy": self.accuracy,
                **self.reasons,
            }
        )
        return titled(
            "Class-wise robustness",
            head,
            frame_table(self.to_frame("classes"), "Classes: r_class below 1 is vulnerable"),
            frame_table(self.to_frame("pairs"), "Mean distance from source to target"),
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain numbers, for JSON."""
        return {
            "r_overall": self.r_overall,
            "r_overall_interval": [float(end) for end in self.intervals["r_overall"]],
            "alpha": self.alpha.tolist(),
            "beta": self.beta.tolist(),
            "r_class": self.r_class.tolist(),
            "found": self.N.tolist(),
            "attempts": self.attempts.tolist(),
            "accuracy": self.accuracy,
            "reasons": dict(self.reasons),
            "seconds": self.seconds,
        }

    def _pair_sum(self, values: np.ndarray) -> np.ndarray:
        shape = (self.n_classes, self.n_classes)
        flat = self.source * self.n_classes + self.target
        return np.bincount(flat, values, minlength=shape[0] * shape[1]).reshape(shape)

    def _resampled(self) -> Any:
        """Yield D and N, each (draws, C, C), of tables whose rows are drawn with replacement."""
        from scipy.sparse import csr_matrix

        rows, place = np.unique(self.row, return_inverse=True)
        column = self.source * self.n_classes + self.target
        shape = (len(rows), self.n_classes**2)
        found = self.success.nonzero()[0]
        where = (place[found], column[found])
        sums = csr_matrix((self.distance[found], where), shape=shape)
        counts = csr_matrix((np.ones(len(found)), where), shape=shape)
        rng = np.random.default_rng(self.random_state)
        for start in range(0, self.n_bootstrap, _CHUNK):
            draws = min(_CHUNK, self.n_bootstrap - start)
            weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
            yield tuple(
                np.asarray((table.T @ weights.T).T).reshape(draws, self.n_classes, self.n_classes)
                for table in (sums, counts)
            )

    def _pairs(self) -> list[dict[str, Any]]:
        low, high = self.intervals["margins"]
        return [
            {
                "source": i,
                "target": j,
                "attempts": self.attempts[i, j],
                "found": self.N[i, j],
                "margin": self.margins[i, j],
                "low": low[i, j],
                "high": high[i, j],
                "median": _median(self.pair_distances(i, j)),
                "reason": self.unmeasured.get((i, j), ""),
            }
            for i in range(self.n_classes)
            for j in range(self.n_classes)
            if i != j
        ]

    def pair_distances(self, source: int, target: int) -> np.ndarray:
        """Distances found from one predicted class to another, in the order of the rows."""
        chosen = self.success & (self.source == source) & (self.target == target)
        return self.distance[chosen]

    def _classes(self) -> list[dict[str, Any]]:
        names = ("alpha", "beta", "r_class")
        return [
            {"class": i}
            | {
                key: value
                for name in names
                for key, value in (
                    (name, getattr(self, name)[i]),
                    (f"{name}_low", self.intervals[name][0][i]),
                    (f"{name}_high", self.intervals[name][1][i]),
                )
            }
            for i in range(self.n_classes)
        ]

    def _rows(self) -> dict[str, np.ndarray]:
        names = ("row", "source", "target", "success", "distance", "probability")
        return {name: getattr(self, name) for name in names}


def _percentiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2.5 and 97.5 % percentiles over the first axis, NaN left out, NaN where all are."""
    flat = values.reshape(len(values), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    some = np.isfinite(flat).any(axis=0)
    if some.any():
        finite = np.where(np.isfinite(flat[:, some]), flat[:, some], np.nan)
        ends[:, some] = np.nanpercentile(finite, [2.5, 97.5], axis=0)
    low, high = ends.reshape(2, *values.shape[1:])
    return low, high


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")
