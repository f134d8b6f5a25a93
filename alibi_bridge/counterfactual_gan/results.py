"""What the joint GAN says about images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["Generated", "Saliency", "saliency_of"]


@dataclass(frozen=True, eq=False)
class Saliency:
    """What G changed, (n, height, width) each.

    Attributes
    ----------
    raw : ndarray of float32
        |x − x̂| averaged over the channels, in the units of the images.
    blurred : ndarray of float32
        `raw` behind a Gaussian of standard deviation `sigma` pixels: edges of a change count less
        than its middle.
    normalised : ndarray of float32
        `blurred`, each image from 0 to 1; 0 where nothing was changed.
    sigma : float
    """

    raw: np.ndarray
    blurred: np.ndarray
    normalised: np.ndarray
    sigma: float


def saliency_of(
    x: np.ndarray, x_hat: np.ndarray, channel_axis: int, sigma: float = 1.0
) -> Saliency:
    """Return |x − x̂| raw, blurred and normalised."""
    raw = np.abs(x.astype(np.float32) - x_hat).mean(axis=channel_axis)
    soft = gaussian_filter(raw, sigma=(0, sigma, sigma)) if sigma > 0 else raw
    low = soft.min(axis=(1, 2), keepdims=True)
    reach = soft.max(axis=(1, 2), keepdims=True) - low
    flat = reach <= 1e-12
    normalised = np.where(flat, 0.0, (soft - low) / np.where(flat, 1.0, reach))
    return Saliency(raw, soft.astype(np.float32), normalised.astype(np.float32), sigma)


@dataclass(frozen=True, eq=False)
class Generated:
    """Counterfactuals of n images and what D and G read.

    Attributes
    ----------
    counterfactual : ndarray of float32, shape (n, *image)
        In the layout and range of the images.
    saliency : Saliency
    probabilities, cf_probabilities : ndarray of float32, shape (n, 3)
        D's (p0, p1, p_fake) of the images and of the counterfactuals.
    g_probabilities : ndarray of float32, shape (n, 2)
        G's class head on the images.
    d_class, cf_class, g_class : ndarray of int64, shape (n,)
        The larger of the two class probabilities.
    p_fake : ndarray of float32, shape (n,)
        D on the images: its doubt.
    success : ndarray of bool, shape (n,)
        D reads the counterfactual as the class opposite to the one it reads the image as.
    real : ndarray of bool, shape (n,)
        D does not find the counterfactual fake.
    cycles : tuple of ndarray, each (n, *image)
        G(x), G(G(x)), …; the first is `counterfactual`.
    cycle_class : ndarray of int64, shape (n, number of passes)
    """

    counterfactual: np.ndarray
    saliency: Saliency
    probabilities: np.ndarray
    cf_probabilities: np.ndarray
    g_probabilities: np.ndarray
    d_class: np.ndarray
    cf_class: np.ndarray
    g_class: np.ndarray
    p_fake: np.ndarray
    success: np.ndarray
    real: np.ndarray
    cycles: tuple[np.ndarray, ...]
    cycle_class: np.ndarray
