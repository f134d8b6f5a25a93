"""The border to ART: labels, bounds, masks and scores, checked before a search begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from art_bridge.lanes import WHOLE, in_lanes, sides
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["ModelScores", "class_index", "clip_bounds", "read_mask", "read_rows"]


def read_rows(x: Any, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return rows as a new float32 array (n, d), every row flattened.

    Raises
    ------
    InvalidInputError
        No array of numbers, no rows' axis, or another shape of a row than `shape`.
    """
    try:
        # float32, as ART's estimators see them; a number beyond its range becomes infinite.
        with np.errstate(over="ignore"):
            rows = np.array(x, dtype=np.float32)
    except (TypeError, ValueError):
        raise InvalidInputError(f"{name} must be an array of numbers, not {x!r:.80}") from None
    if rows.ndim < 2:
        raise InvalidInputError(
            f"{name} has shape {rows.shape}; it must be (rows, features): write x.reshape(1, -1) "
            f"for a single row"
        )
    if shape is not None and rows.shape[1:] != shape:
        raise InvalidInputError(f"{name} has rows of shape {rows.shape[1:]}, not {shape}")
    d = int(np.prod(rows.shape[1:]))
    if d == 0:
        raise InvalidInputError(f"{name} has no features")
    return rows.reshape(len(rows), d)


def class_index(y: Any, n: int, n_classes: int, name: str) -> np.ndarray:
    """Return class numbers (n,) of labels in any of ART's forms: (n,), (n, 1), one-hot (n, C).

    Raises
    ------
    InvalidInputError
        Another shape, or a label that is no class.
    """
    labels = np.asarray(y)
    if labels.dtype.kind not in "biuf":
        raise InvalidInputError(f"{name} must hold numbers, not {labels.dtype}")
    if labels.shape == (n, n_classes) and n_classes > 1:
        if not np.isfinite(labels).all() or (labels.max(axis=1, initial=-1) <= 0).any():
            raise InvalidInputError(f"{name} has rows without a class: one-hot rows need a one")
        return labels.argmax(axis=1)
    if labels.shape not in ((n,), (n, 1)):
        raise InvalidInputError(
            f"{name} has shape {labels.shape}; for {n} rows and {n_classes} classes it must be "
            f"({n},), ({n}, 1) or ({n}, {n_classes})"
        )
    flat = labels.reshape(n).astype(np.float64)
    bad = ~np.isin(flat, np.arange(n_classes))
    if bad.any():
        raise InvalidInputError(
            f"{name} holds {flat[bad][0]:g}, which is no class; classes are 0 to {n_classes - 1}"
        )
    return flat.astype(np.int64)


def clip_bounds(
    clip_values: Any, shape: tuple[int, ...], reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest value of each column, (d,) each, float64.

    They are the estimator's clip values; where these are missing or infinite, the range of the
    training rows.

    Raises
    ------
    InvalidInputError
        Neither clip values nor training rows, clip values of another shape, or reversed.
    """
    d = int(np.prod(shape))
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    if clip_values is not None:
        try:
            low, high = (
                np.array(np.broadcast_to(np.asarray(end, dtype=np.float64), shape)).reshape(d)
                for end in clip_values
            )
        except ValueError:
            raise InvalidInputError(
                f"clip_values of the estimator do not fit rows of shape {shape}"
            ) from None
    if len(reference):
        low = np.where(np.isfinite(low), low, reference.min(axis=0))
        high = np.where(np.isfinite(high), high, reference.max(axis=0))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InvalidInputError(
            "the search has no bounds: give x_train, or an estimator with finite clip_values"
        )
    if (low > high).any():
        raise InvalidInputError("clip_values of the estimator are reversed: min is above max")
    return low, high


def check_clip(x: np.ndarray, clip_values: Any, low: np.ndarray, high: np.ndarray) -> None:
    """Raise if rows (finite ones, (n, d)) lie outside the estimator's clip values."""
    if clip_values is None or len(x) == 0:
        return
    slack = 1e-5 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1.0)
    outside = (x < low - slack) | (x > high + slack)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise InvalidInputError(
            f"x[{row}] has {x[row, column]:g} in column {column}, outside the estimator's "
            f"clip_values ({low[column]:g} to {high[column]:g}); scale x, or widen clip_values"
        )


def read_mask(mask: Any, n: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return ART's mask as bool (n, d): False where a value must stay; None for none."""
    if mask is None:
        return None
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"mask must hold numbers or truth values, not {array.dtype}")
    try:
        whole = np.broadcast_to(array, (n, *shape))
    except ValueError:
        raise InvalidInputError(
            f"mask has shape {array.shape}, which does not broadcast to x, {(n, *shape)}"
        ) from None
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InvalidInputError("mask holds NaN")
    return whole.reshape(n, int(np.prod(shape))) != 0


class ModelScores:
    """An ART estimator as a score function ``(n, d) -> (n, classes)`` of probabilities.

    Outputs that are no probabilities (logits) pass through a softmax, which keeps the label.

    Parameters
    ----------
    estimator : art.estimators.BaseEstimator
    shape : tuple of int
        Shape of one row.
    """

    def __init__(self, estimator: Any, shape: tuple[int, ...]) -> None:
        self.estimator, self.shape = estimator, shape
        self.n_classes = int(estimator.nb_classes)
        self.logits = False
        #: Whether it answers in single precision; known after the first call.
        self.single: bool | None = None

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """Return the estimator's own scores, (n, classes), float64.

        Raises
        ------
        InvalidInputError
            If it answers in another shape.
        """
        single = np.ascontiguousarray(rows, dtype=np.float32).reshape(len(rows), *self.shape)
        if len(rows) == 0:
            return np.empty((0, self.n_classes))
        # Some estimators cut a call into pieces of batch_size: ask for one piece.
        answer = np.asarray(self.estimator.predict(single, batch_size=len(rows)))
        self.single = answer.dtype.kind == "f" and answer.dtype.itemsize < 8
        scores = answer.astype(np.float64)
        if scores.shape != (len(rows), self.n_classes):
            raise InvalidInputError(
                f"the estimator answers {len(rows)} rows with shape {scores.shape}; needed is one "
                f"score for each of its {self.n_classes} classes, ({len(rows)}, {self.n_classes})"
            )
        return scores

    def settle(self, scores: np.ndarray) -> None:
        """Decide from known scores (n, classes) whether they are logits."""
        known = scores[np.isfinite(scores).all(axis=1)]
        self.logits = bool(len(known) and (known.min() < -1e-6 or known.max() > 1 + 1e-6))

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return scores as probabilities."""
        if not self.logits:
            return scores
        with np.errstate(invalid="ignore"):
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of rows."""
        return self.probabilities(self.raw(rows))


def ask(score: ModelScores, rows: np.ndarray, size: int, apart: bool = False) -> np.ndarray:
    """Return the model's own scores of rows, asked for in calls of at most `size`.

    In single precision calls hold 48 rows at least, and with `apart` each row keeps its side
    (:mod:`art_bridge.lanes`), so that its answer is the same whatever rows go with it.
    """
    place = np.arange(len(rows))
    if score.single is None and len(rows):
        score.raw(rows[:1])
    if score.single and len(rows):
        # Not apart are training rows, which always come together: as they stand.
        if apart:
            take, place = in_lanes(place, sides(rows))
            rows = rows[take]
        size = max(size // WHOLE, 1) * WHOLE
    parts = [score.raw(rows[start : start + size]) for start in range(0, max(len(rows), 1), size)]
    return np.concatenate(parts)[place]
