"""Checks of training data, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from alibi_bridge.formats import ImageFormat
from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.options import check_integer

__all__ = ["check_binary", "check_training", "holdout"]


def check_binary(y: Any, n: int, name: str = "y") -> np.ndarray:
    """Return labels 0 and 1 as int64 (n,).

    Raises
    ------
    InvalidInputError
        Another length, other values, or one class only.
    """
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise InvalidInputError(
            f"{name} has shape {labels.shape}, expected ({n},): one label per image"
        )
    if labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        some = sorted({repr(value) for value in labels.tolist()})[:5]
        raise InvalidInputError(
            f"{name} must hold 0 and 1, it holds {', '.join(some)}; for more than two classes use "
            "one model per class against the background (background=...)"
        )
    if len(np.unique(labels)) < 2:
        raise InvalidInputError(
            f"{name} holds one class only ({labels[0] if n else 'no rows'}): a counterfactual is "
            "an image of the other class, so both are needed"
        )
    return labels.astype(np.int64)


def check_training(
    form: ImageFormat, X: Any, y: Any, batch_size: int, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked images and labels.

    Raises
    ------
    InvalidInputError
        See :meth:`~alibi_bridge.counterfactual_gan.model.JointGAN.fit`.
    """
    check_integer("steps", steps, 1)
    X = form.check(X)
    labels = check_binary(y, len(X))
    if len(X) < batch_size:
        raise InvalidInputError(f"X has {len(X)} images, fewer than batch_size={batch_size}")
    return X, labels


def holdout(
    form: ImageFormat,
    X: np.ndarray,
    y: np.ndarray,
    validation: Any,
    groups: Any,
    random_state: int,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the training rows, and the images and labels to validate on.

    Raises
    ------
    InvalidInputError
        A share that leaves a side without one of the classes; a pair that does not fit.
    """
    if isinstance(validation, (tuple, list)):
        if len(validation) != 2:
            raise InvalidInputError("validation must be (images, labels) or a share of X")
        images = form.check(validation[0], "validation images")
        return np.arange(len(X)), (
            images,
            check_binary(validation[1], len(images), "validation labels"),
        )
    if isinstance(validation, bool) or not isinstance(validation, (int, float)):
        raise InvalidInputError("validation must be (images, labels) or a share of X")
    if not 0 < validation < 1:
        raise InvalidInputError(f"validation as a share must lie in (0, 1), it is {validation!r}")
    stream = numpy_stream(random_state, "holdout")
    aside = np.zeros(len(X), dtype=bool)
    if groups is None:
        for label in (0, 1):  # the same share of each class
            rows = np.flatnonzero(y == label)
            aside[stream.permutation(rows)[: max(1, round(validation * len(rows)))]] = True
    else:
        names, member = np.unique(np.asarray(groups), return_inverse=True)
        if member.shape != (len(X),):
            raise InvalidInputError(f"groups must have one entry per image, ({len(X)},)")
        for group in stream.permutation(len(names)):
            enough = aside.sum() >= validation * len(X) and len(np.unique(y[aside])) == 2
            if enough:
                break
            aside |= member == group
    if len(np.unique(y[aside])) < 2 or len(np.unique(y[~aside])) < 2:
        raise InvalidInputError(
            "with this validation share one side has images of one class only: give more images, "
            "another share, or validation=(images, labels)"
        )
    return np.flatnonzero(~aside), (X[aside], y[aside])
