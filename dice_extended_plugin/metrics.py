"""Metrics of counterfactuals as array functions; each states direction, range and reference.

All take encoded rows that can be written down, as
:class:`~dice_extended_plugin.space.FeatureSpace` makes them: `u` of shape (n, d), and the encoded
query of each row `x` of shape (n, d). Sets may be ragged: row i belongs to query ``query[i]``.
:mod:`~dice_extended_plugin.metric_table` names these metrics and applies them to whole sets;
robustness under noise is in :mod:`~dice_extended_plugin.dice_sorensen`.
"""

from __future__ import annotations

import numpy as np

from dice_extended_plugin.space import FeatureSpace

__all__ = [
    "categorical_distance",
    "changed_features",
    "continuous_distance",
    "diversity",
    "duplicates",
    "l1_distance",
    "mean_absolute_deviation",
    "median_absolute_deviation",
    "proximity",
    "set_diversity",
    "set_duplicates",
    "set_spread",
    "sparsity",
]

#: Numbers in one block of pairwise differences (8 bytes each).
_BLOCK = 4_000_000


# -- distance to the query --------------------------------------------------------------------


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


def median_absolute_deviation(rows: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """DiCE's MAD: median distance of the data to its median, in units of the data range.

    Parameters
    ----------
    rows : ndarray of shape (R, d)
        Encoded data.

    Returns
    -------
    ndarray of shape (n_continuous,)
        1 (the whole range) where more than half of the values are equal, as in dice-ml.

    References
    ----------
    Mothilal, Sharma, Tan (2020), section 3.3.
    """
    values = rows[:, : space.n_continuous]
    return _positive(np.median(np.abs(values - np.median(values, axis=0)), axis=0))


def mean_absolute_deviation(rows: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """DiCE-Extended's MAD: mean distance of the data to its mean, in units of the data range.

    Parameters
    ----------
    rows : ndarray of shape (R, d)
        Encoded data.

    Returns
    -------
    ndarray of shape (n_continuous,)
        1 for a constant feature.

    References
    ----------
    DiCE-Extended, section 3.2.
    """
    values = rows[:, : space.n_continuous]
    return _positive(np.abs(values - values.mean(axis=0)).mean(axis=0))


def _positive(deviation: np.ndarray) -> np.ndarray:
    return np.where(deviation > 1e-12, deviation, 1.0)


def continuous_distance(
    u: np.ndarray, x: np.ndarray, space: FeatureSpace, deviation: np.ndarray
) -> np.ndarray:
    """Mean over the continuous features of the change in deviations.

    Lower is better; range [0, inf); no chance value.

    Parameters
    ----------
    deviation : ndarray of shape (n_continuous,)
        :func:`median_absolute_deviation` or :func:`mean_absolute_deviation`.

    Returns
    -------
    ndarray of shape (n,)
        NaN without continuous features.

    References
    ----------
    Mothilal, Sharma, Tan (2020), section 4.1, continuous proximity (its sign turned).
    """
    n = space.n_continuous
    if n == 0:
        return np.full(len(u), np.nan)
    return (np.abs(u - x)[:, :n] / deviation).mean(axis=1)


def categorical_distance(u: np.ndarray, x: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Share of the categorical features whose level changed.

    Lower is better; range [0, 1]; no chance value.

    Returns
    -------
    ndarray of shape (n,)
        NaN without categorical features.

    References
    ----------
    Mothilal, Sharma, Tan (2020), section 4.1: one minus categorical proximity.
    """
    if not space.categorical:
        return np.full(len(u), np.nan)
    return space.changed(u, x)[:, space.n_continuous :].mean(axis=1)


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

    Lower is better; range [0, m].

    Returns
    -------
    ndarray of int, shape (n,)
    """
    return space.changed(u, x).sum(axis=1)


def sparsity(u: np.ndarray, x: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Share of the features that keep the query's value.

    Higher is better; range [0, 1]; no chance value.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    DiCE-Extended, section 2.3.2; Mothilal, Sharma, Tan (2020), section 4.1.
    """
    return 1.0 - space.changed(u, x).mean(axis=1)


# -- sets -------------------------------------------------------------------------------------


def diversity(u: np.ndarray, weights: np.ndarray) -> float:
    """Return the determinant of the similarity kernel ``1 / (1 + weighted L1)`` of one query's set.

    Higher is better; range [0, 1]; 0 if two rows coincide, 1 for an empty or single-row set by
    convention of the determinant. :func:`set_diversity` does the same for many sets at once.

    References
    ----------
    Mothilal, Sharma, Tan (2020), equation 1; DiCE-Extended, section 2.3.3.
    """
    scaled = u * weights
    distance = np.abs(scaled[:, None] - scaled[None]).sum(-1)
    return float(np.linalg.det(1.0 / (1.0 + distance)))


def set_diversity(
    u: np.ndarray, query: np.ndarray, n_queries: int, weights: np.ndarray
) -> np.ndarray:
    """Return :func:`diversity` of every query's set.

    Higher is better; range [0, 1]. The determinant falls with the size of a set: compare sets of
    equal size.

    Parameters
    ----------
    query : ndarray of int, shape (n,)
        Ascending.
    weights : ndarray of shape (d,)

    Returns
    -------
    ndarray of shape (Q,)
        NaN for a set of fewer than two rows.
    """
    found = np.full(n_queries, np.nan)
    for part, distance, present in _pairwise(u * weights, query, n_queries):
        kernel = 1.0 / (1.0 + distance)
        both = present[:, :, None] & present[:, None, :]
        # Rows that are not there become rows of the unit matrix: the determinant stays.
        kernel = np.where(both, kernel, np.eye(kernel.shape[1]))
        found[part] = np.where(present.sum(1) > 1, np.linalg.det(kernel), np.nan)
    return found


def set_spread(u: np.ndarray, query: np.ndarray, n_queries: int, weights: np.ndarray) -> np.ndarray:
    """Mean distance between the rows of every query's set, per encoded column.

    Higher is better; range [0, inf); no chance value. In the units of :func:`proximity`, and
    comparable between sets of different size.

    Returns
    -------
    ndarray of shape (Q,)
        NaN for a set of fewer than two rows.

    References
    ----------
    Mothilal, Sharma, Tan (2020), section 4.1, diversity.
    """
    found = np.full(n_queries, np.nan)
    for part, distance, present in _pairwise(u * weights, query, n_queries):
        both = present[:, :, None] & present[:, None, :]
        count = present.sum(1)
        pairs = np.where(count > 1, count * (count - 1), 1)
        total = np.where(both, distance, 0.0).sum(axis=(1, 2))
        found[part] = np.where(count > 1, total / pairs / u.shape[1], np.nan)
    return found


def _pairwise(scaled: np.ndarray, query: np.ndarray, n_queries: int):  # type: ignore[no-untyped-def]
    """Yield (slice of queries, distances (q, k, k), present (q, k)), a block at a time."""
    count = np.bincount(query, minlength=n_queries)
    k, d = max(int(count.max(initial=0)), 1), scaled.shape[1]
    step = max(1, _BLOCK // (k * k * d))
    first = np.concatenate([[0], np.cumsum(count)])
    for start in range(0, n_queries, step):
        part = slice(start, min(start + step, n_queries))
        rows = slice(first[part.start], first[part.stop])
        padded = np.zeros((part.stop - part.start, k, d))
        present = np.arange(k) < count[part, None]
        padded[present] = scaled[rows]
        yield part, np.abs(padded[:, :, None] - padded[:, None]).sum(-1), present


def duplicates(u: np.ndarray) -> int:
    """Count the rows of one query's set that repeat an earlier row.

    Lower is better; range [0, n - 1]. :func:`set_duplicates` does the same for many sets.
    """
    return len(u) - len(np.unique(np.round(u, 9), axis=0))


def set_duplicates(u: np.ndarray, query: np.ndarray, n_queries: int) -> np.ndarray:
    """Count in every query's set the rows that repeat another.

    Returns
    -------
    ndarray of shape (Q,)
        NaN for an empty set.
    """
    count = np.bincount(query, minlength=n_queries)
    named = np.column_stack([query, np.round(u, 9) + 0.0])
    distinct = np.bincount(np.unique(named, axis=0)[:, 0].astype(int), minlength=n_queries)
    return np.where(count > 0, count - distinct, np.nan)
