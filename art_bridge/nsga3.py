"""Search counterfactuals of many queries in lock-step; no host is known here.

Three objectives (:mod:`art_bridge.objectives`), NSGA-III (:mod:`art_bridge.survival`), one model
call per generation for all queries. ``mode="faithful"`` is the search of the robustness paper;
``mode="fast"`` finds nearer rows with fewer model rows (:mod:`art_bridge.hybrid`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from art_bridge.box import ArrayBox, Box, SpaceBox
from art_bridge.constraints import Constraints
from art_bridge.evaluation import Evaluator
from art_bridge.evolution import evolve
from art_bridge.hybrid import hybrid
from art_bridge.pool import Pool
from art_bridge.problem import Aim, Options, Problem, SearchResult
from art_bridge.reference import Reference
from art_bridge.streams import Streams

__all__ = [
    "Aim",
    "ArrayBox",
    "Box",
    "Constraints",
    "Options",
    "Problem",
    "Reference",
    "SearchResult",
    "SpaceBox",
    "search",
]

#: The first population: share of copies of the query, and of near rows of the target class; the
#: others are uniform in the box. So many near rows are drawn from (the reference's numbers).
_COPIES, _NEAR, _NEIGHBOURS = 0.125, 0.625, 100
#: Most queries in lock-step: their arrays should stay in the processor's cache.
_MOST_QUERIES = 256


def search(problem: Problem, progress: Callable[[int], object] | None = None) -> SearchResult:
    """Search one counterfactual for each query.

    Parameters
    ----------
    problem : Problem
    progress : callable, optional
        Told the number of queries finished.

    Returns
    -------
    SearchResult
        The same for every way of splitting the queries, unless time runs out.
    """
    started = time.monotonic()
    n = len(problem.target)
    result = SearchResult.nothing(problem.box.x)
    size = problem.options.batch_rows // problem.options.population
    size = max(1, min(_MOST_QUERIES, size))
    limit = problem.options.max_seconds
    for start in range(0, n, size):
        if start and limit is not None and time.monotonic() - started >= limit:
            break
        index = np.arange(start, min(start + size, n))
        result.put(index, _search_chunk(problem.take(index), started))
        if progress is not None:
            progress(len(index))
    return result


def _search_chunk(problem: Problem, started: float) -> SearchResult:
    evaluator = Evaluator(problem, started)
    streams = Streams(problem.box.x, problem.target, problem.random_state)
    # What nothing may change in has no counterfactual.
    query = np.flatnonzero(problem.box.free.any(axis=1))
    if problem.options.mode == "fast":
        pool = hybrid(evaluator, streams, query)
    else:
        pool = Pool(evaluator, 1)
        population = _first_population(evaluator, streams, query)
        evolve(evaluator, pool, streams, query, population, problem.options.generations)
    return pool.result()


def _first_population(evaluator: Evaluator, streams: Streams, query: np.ndarray) -> np.ndarray:
    """Return the reference's first population, given starts in the first places: (Qs, P, d)."""
    problem, box = evaluator.problem, evaluator.box
    size, d = problem.options.population, box.x.shape[1]
    near = problem.reference.nearest(box.x[query], problem.target[query], _NEIGHBOURS)
    count = np.isfinite(near[:, :, 0]).sum(axis=1)
    draws = streams.uniform(query, size, d + 2).astype(np.float64)
    kind, choice, place = draws[:, :, 0], draws[:, :, 1], draws[:, :, 2:]
    lower, upper = box.lower[query][:, None], box.upper[query][:, None]
    population = lower + place * (upper - lower)
    chosen = np.floor(choice * np.maximum(count, 1)[:, None]).astype(int)
    neighbour = near[np.arange(len(query))[:, None], chosen]
    is_near = (kind >= _COPIES) & (kind < _COPIES + _NEAR) & (count > 0)[:, None]
    population = np.where(is_near[:, :, None], neighbour, population)
    population = np.where((kind < _COPIES)[:, :, None], box.x[query][:, None], population)
    if problem.starts is not None:
        given = problem.starts[query][:, :size]
        first = population[:, : given.shape[1]]
        population[:, : given.shape[1]] = np.where(np.isfinite(given), given, first)
    flat = box.project(population.reshape(-1, d), np.repeat(query, size))
    return flat.reshape(len(query), size, d)
