"""Regeneration stability: whether a slightly moved query gets the same advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace

__all__ = ["Stability", "matching", "moved_queries", "regeneration_stability", "tokens"]

#: Explain queries with a seed: ``explain(frame, random_state)`` -> one table per query.
Explain = Callable[[pd.DataFrame, int], Sequence[pd.DataFrame]]


class Stability(NamedTuple):
    """Stability of each query's set, shape (Q,), in [0, 1].

    Attributes
    ----------
    regeneration : ndarray
        Same seed, moved query; NaN where nothing could be compared.
    seeds : ndarray
        Same query, other seeds: the reference. 1 for a method without randomness.
    compared : ndarray of int
        Moved queries with the query's own label, out of the number asked for.
    """

    regeneration: np.ndarray
    seeds: np.ndarray
    compared: np.ndarray


def tokens(u: np.ndarray, x: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Read what each counterfactual tells its reader to do.

    Returns
    -------
    ndarray of bool, shape (n, 2 * n_continuous + levels)
        Tokens (feature, up), (feature, down) and (feature, new level).
    """
    n = space.n_continuous
    changed = space.changed(u, x)
    up = changed[:, :n] & (u[:, :n] > x[:, :n])
    down = changed[:, :n] & (u[:, :n] < x[:, :n])
    new = (u[:, n:] > 0.5) & changed[:, space.column_feature[n:]]
    return np.concatenate([up, down, new], axis=1)


def matching(a: np.ndarray, b: np.ndarray) -> float:
    """Mean Dice coefficient of two sets of counterfactuals, matched as well as can be.

    Higher is better; range [0, 1]. A row without a partner counts 0.

    Parameters
    ----------
    a, b : ndarray of bool, shape (k, T) and (l, T)
        Token sets.

    Returns
    -------
    float
        NaN if both sets are empty.
    """
    if max(len(a), len(b)) == 0:
        return float("nan")
    size = a.sum(1)[:, None] + b.sum(1)[None, :]
    common = a.astype(float) @ b.astype(float).T
    # Two rows that change nothing give the same advice.
    dice = np.where(size > 0, 2.0 * common / np.maximum(size, 1), 1.0)
    row, column = linear_sum_assignment(dice, maximize=True)
    return float(dice[row, column].sum() / max(len(a), len(b)))


def moved_queries(
    x: np.ndarray, space: FeatureSpace, noise: NoiseModel, n_draws: int, random_state: int
) -> np.ndarray:
    """Disturb queries in every feature and write them down, (Q, d) -> (n_draws, Q, d).

    Values are rounded as the data is; constraints of the space do not hold for a query.
    """
    free = replace(space, vary=np.ones(space.n_features, dtype=bool))
    bank = noise.held_out(free, n_draws, random_state)
    moved = replace(noise, scope="all").perturb(x, x, free, bank)
    lower, upper = np.zeros_like(x), np.ones_like(x)
    n = space.n_continuous
    lower[:, :n], upper[:, :n] = np.minimum(x[:, :n], 0.0), np.maximum(x[:, :n], 1.0)
    return free.project(moved, x, lower, upper)


def regeneration_stability(
    explain: Explain,
    queries: pd.DataFrame,
    space: FeatureSpace,
    labels: Callable[[np.ndarray], np.ndarray],
    noise: NoiseModel,
    n_draws: int = 5,
    random_state: int = 0,
) -> Stability:
    """Compare the advice for queries with that for slightly moved ones.

    Higher is better; range [0, 1]. Read `regeneration` beside `seeds`: what a method varies by
    chance alone cannot be held against the move.

    Parameters
    ----------
    explain : callable
        ``explain(frame, random_state)`` -> one table of counterfactuals per query, possibly empty.
    queries : DataFrame of Q rows
    labels : callable
        ``(n, d) -> (n,)`` labels of the model for encoded rows.
    noise : NoiseModel
        The move; its scope is not used, every feature moves.
    n_draws : int, default 5
        Moved copies of each query, and other seeds.
    random_state : int, default 0
        Seed of the explanations being compared, and of the moves.

    References
    ----------
    Methods page, definition (d).
    """
    x = space.encode(queries)
    first = _token_sets(explain(queries, random_state), x, space)
    seeds = np.array(
        [
            _match(first, _token_sets(explain(queries, random_state + 1 + i), x, space))
            for i in range(n_draws)
        ]
    ).reshape(n_draws, len(x))
    moved = moved_queries(x, space, noise, n_draws, random_state)
    own = labels(x)
    near = np.full((n_draws, len(x)), np.nan)
    for i in range(n_draws):
        same = np.flatnonzero(labels(moved[i]) == own)
        if len(same):
            frame = space.decode(moved[i][same], x[same], queries.iloc[same].reset_index(drop=True))
            # Encoded afresh: as written, a value differs from its code in the last digits.
            sets = _token_sets(explain(frame, random_state), space.encode(frame), space)
            near[i, same] = _match([first[j] for j in same], sets)
    return Stability(_mean(near), _mean(seeds), np.isfinite(near).sum(axis=0))


def _token_sets(
    tables: Sequence[pd.DataFrame], x: np.ndarray, space: FeatureSpace
) -> list[np.ndarray]:
    sets = []
    for table, row in zip(tables, x, strict=True):
        u = space.encode(table) if table is not None and len(table) else np.empty((0, len(row)))
        sets.append(tokens(u, np.broadcast_to(row, u.shape), space))
    return sets


def _match(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> list[float]:
    return [matching(p, q) for p, q in zip(a, b, strict=True)]


def _mean(values: np.ndarray) -> np.ndarray:
    """Column means over what is there; NaN where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
