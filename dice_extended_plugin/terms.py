"""dice-ml's four loss terms, for all queries and counterfactuals at once (torch).

Each returns one value per query, so that the gradient of the sum over queries is every query's own
gradient. None is weighted or signed here; :mod:`~dice_extended_plugin.objective` does that, once.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "category_penalty",
    "diversity",
    "margin_logit",
    "proximity",
    "range_loss",
    "target_probability",
    "y_loss",
]

#: dice-ml shifts probabilities by this much before it takes their logit.
_SHIFT = 1e-6


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


def range_loss(inside: Tensor, kind: str = "hinge_loss", aim: float = 1.0) -> Tensor:
    """Distance of predictions from a wanted range, mean over counterfactuals.

    Parameters
    ----------
    inside : Tensor of shape (Q, k)
        Signed distance to the nearer end of the range, positive within, in units that count like
        log-odds.
    kind : {"hinge_loss", "l2_loss", "log_loss"}
    aim : float, default 1.0
        Distance within the range from which the hinge loss is 0; at most its middle.

    Returns
    -------
    Tensor of shape (Q,)
    """
    if kind == "l2_loss":
        return torch.sigmoid(-inside).square().mean(1)
    if kind == "log_loss":
        return torch.nn.functional.softplus(-inside).mean(1)
    return torch.relu(aim - inside).mean(1)


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
