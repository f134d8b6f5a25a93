"""What the analysis, the metrics and the defence check at their border."""

from __future__ import annotations

from typing import Any

import numpy as np

from art_bridge.border import read_rows
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["as_rows", "norm_order", "predict", "require_classifier"]

#: Rows given to a model in one call; ART's default of 128 costs a call's overhead each time.
_BATCH = 8192


def require_classifier(classifier: Any, user: type) -> None:
    """Raise ART's ``EstimatorError`` (a ``TypeError``) unless it is an ART classifier."""
    from art.estimators.classification.classifier import ClassifierMixin
    from art.estimators.estimator import BaseEstimator
    from art.exceptions import EstimatorError

    if not (isinstance(classifier, BaseEstimator) and isinstance(classifier, ClassifierMixin)):
        raise EstimatorError(user, [BaseEstimator, ClassifierMixin], classifier)


def as_rows(x: Any, name: str, width: int | None = None, finite: bool = True) -> np.ndarray:
    """Return a new float32 table of shape (n, d).

    Parameters
    ----------
    x : array-like of shape (n, d)
    name : str
        Argument name, for error texts.
    width : int, optional
        Number of columns it must have.
    finite : bool
        Whether NaN and infinity are refused.

    Raises
    ------
    InvalidInputError
        Not a numeric table, empty, another width, or not finite.
    """
    if np.ndim(x) != 2 or not np.size(x):
        raise InvalidInputError(
            f"{name} must have shape (rows, features) and at least one row, its shape is "
            f"{np.shape(x)}"
        )
    rows = read_rows(x, name, None if width is None else (width,))
    if finite and not (good := np.isfinite(rows).all(axis=1)).all():
        raise InvalidInputError(
            f"{name}: {int((~good).sum())} rows hold NaN or infinity, first row "
            f"{int(np.argmin(good))}; fill or drop them"
        )
    return rows


def norm_order(norm: Any) -> float:
    """Return 1, 2 or inf from ART's ways to write a norm ("inf" among them)."""
    order = np.inf if norm == "inf" else norm
    if isinstance(order, bool) or order not in (1, 2, np.inf):
        raise InvalidInputError(f"norm must be 1, 2, np.inf or 'inf', it is {norm!r}")
    return float(order)


def predict(classifier: Any, x: np.ndarray) -> np.ndarray:
    """Return what the classifier predicts for float32 rows, shape (n, classes).

    Raises
    ------
    InvalidInputError
        If there is not one column per class.
    """
    scores = np.asarray(classifier.predict(x, batch_size=_BATCH))
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise InvalidInputError(
            f"the classifier must predict one column per class and two at least, it predicts "
            f"shape {scores.shape}"
        )
    return scores
