"""The losses of AttGAN: Wasserstein with gradient penalty, attributes, reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from alibi_bridge.attgan.networks import Critic

__all__ = ["Weights", "attribute_loss", "gradient_penalty"]


@dataclass(frozen=True)
class Weights:
    """What each loss counts beside the adversarial one, which counts 1; as published.

    Parameters
    ----------
    reconstruction : float
        The generator's mean |x − G(x, a)|.
    edit : float
        The generator's cross-entropy of C(G(x, b)) against b.
    classifier : float
        The critic's cross-entropy of C(x) against a.
    penalty : float
        The critic's gradient penalty.
    """

    reconstruction: float = 100.0
    edit: float = 10.0
    classifier: float = 1.0
    penalty: float = 10.0


def attribute_loss(logits: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of logits (n, m) against `a` (n, m) in {0, 1}."""
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), a)


def gradient_penalty(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the mean of (‖∇D(x̂)‖₂ − 1)² at points x̂ between real and edited images.

    On the adversarial head only, in float32 (Gulrajani et al. 2017, equation 3).

    Parameters
    ----------
    critic : Critic
    real, fake : Tensor of shape (n, C, H, W)

    Returns
    -------
    Tensor
        A number.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (real + share * (fake - real)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic.value(between).sum(), between, create_graph=True)
    norm: torch.Tensor = slope.flatten(1).norm(dim=1)
    return ((norm - 1) ** 2).mean()
