"""Everything a gradient search minimises, for a batch of queries (torch).

    loss = y_loss + wp * proximity - wd * diversity + wc * category_penalty - wr * R

Weights and signs are applied once, here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.goals import Goal
from dice_extended_plugin.soft_robustness import Robustness
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.terms import category_penalty, diversity, proximity

__all__ = ["Objective", "Queries", "Weights"]


@dataclass(frozen=True)
class Weights:
    """Weights of the terms, each >= 0 but for `robustness`; dice-ml's defaults."""

    proximity: float = 0.5
    diversity: float = 1.0
    category: float = 0.1
    robustness: float = 0.4


@dataclass(frozen=True)
class Queries:
    """A batch of queries as tensors.

    Parameters
    ----------
    x, lower, upper : Tensor of shape (Q, d)
        Encoded queries and their bounds.
    goal : Goal
        Wanted outcome of each.
    """

    x: Tensor
    lower: Tensor
    upper: Tensor
    goal: Goal

    def __getitem__(self, keep: Tensor) -> Queries:
        return Queries(*(getattr(self, field.name)[keep] for field in fields(self)))


class Objective:
    """Everything that is minimised, for a batch of queries.

    Parameters
    ----------
    scores : callable
        Differentiable ``(n, d) -> (n, C)``: class probabilities, C >= 2, or one prediction.
    space : FeatureSpace
    column_weights : ndarray of shape (d,)
        Weight of each encoded column in distances.
    weights : Weights
    yloss_type, diversity_loss_type : str
        dice-ml's names.
    robustness : Robustness or None
        None leaves plain DiCE.
    like : Tensor
        Gives device and dtype.
    """

    def __init__(
        self,
        scores: Callable[[Tensor], Tensor],
        space: FeatureSpace,
        column_weights: np.ndarray,
        weights: Weights,
        yloss_type: str,
        diversity_loss_type: str,
        robustness: Robustness | None,
        like: Tensor,
    ) -> None:
        self.scores, self.weights = scores, weights
        self.yloss_type, self.diversity_loss_type = yloss_type, diversity_loss_type
        self.column_weights = torch.as_tensor(column_weights, device=like.device).to(like.dtype)
        owner = space.column_feature - space.n_continuous
        membership = (owner[:, None] == np.arange(len(space.categorical))).astype(float)
        self.membership = torch.as_tensor(membership, device=like.device).to(like.dtype)
        self.robustness = robustness if weights.robustness != 0 else None

    @property
    def rows_per_counterfactual(self) -> int:
        """Rows one counterfactual costs in a model call."""
        return 1 + (self.robustness.n_draws if self.robustness else 0)

    def terms(self, u: Tensor, queries: Queries) -> tuple[dict[str, Tensor], Tensor]:
        """Return each unweighted term, one value per query; one model call for everything.

        Parameters
        ----------
        u : Tensor of shape (Q, k, d)

        Returns
        -------
        terms : dict of Tensor of shape (Q,)
            ``y_loss``, ``proximity``, ``diversity``, ``category_penalty`` and, with a robustness
            term, ``robustness`` in [0, 1]; a term of weight 0 is left out.
        scores : Tensor of shape (Q, k, C)
            The model's scores of `u` itself.
        """
        size = u.shape
        if self.robustness is None:
            scores = self.scores(u.reshape(-1, size[-1])).view(*size[:2], 1, -1)
        else:
            disturbed, flipped = self.robustness.disturb(u, queries.x)
            rows = torch.cat([u.unsqueeze(2), disturbed], 2)
            scores = self.scores(rows.reshape(-1, size[-1])).view(*rows.shape[:3], -1)
        found = {"y_loss": queries.goal.loss(scores[:, :, 0], self.yloss_type)}
        if self.weights.proximity:
            found["proximity"] = proximity(u, queries.x, self.column_weights)
        if self.weights.diversity:
            found["diversity"] = diversity(u, self.column_weights, self.diversity_loss_type)
        if self.weights.category and self.membership.shape[1]:
            found["category_penalty"] = category_penalty(u, self.membership)
        if self.robustness is not None:
            gate = queries.goal.gate(scores[:, :, 1:])
            found["robustness"] = self.robustness.value(u, disturbed, flipped, gate).mean(1)
        return found, scores[:, :, 0]

    def loss(self, terms: dict[str, Tensor]) -> Tensor:
        """Weigh and sign the terms, once: (Q,) to be minimised."""
        return terms["y_loss"] + self.preference(terms)

    def preference(self, terms: dict[str, Tensor]) -> Tensor:
        """Return what ranks sets of counterfactuals that are all valid: the loss without y_loss.

        Once a row has its label, a higher score is worth nothing by itself (under noise it is,
        and that is the robustness term's to say).
        """
        gain = self.robustness.gain if self.robustness is not None else 0.0
        total = torch.zeros_like(terms["y_loss"])
        for name, factor in (
            ("proximity", self.weights.proximity),
            ("diversity", -self.weights.diversity),
            ("category_penalty", self.weights.category),
            ("robustness", -self.weights.robustness * gain),
        ):
            if name in terms:
                total = total + factor * terms[name]
        return total
