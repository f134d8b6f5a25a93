"""What the measures of the joint counterfactual GAN mean, and scores of labels.

Each measure states its direction, range, chance value and reference, as the table of
``dice_extended_plugin`` does for counterfactual sets. NumPy only.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.measure import Measure

__all__ = ["MEASURES", "PAPER", "check_labels", "label_scores"]

#: Title of the paper, as references give it.
PAPER = "Counterfactual image generation for adversarially robust and interpretable classifiers"


def _table(*rows: Measure) -> dict[str, Measure]:
    return {row.name: row for row in rows}


_SHARE = "2s / (1 + s) if everything is called 1, s the share of class 1; 0 if nothing is"
_AREA = "mean mask area if every pixel is called crack; darkness and blurred darkness beside it"
_AREA_F1 = "2a / (1 + a) if every pixel is called crack, a the mean mask area"

#: Every measure here by its name.
MEASURES: dict[str, Measure] = _table(
    Measure(
        *("accuracy", "higher", 0, 1, "share of the larger class", PAPER + ", table 2"),
        "Share of images whose class is right.",
    ),
    Measure(
        *("precision", "higher", 0, 1, "share of class 1", PAPER + ", table 2"),
        "Share of images called 1 that are of class 1.",
    ),
    Measure(
        *("recall", "higher", 0, 1, "1 if everything is called 1", PAPER + ", table 2"),
        "Share of the images of class 1 that are called 1.",
    ),
    Measure(
        *("F1", "higher", 0, 1, _SHARE, PAPER + ", table 2"),
        "Harmonic mean of precision and recall of class 1.",
    ),
    Measure(
        *("flips", "higher", 0, 1, "D's error, for unchanged images", "docs/counterfactual_gan.md"),
        "Share of images whose counterfactual D reads as the opposite class.",
    ),
    Measure(
        *("L1", "lower", 0, 2, "0 for unchanged images", PAPER + ", equation 4"),
        "Mean |x − x̂| of images in [−1, 1]; read it beside flips.",
    ),
    Measure(
        *("IoU", "higher", 0, 1, _AREA, PAPER + ", figure 5"),
        "Pixels in mask and prediction over pixels in either, of all images together.",
    ),
    Measure(
        *("pixel F1", "higher", 0, 1, _AREA_F1, PAPER + ", table 5"),
        "F1 of crack pixels, of all images together.",
    ),
    Measure(
        *("pixel precision", "higher", 0, 1, "mean mask area", PAPER + ", table 5"),
        "Share of the pixels called crack that are crack.",
    ),
    Measure(
        *("pixel recall", "higher", 0, 1, "1 if every pixel is called crack", PAPER),
        "Share of the crack pixels found.",
    ),
    Measure(
        *("pixel accuracy", "higher", 0, 1, "1 − mean mask area", PAPER + ", table 5"),
        "Share of pixels that are right; almost all are background.",
    ),
    Measure(
        *("FID", "lower", 0, inf, "distance of unchanged images of the other class"),
        *("Heusel et al. (NeurIPS 2017)", "Fréchet distance of features; name the features."),
    ),
    Measure(
        *("Pearson(NLL, p_fake)", "higher", -1, 1, "0", PAPER + ", equation 9"),
        "Correlation of the prediction's loss with p_fake.",
    ),
    Measure(
        *("AUROC", "higher", 0, 1, "0.5", "Fawcett (Pattern Recognition Letters 2006)"),
        "Chance that p_fake is larger for a changed (or misread) image than for another one.",
    ),
)


def check_labels(y: Any, n: int | None = None, name: str = "y") -> np.ndarray:
    """Return labels as an integer array of 0 and 1.

    Raises
    ------
    InvalidInputError
        Another shape or length, or other values.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or (n is not None and len(labels) != n):
        raise InvalidInputError(
            f"{name} must hold one label per image{'' if n is None else f', ({n},)'}; its shape is "
            f"{labels.shape}"
        )
    if not len(labels) or not np.isin(labels, (0, 1)).all():
        raise InvalidInputError(f"{name} must hold 0 and 1 and not be empty")
    return labels.astype(np.int64)


def label_scores(y: Any, predicted: Any) -> dict[str, float]:
    """Return accuracy, F1, precision and recall of class 1.

    Parameters
    ----------
    y, predicted : array-like of shape (n,)
        0 or 1.

    Returns
    -------
    dict of str to float
        In [0, 1], higher is better. Chance: see :data:`MEASURES`. Precision is NaN where nothing is
        called 1, recall and F1 are NaN where nothing is of class 1; F1 is 0 where nothing is
        found, as in the paper's Figure 3.

    Raises
    ------
    InvalidInputError
        Values other than 0 and 1, another length.
    """
    truth = check_labels(y)
    called = check_labels(predicted, len(truth), "predicted")
    hit = int((truth & called).sum())
    found, real = int(called.sum()), int(truth.sum())
    return {
        "accuracy": float((truth == called).mean()),
        "F1": 2 * hit / (found + real) if real else nan,
        "precision": hit / found if found else nan,
        "recall": hit / real if real else nan,
    }
