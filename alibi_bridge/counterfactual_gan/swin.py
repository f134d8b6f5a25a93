"""The Swin U-Net generator and the Swin discriminator; their encoders are transformers' Swin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alibi_bridge.counterfactual_gan.discriminator import Discriminator
from alibi_bridge.counterfactual_gan.generator import ResidualGenerator
from alibi_bridge.counterfactual_gan.parts import (
    NoiseInjection,
    PooledHead,
    check_divisible,
    group_norm,
)
from alibi_bridge.counterfactual_gan.windows import WindowBlocks
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["SwinDiscriminator", "SwinEncoder", "SwinUNetGenerator"]

#: What transformers raises over files that are missing, damaged or of another model.
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)


class SwinEncoder(nn.Module):
    """transformers' ``SwinBackbone``; every stage's feature map comes out.

    Parameters
    ----------
    channels : int
    size : tuple of int
        Sides must be multiples of `patch` · 2 ** (stages − 1).
    embed : int
        Channels of the first stage, doubled at each further one.
    depths, heads : sequence of int
        Blocks and attention heads of each stage.
    window : int, optional
        Default: 4 up to 64 pixels, else 7.
    patch : int, optional
        Default: 2 up to 64 pixels, else 4.
    pretrained : str, optional
        A folder or a name on the Hugging Face hub, such as
        ``"microsoft/swin-tiny-patch4-window7-224"``; its shape replaces the arguments above. Only
        safetensors files are read. Default: random weights, and nothing is downloaded.

    Attributes
    ----------
    widths : list of int
        Channels of each stage.
    sizes : list of tuple of int
        Height and width of each stage's map.
    options : dict
        Arguments that make an encoder of this shape without the pretrained weights.

    Raises
    ------
    InvalidInputError
        A size that cannot be halved so often; pretrained weights that cannot be read or fit other
        channels.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        embed: int = 24,
        depths: Sequence[int] = (2, 2, 2),
        heads: Sequence[int] = (3, 6, 12),
        window: int | None = None,
        patch: int | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        from transformers import SwinBackbone, SwinConfig

        small = max(size) <= 64
        window, patch = window or (4 if small else 7), patch or (2 if small else 4)
        if pretrained is not None:
            config = _pretrained_config(pretrained, channels)
            embed, depths, heads = config.embed_dim, config.depths, config.num_heads
            window, patch = config.window_size, config.patch_size
        if len(depths) != len(heads):
            raise InvalidInputError("depths and heads must have one entry per stage each")
        check_divisible(size, patch * 2 ** (len(depths) - 1), "this Swin")
        shape = {
            "image_size": list(size),
            "out_features": [f"stage{k + 1}" for k in range(len(depths))],
        }
        if pretrained is None:
            config = SwinConfig(
                patch_size=patch,
                num_channels=channels,
                embed_dim=embed,
                depths=list(depths),
                num_heads=list(heads),
                window_size=window,
                drop_path_rate=0.0,
                **shape,
            )
            self.backbone = SwinBackbone(config)
        else:
            self.backbone = _pretrained_backbone(pretrained, shape)
        self.options: dict[str, Any] = {
            "embed": embed,
            "depths": list(depths),
            "heads": list(heads),
            "window": window,
            "patch": patch,
            "pretrained": None,
        }
        self.patch, self.window = patch, window
        self.widths = [embed * 2**k for k in range(len(depths))]
        self.sizes = [(size[0] // patch >> k, size[1] // patch >> k) for k in range(len(depths))]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps of every stage, the largest first."""
        return list(self.backbone(x).feature_maps)


class SwinUNetGenerator(ResidualGenerator):
    """A U-Net whose blocks are window attention, with vector quantisation at the bottleneck.

    Between stages the image is enlarged by rearranging channels (pixel shuffle), in the last block
    by nearest neighbours, which leaves no chequerboard.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
    embed, depths, heads, window, patch, pretrained
        See :class:`SwinEncoder`.
    codes : int, optional
        Entries of the codebook; 0 leaves the quantisation out.
    width : int, optional
        Channels of the last block.
    noise_dim, noise_channels : int, optional
        The paper's d and c.
    dropout : float, optional
        In the decoder.
    grey_changes : bool, optional
        Change all channels of a pixel alike.
    classes : int, optional
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        codes: int = 256,
        width: int = 16,
        noise_dim: int = 16,
        noise_channels: int = 2,
        dropout: float = 0.1,
        grey_changes: bool = False,
        classes: int = 2,
        **swin: Any,
    ) -> None:
        super().__init__(channels, size, noise_dim, classes)
        self.encoder = SwinEncoder(channels, self.size, **swin)
        self.resolved_options = dict(self.encoder.options)
        widths, sizes = self.encoder.widths, self.encoder.sizes
        self.quantiser = _quantiser(widths[-1], codes) if codes else None
        self.enlarge, self.noise = nn.ModuleList(), nn.ModuleList()
        self.join, self.blocks = nn.ModuleList(), nn.ModuleList()
        for k in reversed(range(len(widths) - 1)):
            self.enlarge.append(
                nn.Sequential(nn.Conv2d(widths[k + 1], 4 * widths[k], 1), nn.PixelShuffle(2))
            )
            self.noise.append(NoiseInjection(widths[k], sizes[k], noise_dim, noise_channels))
            self.join.append(nn.Conv2d(2 * widths[k], widths[k], 1))
            heads = self.encoder.options["heads"][k]
            self.blocks.append(WindowBlocks(widths[k], sizes[k], heads, self.encoder.window))
        self.drop = nn.Dropout2d(dropout)
        self.narrow = nn.Conv2d(widths[0], width, 1)
        self.last_noise = NoiseInjection(width, self.size, noise_dim, noise_channels)
        self.last = nn.Sequential(
            nn.Conv2d(width + channels, width, 3, padding=1, bias=False),
            group_norm(width),
            nn.SiLU(),
        )
        self.head = PooledHead([*reversed(widths[:-1]), width], classes)
        self.leave = nn.Conv2d(width, 1 if grey_changes else channels, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def body(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residual and the class logits."""
        skips = self.encoder(x)
        features, pooled = self._quantised(skips.pop()), []
        parts = zip(self.enlarge, self.noise, self.join, self.blocks, strict=True)
        for enlarge, noise, join, blocks in parts:
            features = join(torch.cat([noise(enlarge(features), z), skips.pop()], dim=1))
            features = blocks(self.drop(features))
            pooled.append(features)
        features = functional.interpolate(
            self.narrow(features), scale_factor=self.encoder.patch, mode="nearest"
        )
        # The encoder's finest map is a patch wide; lines of one pixel come from the image itself.
        features = self.last(torch.cat([self.last_noise(features, z), x], dim=1))
        pooled.append(features)
        return self.leave(features), self.head(pooled)

    def _quantised(self, features: Tensor) -> Tensor:
        if self.quantiser is None:
            return features
        n, channels, height, width = features.shape
        rows = features.flatten(2).transpose(1, 2)
        with torch.autocast(features.device.type, enabled=False):  # the codebook's means need it
            coded, _, loss = self.quantiser(rows.float())
        self.extra_loss = loss.sum() if self.training else None
        found: Tensor = coded.to(features.dtype).transpose(1, 2)
        return found.reshape(n, channels, height, width)


class SwinDiscriminator(Discriminator):
    """The mean of the last Swin stage, scored linearly.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
    spectral : bool, optional
        Spectral normalisation of every linear layer.
    dropout : float, optional
    outputs : int, optional
    **swin
        See :class:`SwinEncoder`.
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        spectral: bool = False,
        dropout: float = 0.0,
        outputs: int = 3,
        **swin: Any,
    ) -> None:
        super().__init__(channels, size, outputs)
        self.encoder = SwinEncoder(channels, self.size, **swin)
        self.resolved_options = dict(self.encoder.options)
        self.finish(self.encoder.widths[-1], spectral, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean of each map of the last stage."""
        return self.encoder(x)[-1].mean(dim=(2, 3))


def _quantiser(channels: int, codes: int) -> Any:
    from vector_quantize_pytorch import VectorQuantize

    return VectorQuantize(
        dim=channels, codebook_size=codes, decay=0.9, commitment_weight=0.25, kmeans_init=False
    )


def _pretrained_backbone(name: str, shape: dict[str, Any]) -> Any:
    from safetensors import SafetensorError
    from transformers import SwinBackbone

    try:
        return SwinBackbone.from_pretrained(name, use_safetensors=True, drop_path_rate=0.0, **shape)
    except (*_UNREADABLE, SafetensorError) as error:
        raise InvalidInputError(
            f"pretrained={name!r} has no weights in safetensors that fit a Swin: {error}"
        ) from error


def _pretrained_config(name: str, channels: int) -> Any:
    from transformers import SwinConfig

    try:
        config = SwinConfig.from_pretrained(name)
    except _UNREADABLE as error:
        raise InvalidInputError(
            f"pretrained={name!r} is neither a folder with a Swin nor a name that the hub knows: "
            f"{error}"
        ) from error
    if config.num_channels != channels:
        raise InvalidInputError(
            f"pretrained={name!r} takes images of {config.num_channels} channels, these have "
            f"{channels}"
        )
    return config
