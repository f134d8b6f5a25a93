"""NSGA-III survival for many populations at once, exact.

Deb and Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
nondominated sorting approach, part I" (2014), with the normalisation that pymoo uses: every
population keeps its own ideal point, worst point and extreme points. All populations pass through
the same array operations, so that a population's survivors do not depend on which others it is
worked through with.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["Survival", "das_dennis", "non_dominated_rank"]

_SMALL = 1e-6
#: Members that are associated at once: their scores of all directions stay in the cache.
_BLOCK = 1024


@lru_cache(maxsize=16)
def das_dennis(n_objectives: int, partitions: int) -> np.ndarray:
    """Return the Das–Dennis directions: points of the unit simplex, evenly spread (pymoo's).

    Returns
    -------
    ndarray of shape (directions, n_objectives), read only
    """
    from pymoo.util.ref_dirs import get_reference_directions

    directions = get_reference_directions("das-dennis", n_objectives, n_partitions=partitions)
    directions = np.asarray(directions, dtype=np.float64)
    directions.setflags(write=False)
    return directions


def non_dominated_rank(costs: np.ndarray) -> np.ndarray:
    """Return the front of each member, 0 for the non-dominated.

    A member's front is the length of the longest chain of members that dominate one another and
    it; equal members are in the same front.

    Parameters
    ----------
    costs : ndarray of shape (Q, N, M)
        Objectives, to be minimised.

    Returns
    -------
    ndarray of int, shape (Q, N)
    """
    return _rank_and_twins(_by_objective(costs), costs.shape[1])[0]


def _by_objective(costs: np.ndarray) -> np.ndarray:
    """Return costs (Q, N, M) as (M, Q, N): every step works on one objective's long rows."""
    return np.ascontiguousarray(costs.transpose(2, 0, 1), dtype=np.float64)


def _rank_and_twins(each: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Front of each member, and whether an equal one comes before it, (Q, N) each.

    Only the best fronts, which hold `most` different members together, need be told apart.
    """
    m, n_queries, n = each.shape
    first = each[0]
    least = first.min(axis=1, keepdims=True)
    flag = first > least
    highest = np.where(flag, first.max(axis=1, keepdims=True), least)
    if m == 3 and (first == highest).all():
        order = _order_by_two(each[1], each[2], flag)
        walk = _rank_two_levels
    else:
        order = np.lexsort(tuple(each[k] for k in reversed(range(m))), axis=-1)
        walk = _rank_by_chains
    # Queries last: every step of the walk works on long rows of memory.
    place = np.ascontiguousarray((order + np.arange(n_queries)[:, None] * n).T)
    in_order = each.reshape(m, -1)[:, place]
    same = np.zeros((n, n_queries), dtype=bool)
    same[1:] = (in_order[:, 1:] == in_order[:, :-1]).all(axis=0)
    rank, twin = np.empty(n_queries * n, dtype=np.int16), np.empty(n_queries * n, dtype=bool)
    rank[place], twin[place] = walk(in_order, same, most), same
    return rank.reshape(n_queries, n), twin.reshape(n_queries, n)


def _order_by_two(first: np.ndarray, second: np.ndarray, flag: np.ndarray) -> np.ndarray:
    """Sort (Q, N) by two objectives, then by a flag, stably; the flag seldom decides."""
    order = np.lexsort((second, first), axis=-1)
    place = order + np.arange(len(order))[:, None] * order.shape[1]
    a, b, late = (values.reshape(-1)[place] for values in (first, second, flag))
    wrong = (late[:, :-1] > late[:, 1:]) & (a[:, 1:] == a[:, :-1]) & (b[:, 1:] == b[:, :-1])
    return np.lexsort((flag, second, first), axis=-1) if wrong.any() else order


def _rank_two_levels(costs: np.ndarray, same: np.ndarray, most: int) -> np.ndarray:
    """Ranks (N, Q) of costs (3, N, Q) sorted by the second, third and first objective.

    The first objective takes two values. Who has gone before is no worse in the second objective,
    so a newcomer is dominated if the least third objective so far is no higher; that of those of
    the lower first value, for a newcomer that has it. Front after front is taken off, until `most`
    members are ranked; whoever is left has rank N. Few rounds do, as few members survive.
    """
    n = len(same)
    high = costs[0] > costs[0].min(axis=0)
    # Where the lower value comes first, as it does when both tell the same, all before are lower.
    parted = bool((high[:-1] <= high[1:]).all())
    third = np.where(same, np.inf, costs[2])  # twins wait, and get their twin's rank
    rank = np.full(same.shape, n, dtype=np.int16)
    query = np.arange(same.shape[1])
    missing = np.minimum(most, n - np.count_nonzero(same, axis=0))
    for front in range(n):
        before = np.minimum.accumulate(third, axis=0)[:-1]
        if not parted:
            low = np.minimum.accumulate(np.where(high, np.inf, third), axis=0)[:-1]
            before = np.where(high[1:], before, low)
        here = third < np.inf
        here[1:] &= before > third[1:]
        member, column = np.nonzero(here)
        rank[member, query[column]] = front
        third[member, column] = np.inf
        missing = missing - np.bincount(column, minlength=len(query))
        going = missing > 0
        if not going.any():
            break
        if 2 * np.count_nonzero(going) < len(going):
            query, missing = query[going], missing[going]
            high, third = high[:, going], third[:, going]
    if same.any():
        first = np.where(same, 0, np.arange(n)[:, None])
        rank = np.take_along_axis(rank, np.maximum.accumulate(first, axis=0), axis=0)
    return rank


def _rank_by_chains(costs: np.ndarray, same: np.ndarray, most: int) -> np.ndarray:
    """Ranks (N, Q) of costs (M, N, Q) sorted lexicographically, whatever the objectives."""
    del most  # all of them
    n = len(same)
    rank = np.ones(same.shape, dtype=np.int16)  # counted from 1, so that 0 is "nobody"
    for i in range(1, n):
        chain = rank[:i] * (costs[1:, :i] <= costs[1:, i, None]).all(axis=0)
        rank[i] = np.where(same[i], rank[i - 1], chain.max(axis=0) + 1)
    return rank - 1


class Survival:
    """Reference-direction survival of Q populations that grow side by side.

    Parameters
    ----------
    directions : ndarray of shape (H, M)
        Reference directions.
    n_queries : int
        Number of populations Q.
    """

    def __init__(self, directions: np.ndarray, n_queries: int) -> None:
        m = directions.shape[1]
        self.directions = directions
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.unit = np.ascontiguousarray(unit.T)
        self.ideal = np.full((n_queries, m), np.inf)
        self.worst = np.full((n_queries, m), -np.inf)
        self.extremes = np.full((n_queries, m, m), np.inf)

    def take(self, index: np.ndarray) -> Survival:
        """Return the state of some of the populations."""
        part = Survival(self.directions, 0)
        part.ideal, part.worst = self.ideal[index], self.worst[index]
        part.extremes = self.extremes[index].copy()
        return part

    def select(
        self, costs: np.ndarray, n_survive: int, draws: np.ndarray, distinct: bool = False
    ) -> np.ndarray:
        """Choose who survives.

        Parameters
        ----------
        costs : ndarray of shape (Q, N, M)
            Objectives of all members, finite.
        n_survive : int
            How many to keep.
        draws : ndarray of shape (2, Q, N)
            Uniform random numbers in [0, 1) that break ties.
        distinct : bool
            Whether members equal to another one are kept only for want of others.

        Returns
        -------
        ndarray of int, shape (Q, n_survive)
            Members, in ascending order.
        """
        each = _by_objective(costs)
        _, n_queries, n = each.shape
        rank, twin = _rank_and_twins(each, n_survive)
        nadir = self._normalise(each, rank == 0)
        if distinct:
            rank[twin] = n
        split = np.partition(rank, n_survive - 1, axis=1)[:, n_survive - 1, None]
        sure, last = rank < split, rank == split
        # Niches are asked for where they decide: of whoever stays, and of the front that is split.
        member = np.flatnonzero(rank <= split)
        niche, away = self._associate(each, nadir, member)
        cell = member // n * len(self.directions) + niche
        split_front = np.flatnonzero(last.reshape(-1)[member])
        taken = np.bincount(
            np.delete(cell, split_front), minlength=n_queries * len(self.directions)
        )
        candidate, cell = member[split_front], cell[split_front]
        lot, tie = draws.reshape(2, -1)[:, candidate]
        level = _levels(cell, away[split_front], taken, lot)
        # Of the split front whoever finds the emptiest niche is taken first; ties by lot.
        # One key for population and turn: exact, as the lots are float32.
        order = np.argsort(candidate // n * (n + 1.0) + level + 0.5 * tie, kind="stable")
        query = candidate[order] // n
        place = np.arange(len(order)) - np.searchsorted(query, query)
        chosen = candidate[order][place < (n_survive - sure.sum(axis=1))[query]]
        sure.reshape(-1)[chosen] = True
        return np.nonzero(sure)[1].reshape(n_queries, n_survive)

    def _associate(
        self, each: np.ndarray, nadir: np.ndarray, member: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nearest direction of some members (places in (Q, N)) and the distance to it."""
        m, _, n = each.shape
        width = nadir - self.ideal
        width[width == 0] = 1e-12
        query = member // n
        scaled = each.reshape(m, -1)[:, member]
        scaled -= self.ideal.T[:, query]
        scaled /= width.T[:, query]
        flat = np.ascontiguousarray(scaled.T)
        niche, reach = np.empty(len(flat), dtype=np.int64), np.empty(len(flat))
        for start in range(0, len(flat), _BLOCK):
            part = slice(start, start + _BLOCK)
            # The nearest ray is the one along which the member reaches farthest. Not by BLAS, whose
            # last digits depend on how many members there are.
            along = np.einsum("im,mj->ij", flat[part], self.unit)
            niche[part] = along.argmax(axis=1)
            reach[part] = along[np.arange(len(along)), niche[part]]
        square = np.square(scaled).sum(axis=0)
        return niche, np.sqrt(np.maximum(square - np.square(reach), 0.0))

    def _normalise(self, each: np.ndarray, front: np.ndarray) -> np.ndarray:
        """Move ideal, worst and extreme points on; return the nadir points, (Q, M)."""
        self.ideal = np.minimum(self.ideal, each.min(axis=2).T)
        worst_of_all = each.max(axis=2).T
        self.worst = np.maximum(self.worst, worst_of_all)
        self._extend(each, front)
        worst_of_front = np.where(front, each, -np.inf).max(axis=2).T
        nadir = self._intercepts(worst_of_front)
        return np.where(nadir - self.ideal <= _SMALL, worst_of_all, nadir)

    def _extend(self, each: np.ndarray, front: np.ndarray) -> None:
        """Extreme points: for each axis the point with the least achievement cost."""
        m, rows = len(each), np.arange(len(front))
        known = np.isfinite(self.extremes).all(axis=2)
        allowed = np.concatenate([known, front], axis=1)
        points = np.concatenate([self.extremes.transpose(2, 0, 1), each], axis=2)
        beyond = points - self.ideal.T[:, :, None]
        beyond[beyond < 1e-3] = 0.0
        heavy = beyond * 1e6
        for axis in range(m):
            achieved = np.where(allowed, beyond[axis], np.inf)
            for k in range(m):
                if k != axis:
                    np.maximum(achieved, heavy[k], out=achieved)
            self.extremes[:, axis] = points[:, rows, achieved.argmin(axis=1)].T

    def _intercepts(self, worst_of_front: np.ndarray) -> np.ndarray:
        """Nadir point of the plane through the extreme points, else the worst of the front."""
        m = self.ideal.shape[1]
        matrix = self.extremes - self.ideal[:, None]
        good = np.linalg.det(matrix) != 0
        safe = np.where(good[:, None, None], matrix, np.eye(m))
        plane = np.linalg.solve(safe, np.ones((len(safe), m, 1)))[:, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            intercept = 1.0 / plane
            residual = (safe * plane[:, None]).sum(axis=2)
            good &= (np.abs(residual - 1.0) <= 1e-8 + 1e-5).all(axis=1)
            good &= (intercept > _SMALL).all(axis=1)
            nadir = np.minimum(self.ideal + intercept, self.worst)
        return np.where(good[:, None], nadir, worst_of_front)


def _levels(cell: np.ndarray, away: np.ndarray, taken: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """Survivors that a candidate's niche has before the candidate is taken.

    Parameters
    ----------
    cell, away : ndarray of shape (c,)
        Niche of each candidate, numbered over all populations, and the distance to its direction.
    taken : ndarray of int
        Survivors of each niche so far.
    lot : ndarray of shape (c,)
        Uniform random numbers in [0, 1).
    """
    # In a niche with no survivor the closest goes first, all others by lot.
    least = np.full(len(taken), np.inf)
    np.minimum.at(least, cell, away)
    first = (away == least[cell]) & (taken[cell] == 0)
    order = np.argsort(cell + np.where(first, 0.0, 0.5) + 0.5 * lot, kind="stable")
    place = np.arange(len(cell))
    begin = np.maximum.accumulate(np.where(_begins(cell[order]), place, 0))
    level = taken[cell]
    level[order] += place - begin
    return level


def _begins(values: np.ndarray) -> np.ndarray:
    """Where a run of equal values begins."""
    begins = np.ones(len(values), dtype=bool)
    begins[1:] = values[1:] != values[:-1]
    return begins
