"""The images that AttGAN is trained on: checked, split, and drawn as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from alibi_bridge.attgan.networks import Architecture
from alibi_bridge.attgan.training import Draw
from alibi_bridge.images import ImageSource, Subset, split_indices
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["check_source", "drawer", "split_source"]


def check_source(
    source: ImageSource, attributes: Sequence[str], architecture: Architecture, name: str
) -> None:
    """Refuse images that do not fit the networks.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no images, other attributes, another size, other channels.
    """
    if not len(source):
        raise InvalidInputError(f"{name} has no images")
    layout, size = source.format, architecture.size
    if tuple(source.attributes) != tuple(attributes):
        raise InvalidInputError(
            f"{name} has the attributes {', '.join(source.attributes)}; this AttGAN was made for "
            f"{', '.join(attributes)}"
        )
    if (layout.height, layout.width) != (size, size):
        raise InvalidInputError(
            f"{name} has images of {layout.height} x {layout.width} pixels, this AttGAN was made "
            f"for {size} x {size}; resize them, or give size"
        )
    if layout.channels != architecture.channels:
        raise InvalidInputError(
            f"{name} has {layout.channels} channels, this AttGAN was made for "
            f"{architecture.channels}"
        )


def split_source(
    source: ImageSource,
    validation: Any,
    as_images: Callable[..., ImageSource],
    random_state: int,
) -> tuple[ImageSource, ImageSource]:
    """Return the images to train on and those held out.

    Parameters
    ----------
    source : ImageSource
    validation : float, pair (X, A) or ImageSource
        A share of the rows of `source`, or other images.
    as_images : callable
        Makes a source of X and A.
    random_state : int

    Raises
    ------
    InvalidInputError
        A ``ValueError``: `validation` is none of these.
    """
    if isinstance(validation, int | float) and not isinstance(validation, bool):
        if not 0 < validation < 1:
            raise InvalidInputError(f"validation must lie between 0 and 1, it is {validation!r}")
        train, held_out = split_indices(len(source), (1 - validation, validation), random_state)
        return Subset(source, train), Subset(source, held_out)
    if isinstance(validation, ImageSource):
        return source, validation
    if isinstance(validation, tuple | list) and len(validation) == 2:
        return source, as_images(*validation, constant=True)
    raise InvalidInputError(
        "validation must be a share of the rows, a pair (X, A) or an image source"
    )


def drawer(source: ImageSource, device: torch.device) -> Draw:
    """Return a function from row numbers to images in [−1, 1] on the device and attributes."""
    layout = source.format

    def draw(index: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        X, A = source.batch(index)
        return layout.to_tensor(layout.check(X), device), A

    return draw
