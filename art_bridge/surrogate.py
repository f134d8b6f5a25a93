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
from art_bridge.moves import Rows, ask_projected, ask_rows

__all__ = ["additive_step"]

#: Prices tried, from high (few changes) to low, relative to the steepest effect.
_PRICES = np.geomspace(3.0, 3e-3, 24)
#: Rows asked for around the predicted crossing: so many prices before it and after it.
_BEFORE, _AFTER = 3, 5
#: Probabilities closer to 0 or 1 than this are not told apart.
_LEAST = 2.0**-20


@dataclass(frozen=True)
class _Sweep:
    """Single-feature changes of a base row: v values of each of d columns, the base's own last.

    Attributes
    ----------
    rows : Rows of shape (Qs, k)
        The changes that were asked for.
    taken : ndarray of shape (Qs, d, v)
        Value of the column.
    effect : ndarray of shape (Qs, d, v)
        Change of the log-odds; -inf where it was not asked.
    cost : ndarray of shape (Qs, d, v)
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
    Rows of shape (Qs, 8 + k)
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
    query, start = base.query, base.u[:, 0]
    values = _values(evaluator, query, reach, points, place)
    n, d, v = values.shape
    rows, column, slot = _single_changes(evaluator, query, start, values)
    effect = _log_odds(rows.answer.probability) - _log_odds(base.answer.probability)
    asked = np.isfinite(effect)
    who, where = np.nonzero(asked)
    cell = who, column[who, where], slot[who, where]
    out = _Sweep(
        rows,
        taken=np.repeat(start[:, :, None], v + 1, axis=2),
        effect=np.full((n, d, v + 1), -np.inf),
        cost=np.zeros((n, d, v + 1)),
    )
    # What every column can do besides is to stay.
    out.effect[:, :, v] = 0.0
    every = np.broadcast_to(np.arange(d), (n, d))
    out.cost[:, :, v] = _feature_cost(evaluator, query, np.repeat(start[:, None], d, axis=1), every)
    out.taken[cell] = rows.u[who, where, cell[1]]
    out.effect[cell] = effect[asked]
    out.cost[cell] = _feature_cost(evaluator, query, rows.u, column)[asked]
    return out


def _single_changes(
    evaluator: Evaluator, query: np.ndarray, start: np.ndarray, values: np.ndarray
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Ask for the start with one column set to each new value of (Qs, d, v).

    Returns
    -------
    Rows of shape (Qs, k)
    column, slot : ndarray of int, shape (Qs, k)
        Which value each row has: ``values[query, column, slot]``.
    """
    box, (n, d, v) = evaluator.box, values.shape
    new = np.isfinite(values) & (values != start[:, :, None])
    new[:, :, 1:] &= values[:, :, 1:] != values[:, :, :-1]
    # Most columns have few values: only what is new is worked on.
    new = new.reshape(n, d * v)
    most = int(np.count_nonzero(new, axis=1).max(initial=0))
    order = np.argsort(~new, axis=1, kind="stable")[:, :most]
    column, slot = np.divmod(order, v)
    row, rank = np.arange(n)[:, None], np.arange(most)
    asked = new[row, order]
    u = np.repeat(start[:, None], most, axis=1)
    if box.grouped.any():
        u = np.where(box.peers[column], box.lower[query][:, None], u)
    u[row, rank, column] = np.where(asked, values.reshape(n, -1)[row, order], start[row, column])
    u = box.project_rows(u, query)
    taken = u[row, rank, column]
    asked &= (u != start[:, None]).any(axis=2)
    asked[:, 1:] &= (taken[:, 1:] != taken[:, :-1]) | (column[:, 1:] != column[:, :-1])
    # A level that could not be switched on stands for another one.
    asked &= ~box.grouped[column] | (taken >= box.upper[query][row, column])
    return ask_projected(evaluator, query, u, asked), column, slot


def _feature_cost(
    evaluator: Evaluator, query: np.ndarray, u: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Return what the feature of a column (Qs, k) adds to each row's distance (Qs, k, d)."""
    box, own = evaluator.box, evaluator.box.x[query]
    row, rank = np.arange(len(u))[:, None], np.arange(u.shape[1])
    change = np.abs(u[row, rank, column] - own[row, column])
    if box.grouped.any():
        whole = np.where(box.unit[column][:, :, None] == box.unit, u - own[:, None], 0.0)
        change = np.where(box.grouped[column], np.sqrt(np.square(whole).sum(axis=2)), change)
    if evaluator.aim.scale is not None:
        change = change / evaluator.aim.scale[column]
    return np.square(change) if evaluator.aim.norm == 2 else change


def _values(
    evaluator: Evaluator, query: np.ndarray, reach: np.ndarray, points: int, place: np.ndarray
) -> np.ndarray:
    """Values of each column within the reach, its own among them, ascending, (Qs, d, points + 1).

    A column of a one-hot group has the one value that switches it on; NaN fills the rest.
    """
    box = evaluator.box
    low, high = evaluator.within(query, reach)
    own = box.x[query]
    inner = evaluator.problem.reference.values_near(low, high, own, points, place)
    own = own[:, :, None]
    inner = np.where(np.isnan(inner), own, inner)
    values = np.sort(np.concatenate([inner, own], axis=2), axis=2)
    if box.grouped.any():
        values[:, box.grouped] = np.nan
        values[:, box.grouped, 0] = box.upper[query][:, box.grouped]
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
    n, d = len(query), effect.shape[1]
    row, column = np.arange(n)[:, None], np.arange(d)
    choice = np.empty((n, len(_PRICES), d), dtype=np.int64)
    for i, price in enumerate(_PRICES):
        choice[:, i] = (effect - (price * steepest)[:, None, None] * cost).argmax(axis=2)
    total = effect[row[:, :, None], column, choice].sum(axis=2)
    enough = total >= need[:, None]
    crossing = np.where(enough.any(axis=1), enough.argmax(axis=1), len(_PRICES) - 1)
    around = np.clip(crossing[:, None] + np.arange(-_BEFORE, _AFTER), 0, len(_PRICES) - 1)
    chosen = row[:, :, None], column, choice[row, around]
    u = swept.taken[chosen]
    if evaluator.box.grouped.any():
        price = (_PRICES * steepest[:, None])[row, around]
        gain = effect[chosen] - price[:, :, None] * cost[chosen]
        u = _one_level(evaluator, query, u, gain)
    return u


def _one_level(
    evaluator: Evaluator, query: np.ndarray, u: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """Switch on the level of the best gain in each group, the others off."""
    box = evaluator.box
    low, high = box.lower[query][:, None], box.upper[query][:, None]
    # A level that stays off is no rival of the one that is on.
    gain = np.where(u > low, gain, -np.inf)
    rival = np.where(box.peers, gain[:, :, None, :], -np.inf).max(axis=3)
    level = np.where((gain >= rival) & (u > low), high, low)
    return np.where(box.grouped, level, u)
