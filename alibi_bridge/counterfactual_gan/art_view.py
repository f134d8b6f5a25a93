"""D as ART sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alibi_bridge.formats import ImageFormat

__all__ = ["UserView", "art_classifier"]


class UserView(nn.Module):
    """A network over images in the user's layout and range; differentiable.

    Parameters
    ----------
    network : torch.nn.Module
        Takes (n, channels, H, W) in [−1, 1]. Shared, not copied.
    image_format : ImageFormat
    outputs : int
        How many of the network's outputs to return, from the first on.
    """

    def __init__(self, network: nn.Module, image_format: ImageFormat, outputs: int) -> None:
        super().__init__()
        self.network, self.image_format, self.outputs = network, image_format, outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, outputs)."""
        low, high = self.image_format.value_range
        if self.image_format.channels_last:
            x = x.permute(0, 3, 1, 2)
        x = (x.float() - low) * (2.0 / (high - low)) - 1.0
        logits: Tensor = self.network(x)
        return logits[:, : self.outputs]


def art_classifier(network: nn.Module, image_format: ImageFormat, device: torch.device) -> Any:
    """Return a ``PyTorchClassifier`` over the two classes.

    Raises
    ------
    ImportError
        ART is not installed.
    """
    try:
        from art.estimators.classification import PyTorchClassifier
    except ImportError as error:
        raise ImportError(
            "as_art_classifier() needs ART: pip install 'dice-extended[art]'"
        ) from error

    return PyTorchClassifier(
        model=UserView(network, image_format, outputs=2).eval(),
        loss=nn.CrossEntropyLoss(),
        input_shape=image_format.shape,
        nb_classes=2,
        clip_values=tuple(np.float32(value) for value in image_format.value_range),
        channels_first=not image_format.channels_last,
        device_type="gpu" if device.type == "cuda" else "cpu",
    )
