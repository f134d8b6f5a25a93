"""Fast mode: local moves find near rows, a small NSGA-III mixes them, local moves finish.

What decides depends on the model: the tangent plane on smooth ones, single features and their sums
on trees. So everything is tried on every query, and the result chooses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from art_bridge.evaluation import Evaluator
from art_bridge.evolution import evolve
from art_bridge.moves import Rows, ask_rows, bisect, bisect_features, revert, tangent
from art_bridge.pool import Pool
from art_bridge.streams import Streams
from art_bridge.surrogate import additive_step

__all__ = ["hybrid"]

#: Best rows kept of each query, and how many of them enter the population.
_POOL, _ELITE = 20, 12
#: Best rows that the last polish works on.
_FINISH = 3
#: Training rows that a query is moved towards, and rounds of cutting the way.
_NEIGHBOURS, _ROUNDS = 20, 2
#: Rounds of tangent planes, rows that each starts from, how far a column is moved for its slope
#: (part of its range), and halvings of the way to the border.
_TANGENTS, _TANGENT_ROWS, _SLOPE, _HALVINGS = 6, 2, 0.01, 4
#: The same for the last polish of the best row, where there was a gradient before: finer.
_LAST_TANGENTS, _LAST_SLOPE, _LAST_HALVINGS = 3, 0.003, 6
#: Rounds of additive steps, rows that each may sweep, and the share of the best row's features
#: that go back to the query before.
_ADDITIVE, _SWEEP_ROWS, _KICK = 2, 160, 0.3
#: Model rows kept for the last polish.
_RESERVE = 100
#: One in so many of the first population is uniform for a query without a counterfactual yet.
_UNIFORM = 4
#: Offspring for each member of the population: few parents and many children were best on held-out
#: rows, and cost less than more generations.
_BROOD = 8
#: Share of the offspring that are mutated: the paper's.
_MUTATION = 0.4
#: Share of the offspring in which a column goes just beyond a cut: on trees the move that counts.
_REPLACE = 0.7


def hybrid(evaluator: Evaluator, streams: Streams, query: np.ndarray) -> Pool:
    """Search the queries of a chunk.

    Returns
    -------
    Pool
        The best rows of each query.
    """
    search = _Hybrid(evaluator, streams)
    seeds = search.from_neighbours(query)
    search.by_tangents(search.unfinished(query))
    search.shorten(search.unfinished(query), rows=3, features=0)
    for number in range(_ADDITIVE):
        search.by_additive_steps(search.unfinished(query), number)
    search.shorten(search.unfinished(query), rows=1, features=0)
    search.by_evolution(search.unfinished(query), query, seeds)
    search.by_last_tangents(search.unfinished(query))
    search.shorten(search.unfinished(query), rows=_FINISH, features=6)
    return search.pool


class _Hybrid:
    """The stages of the search of one chunk; each offers what it finds to the pool."""

    def __init__(self, evaluator: Evaluator, streams: Streams) -> None:
        self.evaluator, self.streams = evaluator, streams
        self.box, self.options = evaluator.box, evaluator.problem.options
        self.pool = Pool(evaluator, _POOL)
        self.smooth = np.zeros(len(self.box.x), dtype=bool)  # queries near which is a gradient

    def unfinished(self, query: np.ndarray) -> np.ndarray:
        """Return the queries that go on: all, or those without a counterfactual; none too late."""
        if self.evaluator.out_of_time:
            return query[:0]
        going = self.evaluator.left(query) > 0
        if not self.options.minimal:
            going &= ~self._top(query, 1).inside[:, 0]
        return query[going]

    def from_neighbours(self, query: np.ndarray) -> np.ndarray:
        """Move towards near rows of the target class; return where that ended, (Qs, k, d)."""
        problem, x = self.evaluator.problem, self.box.x
        near = problem.reference.nearest(x[query], problem.target[query], _NEIGHBOURS)
        if problem.starts is not None:
            near = np.concatenate([problem.starts[query], near], axis=1)
        known = np.isfinite(near).all(axis=2)
        near = np.where(known[:, :, None], near, x[query][:, None])
        rows = ask_rows(self.evaluator, query, near, known)
        if self.options.minimal:
            rows = bisect(self.evaluator, rows, _ROUNDS)
        self._keep(rows)
        return rows.u

    def by_tangents(self, query: np.ndarray) -> None:
        """Go to the nearest point of the tangent plane, as long as there is a gradient."""
        for _ in range(_TANGENTS):
            if len(query) == 0:
                return
            best = self._top(query, _TANGENT_ROWS)
            rows, useful = tangent(self.evaluator, best, _SLOPE, _HALVINGS)
            self._keep(rows)
            query = query[useful.any(axis=1)]
            self.smooth[query] = True

    def by_last_tangents(self, query: np.ndarray) -> None:
        """Go there once more from what evolution found, with finer steps."""
        query = query[self.smooth[query]]
        for _ in range(_LAST_TANGENTS):
            if len(query) == 0:
                return
            best = self._top(query, 1)
            rows, _ = tangent(self.evaluator, best, _LAST_SLOPE, _LAST_HALVINGS)
            self._keep(rows)

    def by_additive_steps(self, query: np.ndarray, number: int) -> None:
        """Sweep single features around the query, then around its best row, partly taken back."""
        if len(query) == 0:
            return
        best = self._top(query, 1)
        u = self.box.x[query][:, None]
        if number:
            kick = self.streams.uniform(query, u.shape[2])[:, None] < _KICK
            u = np.where(kick & ~self.box.grouped, u, best.u)
        answer = self.evaluator.ask(u, query)
        base = Rows(query, u, answer, self.evaluator.inside(answer, query[:, None]))
        place = self.streams.uniform(query, 1)[:, 0].astype(np.float64)
        wide = self.evaluator.problem.reference.wide_columns(8)
        points = int(np.clip(_SWEEP_ROWS // max(wide, 1), 4, 40))
        self._keep(additive_step(self.evaluator, base, self.pool.reach(query), points, place))

    def by_evolution(self, query: np.ndarray, all_queries: np.ndarray, seeds: np.ndarray) -> None:
        """Let a population of the best rows, the seeds and uniform rows evolve."""
        if len(query) == 0:
            return
        size, d = self.options.population, self.box.x.shape[1]
        lower, upper = self.box.lower[query][:, None], self.box.upper[query][:, None]
        draws = self.streams.uniform(query, size, d).astype(np.float64)
        seeds = seeds[np.isin(all_queries, query)]
        known = np.concatenate([self.pool.u[query, :_ELITE], seeds], axis=1)[:, :size]
        uniform = lower + draws * (upper - lower)
        population = np.concatenate([known, uniform], axis=1)[:, :size]
        lost = ~self._top(query, 1).inside[:, 0]
        some = slice(None, None, _UNIFORM)
        population[lost, some] = uniform[lost, some]
        flat = self.box.project(population.reshape(-1, d), np.repeat(query, size))
        population = flat.reshape(len(query), size, d)
        # A round of tangents asks for each column, three points ahead, and the halvings.
        last = _LAST_TANGENTS * (d + 3 + _LAST_HALVINGS)
        # What is only kept costs time in every generation.
        self.pool.shrink(_FINISH)
        evolve(
            self.evaluator,
            self.pool,
            self.streams,
            query,
            population,
            self.options.generations,
            reserve=_RESERVE + last * self.smooth[query],
            replace=_REPLACE,
            brood=_BROOD,
            rates=replace(self.options.rates, mutation=_MUTATION),
        )

    def shorten(self, query: np.ndarray, rows: int, features: int) -> None:
        """Cut the best rows' way to the query, take features back, cut their ways one by one."""
        if len(query) == 0 or not self.options.minimal:
            return
        best = bisect(self.evaluator, self._top(query, rows), 2)
        best = revert(self.evaluator, best)
        self._keep(bisect_features(self.evaluator, best, features, 2))

    def _keep(self, rows: Rows) -> None:
        self.pool.offer(rows.query, rows.u, rows.answer)

    def _top(self, query: np.ndarray, k: int) -> Rows:
        answer = self.pool.answer[query, :k]
        inside = self.evaluator.inside(answer, query[:, None])
        return Rows(query, self.pool.u[query, :k], answer, inside)
