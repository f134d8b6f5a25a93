"""Counterfactuals among the training rows: the nearest that have what is wanted.

The training table is predicted once and one kd-tree is built per target, however many queries and
calls there are. What is kept between calls depends on the table, the model, the target and the
distance alone, never on a call's constraints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from dice_extended_plugin.candidates import POOL, Problem, Rows, select
from dice_extended_plugin.distinct import distinct, first_of_each, row_codes
from dice_extended_plugin.found import Found
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.targets import ClassTarget, Target

__all__ = ["Neighbours", "TrainingSet", "search"]

#: Trees kept; the oldest goes first.
_MOST_TREES = 32
#: Training rows asked about again in every call, to notice a model that was trained on.
_PROBES = 32


@dataclass
class TrainingSet:
    """The distinct rows of a training table, with the model's scores; remembers its trees.

    Parameters
    ----------
    u : ndarray of shape (N, d)
        Encoded rows.
    index : ndarray of shape (N,)
        What the table calls them.
    """

    u: np.ndarray
    index: np.ndarray

    def __post_init__(self) -> None:
        self._scores: dict[Any, np.ndarray] = {}
        self._trees: dict[Any, tuple[cKDTree, np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the rows; the rest is made again when it is needed."""
        return {"u": self.u, "index": self.index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.u, self.index = state["u"], state["index"]
        self.__post_init__()

    @classmethod
    def read(cls, data: Any, space: Any) -> TrainingSet:
        """Encode the table of a dice-ml data object."""
        u = space.encode(data.data_df[list(space.names)])
        first, _ = distinct(row_codes(u, space))
        return cls(u[first], data.data_df.index.to_numpy()[first])

    def known(self, model: NativeScores) -> bool:
        """Tell whether the model's scores are at hand."""
        return model.writer.signature in self._scores

    def scores(self, model: NativeScores) -> np.ndarray:
        """Return the model's scores of every row, (N, C), asked for once.

        A model that answers otherwise than before was trained on: everything kept is dropped.
        """
        key = model.writer.signature
        known = self._scores.get(key)
        if known is not None:
            probe = np.linspace(0, len(self.u) - 1, min(_PROBES, len(self.u))).astype(int)
            if np.allclose(model(self.u[probe], None), known[probe], atol=1e-5):
                return known
            self._scores, self._trees = {}, {}
        fresh = model(self.u, None)
        self._scores[key] = fresh
        return fresh

    def tree(
        self, model: NativeScores, target: Target, query: int, weights: np.ndarray
    ) -> tuple[cKDTree | None, np.ndarray]:
        """Return the tree over the rows that reach a query's target, and their places.

        The metric is DiCE's proximity: L1, columns weighted. None where no row reaches it.
        """
        scores = self.scores(model)
        key = (model.writer.signature, _name(target, query), weights.tobytes())
        if key not in self._trees:
            own = target[np.array([query])]
            place = np.flatnonzero(own.met(scores, np.zeros(len(scores), dtype=int)))
            tree = cKDTree(self.u[place] * weights) if len(place) else None
            trees = {**self._trees, key: (tree, place)}
            self._trees = dict(list(trees.items())[-_MOST_TREES:])  # one step: threads share it
            return tree, place
        return self._trees[key]


def _name(target: Target, query: int) -> tuple[Any, ...]:
    """Return what tells a query's target from others."""
    if isinstance(target, ClassTarget):
        return ("class", int(target.index[query]), float(target.least[query]))
    return ("range", repr(target))


class Neighbours:
    """Nearest training rows of each query, farther and farther away.

    Parameters
    ----------
    problem : Problem
    training : TrainingSet
    model : NativeScores
    """

    def __init__(self, problem: Problem, training: TrainingSet, model: NativeScores) -> None:
        self.problem, self.training = problem, training
        names: dict[Any, int] = {}
        self.trees: list[tuple[cKDTree | None, np.ndarray]] = []
        self.group = np.empty(len(problem.x), dtype=int)
        for query in range(len(problem.x)):
            name = _name(problem.target, query)
            if name not in names:
                names[name] = len(self.trees)
                self.trees.append(training.tree(model, problem.target, query, problem.weights))
            self.group[query] = names[name]

    def size(self, queries: np.ndarray) -> np.ndarray:
        """Return the number of training rows that reach each query's target."""
        return np.array([len(place) for _, place in self.trees])[self.group[queries]]

    def nearest(self, u: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Return what the training table calls the row nearest to each counterfactual.

        Parameters
        ----------
        u : ndarray of shape (n, d)
        query : ndarray of int, shape (n,)
            Only rows that reach its target count; each query here has some.
        """
        names = np.empty(len(u), dtype=self.training.index.dtype)
        for number, (tree, place) in enumerate(self.trees):
            mine = np.flatnonzero(self.group[query] == number)
            if tree is not None and len(mine):
                _, near = tree.query(u[mine] * self.problem.weights, p=1)
                names[mine] = self.training.index[place[near]]
        return names

    def between(self, queries: np.ndarray, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the neighbours from rank `start` to `stop`, as each query may use them.

        Returns
        -------
        u : ndarray of shape (n, d)
            Projected: features that may not change are the query's own.
        query : ndarray of int, shape (n,)
            By query, nearest first.
        """
        rows, owners = [], []
        for number, (tree, place) in enumerate(self.trees):
            mine = queries[self.group[queries] == number]
            ranks = np.arange(start + 1, min(stop, len(place)) + 1)
            if tree is None or len(mine) == 0 or len(ranks) == 0:
                continue
            _, near = tree.query(self.problem.x[mine] * self.problem.weights, k=ranks, p=1)
            rows.append(self.training.u[place[near]].reshape(-1, self.problem.x.shape[1]))
            owners.append(np.repeat(mine, len(ranks)))
        if not rows:
            return np.empty((0, self.problem.x.shape[1])), np.empty(0, dtype=int)
        u, query = np.concatenate(rows), np.concatenate(owners)
        x = self.problem.x[query]
        u = self.problem.space.project(u, x, *self.problem.space.bounds(x))
        order = np.argsort(query, kind="stable")
        return u[order], query[order]


def search(
    problem: Problem, neighbours: Neighbours, progress: Callable[[int], object] | None = None
) -> Found:
    """Search counterfactuals for all queries of a problem among the training rows.

    Where constraints void a query's nearest rows, it looks farther, in growing steps, up to the
    whole table.

    Returns
    -------
    Found
        ``stopped`` is "converged" where k were found, else "stalled" or the budget that was spent;
        ``steps`` counts looks.
    """
    n, d = problem.x.shape
    found = Found.nothing(n, problem.total_CFs, d)
    k, space = problem.total_CFs, problem.space
    pool, count = Rows(), np.zeros(n, dtype=int)
    seen: list[np.ndarray] = []
    going = np.arange(n)
    start, stop = 0, POOL * k
    while len(going):
        fits = problem.budget.affords(found.calls[going], 1)
        found.stopped[going[~fits]] = "max_model_calls"
        going = going[fits]
        if problem.hurry(len(going) * (stop - start)):
            found.stopped[going] = "max_seconds"
            break
        size = max(1, problem.max_rows // (stop - start))
        for first in range(0, len(going), size):
            u, query = neighbours.between(going[first : first + size], start, stop)
            fresh = space.changed(u, problem.x[query]).any(axis=1) & problem.legal(u, query)
            codes = np.concatenate([row_codes(u, space), query[:, None]], axis=1)
            known = np.concatenate([*seen, codes])
            fresh &= first_of_each(known)[len(known) - len(codes) :]
            u, query = u[fresh], query[fresh]
            if stop < len(neighbours.training.u):
                seen.append(codes[fresh])
            good = problem.met(u, query)
            pool.add(u[good], query[good])
            count += np.bincount(query[good], minlength=n)
        found.calls[going] += 1
        found.steps[going] += 1
        done = (count[going] >= k) | (neighbours.size(going) <= stop)
        if progress is not None:
            progress(int(done.sum()))
        found.stopped[going[done]] = "stalled"
        going = going[~done]
        start, stop = stop, 4 * stop
    found.u, found.valid = select(problem, *pool.sorted(d))
    found.stopped[found.valid.all(axis=1)] = "converged"
    found.origin = np.zeros(found.valid.shape, dtype=neighbours.training.index.dtype)
    owner, _ = np.nonzero(found.valid)
    found.origin[found.valid] = neighbours.nearest(found.u[found.valid], owner)
    return found
