"""Saliency maps against pixel masks, always beside maps that know nothing of a model.

The threshold is chosen on validation images and applied to test images; the paper takes the best
one on the test images. NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BASELINES",
    "SCALINGS",
    "MaskedImages",
    "SaliencyTable",
    "ThresholdCurve",
    "blurred",
    "compare_saliency",
    "darkness",
    "standardised",
    "threshold_curve",
]

#: Rows that a table always has.
BASELINES = ("all pixels", "darkness", "darkness, blurred 5x5", "Grad-CAM")
#: Thresholds tried: quantiles of the validation maps. Masks cover a few percent of an image.
_QUANTILES = np.r_[np.linspace(0, 0.5, 11)[:-1], np.linspace(0.5, 0.999, 120)]


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """Images of one part with the masks of what should be found.

    Attributes
    ----------
    images : ndarray of float or uint8, shape (n, C, H, W)
        In any range; larger is brighter.
    masks : ndarray of bool, shape (n, H, W)
    groups : ndarray of shape (n,), optional
        What the images were cut from. Intervals resample groups, since crops of one photograph
        are no independent evidence. Default: each image on its own.

    Raises
    ------
    InvalidInputError
        Shapes that do not fit, NaN, masks that hold other than 0 and 1 or that are all empty.
    """

    images: np.ndarray
    masks: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        images, masks = np.asarray(self.images), np.asarray(self.masks)
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise InvalidInputError(f"images must be (n, 1 or 3, H, W), not {images.shape}")
        if masks.shape != (len(images), *images.shape[2:]):
            raise InvalidInputError(f"masks of shape {masks.shape} for images {images.shape}")
        if not np.isfinite(images).all():
            raise InvalidInputError("images hold NaN or infinity")
        if not np.isin(masks, (0, 1)).all() or not masks.any():
            raise InvalidInputError("masks must hold 0 and 1, and some 1")
        groups = np.arange(len(images)) if self.groups is None else np.asarray(self.groups)
        if groups.shape != (len(images),):
            raise InvalidInputError(f"groups must be ({len(images)},), not {groups.shape}")
        for name, value in (("images", images), ("masks", masks.astype(bool)), ("groups", groups)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Scores of maps over thresholds; all pixels of all images together.

    Attributes
    ----------
    thresholds : ndarray of float, shape (T,)
        A pixel is called salient where its scaled map is above it.
    area : ndarray of float, shape (T,)
        Share of pixels called salient.
    iou, f1, precision, recall, accuracy : ndarray of float, shape (T,)
        In [0, 1], higher is better; precision is NaN where nothing is called salient.
    """

    thresholds: np.ndarray
    area: np.ndarray
    iou: np.ndarray
    f1: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    accuracy: np.ndarray


def standardised(maps: Any) -> np.ndarray:
    """Return maps with mean 0 and standard deviation 1 in each image; constant maps become 0.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)

    Raises
    ------
    InvalidInputError
        Another number of dimensions, NaN or infinity.
    """
    values = _checked(maps)
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    spread = centred.std(axis=(1, 2), keepdims=True)
    flat = spread <= 1e-12 * (1 + np.abs(values).max(axis=(1, 2), keepdims=True))
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))


def _checked(maps: Any) -> np.ndarray:
    values = np.asarray(maps, dtype=float)
    if values.ndim != 3:
        raise InvalidInputError(f"maps must be (n, H, W), their shape is {values.shape}")
    if not np.isfinite(values).all():
        raise InvalidInputError("maps hold NaN or infinity")
    return values


def _centred(maps: Any) -> np.ndarray:
    values = _checked(maps)
    return values - values.mean(axis=(1, 2), keepdims=True)


def darkness(images: Any) -> np.ndarray:
    """Return how dark each pixel is, (n, H, W): a saliency map without a model."""
    return -np.asarray(images, dtype=float).mean(axis=1)


#: How maps of different images are put on one scale before one threshold serves all. What |x − x̂|
#: measures means the same in every image; darkness means something beside its image's mean only.
SCALINGS: dict[str, Callable[[Any], np.ndarray]] = {
    "as given": _checked,
    "centred": _centred,
    "standardised": standardised,
}


def blurred(maps: Any, size: int = 5) -> np.ndarray:
    """Return maps averaged over `size` x `size` pixels, edges mirrored, (n, H, W)."""
    return uniform_filter(np.asarray(maps, dtype=float), size=(0, size, size), mode="reflect")


