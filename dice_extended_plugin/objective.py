"""The torch objective: dice-ml's four terms and the differentiable robustness term R.

    loss = y_loss + wp * proximity - wd * diversity + wc * category_penalty - wr * R

Each term takes all queries x counterfactuals at once and returns one value per query, so that the
gradient of the sum over queries is every query's own gradient. Weights and signs are applied once,
in :class:`Objective`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.dice_sorensen import N_BINS
from dice_extended_plugin.noise import NoiseBank, NoiseModel
from dice_extended_plugin.soft_codes import soft_code_distance
from dice_extended_plugin.space import FeatureSpace

__all__ = [
    "DIVERSITY_LOSSES",
    "Y_LOSSES",
    "Objective",
    "Queries",
    "Robustness",
    "Weights",
    "category_penalty",
    "diversity",
    "margin_logit",
    "proximity",
    "y_loss",
]

Y_LOSSES = ("hinge_loss", "l2_loss", "log_loss")
DIVERSITY_LOSSES = ("dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist")

#: Mode "validity" has no coefficient that keeps rows near the query. Its gate is half probability,
#: half label (log-odds times 4), because noise validity counts labels, and the term is weighed up
#: by a factor that makes noise validity at equal `robustness_weight` about that of mode "dice", at
#: a smaller distance. Chosen on Adult, COMPAS and German; docs/dice_extended.md has the figures.
_SHARPNESS, _GAIN = 4.0, 1.7

#: dice-ml shifts probabilities by this much before it takes their logit.
_SHIFT = 1e-6


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
    target : Tensor of int64, shape (Q,)
        Wanted class of each.
    aim : Tensor of shape (Q,)
        Log-odds the hinge loss asks for; dice-ml's is 1.
    """

    x: Tensor
    lower: Tensor
    upper: Tensor
    target: Tensor
    aim: Tensor

    def __getitem__(self, keep: Tensor) -> Queries:
        return Queries(*(getattr(self, field.name)[keep] for field in fields(self)))


def target_probability(scores: Tensor, target: Tensor) -> Tensor:
    """Probability of each query's wanted class: scores (Q, ..., C), target (Q,) -> (Q, ...)."""
    index = target.view(-1, *[1] * (scores.ndim - 1)).expand(*scores.shape[:-1], 1)
    return scores.gather(-1, index).squeeze(-1)


def margin_logit(scores: Tensor, target: Tensor) -> Tensor:
    """Log-odds of the wanted class against the strongest other one, (Q, ..., C) -> (Q, ...).

    With two classes this is dice-ml's shifted logit. Below the shift dice-ml's folds over and
    drives a saturated model the wrong way; here it keeps falling.
    """
    if scores.shape[-1] == 2:
        first = scores[..., 1]
        sign = (2.0 * target - 1.0).to(scores.dtype).view(-1, *[1] * (scores.ndim - 2))
        return sign * (_log(first - _SHIFT, first) - torch.log(1.0 - first + _SHIFT))
    wanted = target_probability(scores, target)
    index = target.view(-1, *[1] * (scores.ndim - 1)).expand(*scores.shape[:-1], 1)
    other = scores.scatter(-1, index, -1.0).amax(-1)
    return _log(wanted - _SHIFT, wanted) - _log(other - _SHIFT, other)


def _log(shifted: Tensor, value: Tensor) -> Tensor:
    tiny = torch.finfo(value.dtype).tiny
    return torch.log(torch.where(value > 2 * _SHIFT, shifted, 0.5 * value).clamp_min(tiny))


def y_loss(
    scores: Tensor, target: Tensor, kind: str = "hinge_loss", aim: Tensor | float = 1.0
) -> Tensor:
    """Distance from the wanted class, mean over counterfactuals.

    Parameters
    ----------
    scores : Tensor of shape (Q, k, C)
        Class probabilities.
    aim : Tensor of shape (Q,) or float, default 1.0
        Log-odds from which the hinge loss is 0.
    kind : {"hinge_loss", "l2_loss", "log_loss"}

    Returns
    -------
    Tensor of shape (Q,)
    """
    if kind == "l2_loss":
        return (1.0 - target_probability(scores, target)).square().mean(1)
    margin = margin_logit(scores, target)
    if kind == "log_loss":
        return torch.nn.functional.softplus(-margin).mean(1)
    return torch.relu(torch.as_tensor(aim).view(-1, 1) - margin).mean(1)


