"""A move for every model: sweep single features, add up their effects, solve for the nearest row.

Around a base row the model is asked for single-feature changes within the reach that could still
improve. In log-odds their effects roughly add (exactly so for additive models), so the nearest row
that should cross the border is a separable problem: each feature takes the value with the best
trade of effect against distance, at one price for all. Rows at several prices around the predicted
crossing are then asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from art_bridge.evaluation import Evaluator
from art_bridge.moves import Rows, ask_rows, project

__all__ = ["additive_step"]

#: Prices tried, from high (few changes) to low, relative to the steepest effect.
_PRICES = np.geomspace(3.0, 3e-3, 24)
#: Rows asked for around the predicted crossing: so many prices before it and after it.
_BEFORE, _AFTER = 3, 5
#: Probabilities closer to 0 or 1 than this are not told apart.
_LEAST = 2.0**-20


@dataclass(frozen=True)
class _Sweep:
    """Single-feature changes of a base row, v values of each of d columns.

    Attributes
    ----------
    rows : Rows of shape (Qs, v * d)
    taken : ndarray of shape (Qs, v, d)
        Value of the column.
    effect : ndarray of shape (Qs, v, d)
        Change of the log-odds; -inf where it was not asked.
    cost : ndarray of shape (Qs, v, d)
        What the feature then adds to the distance (to its square for the L2 norm).
    """

    rows: Rows
    taken: np.ndarray
    effect: np.ndarray
    cost: np.ndarray


def additive_step(
    evaluator: Evaluator, base: Rows, reach: np.ndarray, points: int, place: np.ndarray
) -> Rows:
    """Return rows that should be nearer, asked for, from one base row of each query.

    Parameters
    ----------
    base : Rows of shape (Qs, 1)
        Rows with a known probability, inside or not.
    reach : ndarray of shape (Qs,)
        Largest distance that is of interest.
    points : int
        Values of each column.
    place : ndarray of shape (Qs,)
        In [0, 1): shifts the values between rounds.

    Returns
    -------
    Rows of shape (Qs, 8 + (points + 1) * d)
        Combinations, and the single-feature changes.
    """
    swept = _sweep(evaluator, base, reach, points, place)
    level = np.maximum(evaluator.aim.probability[base.query], 0.5)
    need = _log_odds(level) - _log_odds(base.answer.probability[:, 0])
    found = ask_rows(evaluator, base.query, _combine(evaluator, base.query, swept, need))
    return Rows(
        base.query,
        np.concatenate([found.u, swept.rows.u], axis=1),
        found.answer.join(swept.rows.answer),
        np.concatenate([found.inside, swept.rows.inside], axis=1),
    )


def _sweep(
    evaluator: Evaluator, base: Rows, reach: np.ndarray, points: int, place: np.ndarray
) -> _Sweep:
    box, query, start = evaluator.box, base.query, base.u[:, 0]
    own, d, column = box.x[query], box.x.shape[1], np.arange(box.x.shape[1])
    values = _values(evaluator, query, reach, points, place)
    n, v = values.shape[:2]
    u = np.broadcast_to(start[:, None, None], (n, v, d, d)).copy()
    if box.grouped.any():
        u = np.where(box.peers, box.lower[query][:, None, None], u)
    u[:, :, column, column] = values
    u = project(evaluator, u.reshape(n, v * d, d), query).reshape(n, v, d, d)
    taken = u[:, :, column, column]
    new = np.isfinite(values) & (u != start[:, None, None]).any(axis=3)
    new[:, 1:] &= taken[:, 1:] != taken[:, :-1]
    # A level that could not be switched on stands for another one.
    new &= ~box.grouped | (taken >= box.upper[query][:, None])
    rows = ask_rows(evaluator, query, u.reshape(n, v * d, d), new.reshape(n, v * d))
    effect = _log_odds(rows.answer.probability).reshape(n, v, d)
    effect = effect - _log_odds(base.answer.probability)[:, :, None]
    stays = (u == start[:, None, None]).all(axis=3)
    effect = np.where(stays, 0.0, np.where(np.isfinite(effect), effect, -np.inf))
    change = np.abs(taken - own[:, None])
    if box.grouped.any():
        whole = np.abs(u - own[:, None, None])
        apart = np.where(box.unit[:, None] == box.unit, whole, 0.0)
        change = np.where(box.grouped, np.sqrt(np.square(apart).sum(axis=3)), change)
    if evaluator.aim.scale is not None:
        change = change / evaluator.aim.scale
    return _Sweep(rows, taken, effect, np.square(change) if evaluator.aim.norm == 2 else change)


def _values(
    evaluator: Evaluator, query: np.ndarray, reach: np.ndarray, points: int, place: np.ndarray
) -> np.ndarray:
    """Values of each column within the reach, its own among them, ascending, (Qs, points + 1, d).

    A column of a one-hot group has the one value that switches it on; NaN fills the rest.
    """
    box = evaluator.box
    low, high = evaluator.within(query, reach)
    inner = evaluator.problem.reference.values_near(low, high, points, place)
    own = box.x[query][:, None]
    inner = np.where(np.isnan(inner), own, inner)
    values = np.sort(np.concatenate([inner, own], axis=1), axis=1)
    if box.grouped.any():
        values[:, :, box.grouped] = np.nan
        values[:, 0, box.grouped] = box.upper[query][:, box.grouped]
    return values


def _log_odds(probability: np.ndarray) -> np.ndarray:
    """Return ``log(p / (1 − p))``, finite for 0 and 1."""
    p = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.log(p) - np.log1p(-p)


def _combine(
    evaluator: Evaluator, query: np.ndarray, swept: _Sweep, need: np.ndarray
) -> np.ndarray:
    """Rows at the prices around the predicted crossing, (Qs, 8, d)."""
    effect, cost = swept.effect, swept.cost
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(cost > 0, np.maximum(effect, 0.0) / cost, 0.0)
    steepest = np.maximum(rate.max(axis=(1, 2)), 1e-12)
    n, d = len(query), effect.shape[2]
    row, column = np.arange(n)[:, None], np.arange(d)
    choice = np.empty((n, len(_PRICES), d), dtype=np.int64)
    for i, price in enumerate(_PRICES):
        choice[:, i] = (effect - (price * steepest)[:, None, None] * cost).argmax(axis=1)
    total = effect[row[:, :, None], choice, column].sum(axis=2)
    enough = total >= need[:, None]
    crossing = np.where(enough.any(axis=1), enough.argmax(axis=1), len(_PRICES) - 1)
    around = np.clip(crossing[:, None] + np.arange(-_BEFORE, _AFTER), 0, len(_PRICES) - 1)
    chosen = choice[row, around]
    u = swept.taken[row[:, :, None], chosen, column]
    if evaluator.box.grouped.any():
        price = (_PRICES * steepest[:, None])[row, around]
        gain = effect[row[:, :, None], chosen, column]
        gain = gain - price[:, :, None] * cost[row[:, :, None], chosen, column]
        u = _one_level(evaluator, query, u, gain)
    return u


def _one_level(
    evaluator: Evaluator, query: np.ndarray, u: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Switch on the level of the best gain in each group, the others off."""
    box = evaluator.box
    rival = np.where(box.peers, gain[:, :, None, :], -np.inf).max(axis=3)
    on = gain >= rival
    level = np.where(on, box.upper[query][:, None], box.lower[query][:, None])
    return np.where(box.grouped, level, u)
