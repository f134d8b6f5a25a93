"""Grad-CAM through captum: the baseline that saliency maps are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.probing import ClassView, check_images, undisturbed
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["grad_cam", "grad_cam_layers"]


def grad_cam_layers(network: nn.Module) -> list[str]:
    """Return the names of the convolutions, from the input on."""
    return [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d)]


def grad_cam(
    network: nn.Module,
    X: Any,
    target: int = 1,
    layer: str | None = None,
    *,
    relu: bool = True,
    batch_size: int = 64,
) -> np.ndarray:
    """Return Grad-CAM maps of a classifier.

    Parameters
    ----------
    network : torch.nn.Module
        A plainly trained classifier with two outputs, or D.
    X : array-like of float, shape (n, C, H, W)
        In [−1, 1].
    target : int, optional
        The class that is explained.
    layer : str, optional
        A name of ``network.named_modules()`` whose output is (n, channels, h, w). Default: the
        last convolution, the usual choice. Earlier layers are finer and sometimes better; choose
        among :func:`grad_cam_layers` on validation images.
    relu : bool, optional
        Whether negative values become 0, as in the paper of Grad-CAM.
    batch_size : int, optional

    Returns
    -------
    ndarray of float32, shape (n, H, W)
        Upsampled bilinearly; larger speaks more for the class. 0 and larger if `relu`.

    Raises
    ------
    InvalidInputError
        There is no such layer, or no convolution, or the class does not depend on it.

    References
    ----------
    Selvaraju et al., Grad-CAM (ICCV 2017).
    """
    from captum.attr import LayerGradCam

    images = check_images(X)
    layers = dict(network.named_modules())
    if layer is None:
        convolutions = grad_cam_layers(network)
        if not convolutions:
            raise InvalidInputError(
                "the network has no convolution; name a layer with output (n, channels, h, w)"
            )
        layer = convolutions[-1]
    if layer not in layers:
        raise InvalidInputError(f"the network has no layer {layer!r}; it has {list(layers)[1:]}")
    found = []
    with undisturbed(network) as device:
        method = LayerGradCam(ClassView(network), layers[layer])
        for start in range(0, len(images), batch_size):
            # The weights are frozen: without a gradient of the input none would reach the layer.
            batch = torch.from_numpy(images[start : start + batch_size]).to(device)
            try:
                maps = method.attribute(
                    batch.requires_grad_(), target=target, relu_attributions=relu
                )
            except RuntimeError as error:
                if "not have been used" not in str(error):
                    raise
                raise InvalidInputError(f"the class does not depend on layer {layer!r}") from error
            if maps.ndim != 4:
                raise InvalidInputError(f"layer {layer!r} has no output (n, channels, h, w)")
            maps = nn.functional.interpolate(
                maps, size=images.shape[2:], mode="bilinear", align_corners=False
            )
            found.append(maps[:, 0].detach().float().cpu().numpy())
    return np.concatenate(found)
