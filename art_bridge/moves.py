"""Local moves of many rows at once: towards the query, along a gradient, one feature at a time.

Every move asks the model for permitted rows only and returns rows that are inside: that have the
label and the wanted probability. Arrays are (queries, rows of each, columns).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from art_bridge.evaluation import Answer, Evaluator

__all__ = ["Rows", "ask_projected", "ask_rows", "bisect", "bisect_features", "revert", "tangent"]

#: Where a round of :func:`bisect` cuts the way that is left.
_CUTS = np.array([0.2, 0.4, 0.6, 0.8])


@dataclass(frozen=True)
class Rows:
    """Rows of some queries with the model's answers.

    Parameters
    ----------
    query : ndarray of int, shape (Qs,)
    u : ndarray of shape (Qs, k, d)
    answer : Answer of shape (Qs, k)
    inside : ndarray of bool, shape (Qs, k)
    """

    query: np.ndarray
    u: np.ndarray
    answer: Answer
    inside: np.ndarray

    def best(self, k: int) -> Rows:
        """Return the k nearest rows that are inside; fewer leave rows that are not."""
        order = np.argsort(np.where(self.inside, self.answer.distance, np.inf), axis=1)[:, :k]
        row = np.arange(len(order))[:, None]
        return Rows(
            self.query, self.u[row, order], self.answer.take(order), self.inside[row, order]
        )

    def improved(self, other: Rows) -> Rows:
        """Return these rows, each replaced by the other's where that is inside and nearer."""
        nearer = other.inside & ~(self.inside & (self.answer.distance <= other.answer.distance))
        return Rows(
            self.query,
            np.where(nearer[:, :, None], other.u, self.u),
            Answer.choose(nearer, other.answer, self.answer),
            self.inside | other.inside,
        )


def ask_rows(
    evaluator: Evaluator, query: np.ndarray, u: np.ndarray, where: np.ndarray | None = None
) -> Rows:
    """Project rows (Qs, k, d) and ask the model for them, the query itself left out."""
    return ask_projected(evaluator, query, evaluator.box.project_rows(u, query), where)


def ask_projected(
    evaluator: Evaluator, query: np.ndarray, u: np.ndarray, where: np.ndarray | None = None
) -> Rows:
    """Ask the model for permitted rows (Qs, k, d), the query itself left out."""
    asked = (u != evaluator.box.x[query][:, None]).any(axis=2)
    if where is not None:
        asked &= where
    answer = evaluator.ask(u, query, asked)
    return Rows(query, u, answer, asked & evaluator.inside(answer, query[:, None]))


def bisect(evaluator: Evaluator, rows: Rows, rounds: int) -> Rows:
    """Shorten the way to the query, as long as the row stays inside.

    Each round cuts the way that is left into five parts with one model call.
    """
    return _shorten(evaluator, rows, evaluator.box.x[rows.query][:, None], rounds)


def _shorten(evaluator: Evaluator, rows: Rows, goal: np.ndarray, rounds: int) -> Rows:
    """Move rows towards the goal (Qs, k, d) as far as they stay inside."""
    (n, k, d), change = rows.u.shape, rows.u - goal
    low, width, best = np.zeros((n, k)), np.ones((n, k)), rows
    moving = rows.inside & (change != 0).any(axis=2)
    for _ in range(rounds):
        if not moving.any():
            break
        place = low[:, :, None] + width[:, :, None] * _CUTS
        u = (goal[:, :, None] + place[:, :, :, None] * change[:, :, None]).reshape(n, -1, d)
        u = evaluator.box.project_rows(u, rows.query).reshape(n, k, len(_CUTS), d)
        # What rounds to the best row needs no question: it is inside.
        known = (u == best.u[:, :, None]).all(axis=3)
        asked = moving[:, :, None] & ~known
        flat = u.reshape(n, -1, d), asked.reshape(n, -1)
        tried = ask_projected(evaluator, rows.query, *flat)
        good = known | tried.inside.reshape(n, k, len(_CUTS))
        # Beyond the farthest cut that is outside all may be inside: go on before the first inside.
        first = np.where(good.any(axis=2), good.argmax(axis=2), len(_CUTS))
        low = low + width * first / (len(_CUTS) + 1)
        width = width / (len(_CUTS) + 1)
        row, column = np.arange(n)[:, None], np.arange(k)
        pick = column * len(_CUTS) + np.minimum(first, len(_CUTS) - 1)
        best = best.improved(
            Rows(rows.query, tried.u[row, pick], tried.answer.take(pick), tried.inside[row, pick])
        )
    return best


def revert(evaluator: Evaluator, rows: Rows, units: int | None = None) -> Rows:
    """Take features back to the query one by one, the smallest change first, while inside."""
    own = evaluator.box.x[rows.query][:, None]
    unit = evaluator.box.unit
    order = np.argsort(_unit_change(evaluator, rows), axis=2, kind="stable")
    count = order.shape[2]
    first = 0 if units is None else max(0, count - units)
    for i in range(first, count):
        here = unit == order[:, :, i, None]
        u = np.where(here, own, rows.u)
        asked = rows.inside & (u != rows.u).any(axis=2)
        if asked.any():
            rows = rows.improved(ask_rows(evaluator, rows.query, u, asked))
    return rows


