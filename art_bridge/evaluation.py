"""Asking the model: one call for all rows, answers that no batch changes, rows counted."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from art_bridge import objectives
from art_bridge.lanes import WHOLE, in_lanes, sides
from art_bridge.problem import Problem

__all__ = ["Answer", "Evaluator", "rounded"]

#: Scores are rounded to multiples of this. Models differ in the last digits between batches (sums
#: in another order); a class wins only by a whole step, so its lead holds in any batch.
_GRID = 2.0**-20
#: The same for models of single precision, whose answers differ by some 1e-5 in wide layers.
_SINGLE_GRID = 2.0**-15
#: Calls are filled up to a multiple of this many rows: short batches take other code paths.
_MULTIPLE = 16


def rounded(scores: np.ndarray, single: bool | None) -> np.ndarray:
    """Return scores without the digits that change with the batch."""
    grid = _SINGLE_GRID if single else _GRID
    out: np.ndarray = np.rint(scores / grid) * grid
    return out


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
    single : bool or None
        Whether the model works in single precision; None before its first answer.
    """

    def __init__(self, problem: Problem, started: float | None = None) -> None:
        self.problem = problem
        self.box, self.aim = problem.box, problem.aim
        self.single = problem.single
        self._side = sides(self.box.x)
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
        (n, k, d), options = u.shape, self.problem.options
        asked = where
        if options.max_rows is not None or options.max_calls is not None:
            left = self.left(query)
            if (left < k).any():
                whole = np.ones((n, k), dtype=bool) if where is None else where
                asked = whole & (np.cumsum(whole, axis=1) <= left[:, None])
        # The query is not gathered for each of its rows: that costs more than the rest.
        # Rows in one line, whatever their number: einsum's last digits depend on the shape.
        change = np.ascontiguousarray(u - self.box.x[query][:, None]).reshape(n * k, d)
        distance = self._norm(change).reshape(n, k)
        if asked is None:
            rows, owner = u.reshape(n * k, d), np.repeat(query, k)
            self.rows[query] += k
            self.calls[query] += k > 0
        else:
            rows, owner = u[asked], np.broadcast_to(query[:, None], (n, k))[asked]
            self.rows[query] += asked.sum(axis=1)
            self.calls[query] += asked.any(axis=1)

        def spread(values: np.ndarray, otherwise: float) -> np.ndarray:
            if asked is None:
                return values.reshape(n, k)
            out = np.full((n, k), otherwise)
            out[asked] = values
            return out

        wanted, lead = self._scores(rows, owner)
        margin = spread(lead, np.nan)
        with np.errstate(invalid="ignore"):
            is_target = margin > 0
        if self.problem.seen is not None:
            good = lead > 0
            self.problem.seen(rows[good], self.problem.names(owner[good]), wanted[good])
        return Answer(
            is_target,
            spread(wanted, np.nan),
            margin,
            spread(self.prob_cost(wanted, owner), 2.0),
            distance if asked is None else np.where(asked, distance, np.inf),
        )

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

    def _norm(self, change: np.ndarray) -> np.ndarray:
        """Return O_distance of changes (n, d)."""
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
        size, place = self.problem.options.batch_rows, None
        if self.single is None and len(rows):
            first = np.zeros(_MULTIPLE, dtype=np.int64)  # one row, to see in what precision
            answer = np.asarray(self.problem.score(rows[first], self.problem.names(query[first])))
            self.single = answer.dtype.kind == "f" and answer.dtype.itemsize < 8
        if self.single:
            take, place = in_lanes(query, self._side[query])
            rows, query = rows[take], query[take]
            size = max(size // WHOLE, 1) * WHOLE
        target, name = self.problem.target[query], self.problem.names(query)
        wanted, lead = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            scores = self._call(rows[part], name[part])
            # Classes first: reductions over them then work on long rows of memory.
            scores = rounded(np.ascontiguousarray(scores.T), self.single)
            index = (target[part], np.arange(scores.shape[1]))
            wanted[part] = scores[index]
            scores[index] = -np.inf
            lead[part] = wanted[part] - scores.max(axis=0)
        return (wanted, lead) if place is None else (wanted[place], lead[place])

    def _call(self, rows: np.ndarray, name: np.ndarray) -> np.ndarray:
        n = len(rows)
        filled = np.minimum(np.arange(n + -n % _MULTIPLE), n - 1)
        if len(filled) > n:
            rows, name = rows[filled], name[filled]
        return np.array(self.problem.score(rows, name)[:n], dtype=np.float64)
