"""Soft bin codes: the distance between two of them, and its gradient, in one pass.

The soft code of a scaled value u over K bins with centres mu is
``q(u) = softmax(-(u - mu)^2 / (2 tau^2))``, tau half a bin width. Two codes are compared by half
the L1 distance, which is 0 for equal values and 1 for codes that do not overlap. It is the largest
part of a robust step (queries x counterfactuals x draws x features x bins), so the gradient is
formed while the codes are in cache instead of being recorded operation by operation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["soft_code_distance"]

#: Elements worked on at a time: a few tensors of this size stay in a core's cache.
_BLOCK = 1 << 17


def soft_code_distance(value: Tensor, moved: Tensor, centres: Tensor) -> Tensor:
    """Half the L1 distance between soft codes, summed over features.

    Parameters
    ----------
    value : Tensor of shape (..., n)
        Scaled values.
    moved : Tensor of shape (..., M, n)
        Disturbed values.
    centres : Tensor of shape (K,)
        Bin centres ``(k + 1/2) / K``.

    Returns
    -------
    Tensor of shape (..., M)
        In [0, n], differentiable in `value` and `moved`.
    """
    return _SoftCodeDistance.apply(value, moved, centres)


class _SoftCodeDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, moved: Tensor, centres: Tensor) -> Tensor:
        n, draws, width = value.shape[-1], moved.shape[-2], _width(centres)
        # Beyond the range a code no longer changes; the limits keep its parts from vanishing.
        rows = value.flatten(0, -2).clamp(-0.5, 1.5)
        disturbed = moved.flatten(0, -3).clamp(-0.5, 1.5)
        wants = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        distance = value.new_empty(len(rows), draws)
        by_value = torch.empty_like(disturbed) if wants else disturbed
        by_moved = torch.empty_like(disturbed) if wants else disturbed
        step = max(1, _BLOCK // max(1, draws * n * len(centres)))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            code, mean = _code(rows[part], centres)
            code_moved, mean_moved = _code(disturbed[part], centres)
            apart = code.unsqueeze(2) - code_moved
            sign = apart.sign()
            distance[part] = 0.5 * apart.mul_(sign).sum(0).sum(-1)
            if wants:
                # d q_k / du = q_k (mu_k - mean mu) / tau^2, and sign(.) is d|.|.
                pull = (code * (centres.view(-1, 1, 1) - mean)).unsqueeze(2)
                by_value[part] = (sign * pull).sum(0)
                code_moved *= centres.view(-1, 1, 1, 1) - mean_moved
                by_moved[part] = code_moved.mul_(sign).sum(0)
        if wants:
            by_value *= 0.5 / width**2
            by_moved *= -0.5 / width**2
            ctx.save_for_backward(by_value, by_moved)
        ctx.shapes = value.shape, moved.shape
        return distance.view(moved.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        by_value, by_moved = ctx.saved_tensors
        shape, shape_moved = ctx.shapes
        weight = grads[0].reshape(by_value.shape[:2]).unsqueeze(-1)
        return (
            (weight * by_value).sum(1).view(shape),
            (weight * by_moved).view(shape_moved),
            None,
        )


def _code(u: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Soft codes (K, ...) of values (...) and their mean centre (...); bins first is fastest."""
    code = u - centres.view(-1, *[1] * u.ndim)
    code = code.square_().mul_(-0.5 / _width(centres) ** 2).exp_()
    code /= code.sum(0)
    return code, torch.tensordot(centres, code, 1)


def _width(centres: Tensor) -> float:
    """Return tau, half a bin width."""
    return 0.5 / len(centres)
