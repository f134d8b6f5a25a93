"""What a target asks of differentiable scores: a loss to descend and a gate for noise (torch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.targets import ClassTarget, RangeTarget, Target
from dice_extended_plugin.terms import range_loss, target_probability, y_loss

__all__ = ["ClassGoal", "Goal", "RangeGoal", "goal_of"]


class Goal(Protocol):
    """The wanted outcome of a batch of queries."""

    def __getitem__(self, keep: Tensor) -> Goal:
        """Keep some of the queries, in that order."""

    def loss(self, scores: Tensor, kind: str) -> Tensor:
        """Distance from the wanted outcome, scores (Q, k, C) -> (Q,); 0 where reached."""

    def gate(self, scores: Tensor) -> Tensor:
        """How surely rows have the wanted outcome, scores (Q, ..., C) -> (Q, ...) in [0, 1]."""


@dataclass(frozen=True)
class ClassGoal:
    """A class for each query.

    Parameters
    ----------
    index : Tensor of int64, shape (Q,)
        Wanted class.
    aim : Tensor of shape (Q,)
        Log-odds the hinge loss asks for; dice-ml's is 1.
    """

    index: Tensor
    aim: Tensor

    def __getitem__(self, keep: Tensor) -> ClassGoal:
        return ClassGoal(self.index[keep], self.aim[keep])

    def loss(self, scores: Tensor, kind: str) -> Tensor:
        """dice-ml's y-loss."""
        return y_loss(scores, self.index, kind, self.aim)

    def gate(self, scores: Tensor) -> Tensor:
        """Probability of the wanted class."""
        return target_probability(scores, self.index)


@dataclass(frozen=True)
class RangeGoal:
    """One range of predictions for all queries."""

    target: RangeTarget

    def __getitem__(self, keep: Tensor) -> RangeGoal:
        return self

    def loss(self, scores: Tensor, kind: str) -> Tensor:
        """dice-ml's losses, the signed distance to the nearer end in place of log-odds."""
        middle = 0.5 * (self.target.high - self.target.low) / self.target.temperature
        return range_loss(self._inside(scores), kind, min(1.0, middle))

    def gate(self, scores: Tensor) -> Tensor:
        """Sigmoid of the signed distance to the nearer end of the range."""
        return torch.sigmoid(self._inside(scores))

    def _inside(self, scores: Tensor) -> Tensor:
        value = scores[..., 0]
        inside = torch.minimum(value - self.target.low, self.target.high - value)
        return inside / self.target.temperature


def goal_of(target: Target, rows: np.ndarray, like: Tensor) -> Goal:
    """Return what the queries `rows` of a target ask for, on the device of `like`."""
    if isinstance(target, RangeTarget):
        return RangeGoal(target)
    if not isinstance(target, ClassTarget):
        raise TypeError(f"no goal for a {type(target).__name__}")
    index = torch.as_tensor(target.index[rows], device=like.device).long()
    aim = torch.as_tensor(target.aim()[rows], device=like.device).to(like.dtype)
    return ClassGoal(index, aim)