def bisect_features(evaluator: Evaluator, rows: Rows, features: int, rounds: int) -> Rows:
    """Shorten the way back of single features, the largest change first."""
    own = evaluator.box.x[rows.query][:, None]
    order = np.argsort(-_unit_change(evaluator, rows), axis=2, kind="stable")
    for i in range(min(features, order.shape[2])):
        here = evaluator.box.unit == order[:, :, i, None]
        rows = _shorten(evaluator, rows, np.where(here, own, rows.u), rounds)
    return rows


def tangent(
    evaluator: Evaluator, rows: Rows, step: float, halvings: int
) -> tuple[Rows, np.ndarray]:
    """From rows at the border: gradient, nearest point of the tangent plane, the border there.

    Returns
    -------
    Rows
        Each row or the nearer one found.
    ndarray of bool, shape (Qs, k)
        Whether the gradient was of use: of a step function it is 0 nearly everywhere.
    """
    box, query = evaluator.box, rows.query
    n, k, d = rows.u.shape
    lower, upper = box.lower[query][:, None], box.upper[query][:, None]
    own = box.x[query][:, None]
    width = step * (upper - lower)
    ahead = np.where(rows.u + width <= upper, width, -width)
    u = np.broadcast_to(rows.u[:, :, None], (n, k, d, d)).copy()
    column = np.arange(d)
    u[:, :, column, column] += ahead
    u = box.project_rows(u.reshape(n, k * d, d), query).reshape(n, k, d, d)
    moved = u[:, :, column, column] - rows.u
    # A column that moves others with it (a one-hot level) has no gradient of its own.
    alone = ((u != rows.u[:, :, None]).sum(axis=3) == 1) & rows.inside[:, :, None]
    asked = ask_projected(evaluator, query, u.reshape(n, k * d, d), alone.reshape(n, k * d))
    margin = asked.answer.margin.reshape(n, k, d)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (margin - rows.answer.margin[:, :, None]) / moved
    slope = np.where(alone & np.isfinite(slope), slope, 0.0)
    useful = rows.inside & ((slope != 0).sum(axis=2) >= 0.8 * np.maximum(alone.sum(axis=2), 1))
    if not useful.any():
        return rows, useful
    goal = _nearest_on_plane(evaluator, rows, slope, own, lower, upper)
    return rows.improved(_line(evaluator, replace(rows, inside=useful), goal, halvings)), useful


def _nearest_on_plane(
    evaluator: Evaluator,
    rows: Rows,
    slope: np.ndarray,
    own: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> np.ndarray:
    """Nearest point to the query, in the box, where the linear margin is 0, by bisection.

    The row's own levels of one-hot groups are kept: where the slope is 0 the row's value stays
    unless the feature is a number, which goes back to the query.
    """
    scale = np.ones(own.shape[2]) if evaluator.aim.scale is None else evaluator.aim.scale
    base = np.where(evaluator.box.grouped, rows.u, own)
    if evaluator.aim.norm == 2:
        direction = slope * scale**2
    elif evaluator.aim.norm == 1:
        steep = np.abs(slope * scale)
        top = steep >= steep.max(axis=2, keepdims=True) * 0.999
        direction = np.where(top, np.sign(slope) * scale, 0.0)
    else:
        direction = np.sign(slope) * scale
    need = -rows.answer.margin + (slope * rows.u).sum(axis=2)  # slope · z must be this
    low, high = np.zeros(need.shape), np.ones(need.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(direction != 0, (upper - lower) / np.abs(direction), 0.0)
    high = high * np.maximum(size.max(axis=2), 1e-12)
    for _ in range(40):
        middle = 0.5 * (low + high)
        z = np.clip(base + middle[:, :, None] * direction, lower, upper)
        short = (slope * z).sum(axis=2) < need
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.clip(base + high[:, :, None] * direction, lower, upper)


def _line(evaluator: Evaluator, rows: Rows, goal: np.ndarray, halvings: int) -> Rows:
    """Find the border on the line from the query through `goal`, near the goal."""
    own = evaluator.box.x[rows.query][:, None]
    own = np.where(evaluator.box.grouped, goal, own)
    low, high = np.full(rows.inside.shape, 0.8), np.full(rows.inside.shape, np.nan)
    best = replace(rows, inside=np.zeros_like(rows.inside))
    for reach in (1.0, 1.05, 1.2):
        seeking = rows.inside & np.isnan(high)
        if not seeking.any():
            break
        tried = ask_rows(evaluator, rows.query, own + reach * (goal - own), seeking)
        high = np.where(tried.inside & seeking, reach, high)
        low = np.where(~tried.inside & seeking, reach, low)
        best = best.improved(tried)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        going = np.isfinite(middle)
        u = np.where(going[:, :, None], own + middle[:, :, None] * (goal - own), goal)
        tried = ask_rows(evaluator, rows.query, u, going)
        high, low = np.where(tried.inside, middle, high), np.where(tried.inside, low, middle)
        best = best.improved(tried)
    return best


def _unit_change(evaluator: Evaluator, rows: Rows) -> np.ndarray:
    """How far each feature of each row is from the query, (Qs, k, features)."""
    change = np.abs(rows.u - evaluator.box.x[rows.query][:, None])
    if evaluator.aim.scale is not None:
        change = change / evaluator.aim.scale
    return np.add.reduceat(change, evaluator.box.first_column, axis=2)
