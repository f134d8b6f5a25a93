"""Post-hoc sparsity: take small continuous changes back, all counterfactuals at once.

dice-ml walks each continuous feature of each row back towards the query, one model call a step.
Here all rows walk together: the steps of a walk are tried in growing blocks (or by bisection), so
that the number of model calls grows with the logarithm of the longest walk and not with the number
of rows. With noise, a walk goes back as far as leaves the row as stable as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dice_extended_plugin.space import FeatureSpace

__all__ = ["Guard", "enhance_sparsity", "search_order"]

#: Share of its noise validity that a row must keep (methods page, definition (c)).
KEEP = 0.95


@dataclass(frozen=True)
class Guard:
    """Keeps a walk from undoing robustness.

    Parameters
    ----------
    stability : callable
        ``stability(rows, query) -> (n,)`` for rows (n, d) and the query each belongs to, e.g. the
        noise validity on the search's bank.
    """

    stability: Callable[[np.ndarray, np.ndarray], np.ndarray]


def search_order(deviation: np.ndarray) -> np.ndarray:
    """Order features by the change that may be taken back, largest first, as dice-ml does."""
    return np.argsort(-deviation, kind="stable")


def enhance_sparsity(
    u: np.ndarray,
    x: np.ndarray,
    valid: np.ndarray,
    space: FeatureSpace,
    deviation: np.ndarray,
    is_target: Callable[[np.ndarray, np.ndarray], np.ndarray],
    algorithm: str = "linear",
    guard: Guard | None = None,
    limit_steps: int = 10_000,
    max_rows: int = 65_536,
) -> np.ndarray:
    """Move continuous values back towards the query as far as the row stays a counterfactual.

    Parameters
    ----------
    u : ndarray of shape (Q, k, d)
        Projected counterfactuals.
    x : ndarray of shape (Q, d)
        Encoded queries.
    valid : ndarray of bool, shape (Q, k)
        Rows to work on; the others are returned as they are.
    space : FeatureSpace
    deviation : ndarray of shape (n_continuous,)
        Largest change, in the table's units, that is worth taking back (dice-ml: the smaller of
        a quantile of the deviations and the MAD).
    is_target : callable
        ``is_target(rows, query)``, bool of shape (n,).
    algorithm : {"linear", "binary"}
        Linear stops at the first step that fails; binary assumes that validity is monotone.
    guard : Guard, optional
        Shortens a walk to the longest, found by bisection, that ends as stable as required; None
        accepts every step that keeps the label, as dice-ml does.
    limit_steps : int
        Most steps of one linear walk.

    Returns
    -------
    ndarray of shape (Q, k, d)
    """
    query, _ = np.nonzero(valid)
    if len(query) == 0 or space.n_continuous == 0:
        return u
    rows = u[valid]
    walk = _Walk(rows, x[query], query, space, is_target, guard, limit_steps, max_rows)
    for j in search_order(deviation):  # greedy: each feature starts from what the last one left
        if deviation[j] > 0:
            walk.feature(int(j), float(deviation[j]), algorithm)
    out = u.copy()
    out[valid] = walk.rows
    return out


class _Walk:
    """The rows on their way back; one call of :meth:`feature` per continuous feature."""

    def __init__(
        self,
        rows: np.ndarray,
        x: np.ndarray,
        query: np.ndarray,
        space: FeatureSpace,
        is_target: Callable[[np.ndarray, np.ndarray], np.ndarray],
        guard: Guard | None,
        limit_steps: int,
        max_rows: int,
    ) -> None:
        self.rows, self.x, self.query, self.space = rows, x, query, space
        self.is_target, self.guard = is_target, guard
        # What a row must keep, measured before its first step: most rows never take one.
        self.floor = np.full(len(rows), np.nan)
        self.limit_steps, self.max_rows = limit_steps, max_rows
        self.lower, self.upper = space.bounds(x)

    def feature(self, j: int, deviation: float, algorithm: str) -> None:
        """Walk feature `j` of every row back."""
        scale, unit = self.space.scale[j], self.space.step[j]
        away = (self.x[:, j] - self.rows[:, j]) * scale
        small = (np.abs(away) > 1e-9 * scale) & (np.abs(away) <= deviation + 1e-9 * scale)
        moving = np.flatnonzero(small & self.space.vary[j])
        if len(moving) == 0:
            return
        steps = np.ceil(np.abs(away[moving]) / unit - 1e-6).astype(int)
        steps = np.minimum(steps, self.limit_steps)
        length = unit / scale * np.sign(away[moving])
        walker = _bisect if algorithm == "binary" else _march
        taken = walker(steps, lambda who, step: self._stays(j, moving, length, who, step))
        if self.guard is not None and taken.any():
            taken = _bisect(taken, lambda who, step: self._firm(j, moving, length, who, step))
        gone = np.flatnonzero(taken > 0)
        self.rows[moving[gone]] = self._stepped(j, moving, length, gone, taken[gone])

    def _value(
        self, j: int, moving: np.ndarray, length: np.ndarray, who: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Scaled value after `step` steps; the last step lands on the query's own value."""
        row = moving[who]
        start, own = self.rows[row, j], self.x[row, j]
        value = start + step * length[who]
        value = np.where(length[who] > 0, np.minimum(value, own), np.maximum(value, own))
        return np.clip(value, self.lower[row, j], self.upper[row, j])

    def _stepped(
        self, j: int, moving: np.ndarray, length: np.ndarray, who: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Rows after `step` steps, as they can be written down: a bound may lie off the grid."""
        row = moving[who]
        rows = self.rows[row]
        rows[:, j] = self._value(j, moving, length, who, step)
        return self.space.project(rows, self.x[row], self.lower[row], self.upper[row])

    def _stays(
        self, j: int, moving: np.ndarray, length: np.ndarray, who: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Tell which (row, step) pairs are still counterfactuals."""
        good = np.empty(len(who), dtype=bool)
        for start in range(0, len(who), self.max_rows):
            part = slice(start, start + self.max_rows)
            row = moving[who[part]]
            rows = self._stepped(j, moving, length, who[part], step[part])
            good[part] = self.is_target(rows, self.query[row])
            if self.space.order:  # a repaired pair may have undone the step
                good[part] &= self.space.legal(rows, self.x[row])
        return good

    def _firm(
        self, j: int, moving: np.ndarray, length: np.ndarray, who: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Tell which (row, step) pairs are as stable as required."""
        assert self.guard is not None
        row = moving[who]
        new = row[np.isnan(self.floor[row])]
        rows = np.concatenate([self._stepped(j, moving, length, who, step), self.rows[new]])
        stable = self.guard.stability(rows, self.query[np.concatenate([row, new])])
        self.floor[new] = KEEP * stable[len(row) :]
        firm: np.ndarray = stable[: len(row)] >= self.floor[row]
        return firm


def _march(steps: np.ndarray, stays: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Count the steps each row can take before its first failing one, in growing blocks."""
    taken = np.zeros(len(steps), dtype=int)
    going, block = np.flatnonzero(steps > 0), 4
    while len(going):
        ahead = np.minimum(steps[going] - taken[going], block)
        who = np.repeat(going, ahead)
        first = np.cumsum(ahead) - ahead
        step = np.arange(len(who)) - np.repeat(first, ahead) + 1 + taken[who]
        good = stays(who, step)
        # A running product over each row's own steps: good until the first failure.
        bad = np.cumsum(~good)
        bad_before: np.ndarray = bad - np.repeat((bad - ~good)[first], ahead)
        reached = np.add.reduceat((bad_before == 0).astype(int), first)
        taken[going] += reached
        going = going[(reached == ahead) & (taken[going] < steps[going])]
        block *= 4
    return taken


def _bisect(steps: np.ndarray, stays: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Count the steps each row can take, assuming that once it fails it keeps failing."""
    going = np.flatnonzero(steps > 0)
    low, high = np.zeros_like(steps), np.maximum(steps - 1, 0)
    whole = going[stays(going, steps[going])]
    low[whole] = high[whole] = steps[whole]
    while (open_ := np.flatnonzero(low < high)).size:
        middle = (low[open_] + high[open_] + 1) // 2
        fine = stays(open_, middle)
        low[open_] = np.where(fine, middle, low[open_])
        high[open_] = np.where(fine, high[open_], middle - 1)
    return low
