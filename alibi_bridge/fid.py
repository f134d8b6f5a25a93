"""Fréchet distance of features, with the features' name in its own.

The usual FID takes an Inception network trained on photographs and 299 px; for crops of 32 or 64
px a network trained on the data says more. Values of different features cannot be compared, so
every value carries the features' name and a mark of their weights.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.metrics import check_labels
from alibi_bridge.probing import check_images
from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["NamedFeatures", "class_fid", "fid"]


class NamedFeatures(nn.Module):
    """A frozen copy of a network that returns features, and says which.

    Parameters
    ----------
    network : torch.nn.Module
    name : str
        What it is, for example ``"resnet-3 trained on cracks"``.
    shape : tuple of int
        (channels, height, width) of an image.
    layer : str, optional
        A name of ``network.named_modules()``; its output is averaged over the image. Default: what
        the network returns.

    Raises
    ------
    InvalidInputError
        There is no such layer, or its output is not a tensor of features.
    """

    def __init__(
        self, network: nn.Module, name: str, shape: tuple[int, int, int], layer: str | None = None
    ) -> None:
        super().__init__()
        if layer is not None and layer not in dict(network.named_modules()):
            raise InvalidInputError(
                f"the network has no layer {layer!r}; it has {list(dict(network.named_modules()))}"
            )
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.name, self.layer, self.shape = name, layer, tuple(shape)
        self._caught: list[torch.Tensor] = []
        if layer is not None:
            part = dict(self.network.named_modules())[layer]
            part.register_forward_hook(lambda _, __, found: self._caught.append(found))
        device = next((w.device for w in network.parameters()), torch.device("cpu"))
        #: Number of features; torchmetrics asks for it.
        self.num_features = int(self(torch.zeros(2, *shape, device=device)).shape[1])

    @property
    def label(self) -> str:
        """Name of the distance: features, their number, and a mark of the weights."""
        marks = hashlib.sha256()
        for key, value in sorted(self.network.state_dict().items()):
            marks.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return f"FID({self.name}; {self.num_features} features; {marks.hexdigest()[:8]})"

    def train(self, mode: bool = True) -> NamedFeatures:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (n, num_features)."""
        self._caught.clear()
        returned = self.network(x)
        found = self._caught[-1] if self.layer is not None else returned
        self._caught.clear()
        if not isinstance(found, torch.Tensor) or found.ndim < 2:
            raise InvalidInputError(f"features {self.name!r} are not a tensor of shape (n, ...)")
        if found.ndim == 4:
            found = found.mean(dim=(2, 3))
        return found.flatten(1)


def fid(real: Any, fake: Any, features: NamedFeatures, batch_size: int = 256) -> float:
    """Return the Fréchet distance between two sets of images.

    Parameters
    ----------
    real, fake : array-like of float, shape (n, C, H, W), (m, C, H, W)
        In [−1, 1]; two images or more each. The value is biased upwards for few images, and the
        bias depends on n and m: compare values of equal numbers only.
    features : NamedFeatures
    batch_size : int, optional

    Returns
    -------
    float
        0 and larger, lower is better. It has no chance value of its own:
        :func:`class_fid` gives one. Heusel et al. (NeurIPS 2017), with other features.

    Raises
    ------
    InvalidInputError
        Fewer than two images, images of another shape than the features take.
    ImportError
        torchmetrics is missing or cannot be imported.
    """
    distance_of = _torchmetrics()
    sets = [(True, check_images(real, "real")), (False, check_images(fake, "fake"))]
    device = next((w.device for w in features.parameters()), torch.device("cpu"))
    distance = distance_of(feature=features).to(device)
    with torch.no_grad():
        for is_real, images in sets:
            if len(images) < 2 or images.shape[1:] != features.shape:
                raise InvalidInputError(
                    f"{'real' if is_real else 'fake'} must be two or more images of shape "
                    f"{features.shape}, its shape is {images.shape}"
                )
            for start in range(0, len(images), batch_size):
                batch = torch.from_numpy(images[start : start + batch_size])
                distance.update(batch.to(device), real=is_real)
        # Rounding can put equal sets a little below 0.
        return max(float(distance.compute()), 0.0)


def class_fid(
    features: NamedFeatures,
    X: Any,
    y: Any,
    counterfactuals: Any,
    other_X: Any,
    other_y: Any,
    *,
    random_state: int = 0,
) -> dict[str, Any]:
    """Return distances of real and counterfactual images of the same class.

    Parameters
    ----------
    features : NamedFeatures
        Trained on neither `X` nor the counterfactuals.
    X : array-like of float, shape (n, C, H, W)
        Real test images.
    y : array-like of shape (n,)
        Their classes.
    counterfactuals : array-like of float, shape (n, C, H, W)
        Of `X`, row by row.
    other_X, other_y : array-like
        Real images of another part, for the floor.
    random_state : int, optional
        Which images of the other part are taken.

    Returns
    -------
    dict
        ``"features"``: the label. For each class c, ``"class c"``: ``"counterfactual"`` (real
        images of c against counterfactuals that should now be c), ``"unchanged"`` (against the
        images of the other class as they were: what a generator that does nothing gets),
        ``"floor"`` (against as many real images of c from the other part: what perfect
        counterfactuals would get).
        ``"full"``: all images against their own counterfactuals. It rewards doing nothing, and is
        here because the paper's Table 1 holds it.

    Raises
    ------
    InvalidInputError
        A class with fewer than two images, rows that do not fit.
    """
    images, made, other = (
        check_images(value, name)
        for value, name in ((X, "X"), (counterfactuals, "counterfactuals"), (other_X, "other_X"))
    )
    labels, others = check_labels(y, len(images)), check_labels(other_y, len(other), "other_y")
    if made.shape != images.shape:
        raise InvalidInputError(f"counterfactuals have shape {made.shape}, X {images.shape}")
    found: dict[str, Any] = {"features": features.label, "full": fid(images, made, features)}
    for c in (0, 1):
        own, foreign = np.flatnonzero(labels == c), np.flatnonzero(labels != c)
        rest = np.flatnonzero(others == c)
        if min(len(own), len(foreign), len(rest)) < 2:
            raise InvalidInputError(f"class {c} needs two images or more in X and in other_X")
        size = min(len(own), len(foreign), len(rest))
        stream = numpy_stream(random_state, "fid", c)
        own, foreign, rest = (
            np.sort(stream.permutation(rows)[:size]) for rows in (own, foreign, rest)
        )
        found[f"class {c}"] = {
            "counterfactual": fid(images[own], made[foreign], features),
            "unchanged": fid(images[own], images[foreign], features),
            "floor": fid(images[own], other[rest], features),
            "n": size,
        }
    return found


def _torchmetrics() -> Any:
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ImportError as error:
        # torchmetrics imports torch-fidelity if it is installed, and that needs torchvision,
        # although features of one's own need neither.
        raise ImportError(
            f"torchmetrics' FID cannot be imported ({error}). If torch-fidelity is installed "
            "without torchvision: pip uninstall torch-fidelity. If torchmetrics is missing: "
            "pip install 'dice-extended[images]'."
        ) from error
    return FrechetInceptionDistance
