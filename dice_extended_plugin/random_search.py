"""Counterfactuals by random sampling, few changed features first, for all queries at once.

dice-ml's scheme: every candidate is a copy of the query in which one feature after the other takes
a random permitted value; after each round the model is asked. Features and values are drawn
independently, from a stream of the query's own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dice_extended_plugin.candidates import POOL, Problem, Rows, select
from dice_extended_plugin.distinct import first_of_each, row_codes
from dice_extended_plugin.found import Found
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.streams import query_streams

__all__ = ["sample_values", "search"]

_STREAM = 31
#: Share of the samples that a round tries first; the rest only where these do not suffice.
_FIRST = 0.25
#: Numbers that one chunk of queries may hold: about 64 MiB an array.
_NUMBERS = 8_000_000


def search(
    problem: Problem, sample_size: int = 1000, progress: Callable[[int], object] | None = None
) -> Found:
    """Search counterfactuals for all queries of a problem.

    Parameters
    ----------
    problem : Problem
    sample_size : int
        Candidates per query and round.
    progress : callable, optional
        Told the number of queries finished.

    Returns
    -------
    Found
        ``stopped`` is "converged" where k were found, else "stalled" or the budget that was spent;
        ``steps`` counts rounds.
    """
    n, d = problem.x.shape
    found = Found.nothing(n, problem.total_CFs, d)
    size = max(1, _NUMBERS // (sample_size * d))
    pool = Rows()
    for start in range(0, n, size):
        if start and problem.hurry():
            break
        queries = np.arange(start, min(start + size, n))
        _Sampling(problem, queries, sample_size, found, pool).run()
        if progress is not None:
            progress(len(queries))
    found.u, found.valid = select(problem, *pool.sorted(d))
    whole = found.valid.all(axis=1)
    found.stopped[whole] = "converged"
    return found


def sample_values(
    streams: list[np.random.Generator],
    x: np.ndarray,
    space: FeatureSpace,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw permitted values for every feature, and the order in which candidates take them.

    Parameters
    ----------
    streams : list of Q Generators
    x : ndarray of shape (Q, d)
    space : FeatureSpace
    size : int
        Candidates per query, S.

    Returns
    -------
    values : ndarray of shape (Q, S, d)
        Rows that can be written down; each feature uniform over its permitted values and
        independent of the others.
    turn : ndarray of int, shape (Q, S, m)
        Round in which each feature changes, from 0; m and above for features that may not.
    """
    n, m = space.n_continuous, space.n_features
    draws = np.stack([stream.random((size, 2 * m)) for stream in streams])
    lower, upper = space.bounds(x)
    low, high = lower[:, None, :n], upper[:, None, :n]
    values = np.zeros((len(x), size, x.shape[1]))
    # Half a step beyond the ends, so that they are as likely as the values between.
    half = 0.5 * 10.0**-space.precision / space.scale
    values[..., :n] = np.clip(low - half + draws[..., :n] * (high - low + 2 * half), low, high)
    for j in range(len(space.categorical)):  # features, not rows
        columns = space.blocks[j][space.blocks[j] >= 0]
        allowed = upper[:, columns] > 0
        rank = np.floor(draws[..., n + j] * allowed.sum(axis=1)[:, None]).astype(int)
        order = np.argsort(~allowed, axis=1, kind="stable")  # permitted levels first
        level = np.take_along_axis(order, rank, axis=1)
        values[..., columns] = np.arange(len(columns)) == level[..., None]
    values = space.project(values, x[:, None], lower[:, None], upper[:, None])
    priority = np.where(space.vary, draws[..., m:], 2.0)
    turn = priority.argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    turn[..., ~space.vary] = m
    return values, turn


class _Sampling:
    """Rounds over one chunk of queries."""

    def __init__(
        self, problem: Problem, queries: np.ndarray, size: int, found: Found, pool: Rows
    ) -> None:
        self.problem, self.queries, self.found, self.pool = problem, queries, found, pool
        self.x = problem.x[queries]
        self.lower, self.upper = problem.space.bounds(self.x)
        # What an unchanged feature holds: the query's value, or the nearest that is permitted.
        # Where columns have an order, that depends on the others, and is found for whole rows.
        space = problem.space
        self.stay = self.x if space.order else space.project(self.x, self.x, self.lower, self.upper)
        streams = query_streams(self.x, problem.random_state, _STREAM)
        self.values, self.turn = sample_values(streams, self.x, problem.space, size)
        self.size = size
        self.count = np.zeros(len(queries), dtype=int)
        self.seen: list[np.ndarray] = []

    def run(self) -> None:
        """Change one more feature per round until every query has enough candidates."""
        problem, wanted = self.problem, self.problem.total_CFs
        going = np.arange(len(self.queries))
        rounds = int(problem.space.vary.sum())
        first = max(1, int(_FIRST * self.size))
        for n_changed in range(1, rounds + 1):
            # Single changes repeat often, so all samples together are few rows.
            blocks = [(0, self.size)] if n_changed == 1 else [(0, first), (first, self.size)]
            for start, stop in blocks:
                fits = problem.budget.affords(self.found.calls[self.queries[going]], 1)
                self.found.stopped[self.queries[going[~fits]]] = "max_model_calls"
                going = going[fits]
                if problem.hurry(len(going) * (stop - start)):
                    self.found.stopped[self.queries[going]] = "max_seconds"
                    return
                if len(going) == 0:
                    return
                self._ask(going, start, stop, n_changed)
                if n_changed > 1 or rounds == 1:
                    going = going[self.count[going] < POOL * wanted]
            if n_changed > 1:
                going = going[self.count[going] < wanted]
        self.found.stopped[self.queries[going]] = "stalled"

    def _ask(self, going: np.ndarray, start: int, stop: int, n_changed: int) -> None:
        """Ask the model about the candidates of one block, once about each."""
        space = self.problem.space
        part = slice(start, stop)
        taken = self.turn[going, part][..., space.column_feature] < n_changed
        rows = np.where(taken, self.values[going, part], self.stay[going][:, None])
        if space.order:  # columns that are legal one by one may be in the wrong order together
            box = self.lower[going][:, None], self.upper[going][:, None]
            rows = space.project(rows, self.x[going][:, None], *box)
        owner = np.repeat(going, rows.shape[1])
        rows = rows.reshape(-1, rows.shape[-1])
        moved = space.changed(rows, self.x[owner]).any(axis=1)
        moved &= self.problem.legal(rows, self.queries[owner])
        rows, owner = rows[moved], owner[moved]
        fresh = self._new(rows, owner)
        rows, owner = rows[fresh], owner[fresh]
        query = self.queries[owner]
        self.found.steps[self.queries[going]] = n_changed
        self.found.calls[self.queries[going]] += 1
        good = self.problem.met(rows, query)
        self.pool.add(rows[good], query[good])
        self.count += np.bincount(owner[good], minlength=len(self.count))

    def _new(self, rows: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """Flag rows that their query has not asked about before."""
        codes = np.concatenate([row_codes(rows, self.problem.space), owner[:, None]], axis=1)
        known = np.concatenate([*self.seen, codes])
        fresh = first_of_each(known)[len(known) - len(codes) :]
        self.seen.append(codes[fresh])
        return fresh
