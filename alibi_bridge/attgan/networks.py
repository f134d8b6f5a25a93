"""The networks of AttGAN: a generator that encodes and decodes, a critic that also classifies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Architecture", "Critic", "Generator", "placed", "repeat", "rows"]

_Network = TypeVar("_Network", bound=nn.Module)

SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the two networks.

    Parameters
    ----------
    size : {32, 64, 128}
        Height and width of an image.
    channels : int
    attributes : int
        Number of attributes.
    width : int
        Channels of the first layer; each layer doubles them up to 16 × `width`. Published: 64.
    depth : int, optional
        Layers that halve the image. Default: those that lead to 4 × 4 pixels, 5 at 128 px as
        published.
    shortcuts : int
        How many layers of the decoder also get the encoder's features. Published: 1.
    injections : int
        How many layers of the decoder, after the first, also get the attributes. Published: 1.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: a size without meaning.
    """

    size: int
    channels: int
    attributes: int
    width: int = 64
    depth: int | None = None
    shortcuts: int = 1
    injections: int = 1

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InvalidInputError(f"size must be one of {SIZES}, it is {self.size!r}")
        if self.depth is None:
            object.__setattr__(self, "depth", self.size.bit_length() - 3)
        most = self.size.bit_length() - 2  # a critic's instance norm needs 2 x 2 pixels or more
        for name, low, high in (
            ("channels", 1, 3),
            ("attributes", 1, 1000),
            ("width", 1, 1024),
            ("depth", 2, most),
            ("shortcuts", 0, self.layers - 1),
            ("injections", 0, self.layers - 1),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InvalidInputError(
                    f"{name} must be a whole number from {low} to {high} for images of "
                    f"{self.size} px, it is {value!r}"
                )

    @property
    def layers(self) -> int:
        """`depth`, once it is known."""
        return int(self.depth or 0)

    def features(self, layer: int) -> int:
        """Channels that layer 0, 1, … of the encoder gives."""
        return self.width * 2 ** min(layer, 4)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters; JSON can write them."""
        return asdict(self)


class Generator(nn.Module):
    """AttGAN's encoder and decoder.

    An encoded image z is a tuple of tensors, each with one row per image: the deepest features,
    and those that the shortcuts need.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        encoder, before = [], architecture.channels
        for layer in range(architecture.layers):
            after = architecture.features(layer)
            encoder.append(_down(before, after, nn.BatchNorm2d(after), bias=False))
            before = after
        decoder: list[nn.Module] = []
        before += architecture.attributes
        for layer in range(architecture.layers - 1):
            after = architecture.features(architecture.layers - 1 - layer)
            decoder.append(_up(before, after))
            before = after
            if layer < architecture.shortcuts:
                before += architecture.features(architecture.layers - 2 - layer)
            if layer < architecture.injections:
                before += architecture.attributes
        last = nn.ConvTranspose2d(before, architecture.channels, 4, 2, 1)
        decoder.append(nn.Sequential(last, nn.Tanh()))
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        _initialise(self)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return z of images (n, C, H, W) in [−1, 1]: the deepest features first."""
        features = []
        for layer in self.encoder:
            x = layer(x)
            features.append(x)
        return tuple(features[::-1][: self.architecture.shortcuts + 1])

    def decode(self, z: Sequence[torch.Tensor], b: torch.Tensor) -> torch.Tensor:
        """Return images (n, C, H, W) in [−1, 1] of z with attributes `b` (n, m) in [−1, 1]."""
        y = torch.cat([z[0], _tile(b, z[0])], dim=1)
        for place, layer in enumerate(self.decoder):
            y = layer(y)
            if place == len(self.decoder) - 1:
                break
            parts = [y]
            if place < self.architecture.shortcuts:
                parts.append(z[place + 1])
            if place < self.architecture.injections:
                parts.append(_tile(b, y))
            y = torch.cat(parts, dim=1) if len(parts) > 1 else y
        return y

    def forward(self, x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Return the images `x` with the attributes `b`."""
        return self.decode(self.encode(x), b)


class Critic(nn.Module):
    """AttGAN's critic D and attribute classifier C: shared convolutions, a head each."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        layers: list[nn.Module] = []
        before = architecture.channels
        for layer in range(architecture.layers):
            after = architecture.features(layer)
            layers.append(_down(before, after, nn.InstanceNorm2d(after, affine=True), bias=True))
            before = after
        side = architecture.size >> architecture.layers
        inside, hidden = before * side * side, 16 * architecture.width
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.realness = _head(inside, hidden, 1)
        self.attributes = _head(inside, hidden, architecture.attributes)
        _initialise(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the critic's value (n,) and the attribute logits (n, m) of images."""
        shared = self.trunk(x)
        return self.realness(shared).squeeze(1), self.attributes(shared)

    def value(self, x: torch.Tensor) -> torch.Tensor:
        """Return the critic's value (n,) alone."""
        value: torch.Tensor = self.realness(self.trunk(x)).squeeze(1)
        return value


def placed(network: _Network, device: torch.device) -> _Network:
    """Return the network on a device, its weights in the layout that is fastest on a CPU."""
    # torch's own types know no memory format here.
    return cast(Any, network).to(device, memory_format=torch.channels_last)


def rows(z: Sequence[torch.Tensor], index: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the rows `index` of an encoded batch."""
    return tuple(part.index_select(0, index) for part in z)


def repeat(z: Sequence[torch.Tensor], k: int) -> tuple[torch.Tensor, ...]:
    """Return each row of an encoded batch `k` times in a row, to decode `k` edits of it."""
    index = torch.arange(len(z[0]), device=z[0].device).repeat_interleave(k)
    return rows(z, index)


def _down(before: int, after: int, norm: nn.Module, bias: bool) -> nn.Module:
    convolution = nn.Conv2d(before, after, 4, 2, 1, bias=bias)
    return nn.Sequential(convolution, norm, nn.LeakyReLU(0.2))


def _up(before: int, after: int) -> nn.Module:
    convolution = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def _head(inside: int, hidden: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inside, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, outputs))


def _tile(b: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Repeat `b` (n, m) over the pixels of `like`."""
    return b[:, :, None, None].expand(-1, -1, like.shape[2], like.shape[3])


def _initialise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
