"""What a counterfactual has to reach, and whether scores reach it: one home for validity.

A target answers for all queries of a call: of each row of scores whether it is reached
(:meth:`~Target.met`), how far away it is (:meth:`~Target.gap`), how surely it is reached
(:meth:`~Target.gate`), and what the model says of the row (:meth:`~Target.outcome`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit

__all__ = ["ClassTarget", "RangeTarget", "Target", "two_columns"]

#: Smallest gap of a row that is no counterfactual: ties must not count as reached.
_LEAST_GAP = 1e-9
#: Probabilities are kept this far from 0 and 1 before their log-odds are taken.
_SHIFT = 1e-6


def two_columns(scores: np.ndarray) -> np.ndarray:
    """Class probabilities with a column per class: (n,) or (n, 1) of P(class 1) -> (n, 2)."""
    if scores.ndim == 1:
        scores = scores[:, None]
    return np.concatenate([1.0 - scores, scores], axis=1) if scores.shape[1] == 1 else scores


class Target(Protocol):
    """What every search needs to know about what is wanted.

    `scores` is (n, C) class probabilities, or (n, 1) predictions of a regression model; `query`
    of shape (n,) says which query each row belongs to.
    """

    def __getitem__(self, keep: slice | np.ndarray) -> Target:
        """Keep some of the queries, in that order."""

    def met(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return which rows are counterfactuals; rows with NaN are none. Bool, (n,)."""

    def gap(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return how far each row is from being one: 0 where met, else positive; (n,)."""

    def gate(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return how surely each row is one, in [0, 1]; (n,)."""

    def outcome(self, scores: np.ndarray) -> np.ndarray:
        """Return the model's own answer: class index or predicted value; (n,)."""

    def describe(self, query: int) -> str:
        """Name what is wanted for a query, for messages."""


@dataclass(frozen=True)
class ClassTarget:
    """Wanted class of each query and the probability it must have.

    Parameters
    ----------
    index : ndarray of int, shape (Q,)
        Column of the wanted class.
    least : ndarray of shape (Q,)
        Lowest probability of the wanted class that counts, in [0, 1]. The class must be the
        model's own label besides: a tie between classes is not a counterfactual.
    """

    index: np.ndarray
    least: np.ndarray

    @classmethod
    def from_threshold(cls, index: np.ndarray, n_classes: int, threshold: float) -> ClassTarget:
        """Read dice-ml's ``stopping_threshold``.

        For two classes it is a decision threshold on P(class 1): class 1 needs ``p >= threshold``,
        class 0 needs ``p <= threshold``, without the silent replacement by 0.75 or 0.25. For more
        classes 0.5 asks for the label only, another value for that probability.
        """
        if n_classes == 2:
            least = np.where(index == 1, threshold, 1.0 - threshold)
        else:
            least = np.full(len(index), 0.0 if threshold == 0.5 else threshold)
        return cls(index, least)

    def __getitem__(self, keep: slice | np.ndarray) -> ClassTarget:
        return ClassTarget(self.index[keep], self.least[keep])

    def aim(self) -> np.ndarray:
        """Log-odds a search should reach, (Q,): dice-ml's 1, from the threshold on if it is higher.

        dice-ml always aims at log-odds 1 (probability 0.73), so that thresholds beyond it are met
        by accident or never.
        """
        least = np.clip(self.least, 0.5, 1 - 1e-6)
        return 1.0 + np.log(least / (1.0 - least))

    def met(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return which rows are counterfactuals.

        Parameters
        ----------
        scores : ndarray of shape (n, C)
            Class probabilities; rows with NaN are no counterfactuals.
        query : ndarray of int, shape (n,)
            Query each row belongs to.
        """
        rows, index = np.arange(len(scores)), self.index[query]
        wanted = scores[rows, index]
        others = scores.copy()
        others[rows, index] = -np.inf
        # max(axis=1) spreads NaN, and every comparison with NaN is False.
        return (wanted > others.max(axis=1)) & (wanted >= self.least[query] - 1e-12)

    def gap(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Log-odds that each row lacks; infinite for rows with NaN."""
        rows, index = np.arange(len(scores)), self.index[query]
        others = scores.copy()
        others[rows, index] = -np.inf
        margin = _log(scores[rows, index]) - _log(others.max(axis=1))
        lacking = self.aim()[query] - 1.0 - margin
        open_ = np.maximum(np.nan_to_num(lacking, nan=np.inf), _LEAST_GAP)
        return np.where(self.met(scores, query), 0.0, open_)

    def gate(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Probability of the wanted class."""
        return scores[np.arange(len(scores)), self.index[query]]

    def outcome(self, scores: np.ndarray) -> np.ndarray:
        """Return the model's label: the first class of the highest probability."""
        return scores.argmax(axis=1)

    def describe(self, query: int) -> str:
        """Name the wanted class."""
        return f"of class {self.index[query]}"


def _log(probability: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probability, _SHIFT))


@dataclass(frozen=True)
class RangeTarget:
    """Wanted range of a regression model's prediction, the same for every query.

    Parameters
    ----------
    low, high : float
        In the outcome's units; both ends count as inside.
    spread : float, > 0
        What counts as a large difference of the outcome, in its units (its standard deviation in
        the training table).
    """

    low: float
    high: float
    spread: float

    def __getitem__(self, keep: slice | np.ndarray) -> RangeTarget:
        return self

    @property
    def temperature(self) -> float:
        """Difference of the outcome that counts as one unit of log-odds, in the outcome's units."""
        width = self.high - self.low
        unit = min(self.spread, width) if width > 0 else self.spread
        return max(0.1 * unit, 1e-6 * self.spread)

    def met(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return which predictions lie in the range."""
        value = scores[:, 0]
        return (value >= self.low) & (value <= self.high)

    def gap(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Distance to the range, in units of :attr:`temperature`; infinite for NaN."""
        value = scores[:, 0]
        outside = np.maximum(self.low - value, value - self.high) / self.temperature
        open_ = np.maximum(np.nan_to_num(outside, nan=np.inf), _LEAST_GAP)
        return np.where(self.met(scores, query), 0.0, open_)

    def gate(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Sigmoid of the signed distance to the nearer end of the range (methods page, (b))."""
        value = scores[:, 0]
        return expit(np.minimum(value - self.low, self.high - value) / self.temperature)

    def outcome(self, scores: np.ndarray) -> np.ndarray:
        """Return the prediction itself."""
        return scores[:, 0]

    def describe(self, query: int) -> str:
        """Name the range."""
        return f"with an outcome from {self.low:g} to {self.high:g}"
