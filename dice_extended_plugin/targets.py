"""What a counterfactual has to reach, and whether scores reach it: one home for validity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ClassTarget", "two_columns"]


def two_columns(scores: np.ndarray) -> np.ndarray:
    """Class probabilities with a column per class: (n,) or (n, 1) of P(class 1) -> (n, 2)."""
    if scores.ndim == 1:
        scores = scores[:, None]
    return np.concatenate([1.0 - scores, scores], axis=1) if scores.shape[1] == 1 else scores


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
