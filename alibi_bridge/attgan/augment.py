"""Mirror and shift what the critic sees, so that no hidden dots can please it."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["mirrored", "shifted"]


def mirrored(x: torch.Tensor) -> torch.Tensor:
    """Return images (n, C, H, W), each turned left to right or not, at random."""
    turn = torch.rand(len(x), device=x.device) < 0.5
    return torch.where(turn[:, None, None, None], x.flip(3), x)


def shifted(x: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return images (n, C, H, W), each moved at random; its edge is repeated where it is left.

    Parameters
    ----------
    x : Tensor of shape (n, C, H, W)
    pixels : int
        The farthest move, each way.

    Returns
    -------
    Tensor of shape (n, C, H, W)
        Gradients flow through it.
    """
    n, _, height, width = x.shape
    padded = nn.functional.pad(x, (pixels,) * 4, mode="replicate")
    down, right = torch.randint(0, 2 * pixels + 1, (2, n, 1), device=x.device)
    rows = torch.arange(height, device=x.device) + down
    columns = torch.arange(width, device=x.device) + right
    images = torch.arange(n, device=x.device)[:, None, None]
    moved = padded[images, :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
