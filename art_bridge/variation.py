"""Crossover and mutation of many populations at once.

Bounded simulated binary crossover and bounded polynomial mutation (Deb and Agrawal 1995; Deb and
Goyal 1996), each worked out only for the genes that change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Rates", "draws_needed", "vary"]


@dataclass(frozen=True)
class Rates:
    """How often and how far offspring differ from their parents (defaults: the paper's).

    Parameters
    ----------
    crossover : float
        Share of the pairs that are crossed.
    crossover_gene : float
        Share of the columns of a crossed pair.
    mutation : float
        Share of the offspring that are mutated.
    mutation_genes : float
        Columns of a mutated row that change, on average.
    eta : float
        Distribution index of both; higher stays closer to the parents.
    """

    crossover: float = 0.6
    crossover_gene: float = 0.5
    mutation: float = 0.4
    mutation_genes: float = 1.0
    eta: float = 20.0


def draws_needed(n: int, d: int) -> tuple[int, int]:
    """Return the shape of the random numbers that :func:`vary` takes for n rows of d columns."""
    return n, 2 * d + 2


def vary(
    parents: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    rates: Rates,
    draws: np.ndarray,
    keep: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Cross neighbouring parents, then mutate; keep those that differ from their parents first.

    Parameters
    ----------
    parents : ndarray of shape (Q, n, d)
        Rows 2i and 2i + 1 are a pair.
    lower, upper : ndarray of shape (Q, d)
        Bounds of each population.
    rates : Rates
    draws : ndarray of shape (Q, n, 2 d + 2)
        Uniform random numbers in [0, 1), float32. Of each column's two the first tells whether the
        column changes, the second by how much; their leading bits serve the crossover, the others
        the mutation.
    keep : int
        How many offspring are wanted, at most n.

    Returns
    -------
    child : ndarray of shape (Q, keep, d)
    known : ndarray of bool, shape (Q, keep)
        Which do not differ.
    """
    n_queries, n, d = parents.shape
    row, pairs = np.arange(n_queries)[:, None], n // 2
    free = upper > lower
    change, two = draws[:, :, :d], slice(0, 2 * pairs, 2)
    crossed = parents[:, two] != parents[:, 1 : 2 * pairs : 2]
    crossed &= change[:, two] < rates.crossover_gene
    crossed &= (draws[:, two, 2 * d] < rates.crossover)[:, :, None] & free[:, None]
    pair, gene = np.divmod(np.flatnonzero(crossed), d)
    whose, pair = np.divmod(pair, max(pairs, 1))
    q, i = np.nonzero(draws[:, :, 2 * d + 1] < rates.mutation)
    mutated = (_rest(change[q, i], 64) < min(1.0, rates.mutation_genes / d)) & free[q]
    hit, column = np.nonzero(mutated)
    q, i = q[hit], i[hit]
    differs = np.zeros((n_queries, n), dtype=bool)
    differs[whose, 2 * pair] = differs[whose, 2 * pair + 1] = True
    differs[q, i] = True
    # Work goes into those that are kept only.
    take = np.argsort(~differs, axis=1, kind="stable")[:, :keep]
    child = parents[row, take]
    place = np.full((n_queries, n), -1)
    place[row, take] = np.arange(keep)
    # Both of a pair, the first ones first.
    whose, gene = np.tile(whose, 2), np.tile(gene, 2)
    own = np.concatenate([2 * pair, 2 * pair + 1])
    _cross(child, parents, (whose, own, gene), place, lower, upper, rates.eta, draws)
    kept = place[q, i] >= 0
    q, i, column = q[kept], i[kept], column[kept]
    step = _rest(draws[q, i, d + column], 4096)
    _mutate(child, lower, upper, (q, place[q, i], column), step, rates.eta)
    return child, ~differs[row, take]


def _rest(draw: np.ndarray, parts: int) -> np.ndarray:
    """Return where in its part of [0, 1) a number lies: uniform, and independent of the part."""
    scaled: np.ndarray = draw * parts
    return scaled - np.floor(scaled)


def _cross(
    child: np.ndarray,
    parents: np.ndarray,
    where: tuple[np.ndarray, ...],
    place: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    eta: float,
    draws: np.ndarray,
) -> None:
    """Bounded SBX of some genes, in place.

    `where` names population, parent and column of each gene, `place` (Q, n) the child that starts
    as the parent, -1 for none. The other parent is the neighbour.
    """
    d = child.shape[2]
    at = place[where[:2]]
    if (at < 0).any():
        kept = at >= 0
        where, at = tuple(index[kept] for index in where), at[kept]
    q, own, j = where
    member = (q * parents.shape[1] + own) * d + j
    one = parents.reshape(-1)[member]
    two = parents.reshape(-1)[member + np.where(own & 1, -d, d)]
    bound = q * d + j
    low, high = lower.reshape(-1)[bound], upper.reshape(-1)[bound]
    # The first of a pair draws how far; the other's draw is free to tell who gets which side.
    far = draws[q, own & ~1, d + j].astype(np.float64)
    upward = (draws[q, own | 1, j] < 0.5) ^ (own & 1 == 1)
    small, large = np.minimum(one, two), np.maximum(one, two)
    gap = large - small
    room = np.where(upward, high - large, small - low)
    alpha = 2.0 - (1.0 + 2.0 * np.maximum(room, 0.0) / gap) ** -(eta + 1.0)
    # Deb's two branches in one: u α, and the reciprocal of 2 - u α where that is above 1.
    beyond = 1.0 - far * alpha
    spread = (1.0 - np.abs(beyond)) ** np.copysign(1.0 / (eta + 1.0), beyond)
    value = 0.5 * (small + large + np.where(upward, spread, -spread) * gap)
    child[q, at, j] = np.clip(value, low, high)


def _mutate(
    child: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    where: tuple[np.ndarray, ...],
    draw: np.ndarray,
    eta: float,
) -> None:
    """Bounded polynomial mutation, in place."""
    q, i, j = where
    value, low, high = child[q, i, j], lower[q, j], upper[q, j]
    u, width, power = draw.astype(np.float64), high - low, 1.0 / (eta + 1.0)
    below, above = (value - low) / width, (high - value) / width
    falls = 2.0 * u + (1.0 - 2.0 * u) * (1.0 - np.clip(below, 0, 1)) ** (eta + 1.0)
    rises = 2.0 * (1.0 - u) + 2.0 * (u - 0.5) * (1.0 - np.clip(above, 0, 1)) ** (eta + 1.0)
    step = np.where(u < 0.5, falls**power - 1.0, 1.0 - rises**power)
    child[q, i, j] = np.clip(value + step * width, low, high)
