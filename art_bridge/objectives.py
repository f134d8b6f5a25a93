"""The three objectives of a counterfactual (eqs. 1–4 of the paper), all to be minimised.

Rasouli and Yu, "Analyzing and Improving the Robustness of Tabular Classifiers using Counterfactual
Explanations" (ICMLA 2021).
"""

from __future__ import annotations

import numpy as np

__all__ = ["boundary", "distance", "label", "unconstrained"]


def label(is_target: np.ndarray) -> np.ndarray:
    """Return O_label (eq. 1): 0 where the model answers the wanted class, else 1."""
    return np.where(is_target, 0.0, 1.0)


def unconstrained(probability: np.ndarray, p: np.ndarray | float) -> np.ndarray:
    """Return O_prob of an unconstrained counterfactual (eq. 2), ``max(0, p − f_c(x'))``."""
    return np.maximum(0.0, p - probability)


def boundary(probability: np.ndarray, p: np.ndarray | float) -> np.ndarray:
    """Return O_prob of a boundary counterfactual, ``|p − f_c(x')|``.

    With `p` the probability f(x) of the query's own class this is eq. 3 as printed; with 0.5 it is
    what places points on the boundary of two classes.
    """
    return np.abs(p - probability)


def distance(change: np.ndarray, norm: float) -> np.ndarray:
    """Return O_distance (eq. 4), the norm of ``x' − x`` over the last axis.

    Parameters
    ----------
    change : ndarray of shape (..., d)
    norm : {1, 2, inf}
    """
    # Sums over a fixed order of columns: the same in any batch.
    if norm == 2:
        return np.sqrt(np.einsum("...j,...j->...", change, change))
    if norm == 1:
        return np.abs(change).sum(axis=-1)
    return np.abs(change).max(axis=-1, initial=0.0)
