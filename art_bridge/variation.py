"""Crossover and mutation of many populations at once.

Bounded simulated binary crossover and bounded polynomial mutation (Deb and Agrawal 1995; Deb and
Goyal 1996), each worked out only for the genes that change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Rates", "draws_needed", "vary"]

_SAME = 1e-14


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
    parents: np.ndarray, lower: np.ndarray, upper: np.ndarray, rates: Rates, draws: np.ndarray
) -> np.ndarray:
    """Cross neighbouring parents, then mutate.

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

    Returns
    -------
    ndarray of shape (Q, n, d)
    """
    d = parents.shape[2]
    child = parents.copy()
    free = (upper - lower) > 0
    change, amount = draws[:, :, :d], draws[:, :, d : 2 * d]
    _cross(child, lower, upper, free, rates, change, amount, draws[:, :, 2 * d])
    chance = min(1.0, rates.mutation_genes / d)
    mutated = np.nonzero(draws[:, :, 2 * d + 1] < rates.mutation)
    hit = (_rest(change[mutated], 64) < chance) & free[mutated[0]]
    row, column = np.nonzero(hit)
    q, i = mutated[0][row], mutated[1][row]
    _mutate(child, lower, upper, (q, i, column), _rest(amount[q, i, column], 4096), rates.eta)
    return child


def _rest(draw: np.ndarray, parts: int) -> np.ndarray:
    """Return where in its part of [0, 1) a number lies: uniform, and independent of the part."""
    scaled: np.ndarray = draw * parts
    return scaled - np.floor(scaled)


def _cross(
    child: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    free: np.ndarray,
    rates: Rates,
    change: np.ndarray,
    amount: np.ndarray,
    pair_draw: np.ndarray,
) -> None:
    """Bounded SBX of the rows 2i and 2i + 1, in place."""
    pairs = child.shape[1] // 2
    query, pair = np.nonzero(pair_draw[:, 0 : 2 * pairs : 2] < rates.crossover)
    one, two = child[query, 2 * pair], child[query, 2 * pair + 1]
    hit = change[query, 2 * pair] < rates.crossover_gene
    row, j = np.nonzero(hit & free[query] & (np.abs(one - two) > _SAME))
    q, i = query[row], 2 * pair[row]
    a, b = one[row, j], two[row, j]
    small, large = np.minimum(a, b), np.maximum(a, b)
    low, high, u = lower[q, j], upper[q, j], amount[q, i, j].astype(np.float64)
    gap, power = large - small, 1.0 / (rates.eta + 1.0)

    def spread(room: np.ndarray) -> np.ndarray:
        alpha = 2.0 - (1.0 + 2.0 * np.maximum(room, 0.0) / gap) ** -(rates.eta + 1.0)
        base = np.where(u <= 1.0 / alpha, u * alpha, 1.0 / np.maximum(2.0 - u * alpha, 1e-300))
        return base**power

    first = np.clip(0.5 * (small + large - spread(small - low) * gap), low, high)
    second = np.clip(0.5 * (small + large + spread(high - large) * gap), low, high)
    # The other parent's draw is free to tell which child gets which value.
    turned = change[q, i + 1, j] < 0.5
    child[q, i, j] = np.where(turned, second, first)
    child[q, i + 1, j] = np.where(turned, first, second)


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
