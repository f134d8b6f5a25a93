"""NSGA-III generations of many queries in lock-step: one model call for each generation."""

from __future__ import annotations

import numpy as np

from art_bridge.evaluation import Evaluator
from art_bridge.pool import Pool
from art_bridge.streams import Streams
from art_bridge.survival import Survival, das_dennis
from art_bridge.variation import draws_needed, vary

__all__ = ["evolve"]

#: How often offspring are drawn; those that do not differ from their parents are left out.
_ATTEMPTS = 3
_ATTEMPTS_WITH_REPLACING = 2


def evolve(
    evaluator: Evaluator,
    pool: Pool,
    streams: Streams,
    query: np.ndarray,
    population: np.ndarray,
    generations: int,
    reserve: int = 0,
    replace: float = 0.0,
) -> None:
    """Let one population per query evolve; every row that is asked for is offered to the pool.

    Parameters
    ----------
    evaluator, pool, streams
        What asks, what keeps, what draws.
    query : ndarray of int, shape (Qs,)
        Queries to work on.
    population : ndarray of shape (Qs, P, d)
        First populations, projected; P is even.
    generations : int
        Number of populations, the first one included.
    reserve : int
        Model rows of each query to leave unused.
    replace : float
        Share of the offspring in which one column takes a value of the training data that lies
        nearer to the query than the best row known.
    """
    options = evaluator.problem.options
    size = population.shape[1]
    fits = evaluator.left(query) >= size + reserve
    query, population = query[fits], population[fits]
    if len(query) == 0 or evaluator.out_of_time:
        return
    answer = evaluator.ask(population, query)
    pool.offer(query, population, answer)
    survival = Survival(das_dennis(3, options.partitions), len(query))
    for _ in range(generations - 1):
        going = evaluator.left(query) >= size + reserve
        if not options.minimal:
            going &= ~evaluator.inside(pool.answer[query, 0], query)
        if not going.all():
            query, population, answer = query[going], population[going], answer[going]
            survival = survival.take(going)
        if len(query) == 0 or evaluator.out_of_time:
            return
        row = np.arange(len(query))[:, None]
        child, known = _offspring(evaluator, streams, query, population, bool(replace))
        if replace:
            child = _replaced(evaluator, pool, streams, query, child, known, replace)
        new = evaluator.ask(child, query)
        pool.offer(query, child, new)
        everyone, answers = np.concatenate([population, child], axis=1), answer.join(new)
        draws = streams.uniform(query, 2, 2 * size).transpose(1, 0, 2)
        keep = survival.select(answers.costs(), size, draws, distinct=True)
        population = everyone[row, keep]
        answer = answers.take(keep)


def _offspring(
    evaluator: Evaluator,
    streams: Streams,
    query: np.ndarray,
    population: np.ndarray,
    replacing: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Offspring (Qs, P, d), and which are no different from their parents in spite of attempts."""
    box, (n, size, d) = evaluator.box, population.shape
    attempts = _ATTEMPTS_WITH_REPLACING if replacing else _ATTEMPTS
    rates, many = evaluator.problem.options.rates, attempts * size
    # Parents are paired by lot, anew in each attempt.
    lot = np.argsort(streams.uniform(query, attempts, size), axis=2).reshape(n, many)
    row = np.arange(n)[:, None]
    parents = population[row, lot]
    draws = streams.uniform(query, *draws_needed(many, d))
    child = vary(parents, box.lower[query], box.upper[query], rates, draws)
    known = (child == parents).all(axis=2)
    take = np.argsort(known, axis=1, kind="stable")[:, :size]
    child = box.project(child[row, take].reshape(-1, d), np.repeat(query, size))
    return child.reshape(n, size, d), known[row, take]


def _replaced(
    evaluator: Evaluator,
    pool: Pool,
    streams: Streams,
    query: np.ndarray,
    child: np.ndarray,
    known: np.ndarray,
    share: float,
) -> np.ndarray:
    """Set one column of some offspring, and of all known ones, to a value that occurs in reach."""
    box, d = evaluator.box, child.shape[2]
    draws = streams.uniform(query, child.shape[1], 3)
    q, i = np.nonzero((draws[:, :, 0] < share) | known)
    column = (draws[q, i, 1] * d).astype(int)
    low, high = evaluator.within(query, pool.answer.distance[query, 0])
    reference = evaluator.problem.reference
    value = reference.value_near(low[q, column], high[q, column], column, draws[q, i, 2])
    here = query[q]
    value = np.where(np.isnan(value), box.x[here, column], value)
    # A level that is switched on switches its group off.
    rows = np.where(box.peers[column], box.lower[here], child[q, i])
    value = np.where(box.grouped[column], box.upper[here, column], value)
    rows[np.arange(len(rows)), column] = value
    child[q, i] = box.project(rows, here)
    return child
