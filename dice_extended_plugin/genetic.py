"""Counterfactuals by a genetic algorithm, all queries in lock-step: one array (queries, rows, d).

Each generation is bred from the better half of the population and competes with it: rows that are
counterfactuals before rows that are not, then by what DiCE minimises less what robustness is worth.
A diverse, robust set is carried along, and decides when a query is done. Every run ends: with
success, for want of progress, or with its budget.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dice_extended_plugin.breeding import Breeding, breed
from dice_extended_plugin.candidates import (
    Problem,
    Rows,
    choose,
    cost,
    robustness,
    select,
)
from dice_extended_plugin.distinct import first_of_each, row_codes
from dice_extended_plugin.found import Found
from dice_extended_plugin.neighbours import Neighbours
from dice_extended_plugin.random_search import sample_values
from dice_extended_plugin.streams import query_streams

__all__ = ["search"]

_STREAM = 32
#: Rows in a population per counterfactual asked for, as in dice-ml.
POPULATION = 10
#: Rows per counterfactual that lead a population: a diverse set, whose robustness is measured.
_LEADERS = 1
#: Children of a generation as a share of the population.
_CHILDREN = 0.5
#: Most features that the rows near the query start with changed.
_MOST_CHANGES = 4
#: Generations without progress after which a query stops; one that lacks counterfactuals waits
#: ten times as long.
_PATIENCE = 5
#: Calm generations after which a population that is whole turns to robustness.
_SETTLED = 3
#: As _PATIENCE, once robustness counts.
_FIRM_PATIENCE = 3
#: Worse than any counterfactual's loss: rows that are none come after all that are.
_INVALID = 1e6


def search(
    problem: Problem,
    breeding: Breeding,
    neighbours: Neighbours | None = None,
    progress: Callable[[int], object] | None = None,
) -> Found:
    """Search counterfactuals for all queries of a problem.

    Parameters
    ----------
    problem : Problem
    breeding : Breeding
    neighbours : Neighbours, optional
        Where populations start: at the nearest training rows; without it, at random.
    progress : callable, optional
        Told the number of queries finished.

    Returns
    -------
    Found
        ``steps`` counts generations; ``stopped`` is "converged", "stalled", "max_iter" or the
        budget that was spent.
    """
    n, d = problem.x.shape
    found = Found.nothing(n, problem.total_CFs, d)
    size = max(1, problem.max_rows // (POPULATION * problem.total_CFs))
    pool, known = Rows(), []
    for start in range(0, n, size):
        if start and problem.hurry():
            break
        queries = np.arange(start, min(start + size, n))
        run = _Evolution(problem, breeding, queries, found, progress)
        run.start(neighbours)
        run.evolve()
        u, query, stable = run.counterfactuals()
        pool.add(u, query)
        known.append(stable)
    stable = np.concatenate(known) if known else np.empty(0)
    found.u, found.valid = select(problem, *pool.sorted(d), stable)
    return found


class _Evolution:
    """The populations of one chunk of queries, (Q, P, d), best row first."""

    def __init__(
        self,
        problem: Problem,
        breeding: Breeding,
        queries: np.ndarray,
        found: Found,
        progress: Callable[[int], object] | None,
    ) -> None:
        self.problem, self.breeding, self.queries = problem, breeding, queries
        self.found, self.progress = found, progress
        self.x = problem.x[queries]
        self.lower, self.upper = problem.space.bounds(self.x)
        self.streams = query_streams(self.x, problem.random_state, _STREAM)
        n, k = len(queries), problem.total_CFs
        self.size = POPULATION * k
        self.children = max(1, int(_CHILDREN * self.size))
        self.u = np.zeros((n, self.size, self.x.shape[1]))
        self.loss = np.full((n, self.size), np.inf)
        self.met = np.zeros((n, self.size), dtype=bool)
        self.stable = np.full((n, self.size), np.nan)
        # The set each query would return now: its mean loss, and whether it is whole.
        self.set_loss, self.set_whole = np.zeros(n), np.zeros(n, dtype=bool)
        # Whether robustness counts yet: a population first comes near, then firm.
        self.firm = np.zeros(n, dtype=bool)

    def start(self, neighbours: Neighbours | None) -> None:
        """Fill half of the populations with neighbours or random rows, half near the query.

        The near ones change one to four features, since most ways out are short.
        """
        space, half = self.problem.space, self.size // 2
        rows, turn = sample_values(self.streams, self.x, space, self.size)
        few = 1 + np.arange(self.size) % _MOST_CHANGES
        near = turn[..., space.column_feature] < few[:, None]
        rows[:, half:] = np.where(near, rows, self.x[:, None])[:, half:]
        if neighbours is not None:
            u, query = neighbours.between(self.queries, 0, half)
            first = np.searchsorted(query, self.queries)
            rank = np.arange(len(query)) - np.repeat(
                first, np.bincount(query - self.queries[0], minlength=len(self.queries))
            )
            rows[query - self.queries[0], rank] = u
        everyone = np.arange(len(self.queries))
        if self.problem.hurry(*self._next_calls(len(everyone))):
            self.found.stopped[self.queries] = "max_seconds"
            return
        fits = self.problem.budget.affords(self.found.calls[self.queries], 1)
        self.found.stopped[self.queries[~fits]] = "max_model_calls"
        self._compete(everyone[fits], rows[fits])

    def evolve(self) -> None:
        """Breed until every query has stopped."""
        problem, found, breeding = self.problem, self.found, self.breeding
        n, k = len(self.queries), problem.total_CFs
        best, count = np.full(n, np.inf), np.zeros(n, dtype=int)
        calm = np.zeros(n, dtype=int)
        going = np.flatnonzero(found.stopped[self.queries] == "")
        generation = 0
        while len(going):
            loss, whole = self._sets(going)
            number = np.minimum(self.met[going].sum(axis=1), k)
            better = (number > count[going]) | (loss < best[going] - breeding.thresh)
            calm[going] = np.where(better, 0, calm[going] + 1)
            best[going] = np.minimum(loss, best[going])
            count[going] = np.maximum(count[going], number)
            stop = np.full(len(going), "", dtype=object)
            patience = np.where(self.firm[going], _FIRM_PATIENCE, _PATIENCE)
            patience = np.where(whole, patience, 10 * _PATIENCE)
            if problem.preference.robust:
                turn = whole & ~self.firm[going] & (calm[going] >= _SETTLED)
                self.firm[going] |= turn
                best[going[turn]], calm[going[turn]] = np.inf, 0
            done = calm[going] >= patience
            stop[done] = np.where(whole[done], "converged", "stalled")
            if generation >= breeding.max_generations:
                stop[stop == ""] = "max_iter"
            fits = problem.budget.affords(found.calls[self.queries[going]], 2)
            stop[(stop == "") & ~fits] = "max_model_calls"
            if problem.hurry(*self._next_calls(len(going))):
                stop[stop == ""] = "max_seconds"
            found.stopped[self.queries[going]] = stop
            if self.progress is not None and (stop != "").any():
                self.progress(int((stop != "").sum()))
            going = going[stop == ""]
            if len(going) == 0:
                return
            self._generation(going)
            generation += 1
            found.steps[self.queries[going]] += 1

    def _next_calls(self, n_queries: int) -> tuple[int, int]:
        """Rows of a generation's model calls: the children, and the draws of those that lead."""
        children = n_queries * self.children
        if not self.problem.preference.robust:
            return children, 0
        return children, n_queries * _LEADERS * self.problem.total_CFs * len(
            self.problem.bank.noise
        )

    def _generation(self, going: np.ndarray) -> None:
        m = self.problem.space.n_features
        draws = np.stack([self.streams[i].random((self.children, 3 * m + 2)) for i in going])
        children = breed(
            draws,
            self.u[going],
            self.x[going],
            self.lower[going],
            self.upper[going],
            self.problem.space,
            self.breeding,
        )
        self._compete(going, children)

    def _compete(self, going: np.ndarray, rows: np.ndarray) -> None:
        """Judge new rows and keep the best of them and the population."""
        if len(going) == 0:
            return
        problem, x = self.problem, self.x[going][:, None]
        rows = problem.space.project(
            rows, x, self.lower[going][:, None], self.upper[going][:, None]
        )
        u = np.concatenate([self.u[going], rows], axis=1)
        fresh = ~self._repeats(u, np.isfinite(self.loss[going]))[:, self.size :]
        loss, met = self._judge(going, rows, fresh)
        loss = np.concatenate([self.loss[going], loss], axis=1)
        met = np.concatenate([self.met[going], met], axis=1)
        unknown = np.full(rows.shape[:2], np.nan)
        stable = np.concatenate([self.stable[going], unknown], axis=1)
        worth = self._worth(loss, stable)
        diverse = self._shortlist(going, u, worth, met)
        worth[np.arange(len(going))[:, None], diverse] -= np.where(
            np.take_along_axis(met, diverse, 1), 2 * _INVALID, 0.0
        )
        order = np.argsort(worth, axis=1, kind="stable")[:, : self.size]
        self._measure(going, u, met, stable, order[:, : _LEADERS * problem.total_CFs])
        worth = np.take_along_axis(self._worth(loss, stable), order, axis=1)
        order = np.take_along_axis(order, np.argsort(worth, axis=1, kind="stable"), axis=1)
        for kept, new in ((self.loss, loss), (self.met, met), (self.stable, stable)):
            kept[going] = np.take_along_axis(new, order, axis=1)
        self.u[going] = np.take_along_axis(u, order[..., None], axis=1)

    def _judge(
        self, going: np.ndarray, rows: np.ndarray, fresh: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Loss without robustness of each row that is new, and whether it is a counterfactual."""
        problem, owner = self.problem, np.nonzero(fresh)[0]
        query, flat = self.queries[going[owner]], rows[fresh]
        scores = problem.scores(flat, query)
        self.found.calls[self.queries[going]] += 1
        x = problem.x[query]
        met = problem.target.met(scores, query) & problem.legal(flat, query)
        met &= problem.space.changed(flat, x).any(axis=1)
        missing = self._y_loss(scores, query)
        value = missing + cost(flat, x, problem.space, problem.weights, problem.preference)
        value = np.where(met, value, _INVALID + value)
        loss, reached = np.full(fresh.shape, np.inf), np.zeros(fresh.shape, dtype=bool)
        loss[fresh] = value
        reached[fresh] = met & np.isfinite(value)
        return loss, reached

    def _y_loss(self, scores: np.ndarray, query: np.ndarray) -> np.ndarray:
        target, kind = self.problem.target, self.breeding.yloss_type
        if kind == "hinge_loss":
            return np.minimum(target.gap(scores, query), 1e3)
        gate = np.nan_to_num(target.gate(scores, query), nan=0.0)
        return (1.0 - gate) ** 2 if kind == "l2_loss" else -np.log(np.maximum(gate, 1e-9))

    def _repeats(self, u: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Flag rows (Q, P + C, d) that an earlier one of their query equals; (Q, P) are filled."""
        n, size, d = u.shape
        codes = row_codes(u.reshape(-1, d), self.problem.space)
        owner = np.repeat(np.arange(n), size)
        # Empty places never shadow a row.
        filled = np.pad(filled, ((0, 0), (0, size - filled.shape[1])), constant_values=True)
        empty = np.where(filled.reshape(-1), 0.0, 1.0 + np.arange(n * size))
        flags = first_of_each(np.concatenate([codes, owner[:, None], empty[:, None]], axis=1))
        return ~flags.reshape(n, size)

    def _worth(self, loss: np.ndarray, stable: np.ndarray) -> np.ndarray:
        """Loss less robustness; what has not been measured yet may be perfect."""
        preference = self.problem.preference
        if not preference.robust:
            return loss.copy()
        return loss - preference.robustness * np.nan_to_num(stable, nan=1.0)

    def _shortlist(
        self, going: np.ndarray, u: np.ndarray, worth: np.ndarray, met: np.ndarray
    ) -> np.ndarray:
        """Places of a diverse set of counterfactuals; of the first row where there are too few."""
        preference, k = self.problem.preference, self.problem.total_CFs
        near = np.argsort(worth, axis=1, kind="stable")[:, : self.size]
        usable = np.take_along_axis(met, near, axis=1)
        picked = choose(
            np.take_along_axis(u, near[..., None], axis=1),
            -np.take_along_axis(np.where(np.isfinite(worth), worth, 0.0), near, axis=1),
            usable,
            min(_LEADERS * k, near.shape[1]),
            self.problem.weights,
            preference.diversity,
            preference.kernel,
        )
        place = np.take_along_axis(near, np.maximum(picked, 0), axis=1)
        self.set_loss[going], self.set_whole[going] = _set(
            np.take_along_axis(worth, place, axis=1), picked
        )
        return place

    def _measure(
        self,
        going: np.ndarray,
        u: np.ndarray,
        met: np.ndarray,
        stable: np.ndarray,
        head: np.ndarray,
    ) -> None:
        """Write R of the counterfactuals at the places `head` that lack it into `stable`."""
        if not self.problem.preference.robust:
            return
        lacking = np.take_along_axis(met & np.isnan(stable), head, axis=1)
        lacking &= self.firm[going, None]
        fits = self.problem.budget.affords(self.found.calls[self.queries[going]], 1)
        lacking &= fits[:, None]
        who, rank = np.nonzero(lacking)
        if len(who) == 0:
            return
        place = head[who, rank]
        stable[who, place] = robustness(u[who, place], self.queries[going[who]], self.problem)
        self.found.calls[self.queries[going[lacking.any(axis=1)]]] += 1

    def _sets(self, going: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean loss of the set each query would return now, and whether it is whole."""
        preference, firm = self.problem.preference, going[self.firm[going]]
        if len(firm):  # R has been measured since the shortlist was made
            worth = self._worth(self.loss[firm], self.stable[firm])
            finite = np.where(self.met[firm], worth, 0.0)
            picked = choose(
                self.u[firm],
                -finite,
                self.met[firm],
                self.problem.total_CFs,
                self.problem.weights,
                preference.diversity,
                preference.kernel,
            )
            self.set_loss[firm], self.set_whole[firm] = _set(
                np.take_along_axis(finite, np.maximum(picked, 0), axis=1), picked
            )
        return self.set_loss[going], self.set_whole[going]

    def counterfactuals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the counterfactuals of the last populations, by query, with R where measured."""
        who, place = np.nonzero(self.met)
        return self.u[who, place], self.queries[who], self.stable[who, place]


def _set(worth: np.ndarray, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean worth of picked rows, and whether none is missing (-1)."""
    have = picked >= 0
    mean = np.where(have, worth, 0.0).sum(axis=1) / np.maximum(have.sum(axis=1), 1)
    return mean, have.all(axis=1)
