"""What makes D's p_fake rise with noise and its classes hold under attack: extra terms of its loss.

The paper's loss alone does neither (docs/counterfactual_gan.md has the figures with and without).
Each term is zero-weighted by default or chosen in :class:`Settings`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from alibi_bridge.counterfactual_gan.losses import FAKE, class_margin, margin_penalty
from alibi_bridge.counterfactual_gan.settings import Settings

__all__ = ["attacked", "extra_terms", "noisy", "original_class_loss"]

Network = Callable[[Tensor], Tensor]


def extra_terms(
    network: Network, x: Tensor, y: Tensor, fake: Tensor | None, settings: Settings
) -> dict[str, Tensor]:
    """Return the weighted extra terms of D's loss that the settings ask for.

    Parameters
    ----------
    network : callable
        D.
    x : Tensor of shape (n, channels, H, W)
        Real images in [−1, 1].
    y : Tensor of int64, shape (n,)
    fake : Tensor of shape (n, 3), optional
        D's logits of the counterfactuals of these images.
    settings : Settings
    """
    terms = {}
    if settings.noise_weight:
        changed, share = noisy(x, settings.noise_level)
        targets = functional.one_hot(y, FAKE + 1).to(x.dtype)
        if settings.noise_label == "fake":
            away = functional.one_hot(torch.full_like(y, FAKE), FAKE + 1).to(x.dtype)
            targets = torch.lerp(targets, away, share[:, None])
        terms["noise"] = settings.noise_weight * functional.cross_entropy(network(changed), targets)
    if settings.attack_weight:
        changed = attacked(network, x, y, settings.attack_eps, settings.attack_steps)
        labels = y if settings.attack_label == "class" else torch.full_like(y, FAKE)
        terms["attack"] = settings.attack_weight * functional.cross_entropy(
            network(changed), labels
        )
    if settings.original_weight and fake is not None:
        terms["original"] = settings.original_weight * original_class_loss(fake, y)
    if settings.penalty_weight:
        watched = x.detach().clone().requires_grad_(True)
        terms["penalty"] = settings.penalty_weight * margin_penalty(watched, network(watched))
    return terms


def noisy(x: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Return images with Gaussian noise, each of its own strength, and strength / level, (n,)."""
    share = torch.rand(len(x), device=x.device, dtype=x.dtype)
    noise = torch.randn_like(x) * (share * level)[:, None, None, None]
    return (x + noise).clamp(-1.0, 1.0), share


def attacked(network: Network, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
    """Return images moved against the class margin inside L∞ balls, each of its own radius ≤ eps.

    Random start, then `steps` signed gradient steps. The margin, not the cross-entropy, is
    attacked: an attack that only raises p_fake has not changed the class. Radii vary so that
    unchanged and slightly changed images stay part of the training.
    """
    radius = eps * torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)
    moved = (x + radius * (2 * torch.rand_like(x) - 1)).clamp(-1.0, 1.0)
    length = 1.25 if steps == 1 else 2.5 / steps
    for _ in range(steps):
        moved = moved.detach().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(class_margin(network(moved), y).sum(), moved)
        moved = moved.detach() - length * radius * slope.sign()
        moved = torch.minimum(torch.maximum(moved, x - radius), x + radius).clamp(-1.0, 1.0)
    return moved.detach()


def original_class_loss(fake: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of counterfactuals towards their original's class, given that it is not fake.

    Only p0 against p1 is trained; p_fake is left to the GAN's own loss.
    """
    return functional.cross_entropy(fake[:, :FAKE], y)
