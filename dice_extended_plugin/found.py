"""What a search may spend, and what it has found so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

__all__ = ["Budget", "Found"]

#: A set must be better by this to replace another: the same set met twice is not progress.
_LEAST_GAIN = 1e-9


@dataclass
class Budget:
    """What a search may spend.

    Parameters
    ----------
    max_seconds : float or None
        Wall time of the whole call.
    max_model_calls : int or None
        Model calls each query may take part in, whatever else is in its batch.
    """

    max_seconds: float | None = None
    max_model_calls: int | None = None
    started: float = field(default_factory=time.monotonic)

    def out_of_time(self, ahead: float = 0.0) -> bool:
        """Tell whether the seconds are spent, or would be after so many more."""
        if self.max_seconds is None:
            return False
        return time.monotonic() - self.started + ahead >= self.max_seconds

    def part(self, share: float) -> Budget:
        """Return a budget that ends earlier, at a share of the seconds; started when this one."""
        if self.max_seconds is None:
            return self
        return replace(self, max_seconds=share * self.max_seconds)

    def affords(self, calls: np.ndarray, more: int) -> np.ndarray:
        """Tell which queries, after so many calls, may take part in `more`."""
        if self.max_model_calls is None:
            return np.ones(len(calls), dtype=bool)
        return calls + more <= self.max_model_calls


@dataclass
class Found:
    """What a search found, for Q queries.

    Parameters
    ----------
    u : ndarray of shape (Q, k, d)
        Rows that can be written down; undefined where not valid.
    valid : ndarray of bool, shape (Q, k)
    loss : ndarray of shape (Q,)
        Objective of the kept set; inf if there is none.
    steps, calls : ndarray of int, shape (Q,)
        Descent steps and model calls the query took part in.
    stopped : ndarray of str, shape (Q,)
        "converged", "stalled", "max_iter", "max_model_calls", "max_seconds" or "" (not begun).
    origin : ndarray of shape (Q, k), optional
        What the training table calls the row that each counterfactual comes from.
    """

    u: np.ndarray
    valid: np.ndarray
    loss: np.ndarray
    steps: np.ndarray
    calls: np.ndarray
    stopped: np.ndarray
    origin: np.ndarray | None = None

    @classmethod
    def nothing(cls, n: int, k: int, d: int) -> Found:
        """Make the result of a search not begun."""
        return cls(
            u=np.zeros((n, k, d)),
            valid=np.zeros((n, k), dtype=bool),
            loss=np.full(n, np.inf),
            steps=np.zeros(n, dtype=int),
            calls=np.zeros(n, dtype=int),
            stopped=np.full(n, "", dtype=object),
        )

    def offer(
        self, index: np.ndarray, u: np.ndarray, valid: np.ndarray, loss: np.ndarray
    ) -> np.ndarray:
        """Keep offered sets that are better: more counterfactuals, then a lower objective.

        A slot of a kept set that is no counterfactual takes the last one seen in that slot.
        Returns which of the offered sets were kept.
        """
        count, known = valid.sum(1), self.valid[index].sum(1)
        loss = np.where(np.isfinite(loss), loss, np.finfo(float).max)
        whole = (count > known) | ((count == known) & (loss < self.loss[index] - _LEAST_GAIN))
        fill = ~whole[:, None] & valid & ~self.valid[index]
        keep_old = whole[:, None] & ~valid & self.valid[index]
        take = (whole[:, None] | fill) & ~keep_old
        self.u[index] = np.where(take[..., None], u, self.u[index])
        self.valid[index] |= valid
        self.loss[index] = np.where(whole, loss, self.loss[index])
        return whole | fill.any(1)
