"""One batched optimiser for all queries and counterfactuals (torch).

Every step costs one forward and one backward pass over queries x counterfactuals x noise draws.
Queries do not influence each other: a query leaves the batch when it has converged, and the result
for it is the same in any batch. That holds because each query's numbers go through the same
operations in double precision, and because gradients are rounded before they are used, which
removes the last-digit differences between batch shapes before a step could amplify them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dice_extended_plugin.descent import RESTARTS, Descent, Problem
from dice_extended_plugin.found import Found
from dice_extended_plugin.starts import near_starts, random_starts

__all__ = ["Problem", "optimise"]


def optimise(
    problem: Problem,
    max_rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> Found:
    """Search counterfactuals for all queries of a problem.

    Parameters
    ----------
    problem : Problem
    max_rows : int
        Most rows in one model call; queries are worked through in chunks of that size.
    progress : callable, optional
        Told the number of queries finished.

    Returns
    -------
    Found
    """
    if problem.options.algorithm == "RandomInitCF":
        return _independent(problem, max_rows, progress)
    k = problem.total_CFs
    found = Found.nothing(len(problem.x), k, problem.x.shape[1])
    size = max(1, max_rows // (k * problem.objective.rows_per_counterfactual))
    open_ = _open(problem)
    for start in range(0, len(open_), size):
        if start and problem.budget.out_of_time():
            break
        rows = open_[start : start + size]
        _search(problem, found, rows)
        if progress is not None:
            progress(len(rows))
    return found


def _open(problem: Problem) -> np.ndarray:
    """Return the queries for which rules and ranges leave anything to search."""
    return np.flatnonzero([not why for why in problem.space.contradictions(problem.x)])


def _search(problem: Problem, found: Found, rows: np.ndarray) -> None:
    """Descend from the starts asked for, then from random ones for queries that lack rows."""
    descent, k = Descent(problem, found), problem.total_CFs
    if problem.options.init_near_query_instance:
        descent.run(rows, near_starts(problem.x[rows], k))
    else:
        descent.run(rows, _random(problem, rows, k, 0))
    for again in range(RESTARTS):
        rows = rows[~found.valid[rows].all(axis=1)]
        rows = rows[problem.budget.affords(found.calls[rows], 2)]
        if len(rows) == 0 or problem.budget.out_of_time():
            return
        descent.run(rows, _random(problem, rows, k, 1 + again))


def _random(problem: Problem, rows: np.ndarray, k: int, run: int) -> np.ndarray:
    return random_starts(problem.x[rows], problem.space, k, problem.random_state, run)


def _independent(
    problem: Problem, max_rows: int, progress: Callable[[int], object] | None
) -> Found:
    """RandomInitCF: k searches of one counterfactual each, in the same batch."""
    k, (n, d) = problem.total_CFs, problem.x.shape
    owner = np.repeat(np.arange(n), k)
    many = replace(problem, x=problem.x[owner], target=problem.target[owner])
    starts = _random(problem, np.arange(n), k, 0).reshape(-1, 1, d)
    found = Found.nothing(len(owner), 1, d)
    size = max(1, max_rows // problem.objective.rows_per_counterfactual // k) * k
    open_ = _open(many)
    for start in range(0, len(open_), size):
        rows = open_[start : start + size]
        Descent(many, found).run(rows, starts[rows])
        if progress is not None:
            progress(len(rows) // k)
    by_query = (n, k)
    return Found(
        u=found.u.reshape(n, k, d),
        valid=found.valid.reshape(by_query),
        loss=found.loss.reshape(by_query).mean(axis=1),
        steps=found.steps.reshape(by_query).max(axis=1),
        calls=found.calls.reshape(by_query).max(axis=1),
        stopped=found.stopped.reshape(by_query)[:, 0],
    )
