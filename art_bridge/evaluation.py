"""Asking the model: one call for all rows, answers that no batch changes, rows counted."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from art_bridge import objectives
from art_bridge.problem import Problem

__all__ = ["Answer", "Evaluator"]

#: Scores are rounded to multiples of this. Models differ in the last digits between batches (sums
#: in another order); a class wins only by a whole step, so its lead holds in any batch.
_GRID = 2.0**-20
#: Calls are filled up to a multiple of this many rows: short batches take other code paths.
_MULTIPLE = 16


@dataclass(frozen=True)
class Answer:
    """What the model says of rows, and what they cost; arrays of one shape.

    Attributes
    ----------
    is_target : ndarray of bool
        Whether the target class has strictly the highest score.
    probability, margin : ndarray
        Score of the target class, and its lead over the best other class. NaN where the model
        answered NaN, or was not asked.
    prob_cost, distance : ndarray
        O_prob and O_distance; 2 and inf where the model was not asked.
    """

    is_target: np.ndarray
    probability: np.ndarray
    margin: np.ndarray
    prob_cost: np.ndarray
    distance: np.ndarray

    def costs(self) -> np.ndarray:
        """Return the three objectives, ``(..., 3)``."""
        return np.stack([objectives.label(self.is_target), self.prob_cost, self.distance], axis=-1)

    def join(self, other: Answer) -> Answer:
        """Return both, one after the other along axis 1."""
        return Answer(
            *(np.concatenate([mine, theirs], axis=1) for mine, theirs in self._pairs(other))
        )

    def take(self, index: np.ndarray) -> Answer:
        """Return the chosen entries of axis 1, index (Q, k)."""
        return Answer(*(np.take_along_axis(part, index, axis=1) for part in self.parts()))

    @classmethod
    def choose(cls, where: np.ndarray, one: Answer, other: Answer) -> Answer:
        """Return `one` where `where`, else `other`."""
        return cls(*(np.where(where, mine, theirs) for mine, theirs in one._pairs(other)))

    def parts(self) -> tuple[np.ndarray, ...]:
        """Return the arrays, in the order of the attributes."""
        return self.is_target, self.probability, self.margin, self.prob_cost, self.distance

    def _pairs(self, other: Answer) -> zip:
        return zip(self.parts(), other.parts(), strict=True)

    def __getitem__(self, keep: np.ndarray | slice | tuple) -> Answer:
        return Answer(*(part[keep] for part in self.parts()))


class Evaluator:
    """The model as the queries of one chunk see it.

    Attributes
    ----------
    rows, calls : ndarray of int, shape (Q,)
        Model rows each query has used, and calls it took part in.
    """

    def __init__(self, problem: Problem, started: float | None = None) -> None:
        self.problem = problem
        self.box, self.aim = problem.box, problem.aim
        self.rows, self.calls = np.zeros((2, len(problem.target)), dtype=np.int64)
        self.started = time.monotonic() if started is None else started

    @property
    def out_of_time(self) -> bool:
        """Whether the seconds are spent."""
        limit = self.problem.options.max_seconds
        return limit is not None and time.monotonic() - self.started >= limit

    def left(self, query: np.ndarray) -> np.ndarray:
        """Return how many rows each query may still use."""
        options = self.problem.options
        most = np.iinfo(np.int64).max if options.max_rows is None else options.max_rows
        left = most - self.rows[query]
        if options.max_calls is None:
            return left
        return np.where(self.calls[query] < options.max_calls, left, 0)

    def ask(self, u: np.ndarray, query: np.ndarray, where: np.ndarray | None = None) -> Answer:
        """Ask for permitted rows.

        Parameters
        ----------
        u : ndarray of shape (Qs, k, d)
            Projected rows.
        query : ndarray of int, shape (Qs,)
            Query of each slice.
        where : ndarray of bool, shape (Qs, k), optional
            False where nothing is asked. What a query's budget does not cover is not asked either.

        Returns
        -------
        Answer of shape (Qs, k)
        """
        shape = u.shape[:2]
        asked = np.ones(shape, dtype=bool) if where is None else where
        if self.problem.options.max_rows is not None or self.problem.options.max_calls is not None:
            asked = asked & (np.cumsum(asked, axis=1) <= self.left(query)[:, None])
        owner = np.broadcast_to(query[:, None], shape)[asked]
        rows = u[asked]
        self.rows[query] += asked.sum(axis=1)
        self.calls[query] += asked.any(axis=1)
        wanted, margin = self._scores(rows, owner)
        probability, lead = np.full(shape, np.nan), np.full(shape, np.nan)
        probability[asked], lead[asked] = wanted, margin
        cost, distance = np.full(shape, 2.0), np.full(shape, np.inf)
        cost[asked] = self.prob_cost(wanted, owner)
        distance[asked] = self.distance(rows, owner)
        with np.errstate(invalid="ignore"):
            answer = Answer(lead > 0, probability, lead, cost, distance)
        if self.problem.seen is not None:
            good = answer.is_target[asked]
            self.problem.seen(rows[good], self.problem.names(owner[good]), wanted[good])
        return answer

    def within(self, query: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of each column, (Qs, d) each, that no nearer row can pass."""
        own = self.box.x[query]
        far = reach[:, None] * (1.0 if self.aim.scale is None else self.aim.scale)
        low, high = self.box.lower[query], self.box.upper[query]
        return np.maximum(low, own - far), np.minimum(high, own + far)

    def prob_cost(self, probability: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return O_prob; 2, worse than any, where the probability is NaN."""
        cost = objectives.boundary if self.aim.boundary else objectives.unconstrained
        out = cost(probability, self.aim.probability[query])
        return np.where(np.isnan(probability), 2.0, out)

    def distance(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return O_distance of rows (n, d)."""
        change = u - self.box.x[query]
        if self.aim.scale is not None:
            change = change / self.aim.scale
        return objectives.distance(change, self.aim.norm)

    def inside(self, answer: Answer, query: np.ndarray) -> np.ndarray:
        """Whether rows have the label and at least the wanted probability; `query` broadcasts."""
        with np.errstate(invalid="ignore"):
            return answer.is_target & (answer.probability >= self.aim.probability[query])

    def tier(self, answer: Answer) -> np.ndarray:
        """Return what comes before distance when rows are compared: label, then O_prob."""
        if self.aim.pick == "lexicographic":
            return np.where(answer.is_target, 0.0, 4.0) + answer.prob_cost
        missed = answer.prob_cost > self.aim.tolerance
        return np.where(answer.is_target, 0.0, 4.0) + missed

    def _scores(self, rows: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rounded scores of the target class and their lead, (n,) each."""
        target, name = self.problem.target[query], self.problem.names(query)
        wanted, lead = np.empty(len(rows)), np.empty(len(rows))
        size = self.problem.options.batch_rows
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            scores = self._call(rows[part], name[part])
            scores = np.rint(scores / _GRID) * _GRID
            index = (np.arange(len(scores)), target[part])
            wanted[part] = scores[index]
            scores[index] = -np.inf
            lead[part] = wanted[part] - scores.max(axis=1)
        return wanted, lead

    def _call(self, rows: np.ndarray, name: np.ndarray) -> np.ndarray:
        n = len(rows)
        filled = np.minimum(np.arange(n + -n % _MULTIPLE), n - 1)
        if len(filled) > n:
            rows, name = rows[filled], name[filled]
        return np.array(self.problem.score(rows, name)[:n], dtype=np.float64)
