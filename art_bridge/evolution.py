"""NSGA-III generations of many queries in lock-step: one model call for each generation."""

from __future__ import annotations

import numpy as np

from art_bridge.evaluation import Evaluator
from art_bridge.pool import Pool
from art_bridge.streams import Streams
from art_bridge.survival import Survival, das_dennis
from art_bridge.variation import Rates, draws_needed, vary

__all__ = ["evolve"]

#: How often offspring are drawn for one that is kept; those no different from their parents are
#: left out first.
_ATTEMPTS = 3
_ATTEMPTS_WITH_REPLACING = 1


def evolve(
    evaluator: Evaluator,
    pool: Pool,
    streams: Streams,
    query: np.ndarray,
    population: np.ndarray,
    generations: int,
    reserve: int | np.ndarray = 0,
    replace: float = 0.0,
    brood: int = 1,
    rates: Rates | None = None,
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
    reserve : int or ndarray of int, shape (Qs,)
        Model rows of each query to leave unused.
    replace : float
        Share of the offspring in which one column goes just beyond a cut of the training data
        that lies nearer to the query than the best row known.
    brood : int
        Offspring for each member of the population.
    rates : Rates, optional
        Of crossover and mutation; by default those of the options.
    """
    options = evaluator.problem.options
    size = population.shape[1]
    kept = np.broadcast_to(reserve, len(query))
    fits = evaluator.left(query) >= size + kept
    query, population, kept = query[fits], population[fits], kept[fits]
    if len(query) == 0 or evaluator.out_of_time:
        return
    answer = evaluator.ask(population, query)
    pool.offer(query, population, answer)
    costs, survival = answer.costs(), Survival(das_dennis(3, options.partitions), len(query))
    for _ in range(generations - 1):
        going = evaluator.left(query) >= brood * size + kept
        if not options.minimal:
            going &= ~evaluator.inside(pool.answer[query, 0], query)
        if not going.all():
            query, population, costs = query[going], population[going], costs[going]
            kept, survival = kept[going], survival.take(going)
        if len(query) == 0 or evaluator.out_of_time:
            return
        draws = _Draws(streams, query, size, brood, population.shape[2], bool(replace))
        child, known = _offspring(evaluator, query, population, rates or options.rates, draws)
        if replace:
            _replace(evaluator, pool, query, child, known, draws.column, replace)
        child = evaluator.box.project_rows(child, query)
        new = evaluator.ask(child, query)
        pool.offer(query, child, new)
        everyone = np.concatenate([population, child], axis=1)
        costs = np.concatenate([costs, new.costs()], axis=1)
        row = np.arange(len(query))[:, None]
        keep = survival.select(costs, size, draws.survival, distinct=True)
        population, costs = everyone[row, keep], costs[row, keep]


class _Draws:
    """The random numbers of one generation, drawn at once.

    Attributes
    ----------
    lot : (Qs, attempts, P), variation : (Qs, n, 2 d + 2), column : (Qs, P brood, 3)
    survival : (2, Qs, P + P brood)
    """

    def __init__(
        self, streams: Streams, query: np.ndarray, size: int, brood: int, d: int, replacing: bool
    ) -> None:
        attempts = brood * (_ATTEMPTS_WITH_REPLACING if replacing else _ATTEMPTS)
        many, n = attempts * size, len(query)
        shapes = [
            (attempts, size),
            draws_needed(many, d),
            (brood * size if replacing else 0, 3),
            (2, size + brood * size),
        ]
        counts = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        drawn = streams.uniform(query, int(counts[-1]))
        self.lot, self.variation, self.column, survival = (
            drawn[:, begin:end].reshape(n, *shape)
            for begin, end, shape in zip(counts[:-1], counts[1:], shapes, strict=True)
        )
        self.survival = survival.transpose(1, 0, 2)


def _offspring(
    evaluator: Evaluator,
    query: np.ndarray,
    population: np.ndarray,
    rates: Rates,
    draws: _Draws,
) -> tuple[np.ndarray, np.ndarray]:
    """Offspring (Qs, P brood, d), not projected, and which are no different from their parents."""
    box, n = evaluator.box, len(query)
    # Parents are paired by lot, anew in each attempt.
    lot = np.argsort(draws.lot, axis=2).reshape(n, -1)
    parents = population[np.arange(n)[:, None], lot]
    keep = draws.survival.shape[2] - population.shape[1]
    return vary(parents, box.lower[query], box.upper[query], rates, draws.variation, keep)


def _replace(
    evaluator: Evaluator,
    pool: Pool,
    query: np.ndarray,
    child: np.ndarray,
    known: np.ndarray,
    draws: np.ndarray,
    share: float,
) -> None:
    """Set one column of some offspring, and of all known ones, just beyond a cut in reach."""
    box, d = evaluator.box, child.shape[2]
    q, i = np.nonzero((draws[:, :, 0] < share) | known)
    column = (draws[q, i, 1] * d).astype(int)
    low, high = evaluator.within(query, pool.reach(query))
    reference = evaluator.problem.reference
    value = reference.value_near(low, high, box.x[query], (q, column), draws[q, i, 2])
    here = query[q]
    value = np.where(np.isnan(value), box.x[here, column], value)
    if box.grouped.any():
        # A level that is switched on switches its group off.
        child[q, i] = np.where(box.peers[column], box.lower[here], child[q, i])
        value = np.where(box.grouped[column], box.upper[here, column], value)
    child[q, i, column] = value
