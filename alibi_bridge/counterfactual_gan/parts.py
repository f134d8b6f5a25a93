"""Layers that the generators and discriminators share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dice_extended_plugin.errors import InvalidInputError

__all__ = [
    "NoiseInjection",
    "PooledHead",
    "as_image_size",
    "check_channels",
    "check_divisible",
    "group_norm",
    "standardise",
    "with_spectral_norm",
]

#: Spread given to images without contrast. One grey value of 8-bit images is 0.008 in [−1, 1].
_LEAST_SPREAD = 0.01
#: Share of the pixels at either end of the brightness that does not set an image's scale.
_TAIL = 0.15
#: Standard deviation of a Gaussian over that of its bulk, the tails moved to the quantiles.
_BULK_TO_WHOLE = 1.36
SMALLEST, LARGEST = 32, 224


def standardise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return images with their bulk at mean 0 and spread 1, and the two numbers.

    Light and contrast differ from photograph to photograph and say nothing about the class. They
    are taken with the brightness of each pixel held between the image's quantiles `_TAIL` and
    1 − `_TAIL`, so that the small thing that makes the class does not set the
    scale. It did with the plain standard deviation: a crack raised it, a cracked image's
    background looked smoother, and G hid cracks behind dark specks all over the image (IoU of the
    raw map 0.27 against 0.31, validation images of 32 pixels, one seed).
    Differentiable.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)

    Returns
    -------
    tuple of Tensor
        Images; mean and spread of each, (n, 1, 1, 1).
    """
    light = x.mean(dim=1, keepdim=True)
    with torch.no_grad():
        flat = light.flatten(1)
        far = max(1, round(_TAIL * flat.shape[1]))
        low, high = (
            flat.kthvalue(k, dim=1).values.view(-1, 1, 1, 1) for k in (far, flat.shape[1] + 1 - far)
        )
    bulk = torch.minimum(torch.maximum(light, low), high)
    mean = bulk.mean(dim=(2, 3), keepdim=True)
    colour, inner, whole = (
        part.square().mean(dim=(1, 2, 3), keepdim=True)
        for part in (x - light, bulk - mean, light - mean)
    )
    # Drawings on an even ground have no spread in the middle: never below a third of the plain one.
    # The square root has no gradient at 0, hence the floor inside it.
    squared = torch.maximum(colour + _BULK_TO_WHOLE**2 * inner, (colour + whole) / 9.0)
    spread = (squared + _LEAST_SPREAD**2).sqrt()
    return (x - mean) / spread, mean, spread


def as_image_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width), checked.

    Raises
    ------
    InvalidInputError
        A side outside 32 to 224.
    """
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InvalidInputError(
            f"images of {height} x {width} pixels: the networks take sides from {SMALLEST} to "
            f"{LARGEST}; resize the images"
        )
    return height, width


def check_channels(channels: int) -> int:
    """Return the number of channels, checked.

    Raises
    ------
    InvalidInputError
        Neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise InvalidInputError(f"the networks take images of 1 or 3 channels, not {channels!r}")
    return int(channels)


def check_divisible(size: tuple[int, int], by: int, who: str) -> None:
    """Refuse an image size that a network cannot halve as often as it must.

    Raises
    ------
    InvalidInputError
        A side is no multiple of `by`.
    """
    if size[0] % by or size[1] % by:
        near = " x ".join(str(max(by, round(side / by) * by)) for side in size)
        raise InvalidInputError(
            f"images of {size[0]} x {size[1]} pixels: {who} needs sides that are multiples of "
            f"{by}; resize or pad them, for example to {near}, or use fewer levels"
        )


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a group norm of up to 8 groups. Batch norm would mix real and fake images."""
    groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def with_spectral_norm(module: nn.Module) -> nn.Module:
    """Put spectral normalisation on every convolution and linear layer; returns `module`."""
    for part in list(module.modules()):
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            spectral_norm(part)
    return module


class NoiseInjection(nn.Module):
    """Noise joined to a feature map (the paper's equation 7).

    z ~ N(0, I_d) goes through a linear layer to `added` maps of the size of the features; these
    are joined to the features, and a 1 × 1 convolution projects back.

    Parameters
    ----------
    channels : int
        Of the features.
    size : tuple of int
        Height and width of the features.
    noise_dim : int
        d.
    added : int
        Maps joined (the paper's c).
    """

    def __init__(self, channels: int, size: tuple[int, int], noise_dim: int, added: int) -> None:
        super().__init__()
        self.size, self.added = size, added
        self.spread = nn.Linear(noise_dim, added * size[0] * size[1])
        self.project = nn.Conv2d(channels + added, channels, 1)
        with torch.no_grad():  # begins as the identity on the features, with a little noise
            self.project.weight.mul_(0.1)
            self.project.weight[:, :channels, 0, 0] += torch.eye(channels)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Return features of the same shape; `z` is (n, noise_dim)."""
        maps = self.spread(z).view(-1, self.added, *self.size)
        joined: Tensor = self.project(torch.cat([features, maps], dim=1))
        return joined


class PooledHead(nn.Module):
    """Class scores from several feature maps by weighted average pooling.

    Each map has a score branch and a weight branch (1 × 1 convolutions); its pooled vector is the
    average of the scores by the weights. A fully connected network reads all vectors.

    Parameters
    ----------
    channels : sequence of int
        Of each map.
    classes : int
    hidden : int, optional
        Length of each pooled vector.
    """

    def __init__(self, channels: Sequence[int], classes: int, hidden: int = 16) -> None:
        super().__init__()
        self.score = nn.ModuleList(nn.Conv2d(c, hidden, 1) for c in channels)
        self.weight = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)
        self.read = nn.Sequential(
            nn.Linear(hidden * len(channels), hidden), nn.SiLU(), nn.Linear(hidden, classes)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return logits (n, classes)."""
        pooled = []
        for features, score, weight in zip(maps, self.score, self.weight, strict=True):
            shares = weight(features).flatten(2).softmax(dim=2)
            pooled.append((torch.nn.functional.silu(score(features)).flatten(2) * shares).sum(2))
        logits: Tensor = self.read(torch.cat(pooled, dim=1))
        return logits
