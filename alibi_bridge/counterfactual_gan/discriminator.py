"""Discriminators: images in [−1, 1] to the logits of class 0, class 1 and fake."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from alibi_bridge.counterfactual_gan.parts import (
    as_image_size,
    check_channels,
    check_divisible,
    group_norm,
    standardise,
    with_spectral_norm,
)
from dice_extended_plugin.errors import InvalidInputError

__all__ = [
    "CNNDiscriminator",
    "Discriminator",
    "HybridDiscriminator",
    "ResNet3Discriminator",
    "ResNet18Discriminator",
    "ResNet50Discriminator",
    "ResNetDiscriminator",
]

#: Blocks, widths and kind of block of each depth. The paper does not say what ResNet-3 is: ours
#: has a stem and one basic block in each of two stages of half width.
_RESNETS: dict[int, dict[str, Any]] = {
    3: {"depths": [1, 1], "hidden_sizes": [32, 64], "embedding_size": 32, "layer_type": "basic"},
    18: {
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [64, 128, 256, 512],
        "embedding_size": 64,
        "layer_type": "basic",
    },
    50: {
        "depths": [3, 4, 6, 3],
        "hidden_sizes": [256, 512, 1024, 2048],
        "embedding_size": 64,
        "layer_type": "bottleneck",
    },
}


class Discriminator(nn.Module):
    """Standardises each image, takes its features, and scores them linearly.

    A subclass writes :meth:`features` and sets `feature_size` before `finish`.

    Parameters
    ----------
    channels : int
        1 or 3.
    size : int or tuple of int
    outputs : int
        Classes and one for fake.
    """

    def __init__(self, channels: int, size: int | tuple[int, int], outputs: int = 3) -> None:
        super().__init__()
        self.channels, self.size = check_channels(channels), as_image_size(size)
        self.outputs = outputs

    def finish(self, feature_size: int, spectral: bool, dropout: float) -> None:
        """Add the last layer; to be called at the end of a subclass's constructor."""
        self.feature_size = feature_size
        self.drop = nn.Dropout(dropout)
        self.score = nn.Linear(feature_size, self.outputs)
        if spectral:
            with_spectral_norm(self)

    def features(self, x: Tensor) -> Tensor:
        """Return features (n, feature_size) of standardised images."""
        raise NotImplementedError

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        """Return logits (n, 3) of images (n, channels, H, W) in [−1, 1].

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
        like : Tensor of shape (n, channels, height, width), optional
            Standardise by the mean and spread of these images instead of by their own. In training,
            counterfactuals are standardised like their originals: else G hides a crack by adding
            speckle elsewhere, which lowers the crack's contrast in units of the image's spread.
        """
        if like is None:
            standard = standardise(x)[0]
        else:
            _, mean, spread = standardise(like)
            standard = (x - mean) / spread
        logits: Tensor = self.score(self.drop(self.features(standard)))
        return logits


class CNNDiscriminator(Discriminator):
    """A small convolutional network: halving convolutions with group norm, mean and maximum.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
    width : int, optional
        Channels of the first level; doubled at each of the further ones.
    levels : int, optional
    spectral : bool, optional
        Spectral normalisation of every layer. Without it G finds changes that fool D and mean
        nothing (IoU 0.16 on 32-pixel cracks, one seed).
    dropout : float, optional
        Before the last layer.
    outputs : int, optional
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        width: int = 16,
        levels: int = 3,
        spectral: bool = True,
        dropout: float = 0.0,
        outputs: int = 3,
    ) -> None:
        super().__init__(channels, size, outputs)
        check_divisible(self.size, 2**levels, f"a discriminator of {levels} levels")
        widths = [width * 2**level for level in range(levels)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.SiLU()]
        for entering, leaving in zip([width, *widths], widths, strict=False):
            layers += [
                nn.Conv2d(entering, leaving, 4, stride=2, padding=1),
                group_norm(leaving),
                nn.SiLU(),
            ]
        layers += [nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.finish(2 * widths[-1], spectral, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean and the maximum of each map: a crack is a small part of an image."""
        maps = self.layers(x)
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


class ResNetDiscriminator(Discriminator):
    """A ResNet of transformers, randomly initialised, batch norm replaced by group norm.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
    depth : {3, 18, 50}, optional
    width : float, optional
        Factor on every number of channels.
    spectral : bool, optional
    dropout : float, optional
    outputs : int, optional
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        depth: int = 18,
        width: float = 1.0,
        spectral: bool = True,
        dropout: float = 0.0,
        outputs: int = 3,
    ) -> None:
        super().__init__(channels, size, outputs)
        if depth not in _RESNETS:
            raise InvalidInputError(f"depth must be one of {list(_RESNETS)}, it is {depth!r}")
        from transformers import ResNetConfig, ResNetModel

        plan = dict(_RESNETS[depth])
        plan["hidden_sizes"] = [max(8, int(c * width)) for c in plan["hidden_sizes"]]
        plan["embedding_size"] = max(8, int(plan["embedding_size"] * width))
        self.network = _with_group_norm(ResNetModel(ResNetConfig(num_channels=channels, **plan)))
        self.finish(plan["hidden_sizes"][-1], spectral, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean of each map of the last stage."""
        return self.network(x).pooler_output.flatten(1)


class ResNet3Discriminator(ResNetDiscriminator):
    """:class:`ResNetDiscriminator` of depth 3."""

    def __init__(self, channels: int, size: int | tuple[int, int], **options: Any) -> None:
        super().__init__(channels, size, depth=3, **options)


class ResNet18Discriminator(ResNetDiscriminator):
    """:class:`ResNetDiscriminator` of depth 18."""

    def __init__(self, channels: int, size: int | tuple[int, int], **options: Any) -> None:
        super().__init__(channels, size, depth=18, **options)


class ResNet50Discriminator(ResNetDiscriminator):
    """:class:`ResNetDiscriminator` of depth 50."""

    def __init__(self, channels: int, size: int | tuple[int, int], **options: Any) -> None:
        super().__init__(channels, size, depth=50, **options)


class HybridDiscriminator(Discriminator):
    """ResNet-3 and a small Swin side by side; one linear layer reads both feature vectors.

    Parameters
    ----------
    channels : int
    size : int or tuple of int
    embed, depths, heads, window, patch, pretrained
        Of the Swin, see :class:`~alibi_bridge.counterfactual_gan.swin.SwinDiscriminator`.
    width : float, optional
        Factor on the ResNet's channels.
    spectral : bool, optional
    dropout : float, optional
    outputs : int, optional
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        width: float = 1.0,
        spectral: bool = False,
        dropout: float = 0.0,
        outputs: int = 3,
        **swin: Any,
    ) -> None:
        super().__init__(channels, size, outputs)
        from alibi_bridge.counterfactual_gan.swin import SwinDiscriminator

        self.resnet = ResNetDiscriminator(channels, size, depth=3, width=width, spectral=False)
        self.swin = SwinDiscriminator(channels, size, **swin)
        self.resolved_options = self.swin.resolved_options
        for part in (self.resnet, self.swin):
            del part.score  # only their features are used
        self.finish(self.resnet.feature_size + self.swin.feature_size, spectral, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Return both feature vectors, each of length 1 to begin with."""
        found = (self.resnet.features(x), self.swin.features(x))
        return torch.cat([functional.layer_norm(f, f.shape[1:]) for f in found], dim=1)


def _with_group_norm(module: nn.Module) -> nn.Module:
    for name, part in list(module.named_children()):
        if isinstance(part, nn.BatchNorm2d):
            setattr(module, name, group_norm(part.num_features))
        else:
            _with_group_norm(part)
    return module
