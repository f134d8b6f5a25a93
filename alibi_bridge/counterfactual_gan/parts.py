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
    "check_divisible",
    "group_norm",
    "standardise",
    "with_spectral_norm",
]

#: Spread given to images without contrast. One grey value of 8-bit images is 0.008 in [−1, 1].
_LEAST_SPREAD = 0.01
SMALLEST, LARGEST = 32, 224


def standardise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return images with mean 0 and standard deviation 1 each, and the two numbers.

    Light and contrast differ from photograph to photograph and say nothing about the class.
    Differentiable.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)

    Returns
    -------
    tuple of Tensor
        Images; mean and standard deviation of each, (n, 1, 1, 1).
    """
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    centred = x - mean
    # The square root has no gradient at 0, hence the floor inside it.
    spread = (centred.square().mean(dim=(1, 2, 3), keepdim=True) + _LEAST_SPREAD**2).sqrt()
    return centred / spread, mean, spread


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