def proximity(u: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """Weighted L1 distance to the query, mean over counterfactuals and columns: (Q, k, d) -> (Q,).

    `weights` has one entry per column, dice-ml's are ``round(1 / MAD, 2)``.
    """
    return ((u - x.unsqueeze(1)).abs() @ weights).mean(1) / u.shape[-1]


def diversity(u: Tensor, weights: Tensor, kind: str = "dpp_style:inverse_dist") -> Tensor:
    """Spread of each query's counterfactuals, (Q, k, d) -> (Q,); 0 for a single one.

    ``dpp_style:*`` is the determinant of the similarity kernel, ``avg_dist`` one minus the mean
    similarity of pairs.
    """
    k = u.shape[1]
    if k == 1:
        return u.new_zeros(len(u))
    scaled = u * weights
    # The kernel is symmetric, so one half's gradient counts twice: half the backward pass.
    half = torch.cdist(scaled, scaled.detach(), p=1.0)
    distance = 2.0 * half - half.detach()
    if kind == "avg_dist":
        similarity = 1.0 / (1.0 + distance)
        return 1.0 - (similarity.sum((1, 2)) - k) / (k * (k - 1))
    kernel = torch.exp(-distance) if kind.endswith("exponential_dist") else 1.0 / (1.0 + distance)
    # dice-ml's ridge keeps the determinant differentiable when two rows coincide.
    return torch.det(kernel + 1e-4 * torch.eye(k, dtype=u.dtype, device=u.device))


def category_penalty(u: Tensor, membership: Tensor) -> Tensor:
    """Squared distance of each block's sum from one, summed as in dice-ml: (Q, k, d) -> (Q,).

    `membership` of shape (d, n_categorical) has a 1 where a column belongs to a block.
    """
    return (u @ membership - 1.0).square().sum((1, 2))


class Robustness:
    """The differentiable robustness R of a counterfactual (methods page, definition (b)).

    ``R(c) = mean over draws of D(c, T c)^alpha * P(wanted class | T c)``. D is the soft
    Dice-Sorensen coefficient with the literal value and the soft gradient (straight-through), T c
    a legal, clipped, disturbed copy of c. alpha = 1 is mode "dice", alpha = 0 mode "validity".

    Parameters
    ----------
    space : FeatureSpace
    noise : NoiseModel
    bank : NoiseBank
        The M draws used throughout.
    mode : {"dice", "validity"}
    like : Tensor
        Gives device and dtype.
    n_bins : int, default 10
    """

    def __init__(
        self,
        space: FeatureSpace,
        noise: NoiseModel,
        bank: NoiseBank,
        mode: str,
        like: Tensor,
        n_bins: int = N_BINS,
    ) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), device=like.device).to(
                torch.long if array.dtype.kind == "i" else like.dtype
            )

        self.mode, self.scope = mode, noise.scope
        self.n_draws, self.n_bins = len(bank.noise), n_bins
        self.n_continuous, self.n_features = space.n_continuous, space.n_features
        self.noise = tensor(bank.noise)
        self.scales, self.relative = tensor(noise.scales(space)), tensor(noise.is_relative(space))
        self.offset = tensor(space.low / space.scale)
        self.centres = tensor((np.arange(n_bins) + 0.5) / n_bins)
        self._prepare_flips(space, bank, tensor)

    def _prepare_flips(
        self, space: FeatureSpace, bank: NoiseBank, tensor: Callable[[np.ndarray], Tensor]
    ) -> None:
        """List the (draw, feature) pairs that redraw a level: few, so only they are computed."""
        several = space.permitted_blocks.sum(axis=1) > 1
        draw, feature = np.nonzero(bank.flip & several)
        self.flip_draw, self.flip_feature = tensor(draw), tensor(feature)
        self.flip_pick = tensor(bank.pick[draw, feature])
        self.blocks = tensor(space.blocks)
        self.padding = self.blocks < 0
        self.block_permitted = torch.as_tensor(space.permitted_blocks, device=self.padding.device)
        pair, place = np.nonzero(space.blocks[feature] >= 0)
        self.write_pair, self.write_place = tensor(pair), tensor(place)
        self.write_draw = tensor(draw[pair])
        self.write_column = tensor(space.blocks[feature][pair, place])

    def _sigma(self, u: Tensor) -> Tensor:
        share = (self.offset + u).abs()
        return self.scales * (1.0 + self.relative * (share - 1.0))

    def _moving(self, u: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Soft scope: how far noise reaches each value. A feature left alone is not disturbed."""
        if self.scope == "all":
            return torch.ones_like(u)
        temperature = sigma.detach().clamp_min(1e-3)
        moved = torch.sigmoid(((u - x).abs() - 3.0 * sigma.detach()) / temperature)
        return moved if self.scope == "changed" else 1.0 - moved

    def disturb(self, u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the disturbed copies and the coefficient's loss by flipped levels.

        Parameters
        ----------
        u : Tensor of shape (Q, k, d)
        x : Tensor of shape (Q, d)

        Returns
        -------
        disturbed : Tensor of shape (Q, k, M, d)
        flipped : Tensor of shape (Q, k, M)
            Number of features redrawn, differentiable in whether the feature changed.
        """
        n, own = self.n_continuous, x.unsqueeze(1)
        value = u[..., :n]
        sigma = self._sigma(value)
        reach = self._moving(value, own[..., :n], sigma) * sigma
        low = torch.minimum(value.detach(), own[..., :n]).clamp_max(0.0)
        high = torch.maximum(value.detach(), own[..., :n]).clamp_min(1.0)
        moved = value.unsqueeze(2) + reach.unsqueeze(2) * self.noise
        moved = torch.minimum(torch.maximum(moved, low.unsqueeze(2)), high.unsqueeze(2))
        flipped = u.new_zeros(*u.shape[:2], self.n_draws)
        if u.shape[-1] == n:
            return moved, flipped
        hard = self._hard(u)
        rest = hard.unsqueeze(2).expand(-1, -1, self.n_draws, -1)
        if len(self.flip_draw) == 0:
            return torch.cat([moved, rest], -1), flipped
        disturbed = torch.cat([moved, rest], -1)
        return self._flip(disturbed, flipped, torch.cat([value, hard], -1), own)

    def _hard(self, u: Tensor) -> Tensor:
        """One level per block in value, the relaxed columns in gradient (straight-through)."""
        blocks = u.detach()[..., self.blocks.clamp_min(0)]
        choice = blocks.masked_fill(~self.block_permitted, -torch.inf).argmax(-1)
        column = torch.gather(self.blocks, 1, choice.reshape(-1, len(self.blocks)).T).T
        hot = torch.zeros_like(u).scatter_(-1, column.view(choice.shape), 1.0)
        relaxed = u[..., self.n_continuous :]
        return relaxed + (hot[..., self.n_continuous :] - relaxed).detach()

    def _flip(
        self, disturbed: Tensor, flipped: Tensor, hard: Tensor, own: Tensor
    ) -> tuple[Tensor, Tensor]:
        columns = self.blocks[self.flip_feature].clamp_min(0)
        unused = self.padding[self.flip_feature]
        present = hard[..., columns].masked_fill(unused, 0.0)  # (Q, k, P, L)
        before = own[..., columns].masked_fill(unused, 0.0)
        kept = (present * before).sum(-1)  # 1 where the level is the query's
        reach = {"all": torch.ones_like(kept), "changed": 1.0 - kept, "kept": kept}[self.scope]
        level = present.detach().argmax(-1, keepdim=True)
        choices = self.block_permitted[self.flip_feature].expand(present.shape).clone()
        choices.scatter_(-1, level, False)
        rank = torch.floor(self.flip_pick * choices.sum(-1)).unsqueeze(-1)
        new = (choices & (choices.cumsum(-1) - 1 == rank)).to(present.dtype)
        values = present + reach.unsqueeze(-1) * (new - present)
        index = (slice(None), slice(None), self.write_draw, self.write_column)
        disturbed[index] = values[..., self.write_pair, self.write_place]
        return disturbed, flipped.index_add(2, self.flip_draw, reach)

    def coefficient(self, value: Tensor, moved: Tensor, flipped: Tensor) -> Tensor:
        """Straight-through Dice-Sorensen coefficient of rows and disturbed rows, (Q, k, M).

        The value is the literal share of features that keep their code; the gradient is that of
        ``1 - (1/2m) sum |q(c) - q(c')|`` with the soft bin codes q.
        """
        apart = soft_code_distance(value, moved, self.centres)
        smooth = 1.0 - (apart + flipped) / self.n_features
        with torch.no_grad():
            same = self._bin(value).unsqueeze(2) == self._bin(moved)
            lost = (self.n_continuous - same.sum(-1)) + flipped
            literal = 1.0 - lost / self.n_features
        return smooth + (literal - smooth).detach()

    def _bin(self, value: Tensor) -> Tensor:
        return torch.floor(value * self.n_bins).clamp(0, self.n_bins - 1)

    def value(self, u: Tensor, disturbed: Tensor, flipped: Tensor, gate: Tensor) -> Tensor:
        """R of each counterfactual, (Q, k), from the gate P(wanted class) of shape (Q, k, M)."""
        if self.mode == "validity":
            won, lost = gate**_SHARPNESS, (1.0 - gate) ** _SHARPNESS
            return (0.5 * (gate + won / (won + lost))).mean(-1)
        n = self.n_continuous
        agreement = self.coefficient(u[..., :n], disturbed[..., :n], flipped)
        return (agreement * gate).mean(-1)


class Objective:
    """Everything that is minimised, for a batch of queries.

    Parameters
    ----------
    scores : callable
        Differentiable ``(n, d) -> (n, C)`` class probabilities, C >= 2.
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
        self._gain = _GAIN if robustness is not None and robustness.mode == "validity" else 1.0

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
        probability : Tensor of shape (Q, k, C)
            Class probabilities of `u` itself.
        """
        size = u.shape
        if self.robustness is None:
            probability = self.scores(u.reshape(-1, size[-1])).view(*size[:2], 1, -1)
        else:
            disturbed, flipped = self.robustness.disturb(u, queries.x)
            rows = torch.cat([u.unsqueeze(2), disturbed], 2)
            probability = self.scores(rows.reshape(-1, size[-1])).view(*rows.shape[:3], -1)
        found = {
            "y_loss": y_loss(probability[:, :, 0], queries.target, self.yloss_type, queries.aim)
        }
        if self.weights.proximity:
            found["proximity"] = proximity(u, queries.x, self.column_weights)
        if self.weights.diversity:
            found["diversity"] = diversity(u, self.column_weights, self.diversity_loss_type)
        if self.weights.category and self.membership.shape[1]:
            found["category_penalty"] = category_penalty(u, self.membership)
        if self.robustness is not None:
            gate = target_probability(probability[:, :, 1:], queries.target)
            found["robustness"] = self.robustness.value(u, disturbed, flipped, gate).mean(1)
        return found, probability[:, :, 0]

    def loss(self, terms: dict[str, Tensor]) -> Tensor:
        """Weigh and sign the terms, once: (Q,) to be minimised."""
        return terms["y_loss"] + self.preference(terms)

    def preference(self, terms: dict[str, Tensor]) -> Tensor:
        """Return what ranks sets of counterfactuals that are all valid: the loss without y_loss.

        Once a row has its label, a higher score is worth nothing by itself (under noise it is,
        and that is the robustness term's to say).
        """
        total = torch.zeros_like(terms["y_loss"])
        for name, factor in (
            ("proximity", self.weights.proximity),
            ("diversity", -self.weights.diversity),
            ("category_penalty", self.weights.category),
            ("robustness", -self.weights.robustness * self._gain),
        ):
            if name in terms:
                total = total + factor * terms[name]
        return total
