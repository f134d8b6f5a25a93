"""What the joint GAN says about images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    import pandas as pd

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
    removed : ndarray of float32
        What is taken out of the image: the part of x̂ − x (brightness, behind the same Gaussian)
        that goes the way in which images of class 1 are changed. Cracks are dark: taking them out
        brightens. Dark edges beside them, and cracks that G puts into an image that it misread, do
        not count. The way is learnt from validation labels (`Look.way`), never from masks; where
        it is not known this is `blurred`.
    sigma : float
    """

    raw: np.ndarray
    blurred: np.ndarray
    normalised: np.ndarray
    removed: np.ndarray
    sigma: float


def saliency_of(
    x: np.ndarray, x_hat: np.ndarray, channel_axis: int, sigma: float = 1.0, way: int = 0
) -> Saliency:
    """Return |x − x̂| raw, blurred and normalised, and what is taken out.

    `way` is 1 if taking out brightens, −1 if it darkens, 0 if nobody knows.
    """
    change: np.ndarray = x_hat - x.astype(np.float32)
    raw: np.ndarray = np.abs(change).mean(axis=channel_axis)

    def blur(maps: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(maps, sigma=(0, sigma, sigma))) if sigma > 0 else maps

    soft = blur(raw)
    lift: np.ndarray = way * change.mean(axis=channel_axis)
    removed = np.maximum(blur(lift), 0.0) if way else soft
    low = soft.min(axis=(1, 2), keepdims=True)
    reach = soft.max(axis=(1, 2), keepdims=True) - low
    flat = reach <= 1e-12
    normalised = np.where(flat, 0.0, (soft - low) / np.where(flat, 1.0, reach))
    single = [map_.astype(np.float32) for map_ in (raw, soft, normalised, removed)]
    return Saliency(single[0], single[1], single[2], single[3], sigma)


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

    def to_frame(self) -> pd.DataFrame:
        """Return a line for each image: what D and G read, and whether it was turned."""
        import pandas as pd

        names = ("d_class", "g_class", "p_fake", "cf_class", "success", "real")
        return pd.DataFrame({name: getattr(self, name) for name in names}).rename_axis("image")

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        turned = {"images": len(self.success), "turned": int(self.success.sum())}
        return titled("Counterfactual images", facts(turned), frame_table(self.to_frame()))
