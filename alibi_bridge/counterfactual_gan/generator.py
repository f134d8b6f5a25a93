"""The generators' frame, and the convolutional U-Net."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alibi_bridge.counterfactual_gan.parts import (
    NoiseInjection,
    PooledHead,
    as_image_size,
    check_channels,
    check_divisible,
    group_norm,
    standardise,
)

__all__ = ["ResidualGenerator", "UNetGenerator"]


class ResidualGenerator(nn.Module):
    """What every generator does: x̂ = x + spread(x) · r(standardised x, z), and class scores.

    The network behind r ends in a layer that starts at zero, so that x̂ is x exactly before
    training. A subclass writes :meth:`body`.

    Parameters
    ----------
    channels : int
        1 or 3.
    size : int or tuple of int
    noise_dim : int
        Length of z.
    classes : int
    """

    def __init__(
        self, channels: int, size: int | tuple[int, int], noise_dim: int, classes: int
    ) -> None:
        super().__init__()
        self.channels, self.size = check_channels(channels), as_image_size(size)
        self.noise_dim, self.classes = noise_dim, classes
        #: What the body adds to the loss (vector quantisation's commitment), set by each pass.
        self.extra_loss: Tensor | None = None

    def body(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residual and the class logits of standardised images.

        The residual is (n, channels, H, W), or (n, 1, H, W) for all channels alike.
        """
        raise NotImplementedError

    def forward(
        self, x: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return counterfactuals and the class of the inputs.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            In [−1, 1].
        noise : Tensor of shape (n, noise_dim), optional
            z. Zeros give the most typical counterfactual. Default: drawn.
        generator : torch.Generator, optional
            Where z is drawn from; default torch's own.

        Returns
        -------
        x_hat : Tensor of shape (n, channels, height, width)
            In [−1, 1].
        logits : Tensor of shape (n, classes)
        """
        if noise is None:
            noise = torch.randn(
                len(x), self.noise_dim, generator=generator, device=x.device, dtype=x.dtype
            )
        standard, _, spread = standardise(x)
        residual, logits = self.body(standard, noise)
        return (x + spread * residual.to(x.dtype)).clamp(-1.0, 1.0), logits


class _Block(nn.Module):
    """Two 3 × 3 convolutions with group norm."""

    def __init__(self, entering: int, leaving: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(entering, leaving, 3, padding=1, bias=False)
        self.norm = group_norm(leaving)
        self.second = nn.Conv2d(leaving, leaving, 3, padding=1, bias=False)
        self.norm_again = group_norm(leaving)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.norm(self.first(x)))
        x = functional.silu(self.norm_again(self.second(self.dropout(x))))
        return x


def _usual_levels(size: tuple[int, int]) -> int:
    return 4 if all(side % 16 == 0 and side >= 64 for side in size) else 3


class UNetGenerator(ResidualGenerator):
    """A convolutional U-Net.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
        Sides must be multiples of 2 ** `levels`.
    width : int, optional
        Channels of the first level; each further level has twice as many.
    levels : int, optional
        How often the image is halved. Default: until its maps are four pixels wide, but at least 3
        and at most 4 times. G has to know an image's class before it can turn it; on real cracks of
        64 pixels a fourth level read more of them right (one seed, validation).
    noise_dim, noise_channels : int, optional
        The paper's d and c.
    dropout : float, optional
        In the decoder.
    grey_changes : bool, optional
        Change all channels of a pixel alike. Where colour means nothing, G otherwise learns to tint
        images, which fools D and shows nobody anything.
    classes : int, optional

    Raises
    ------
    InvalidInputError
        A size that cannot be halved so often.
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        width: int = 8,
        levels: int | None = None,
        noise_dim: int = 16,
        noise_channels: int = 2,
        dropout: float = 0.1,
        grey_changes: bool = False,
        classes: int = 2,
    ) -> None:
        super().__init__(channels, size, noise_dim, classes)
        levels = _usual_levels(self.size) if levels is None else levels
        check_divisible(self.size, 2**levels, f"a U-Net of {levels} levels")
        #: What a saved model needs besides the options that were given.
        self.resolved_options = {"levels": levels}
        widths = [width * 2**level for level in range(levels + 1)]
        self.enter = _Block(channels, widths[0])
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise(widths))
        steps: list[Any] = [(widths[k + 1], widths[k], k) for k in reversed(range(levels))]
        # Channels are halved before the image is enlarged: most of the time goes to large images.
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b, _ in steps)
        self.noise = nn.ModuleList(
            NoiseInjection(b, (self.size[0] >> k, self.size[1] >> k), noise_dim, noise_channels)
            for _, b, k in steps
        )
        self.up = nn.ModuleList(_Block(2 * b, b, dropout) for _, b, _ in steps)
        self.head = PooledHead([b for _, b, _ in steps], classes)
        self.leave = nn.Conv2d(widths[0], 1 if grey_changes else channels, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def body(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residual and the class logits."""
        skips = [self.enter(x)]
        for block in self.down:
            skips.append(block(functional.avg_pool2d(skips[-1], 2)))
        features, pooled = skips.pop(), []
        for narrow, noise, block in zip(self.narrow, self.noise, self.up, strict=True):
            features = functional.interpolate(narrow(features), scale_factor=2, mode="nearest")
            features = block(torch.cat([noise(features, z), skips.pop()], dim=1))
            pooled.append(features)
        return self.leave(features), self.head(pooled)
