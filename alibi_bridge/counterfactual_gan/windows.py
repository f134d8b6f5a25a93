"""Attention inside shifted windows, for the decoder of the Swin U-Net (Liu et al., ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WindowBlocks"]


class _Block(nn.Module):
    """One block over a map of fixed size; shifted by half a window or not."""

    def __init__(
        self, channels: int, size: tuple[int, int], heads: int, window: int, shifted: bool
    ) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.window = min(window, *size)
        # A map of one window has nothing to shift into.
        self.shift = self.window // 2 if shifted and self.window < min(size) else 0
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, 3 * channels)
        self.join = nn.Linear(channels, channels)
        self.norm_again = nn.LayerNorm(channels)
        self.think = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        self.bias = nn.Parameter(torch.zeros(heads, (2 * self.window - 1) ** 2))
        place = torch.stack(torch.meshgrid(*[torch.arange(self.window)] * 2, indexing="ij"))
        apart = place.flatten(1)[:, :, None] - place.flatten(1)[:, None] + self.window - 1
        self.register_buffer("apart", apart[0] * (2 * self.window - 1) + apart[1], persistent=False)
        self.register_buffer("barred", self._barred(), persistent=False)
        self.apart: Tensor
        self.barred: Tensor

    def _padded(self) -> tuple[int, int]:
        height, width = (-(-side // self.window) * self.window for side in self.size)
        return height, width

    def _barred(self) -> Tensor:
        """(windows, 1, w², w²) of bool: pixels that only the shift made neighbours, and padding."""
        height, width = self._padded()
        zone = torch.zeros(height, width)
        zone[self.size[0] :], zone[:, self.size[1] :] = 100, 100  # padding is a zone of its own
        zone = zone.roll((-self.shift, -self.shift), (0, 1))
        if self.shift:
            zone[-self.shift :] += 1
            zone[:, -self.shift :] += 2
        cut = self._cut(zone[None, :, :, None])[..., 0]
        return (cut[:, :, None] != cut[:, None, :])[:, None]

    def _cut(self, x: Tensor) -> Tensor:
        n, height, width, channels = x.shape
        w = self.window
        x = x.view(n, height // w, w, width // w, w, channels).transpose(2, 3)
        return x.reshape(-1, w * w, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Take and return (n, H, W, channels)."""
        n, height, width, channels = x.shape
        tall, wide = self._padded()
        y = functional.pad(self.norm(x), (0, 0, 0, wide - width, 0, tall - height))
        y = self._cut(y.roll((-self.shift, -self.shift), (1, 2)))
        parts = self.mix(y).view(len(y), -1, 3, self.heads, channels // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mask = self.bias[:, self.apart].to(q.dtype)[None].masked_fill(self.barred, -1e4)
        mask = mask.repeat(n, 1, 1, 1)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        y = self.join(y.transpose(1, 2).flatten(2))
        w = self.window
        y = y.view(n, tall // w, wide // w, w, w, channels).transpose(2, 3)
        y = y.reshape(n, tall, wide, channels).roll((self.shift, self.shift), (1, 2))
        x = x + y[:, :height, :width]
        out: Tensor = x + self.think(self.norm_again(x))
        return out


class WindowBlocks(nn.Module):
    """A plain and a shifted block over feature maps (n, channels, H, W).

    Parameters
    ----------
    channels : int
        A multiple of `heads`.
    size : tuple of int
        Height and width of the maps; padded to whole windows inside.
    heads, window : int
    """

    def __init__(self, channels: int, size: tuple[int, int], heads: int, window: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_Block(channels, size, heads, window, shifted) for shifted in (False, True))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape."""
        found: Tensor = self.blocks(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found.contiguous()