def threshold_curve(
    maps: Any, masks: Any, thresholds: Any = None, scaling: str = "standardised"
) -> ThresholdCurve:
    """Score maps at thresholds.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)
    masks : array-like of bool, shape (n, H, W)
    thresholds : array-like of shape (T,), optional
        Of the scaled maps. Default: 130 quantiles of them.
    scaling : {"standardised", "centred", "as given"}, optional
        What is done to each image's map first: mean 0 and standard deviation 1, mean 0, nothing.

    Returns
    -------
    ThresholdCurve
        IoU, F1, precision, recall, accuracy: in [0, 1], higher is better; an all-salient map has
        the mean mask area as its IoU. Paper: Figure 5 and Table 5.

    Raises
    ------
    InvalidInputError
        Maps that are not (n, H, W) or hold NaN, masks of another shape, an unknown scaling.
    """
    if scaling not in SCALINGS:
        raise InvalidInputError(
            f"scaling must be one of {', '.join(SCALINGS)}, it is {scaling!r}"
            f"{did_you_mean(str(scaling), SCALINGS)}"
        )
    values, truth = SCALINGS[scaling](maps), np.asarray(masks, dtype=bool)
    if truth.shape != values.shape:
        raise InvalidInputError(f"masks of shape {truth.shape} for maps of shape {values.shape}")
    cuts = np.quantile(values, _QUANTILES) if thresholds is None else np.asarray(thresholds, float)
    return _scored(_counts(values, truth, cuts).sum(axis=0), cuts)


