"""Train a fresh copy of an ART classifier, and refuse what cannot be trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.repeat import repeatable

__all__ = ["make_refit"]


def make_refit(
    classifier: Any,
    refit: Callable[[np.ndarray, np.ndarray], Any] | None,
    n_classes: int,
    random_state: int,
    **fit: Any,
) -> Callable[[np.ndarray, np.ndarray], Any]:
    """Return a function that trains a fresh classifier on rows (n, d) and class numbers (n,).

    Parameters
    ----------
    classifier : art classifier
        Copied with ``clone_for_refitting()`` and trained on one-hot labels; never changed.
    refit : callable or None
        Used instead, for estimators that ART cannot clone: ``refit(x, y)`` with float32 rows and
        int64 class numbers returns a trained ART classifier.
    n_classes, random_state : int
        Every training starts from the same state of the global generators, so that it can be
        repeated and candidates differ by their rows only.
    **fit
        Passed to the clone's ``fit``, for example ``nb_epochs``.

    Raises
    ------
    InvalidInputError
        If ART cannot clone the classifier and there is no `refit`, or both `refit` and `fit`.
    """
    if refit is not None:
        if not callable(refit):
            raise InvalidInputError(f"refit must be callable, it is {refit!r}")
        if fit:
            raise InvalidInputError(
                f"fit got {', '.join(fit)}, which nobody would use: refit trains the model"
            )
        return _repeated(refit, random_state)
    try:
        with repeatable(random_state):
            classifier.clone_for_refitting()
    except (NotImplementedError, AttributeError) as error:
        raise InvalidInputError(
            f"ART cannot copy a {type(classifier).__name__} for training ({error!r}): give "
            f"refit=, a function of (x, y) that returns a trained ART classifier"
        ) from error

    def train(x: np.ndarray, y: np.ndarray) -> Any:
        fresh = classifier.clone_for_refitting()
        fresh.fit(x, np.eye(n_classes, dtype=np.float32)[y], **fit)
        return fresh

    return _repeated(train, random_state)


def _repeated(
    train: Callable[[np.ndarray, np.ndarray], Any], random_state: int
) -> Callable[[np.ndarray, np.ndarray], Any]:
    def run(x: np.ndarray, y: np.ndarray) -> Any:
        with repeatable(random_state):
            return train(x, y)

    return run
