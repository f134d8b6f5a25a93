"""The classifier that plausible counterfactuals were shown on: five convolutions, two layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.formats import ImageFormat
from alibi_bridge.seeds import check_random_state, numpy_stream, seeded
from alibi_bridge.training import Progress, epoch_batches, pick_device
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["TargetClassifier"]


class TargetClassifier:
    """A convolutional classifier of two classes, to be audited.

    Five convolutions with BatchNorm and LeakyReLU(0.1), a dense layer with ReLU, a dense layer of
    one unit with a sigmoid, as Barredo-Arrieta and Del Ser (2020) describe theirs. It is an
    ordinary predictor: images in, probabilities out.

    Parameters
    ----------
    width : int, default 16
        Channels of the first convolution; each further one doubles them up to 8 × `width`.
    epochs : int, default 8
    batch_size : int, default 64
    learning_rate : float, default 1e-3
        Of Adam.
    random_state : int, default 0
    device : str, default "auto"

    Attributes
    ----------
    format_ : ImageFormat
        Of the images it was fitted on.
    network_ : torch.nn.Module
    """

    def __init__(
        self,
        width: int = 16,
        *,
        epochs: int = 8,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        value_range: tuple[float, float] | None = None,
        channels_last: bool = True,
        verbose: bool = False,
    ) -> TargetClassifier:
        """Train on images and labels.

        Parameters
        ----------
        X : ndarray of shape (n, height, width, channels), or channels first
            uint8, or floats in `value_range`; at least 8 x 8 pixels.
        y : array-like of 0 or 1, shape (n,)
        value_range : tuple of float, optional
            Default: (0, 255) for uint8, (0, 1) for floats.
        channels_last : bool, default True
        verbose : bool, default False

        Returns
        -------
        TargetClassifier
            Itself.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: images or labels that cannot be learnt from.
        """
        X = np.asarray(X)
        layout = ImageFormat.of(X, value_range, channels_last)
        X = layout.check(X)
        labels = np.asarray(y)
        if labels.shape != (len(X),):
            raise InvalidInputError(f"y has shape {labels.shape}, there are {len(X)} images")
        if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
            raise InvalidInputError("y must hold both labels, 0 and 1, and no other")
        if min(layout.height, layout.width) < 8:
            raise InvalidInputError(
                f"images have {layout.height} x {layout.width} pixels, 8 x 8 is the least"
            )
        random_state = check_random_state(self.random_state)
        device = pick_device(self.device)
        with seeded(random_state, "target", "init"):
            network = _network(layout, self.width).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        batch_size = min(self.batch_size, len(X))
        steps = self.epochs * (len(X) // batch_size)
        seed = int(numpy_stream(random_state, "target").integers(1 << 31))
        targets = torch.as_tensor(labels.astype(np.float32)).to(device)
        network.train()
        with Progress(steps, verbose, "target classifier") as progress:
            for step, rows in epoch_batches(len(X), batch_size, seed):
                if step == steps:
                    break
                scores = network(layout.to_tensor(X[rows], device)).squeeze(1)
                loss = nn.functional.binary_cross_entropy_with_logits(
                    scores, targets[torch.as_tensor(rows, device=device)]
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                progress.update(step + 1, {"loss": float(loss.detach())})
        self.network_, self.format_ = network.eval(), layout
        return self

    def predict(self, X: Any, batch_size: int = 256) -> np.ndarray:
        """Return the probability of label 1.

        Parameters
        ----------
        X : ndarray of shape (n, *format_.shape)
        batch_size : int, default 256

        Returns
        -------
        ndarray of float32, shape (n,)
            In [0, 1].

        Raises
        ------
        InvalidInputError
            A ``ValueError``: not fitted, or images of another kind.
        """
        if not hasattr(self, "network_"):
            raise InvalidInputError("the classifier is not fitted: call fit(X, y)")
        X = self.format_.check(X)
        device = next(self.network_.parameters()).device
        shares = []
        with torch.no_grad():
            for start in range(0, len(X), batch_size):
                batch = self.format_.to_tensor(X[start : start + batch_size], device)
                shares.append(self.network_(batch).squeeze(1).sigmoid().cpu().numpy())
        return np.concatenate(shares) if shares else np.empty(0, dtype=np.float32)

    __call__ = predict


def _network(layout: ImageFormat, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before, side = layout.channels, [layout.height, layout.width]
    for place in range(5):
        after = width * 2 ** min(place, 3)
        # Small images: the last convolutions keep the size.
        stride = 2 if min(side) >= 8 else 1
        side = [-(-length // stride) for length in side]
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.1)]
        before = after
    layers += [nn.Flatten(), nn.Linear(before * side[0] * side[1], 8 * width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(8 * width, 1))
