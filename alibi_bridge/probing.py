"""Asking a network about many images without leaving a mark on it.

Arrays here are what the networks take: float32, (n, channels, height, width), in [−1, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.seeds import seeded
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["ClassView", "check_images", "outputs", "probabilities", "undisturbed"]


class ClassView(nn.Module):
    """The two class logits of any of the networks here.

    Parameters
    ----------
    network : torch.nn.Module
        Returns logits (n, 2) or (n, 3), of which the first two are taken, or a pair whose second
        part they are, as the generator does.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 2)."""
        return _logits(self.network(x))[:, :2]


def check_images(X: Any, name: str = "X") -> np.ndarray:
    """Return images as float32.

    Raises
    ------
    InvalidInputError
        Not (n, 1 or 3, H, W), empty, NaN, or outside [−1, 1].
    """
    images = np.asarray(X)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise InvalidInputError(
            f"{name} must be (n, 1 or 3, height, width), its shape is {images.shape}; "
            f"ImageFormat.to_tensor makes such arrays"
        )
    if images.dtype.kind != "f":
        raise InvalidInputError(f"{name} must hold floats in [-1, 1], it holds {images.dtype}")
    images = np.ascontiguousarray(images, dtype=np.float32)
    if not np.isfinite(images).all():
        raise InvalidInputError(f"{name} holds NaN or infinity")
    if images.min() < -1.002 or images.max() > 1.002:
        raise InvalidInputError(
            f"{name} must lie in [-1, 1], it runs from {images.min():.4g} to {images.max():.4g}"
        )
    return images.clip(-1, 1)


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[torch.device]:
    """Put a network into evaluation mode with frozen weights, and back; gives its device."""
    modes = [(part, part.training) for part in network.modules()]
    wanted = [(weight, weight.requires_grad) for weight in network.parameters()]
    device = next((weight.device for weight, _ in wanted), torch.device("cpu"))
    network.eval()
    for weight, _ in wanted:
        weight.requires_grad_(False)
    try:
        yield device
    finally:
        for part, training in modes:
            part.training = training
        for weight, wants in wanted:
            weight.requires_grad_(wants)


def outputs(network: nn.Module, X: Any, batch_size: int = 256, random_state: int = 0) -> np.ndarray:
    """Return a network's logits of images, float32 (n, outputs).

    A network that draws (a generator's noise) draws for each image from the stream of its batch.
    """
    images = check_images(X)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InvalidInputError(f"batch_size must be a positive whole number, not {batch_size!r}")
    found = []
    with undisturbed(network) as device, torch.no_grad():
        for start in range(0, len(images), batch_size):
            with seeded(random_state, "outputs", start):
                batch = torch.from_numpy(images[start : start + batch_size]).to(device)
                found.append(_logits(network(batch)).float().cpu().numpy())
    return np.concatenate(found)


def probabilities(
    network: nn.Module, X: Any, batch_size: int = 256, random_state: int = 0
) -> np.ndarray:
    """Return the softmax of :func:`outputs`, float64 (n, outputs), rows sum to 1."""
    logits = outputs(network, X, batch_size, random_state).astype(float)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return result


def _logits(returned: Any) -> torch.Tensor:
    logits = returned[1] if isinstance(returned, (tuple, list)) else returned
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        raise InvalidInputError(
            "the network must return logits (n, 2) or (n, 3), or a pair with them second; it "
            f"returned {tuple(getattr(logits, 'shape', ())) or type(logits).__name__}"
        )
    return logits
