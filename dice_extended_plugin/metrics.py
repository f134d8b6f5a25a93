"""Metrics of counterfactual sets; each states direction, range, chance value and reference.

All take encoded rows that can be written down: `u` of shape (n, d) and the encoded query of each
row `x` of shape (n, d), as :class:`~dice_extended_plugin.space.FeatureSpace` makes them. Robustness
metrics are in :mod:`~dice_extended_plugin.dice_sorensen`.
"""

from __future__ import annotations

import numpy as np

from dice_extended_plugin.space import FeatureSpace

__all__ = ["changed_features", "diversity", "duplicates", "l1_distance", "proximity"]


def proximity(u: np.ndarray, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted L1 distance to the query per encoded column, as DiCE minimises it.

    Lower is better; range [0, inf); no chance value. With ``inverse_mad`` weights a continuous
    change counts in (rounded) median absolute deviations, a changed level 2.

    Parameters
    ----------
    weights : ndarray of shape (d,)

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Mothilal, Sharma, Tan (2020), equation 2.
    """
    return (np.abs(u - x) @ weights) / u.shape[1]


def l1_distance(u: np.ndarray, x: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Sum over features of the change: share of the data range, or 1 for a changed level.

    Lower is better; range [0, m] within the data; no chance value.

    Returns
    -------
    ndarray of shape (n,)
    """
    away = np.abs(u - x)
    n = space.n_continuous
    return away[:, :n].sum(1) + 0.5 * away[:, n:].sum(1)


def changed_features(u: np.ndarray, x: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Count the features that differ from the query.

    Lower is better; range [0, m]. The paper's sparsity is one minus this over m.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    return space.changed(u, x).sum(axis=1)


def diversity(u: np.ndarray, weights: np.ndarray) -> float:
    """Return the determinant of the similarity kernel ``1 / (1 + weighted L1)`` of one query's set.

    Higher is better; range [0, 1]; 0 if two rows coincide, 1 for an empty or single-row set by
    convention of the determinant.

    References
    ----------
    Mothilal, Sharma, Tan (2020), equation 1; DiCE-Extended, section 2.3.3.
    """
    scaled = u * weights
    distance = np.abs(scaled[:, None] - scaled[None]).sum(-1)
    return float(np.linalg.det(1.0 / (1.0 + distance)))


def duplicates(u: np.ndarray) -> int:
    """Count the rows of one query's set that repeat an earlier row.

    Lower is better; range [0, n - 1].
    """
    return len(u) - len(np.unique(np.round(u, 9), axis=0))
