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
_BLOCK = 2048


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
    return _rank_and_twins(costs)[0]


def _rank_and_twins(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Front of each member, and whether an equal one comes before it, (Q, N) each."""
    n_queries, n, m = costs.shape
    least = costs[:, :, 0].min(axis=1, keepdims=True)
    flag = costs[:, :, 0] > least
    highest = np.where(flag, costs[:, :, 0].max(axis=1, keepdims=True), least)
    if m == 3 and (costs[:, :, 0] == highest).all():
        order = np.lexsort((flag, costs[:, :, 2], costs[:, :, 1]), axis=-1)
        walk = _rank_two_levels
    else:
        order = np.lexsort(tuple(costs[:, :, k] for k in reversed(range(m))), axis=-1)
        walk = _rank_by_chains
    in_order = costs[np.arange(n_queries)[:, None], order]
    same = np.zeros((n, n_queries), dtype=bool)
    same[1:] = (in_order[:, 1:] == in_order[:, :-1]).all(axis=2).T
    # Queries last: every step of the walk works on long rows of memory.
    in_order_rank = walk(np.ascontiguousarray(in_order.transpose(2, 1, 0)), same)
    rank = np.empty((n_queries, n), dtype=np.int64)
    np.put_along_axis(rank, order, in_order_rank.T, axis=1)
    twin = np.empty((n_queries, n), dtype=bool)
    np.put_along_axis(twin, order, same.T, axis=1)
    return rank, twin


def _rank_two_levels(costs: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Ranks (N, Q) of costs (3, N, Q) sorted by the second, third and first objective.

    The first objective takes two values. Who has gone before is no worse in the second objective,
    so a front dominates a newcomer if its least third objective is no higher; among those of the
    lower first value, for a newcomer that has it.
    """
    n, n_queries = same.shape
    low = costs[0] <= costs[0].min(axis=0)
    third = costs[2]
    # Least third objective of each front so far: of all members, and of those of the low value.
    least = np.full((2, n + 1, n_queries), np.inf)
    flat, half = least.reshape(-1), (n + 1) * n_queries
    cell = np.arange(n_queries) + np.array([[0], [half]])
    news = np.stack([third, np.where(low, third, np.inf)], axis=1)  # (N, 2, Q)
    number = np.arange(1, n + 1, dtype=np.int16)[:, None]
    rank = np.zeros((n, n_queries), dtype=np.int16)
    flat[cell] = news[0]
    fronts = 1
    for i in range(1, n):
        mine = np.where(low[i], least[1, :fronts], least[0, :fronts])
        above = np.maximum.reduce((mine <= third[i]) * number[:fronts], axis=0)
        here = np.where(same[i], rank[i - 1], above)
        rank[i] = here
        place = cell + here.astype(np.int64) * n_queries
        flat[place] = np.minimum(flat[place], news[i])
        fronts = max(fronts, int(np.maximum.reduce(here)) + 1)
    return rank


def _rank_by_chains(costs: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Ranks (N, Q) of costs (M, N, Q) sorted lexicographically, whatever the objectives."""
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
        self.unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
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
            Members, best front first.
        """
        rank, twin = _rank_and_twins(costs)
        nadir = self._normalise(costs, rank == 0)
        if distinct:
            rank[twin] = costs.shape[1]
        niche, away = self._associate(costs, nadir)
        split = np.sort(rank, axis=1)[:, n_survive - 1, None]
        sure, last = rank < split, rank == split
        level = self._levels(niche, away, sure, last, draws[0])
        # Fronts before the splitting one come first, in their order; then its members by the
        # number of survivors that their niche has when they are taken; ties by lot.
        worth = np.where(sure, rank - float(costs.shape[1]), np.inf)
        worth = np.where(last, level, worth) + np.where(sure, 0.0, 0.5 * draws[1])
        return np.argsort(worth, axis=1, kind="stable")[:, :n_survive]

    def _levels(
        self,
        niche: np.ndarray,
        away: np.ndarray,
        sure: np.ndarray,
        last: np.ndarray,
        draws: np.ndarray,
    ) -> np.ndarray:
        """Survivors that a member's niche has before the member is taken, (Q, N)."""
        n_queries, n = niche.shape
        h = len(self.directions)
        flat = np.arange(n_queries)[:, None] * h + niche
        count = np.bincount(flat[sure], minlength=n_queries * h)[flat]
        # In a niche with no survivor the closest goes first, all others by lot.
        farthest = away.max(axis=1, keepdims=True)
        nearness = niche + np.where(farthest > 0, away / np.maximum(farthest, 1e-300), 0.0) * 0.5
        order = np.argsort(np.where(last, nearness, h + 1.0), axis=1, kind="stable")
        sorted_niche = np.take_along_axis(np.where(last, niche, h), order, axis=1)
        first = np.ones((n_queries, n), dtype=bool)
        first[:, 1:] = sorted_niche[:, 1:] != sorted_niche[:, :-1]
        closest = np.empty_like(first)
        np.put_along_axis(closest, order, first, axis=1)
        lot = niche + np.where(closest & (count == 0), 0.0, 0.01 + 0.98 * draws)
        order = np.argsort(np.where(last, lot, h + 1.0), axis=1, kind="stable")
        sorted_niche = np.take_along_axis(np.where(last, niche, h), order, axis=1)
        first[:, 1:] = sorted_niche[:, 1:] != sorted_niche[:, :-1]
        begins = np.maximum.accumulate(np.where(first, np.arange(n), 0), axis=1)
        position = np.empty((n_queries, n), dtype=np.int64)
        np.put_along_axis(position, order, np.arange(n) - begins, axis=1)
        return count + position

    def _associate(self, costs: np.ndarray, nadir: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest direction of each member and the distance to it, both (Q, N)."""
        width = nadir - self.ideal
        width[width == 0] = 1e-12
        scaled = (costs - self.ideal[:, None]) / width[:, None]
        flat = scaled.reshape(-1, scaled.shape[2])
        niche = np.empty(len(flat), dtype=np.int64)
        reach = np.empty(len(flat))
        for start in range(0, len(flat), _BLOCK):
            part = slice(start, start + _BLOCK)
            # The nearest ray is the one along which the member reaches farthest.
            along = flat[part] @ self.unit.T
            niche[part] = along.argmax(axis=1)
            reach[part] = along[np.arange(len(along)), niche[part]]
        square = sum(np.square(flat[:, k]) for k in range(flat.shape[1]))
        away = np.sqrt(np.maximum(square - np.square(reach), 0.0))
        return niche.reshape(costs.shape[:2]), away.reshape(costs.shape[:2])

    def _normalise(self, costs: np.ndarray, front: np.ndarray) -> np.ndarray:
        """Move ideal, worst and extreme points on; return the nadir points, (Q, M)."""
        each = [np.ascontiguousarray(costs[:, :, k]) for k in range(costs.shape[2])]
        self.ideal = np.minimum(self.ideal, np.stack([c.min(axis=1) for c in each], axis=1))
        worst_of_all = np.stack([c.max(axis=1) for c in each], axis=1)
        self.worst = np.maximum(self.worst, worst_of_all)
        self._extend(each, front)
        worst_of_front = np.stack([np.where(front, c, -np.inf).max(axis=1) for c in each], axis=1)
        nadir = self._intercepts(worst_of_front)
        return np.where(nadir - self.ideal <= _SMALL, worst_of_all, nadir)

    def _extend(self, each: list[np.ndarray], front: np.ndarray) -> None:
        """Extreme points: for each axis the point with the least achievement cost."""
        m, rows = len(each), np.arange(len(front))
        known = np.isfinite(self.extremes).all(axis=2)
        allowed = np.concatenate([known, front], axis=1)
        points = [np.concatenate([self.extremes[:, :, k], each[k]], axis=1) for k in range(m)]
        beyond = [points[k] - self.ideal[:, k, None] for k in range(m)]
        beyond = [np.where(part < 1e-3, 0.0, part) for part in beyond]
        heavy = [part * 1e6 for part in beyond]
        for axis in range(m):
            achieved = np.where(allowed, beyond[axis], np.inf)
            for k in range(m):
                if k != axis:
                    np.maximum(achieved, heavy[k], out=achieved)
            best = achieved.argmin(axis=1)
            for k in range(m):
                self.extremes[:, axis, k] = points[k][rows, best]

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
