"""Sets of points of several objectives, all minimised: who dominates whom, and which to take."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = [
    "crossing_point",
    "crowding_distance",
    "front_order",
    "hypervolume",
    "knee_point",
    "non_dominated",
    "normalise",
    "reference_point",
    "thin_out",
]


def non_dominated(F: np.ndarray) -> np.ndarray:
    """Return which points no other point dominates; of equal points only the first.

    Parameters
    ----------
    F : ndarray of shape (n, k)
        Objectives to minimise.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    F = _points(F)
    # Sorted, a point can only be dominated by an earlier one, or equal it.
    order = np.lexsort(F.T[::-1])
    S = F[order]
    no_worse = np.ones((len(S), len(S)), dtype=bool)
    for column in S.T:
        no_worse &= column[:, None] <= column
    beaten = np.triu(no_worse, 1).any(axis=0)
    mask = np.empty(len(F), dtype=bool)
    mask[order] = ~beaten
    return mask


def crowding_distance(F: np.ndarray) -> np.ndarray:
    """Return the crowding distance of NSGA-II (Deb et al., 2002, section III-B).

    Parameters
    ----------
    F : ndarray of shape (n, k)

    Returns
    -------
    ndarray of float, shape (n,)
        Infinite for the extremes of an objective.
    """
    F = _points(F)
    n, k = F.shape
    if n < 3:
        return np.full(n, np.inf)
    order = np.argsort(F, axis=0, kind="stable")
    S = np.take_along_axis(F, order, axis=0)
    spread = S[-1] - S[0]
    gaps = np.full((n, k), np.inf)
    gaps[1:-1] = (S[2:] - S[:-2]) / np.where(spread > 0, spread, 1.0)
    distance = np.zeros((n, k))
    np.put_along_axis(distance, order, gaps, axis=0)
    total: np.ndarray = distance[:, spread > 0].sum(axis=1)
    return total


def thin_out(F: np.ndarray, size: int) -> np.ndarray:
    """Return at most `size` points, the most crowded taken out one after the other.

    Parameters
    ----------
    F : ndarray of shape (n, k)
    size : int

    Returns
    -------
    ndarray of int
        Row numbers, increasing.
    """
    F = _points(F)
    kept = np.arange(len(F))
    excess = len(F) - size
    if excess <= 0:
        return kept
    k = F.shape[1]
    lowest, spread = F.min(axis=0), np.ptp(F, axis=0)
    scaled = ((F - lowest) / np.where(spread > 0, spread, 1.0)).T.tolist()
    # Neighbours along each objective as linked lists: taking one point out changes the distances
    # of its neighbours only. The extremes stay, so the scale stays too.
    before, after = [], []
    for column in scaled:
        order = sorted(range(len(F)), key=column.__getitem__)
        previous, following = [-1] * len(F), [-1] * len(F)
        for one, two in pairwise(order):
            following[one], previous[two] = two, one
        before.append(previous)
        after.append(following)
    used = [j for j in range(k) if spread[j] > 0]

    def distance(i: int) -> float:
        total = 0.0
        for j in used:
            low, high = before[j][i], after[j][i]
            if low < 0 or high < 0:
                return np.inf
            total += scaled[j][high] - scaled[j][low]
        return total

    distances = np.array([distance(i) for i in range(len(F))])
    out = np.zeros(len(F), dtype=bool)
    for _ in range(excess):
        worst = int(distances.argmin())
        if not np.isfinite(distances[worst]):  # only extremes are left
            worst = int(np.flatnonzero(~out)[-1])
        out[worst] = True
        distances[worst] = np.inf
        touched = set()
        for j in range(k):
            low, high = before[j][worst], after[j][worst]
            if low >= 0:
                after[j][low] = high
                touched.add(low)
            if high >= 0:
                before[j][high] = low
                touched.add(high)
        for i in touched:
            distances[i] = distance(i)
    return kept[~out]


