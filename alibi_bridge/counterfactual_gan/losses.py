"""The joint GAN's objective, in the corrected form and as printed.

Two classes; logits are (class 0, class 1, fake). The paper's equations 1 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from alibi_bridge.counterfactual_gan.parts import standardise

__all__ = [
    "FAKE",
    "Objective",
    "class_margin",
    "cycle_weights",
    "discriminator_loss",
    "flipped",
    "generator_loss",
    "margin_penalty",
    "roughness",
    "sparsity",
]

Objective = Literal["corrected", "printed"]
#: D's output for generated images.
FAKE = 2


def flipped(y: Tensor, times: int = 1) -> Tensor:
    """Return the labels after `times` flips: the class that pass number `times` aims at."""
    return 1 - y if times % 2 else y


def discriminator_loss(
    real: Tensor,
    y: Tensor,
    fake: Tensor | None,
    class_weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of real images towards their class and of generated ones towards fake (eq. 1).

    Parameters
    ----------
    real : Tensor of shape (n, 3)
        Logits of real images.
    y : Tensor of int64, shape (n,)
        0 or 1; or float (n, 3), shares of each output.
    fake : Tensor of shape (m, 3), optional
        Logits of generated images; None while D is only a classifier.
    class_weights : Tensor of shape (2,), optional
        Weight of each class's rows; their mean over the batch is taken by these weights.
    smoothing : float, optional
        Share of a label that goes to the two other outputs.

    Returns
    -------
    Tensor
        A number, 0 or more.
    """
    weights = None
    if class_weights is not None:  # the fake output has no rows among real images
        weights = torch.cat([class_weights, class_weights.new_ones(1)])
    loss = functional.cross_entropy(real, y, weight=weights, label_smoothing=smoothing)
    if fake is not None:
        loss = loss + functional.cross_entropy(fake, torch.full_like(fake[:, 0], FAKE).long())
    return loss


def generator_loss(
    fake: Tensor, y: Tensor, passes: int = 1, objective: Objective = "corrected"
) -> Tensor:
    """Reward counterfactuals that D reads as real and of the class aimed at.

    Corrected: the cross-entropy towards the class flipped `passes` times. One term rewards both,
    being read as that class and as not fake, and it has a gradient where D is sure of "fake".
    Printed (eq. 2, with the sign of eq. 6): the log-probabilities of the class *not* aimed at and
    of fake, to be made small; without lower bound. Where D is sure of "fake", G lowers the first
    term best by looking still more fake; and in every second pass the sign is reversed, which
    rewards looking fake everywhere.

    Parameters
    ----------
    fake : Tensor of shape (n, 3)
        Logits of the counterfactuals of pass `passes`.
    y : Tensor of int64, shape (n,)
        Class of the images that the first pass began with.
    passes : int, optional
        How often G was applied.
    objective : {"corrected", "printed"}, optional

    Returns
    -------
    Tensor
        A number; smaller is better for G.
    """
    if objective == "corrected":
        return functional.cross_entropy(fake, flipped(y, passes))
    log_p = fake.log_softmax(dim=1)
    own = log_p.gather(1, y[:, None])[:, 0]
    return (-1.0) ** (passes - 1) * (own + log_p[:, FAKE]).mean()


def cycle_weights(cycles: int, decay: float, ramp: float) -> list[float]:
    """Return the weight of each pass, λc^(i−1), all but the first times `ramp` in [0, 1]."""
    return [1.0] + [ramp * decay**i for i in range(1, cycles + 1)]


def sparsity(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean |x − x̂| in units of each image's own spread (eq. 4).

    In these units one weight serves dim and bright, flat and rich images.
    """
    spread = standardise(x)[2].detach()
    return ((x - x_hat).abs() / spread).mean()


def roughness(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean total variation of x̂ − x in units of each image's own spread.

    The absolute differences of neighbours, to the right and downwards, as in the masks of Fong and
    Vedaldi (ICCV 2017, equation 5 with β = 1). The same length in single dots costs four times as
    much as in lines two pixels wide: G cannot hide a crack behind speckle.
    """
    spread = standardise(x)[2].detach()
    change = (x_hat - x) / spread
    across = (change[..., 1:] - change[..., :-1]).abs().mean()
    return across + (change[..., 1:, :] - change[..., :-1, :]).abs().mean()


def class_margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return how far the logit of an image's class is above the other's, (n,)."""
    margin: Tensor = (logits[:, 0] - logits[:, 1]) * (1 - 2 * y).to(logits.dtype)
    return margin


def margin_penalty(x: Tensor, logits: Tensor) -> Tensor:
    """Mean L1 norm of the gradient of the class margin over the pixels.

    The largest change of the margin under a change of ε in every pixel is ε times this norm, to
    first order. `x` must carry a gradient.
    """
    margin = (logits[:, 1] - logits[:, 0]).sum()
    (slope,) = torch.autograd.grad(margin, x, create_graph=True)
    return slope.abs().sum(dim=(1, 2, 3)).mean()


def balanced_weights(y: Sequence[int], least: float = 1e-3) -> list[float]:
    """Return a weight for each class in inverse proportion to its share, with mean 1 per row."""
    counts = [sum(1 for label in y if label == c) for c in (0, 1)]
    return [len(y) / (2 * max(count, least)) for count in counts]