def _counts(values: np.ndarray, truth: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Pixels hit, called and true of each image at each threshold, and all: (n, T, 4)."""
    order = np.argsort(cuts)
    # A pixel's place is the number of cuts below it; it is called at exactly those.
    place = np.searchsorted(cuts[order], values.reshape(len(values), -1), side="left")
    n, bins = len(values), len(cuts) + 1
    index = place + bins * np.arange(n)[:, None]
    flat = truth.reshape(n, -1)

    def called(weights: np.ndarray | None) -> np.ndarray:
        counts = np.bincount(
            index.ravel() if weights is None else index[weights], minlength=n * bins
        ).reshape(n, bins)
        above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        back = np.empty_like(above)
        back[:, order] = above
        return back

    hit, every = called(flat), called(None)
    real = np.broadcast_to(flat.sum(axis=1)[:, None], hit.shape)
    return np.stack([hit, every, real, np.full(hit.shape, flat.shape[1])], axis=-1)


def _scored(counts: np.ndarray, cuts: np.ndarray) -> ThresholdCurve:
    hit, called, real, total = (counts[..., i].astype(float) for i in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        return ThresholdCurve(
            cuts,
            called / total,
            hit / (called + real - hit),
            2 * hit / (called + real),
            np.where(called > 0, hit / called, nan),
            hit / real,
            1 - (called + real - 2 * hit) / total,
        )


@dataclass(frozen=True, eq=False)
class SaliencyTable:
    """Maps side by side; see :func:`compare_saliency`.

    Attributes
    ----------
    rows : dict of str to dict of str to float
        Of each map: ``threshold`` (chosen on validation), ``IoU``, ``IoU_low``, ``IoU_high`` (95 %
        bootstrap over groups), ``F1``, ``precision``, ``recall``, ``accuracy``, ``area`` on test,
        ``IoU_validation``, and ``IoU_best_on_test``, which looks at the test masks as the paper
        does and is no fair figure.
    curves : dict of str to ThresholdCurve
        On test, over quantiles of the validation maps.
    scalings : dict of str to str
        How each map was scaled, one of :data:`SCALINGS`, chosen on validation.
    """

    rows: dict[str, dict[str, float]]
    curves: dict[str, ThresholdCurve]
    scalings: dict[str, str] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table."""
        import pandas as pd

        table = pd.DataFrame(self.rows).T
        return table.assign(scaling=pd.Series(self.scalings)) if self.scalings else table

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import frame_table

        return frame_table(self.to_frame().rename_axis("map"), "Saliency maps on test")

    def beats(self, name: str, baseline: str = "darkness, blurred 5x5") -> bool:
        """Tell whether a map's IoU on test is above a baseline's."""
        return self.rows[name]["IoU"] > self.rows[baseline]["IoU"]


def compare_saliency(
    maps: Mapping[str, tuple[Any, Any]],
    validation: MaskedImages,
    test: MaskedImages,
    grad_cam: tuple[Any, Any] | None = None,
    *,
    n_bootstrap: int = 500,
    random_state: int = 0,
) -> SaliencyTable:
    """Score saliency maps and the baselines in one table.

    Every map is scaled in the way of :data:`SCALINGS`, and cut at the threshold, that have the
    largest IoU on the validation images; the baselines too.

    Parameters
    ----------
    maps : mapping of str to (ndarray, ndarray)
        Maps of the validation and of the test images, (n, H, W), larger is more salient.
    validation, test : MaskedImages
    grad_cam : tuple of ndarray, optional
        Grad-CAM maps of a plainly trained classifier, see :func:`~alibi_bridge.gradcam.grad_cam`.
        Without it the row is there with NaN, so that nobody takes its absence for a win.
    n_bootstrap : int, optional
        Resamples of the groups.
    random_state : int, optional

    Returns
    -------
    SaliencyTable
        IoU in [0, 1], higher is better; "all pixels" is the chance value, and a map that does not
        beat "darkness, blurred 5x5" has learnt nothing that a blur does not know.

    Raises
    ------
    InvalidInputError
        Maps of another shape, a name that is a baseline's.
    """
    taken = [name for name in maps if name in BASELINES]
    if taken:
        raise InvalidInputError(f"{taken} are names of baselines; name the maps otherwise")
    parts = (validation, test)
    dark = tuple(darkness(part.images) for part in parts)
    every: dict[str, tuple[Any, Any] | None] = {
        "all pixels": None,
        "darkness": (dark[0], dark[1]),
        "darkness, blurred 5x5": (blurred(dark[0]), blurred(dark[1])),
        "Grad-CAM": grad_cam,
        **maps,
    }
    rows, curves, scalings = {}, {}, {}
    for name, pair in every.items():
        if pair is None and name == "all pixels":
            counts = _counts(np.ones(test.masks.shape), test.masks, np.zeros(1))
            rows[name] = _row(counts, 0, 0.0, float(validation.masks.mean()), test, 0, 0)
        elif pair is None:
            rows[name] = dict.fromkeys(rows["all pixels"], nan)
        else:
            rows[name], curves[name], scalings[name] = _judge(
                name, pair, validation, test, n_bootstrap, random_state
            )
    return SaliencyTable(rows, curves, scalings)


def _judge(
    name: str,
    pair: tuple[Any, Any],
    validation: MaskedImages,
    test: MaskedImages,
    n_bootstrap: int,
    random_state: int,
) -> tuple[dict[str, float], ThresholdCurve, str]:
    for part, found, what in zip((validation, test), pair, ("validation", "test"), strict=True):
        if np.shape(found) != part.masks.shape:
            raise InvalidInputError(
                f"{what} maps of {name!r} have shape {np.shape(found)}, the masks "
                f"{part.masks.shape}"
            )
    tried = {}
    for scaling, scaled in SCALINGS.items():
        values = scaled(pair[0])
        cuts = np.unique(np.quantile(values, _QUANTILES))
        iou = _scored(_counts(values, validation.masks, cuts).sum(axis=0), cuts).iou
        tried[scaling] = (cuts, int(np.argmax(iou)), float(iou.max()))
    chosen = max(tried, key=lambda scaling: tried[scaling][2])
    cuts, best, on_validation = tried[chosen]
    counts = _counts(SCALINGS[chosen](pair[1]), test.masks, cuts)
    row = _row(counts, best, cuts[best], on_validation, test, n_bootstrap, random_state)
    return row, _scored(counts.sum(axis=0), cuts), chosen


def _row(
    counts: np.ndarray,
    best: int,
    threshold: float,
    on_validation: float,
    test: MaskedImages,
    n_bootstrap: int,
    random_state: int,
) -> dict[str, float]:
    curve = _scored(counts.sum(axis=0), np.zeros(counts.shape[1]))
    low = high = float(curve.iou[best])
    if n_bootstrap:
        _, group = np.unique(np.asarray(test.groups), return_inverse=True)
        sums = np.stack([np.bincount(group, counts[:, best, i]) for i in range(4)], axis=1)
        stream = numpy_stream(random_state, "saliency")
        picks = stream.integers(len(sums), size=(n_bootstrap, len(sums)))
        again = _scored(sums[picks].sum(axis=1), np.zeros(n_bootstrap)).iou
        low, high = (float(value) for value in np.nanquantile(again, (0.025, 0.975)))
    return {
        "threshold": float(threshold),
        "IoU": float(curve.iou[best]),
        "IoU_low": low,
        "IoU_high": high,
        "F1": float(curve.f1[best]),
        "precision": float(curve.precision[best]),
        "recall": float(curve.recall[best]),
        "accuracy": float(curve.accuracy[best]),
        "area": float(curve.area[best]),
        "IoU_validation": on_validation,
        "IoU_best_on_test": float(curve.iou.max()),
    }