def normalise(F: np.ndarray) -> np.ndarray:
    """Return the points with every objective from 0 (best) to 1; a constant one is 0."""
    F = _points(F)
    spread = np.ptp(F, axis=0)
    return (F - F.min(axis=0)) / np.where(spread > 0, spread, 1.0)


def reference_point(F: Any, f_gan_max: float, worst_adv: float, att_max: float) -> np.ndarray:
    """Return the reference point of the hypervolume: (largest f_gan seen, worst f_adv, ‖δ‖max).

    The paper's own, (0, −3, 0), is no upper bound of what is minimised here.

    Parameters
    ----------
    F : ndarray of shape (n, 3) or None
        Points that must lie below it, too.
    f_gan_max, worst_adv, att_max : float

    Returns
    -------
    ndarray of shape (3,)
    """
    point = np.array([f_gan_max, worst_adv, att_max], dtype=float)
    return point if F is None or not len(F) else np.maximum(point, _points(F).max(axis=0))


def hypervolume(F: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume between the points and a reference point; larger is better.

    Parameters
    ----------
    F : ndarray of shape (n, k)
    reference : ndarray of shape (k,)
        Points that are not below it in every objective add nothing.

    Returns
    -------
    float
        0 for no points.
    """
    F, reference = _points(F), np.asarray(reference, dtype=float)
    if reference.shape != F.shape[1:] or not np.isfinite(reference).all():
        raise InvalidInputError(
            f"reference must be {F.shape[1]} finite numbers, it is {reference!r}"
        )
    below = F[(reference > F).all(axis=1)]
    if not len(below):
        return 0.0
    from pymoo.indicators.hv import HV

    return float(HV(ref_point=reference)(below))


def knee_point(F: np.ndarray, among: np.ndarray | None = None) -> int:
    """Return the point that gives up least: the least sum of normalised objectives.

    On axes from 0 to 1 that is the point farthest below the plane through the worst values of the
    single objectives.

    Parameters
    ----------
    F : ndarray of shape (n, k)
    among : ndarray of bool, shape (n,), optional
        Points that may be taken, and between which the axes reach. Default: all.

    Returns
    -------
    int
        Row number; the first of equals.
    """
    rows = _rows(F, among)
    return int(rows[normalise(np.asarray(F)[rows]).sum(axis=1).argmin()])


def crossing_point(
    probability: np.ndarray, plausibility: np.ndarray, among: np.ndarray | None = None
) -> int:
    """Return where the probability and f_gan cross along the front, on axes from 0 to 1.

    The paper reads the best plausible counterfactual off two axes of a plot, so that it depends
    on how they are drawn; here f_gan is scaled to [0, 1] over the whole front.

    Parameters
    ----------
    probability : ndarray of shape (n,)
        Of the original class, in [0, 1].
    plausibility : ndarray of shape (n,)
        f_gan.
    among : ndarray of bool, shape (n,), optional
        Points that may be taken. Default: all.

    Returns
    -------
    int
        Row number of the smallest distance between the two; the first of equals.
    """
    rows = _rows(np.asarray(probability)[:, None], among)
    scaled = normalise(np.asarray(plausibility, dtype=float)[:, None])[:, 0]
    gap = np.abs(np.asarray(probability, dtype=float) - scaled)
    return int(rows[gap[rows].argmin()])


def front_order(F: np.ndarray) -> np.ndarray:
    """Return the row numbers in the order of decreasing f_adv, then of f_gan and f_att."""
    F = _points(F)
    return np.lexsort((F[:, 2], F[:, 0], -F[:, 1]))


def _points(F: np.ndarray) -> np.ndarray:
    F = np.asarray(F, dtype=float)
    if F.ndim != 2:
        raise InvalidInputError(f"points must have shape (n, objectives), got {F.shape}")
    if not np.isfinite(F).all():
        raise InvalidInputError("objectives must be finite numbers")
    return F


def _rows(F: np.ndarray, among: np.ndarray | None) -> np.ndarray:
    mask = np.ones(len(F), dtype=bool) if among is None else np.asarray(among, dtype=bool)
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise InvalidInputError("there is no point to choose from")
    return rows
