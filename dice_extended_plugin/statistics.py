"""Paired comparison of two methods over the same queries: tests, effect sizes, intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Paired", "bootstrap_interval", "holm", "paired", "rank_biserial", "wilcoxon"]

#: Up to here the null distribution of the signed ranks is computed exactly, ties included.
_EXACT = 200
_NAN = float("nan")


@dataclass(frozen=True)
class Paired:
    """Difference of two methods, `a` minus `b`, over the queries where both have a value.

    Attributes
    ----------
    n : int
        Pairs. Nothing but the mean is known from one pair, nothing at all from none: NaN.
    mean_a, mean_b, mean_difference : float
    low, high : float
        Bootstrap interval of the mean difference (percentiles).
    t, p_t : float
        Two-tailed paired t-test. All differences equal and not 0: t is infinite, p 0.
    w, p_wilcoxon : float
        Wilcoxon signed-rank test, two-tailed: sum of the positive ranks. Zero differences are
        left out, ties share their mean rank; p is exact up to 200 pairs, else normal. All
        differences 0: p is 1.
    dz : float
        Cohen's d_z: mean difference over the standard deviation of the differences.
    rank_biserial : float
        In [-1, 1]: (positive - negative rank sum) / their sum; 0 if all differences are 0.
    """

    n: int
    mean_a: float = _NAN
    mean_b: float = _NAN
    mean_difference: float = _NAN
    low: float = _NAN
    high: float = _NAN
    t: float = _NAN
    p_t: float = _NAN
    w: float = _NAN
    p_wilcoxon: float = _NAN
    dz: float = _NAN
    rank_biserial: float = _NAN

    def as_dict(self) -> dict[str, float]:
        """Return the fields as a dictionary."""
        return asdict(self)


def paired(
    a: np.ndarray | pd.Series,
    b: np.ndarray | pd.Series,
    n_bootstrap: int = 5000,
    confidence: float = 0.95,
    random_state: int = 0,
) -> Paired:
    """Compare two methods query by query.

    Parameters
    ----------
    a, b : array-like of shape (Q,)
        Value of each query; pairs with NaN or infinity on either side are left out.
    n_bootstrap : int, default 5000
    confidence : float, default 0.95
    random_state : int, default 0

    Returns
    -------
    Paired
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise InvalidInputError(
            f"paired values must be two vectors of one length, not {first.shape} and {second.shape}"
        )
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    difference = first - second
    n = len(difference)
    if n == 0:
        return Paired(0)
    means = {
        "mean_a": float(first.mean()),
        "mean_b": float(second.mean()),
        "mean_difference": float(difference.mean()),
    }
    if n == 1:
        return Paired(1, **means)
    difference = _without_rounding(difference, first, second)
    low, high = bootstrap_interval(difference, n_bootstrap, confidence, random_state)
    t, p_t, dz = _t_test(difference)
    w, p_wilcoxon = wilcoxon(difference)
    return Paired(
        n, **means, low=low, high=high, t=t, p_t=p_t, w=w, p_wilcoxon=p_wilcoxon, dz=dz,
        rank_biserial=rank_biserial(difference),
    )  # fmt: skip


def _without_rounding(difference: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Differences of the last binary digit are none."""
    size = np.maximum(np.abs(first), np.abs(second))
    return np.where(np.abs(difference) <= 1e-12 * size, 0.0, difference)


def _t_test(difference: np.ndarray) -> tuple[float, float, float]:
    n, mean, sd = len(difference), difference.mean(), difference.std(ddof=1)
    if sd <= 1e-12 * np.abs(difference).max():
        if difference[0] == 0:
            return 0.0, 1.0, 0.0
        endless = float(np.copysign(np.inf, mean))
        return endless, 0.0, endless
    t = mean / (sd / np.sqrt(n))
    return float(t), float(2 * stats.t.sf(abs(t), n - 1)), float(mean / sd)


def _ranks(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-zero differences and the ranks of their sizes; sizes equal but for rounding tie."""
    moved = difference[difference != 0]
    return moved, stats.rankdata([float(f"{size:.10e}") for size in np.abs(moved)])


def rank_biserial(difference: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation of differences, in [-1, 1]; 0 if all are 0.

    References
    ----------
    Kerby (2014), the simple difference formula.
    """
    moved, ranks = _ranks(np.asarray(difference, dtype=float))
    if len(moved) == 0:
        return 0.0
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def wilcoxon(difference: np.ndarray) -> tuple[float, float]:
    """Wilcoxon signed-rank test, two-tailed.

    Parameters
    ----------
    difference : ndarray of shape (n,)
        Finite; zeros are left out.

    Returns
    -------
    w, p : float
        Sum of the positive ranks; p is exact for up to 200 differences, with ties too.

    References
    ----------
    Wilcoxon (1945).
    """
    moved, ranks = _ranks(np.asarray(difference, dtype=float))
    n = len(moved)
    if n == 0:
        return 0.0, 1.0
    w, total = float(ranks[moved > 0].sum()), float(ranks.sum())
    if n > _EXACT:
        z = (abs(w - total / 2) - 0.5) / np.sqrt((ranks**2).sum() / 4)
        return w, float(min(1.0, 2 * stats.norm.sf(max(z, 0.0))))
    # Mean ranks are halves: twice the rank sum is a whole number, and its distribution over all
    # signs is the product of (1 + z^rank) / 2.
    doubled = np.rint(2 * ranks).astype(int)
    share = np.zeros(doubled.sum() + 1)
    share[0] = 1.0
    for rank in doubled:
        later = share * 0.5
        later[rank:] += 0.5 * share[: len(share) - rank]
        share = later
    away = np.abs(np.arange(len(share)) - doubled.sum() / 2)
    return w, float(min(1.0, share[away >= abs(2 * w - total) - 1e-9].sum()))


def bootstrap_interval(
    difference: np.ndarray,
    n_bootstrap: int = 5000,
    confidence: float = 0.95,
    random_state: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    References
    ----------
    Efron, Tibshirani (1993).
    """
    rng = np.random.default_rng(random_state)
    n = len(difference)
    means = np.concatenate(
        [
            difference[rng.integers(n, size=(min(500, n_bootstrap - start), n))].mean(axis=1)
            for start in range(0, n_bootstrap, 500)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def holm(p: np.ndarray | pd.Series) -> np.ndarray:
    """Adjust p-values of a family of tests, Holm's step-down method.

    Parameters
    ----------
    p : array-like of shape (m,)
        NaN (no test) stays NaN and does not count.

    Returns
    -------
    ndarray of shape (m,)
        Adjusted p-values in [0, 1]; comparing them with alpha keeps the chance of any false
        rejection within alpha.

    References
    ----------
    Holm (1979).
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    there = np.flatnonzero(np.isfinite(values))
    order = there[np.argsort(values[there], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
