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
    q, i = np.nonzero(draws[:, :, 2 * d + 1] < rates.mutation)
    mutated = (_rest(change[q, i], 64) < min(1.0, rates.mutation_genes / d)) & free[q]
    differs = np.zeros((n_queries, n), dtype=bool)
    differs[:, : 2 * pairs] = np.repeat(crossed.any(axis=2), 2, axis=1)
    differs[q, i] |= mutated.any(axis=1)
    # Work goes into those that are kept only.
    take = np.argsort(~differs, axis=1, kind="stable")[:, :keep]
    child = parents[row, take]
    if pairs:
        hit = crossed[row, np.minimum(take // 2, pairs - 1)]
        hit &= (take < 2 * pairs)[:, :, None]  # a row left over has no pair
        _cross(child, parents, take, np.flatnonzero(hit), lower, upper, rates.eta, draws)
    place = np.full((n_queries, n), -1)
    place[row, take] = np.arange(keep)
    hit, column = np.nonzero(mutated & (place[q, i] >= 0)[:, None])
    q, i = q[hit], i[hit]
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
    take: np.ndarray,
    hit: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    eta: float,
    draws: np.ndarray,
) -> None:
    """Bounded SBX of the genes `hit` (places in `child`), in place.

    `take` names each child's own parent (Qs, keep); the other one is its neighbour.
    """
    d = child.shape[2]
    member, j = np.divmod(hit, d)
    q = member // take.shape[1]
    own = take.reshape(-1)[member]
    one = child.reshape(-1)[hit]
    two = parents.reshape(-1)[(q * parents.shape[1] + (own ^ 1)) * d + j]
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
    child.reshape(-1)[hit] = np.clip(value, low, high)


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
