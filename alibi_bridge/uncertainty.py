"""p_fake as a measure of doubt: correlation with the loss, and as a detector. NumPy, SciPy only."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from alibi_bridge.metrics import check_labels
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["auroc", "fakeness_report", "negative_log_likelihood", "pearson_nll"]

#: Probabilities are kept this far from 0, as a float32 softmax would.
_FLOOR = 1e-7


def negative_log_likelihood(
    probabilities: Any, y: Any, form: Literal["conditional", "printed"] = "conditional"
) -> np.ndarray:
    """Return the loss of each prediction.

    Parameters
    ----------
    probabilities : array-like of shape (n, 2) or (n, 3)
        (p0, p1) or D's (p0, p1, p_fake).
    y : array-like of shape (n,)
        0 or 1.
    form : {"conditional", "printed"}, optional
        ``"conditional"``: p0 and p1 divided by their sum. ``"printed"``: the paper's equation 8,
        −[y log p1 + (1 − y) log(1 − p1)] with D's own p1. There, for a crack, −log p1 holds
        −log(1 − p_fake): the loss rises with p_fake by its definition, and a correlation of the
        two proves nothing. Hence the default.

    Returns
    -------
    ndarray of float, shape (n,)
        In [0, 16.1], lower is better; log 2 = 0.69 for a prediction without opinion.

    Raises
    ------
    InvalidInputError
        Another shape, values outside [0, 1], NaN.
    """
    given = _probabilities(probabilities)
    labels = check_labels(y, len(given))
    if form not in ("conditional", "printed"):
        raise InvalidInputError(f"form must be 'conditional' or 'printed', not {form!r}")
    if form == "conditional":
        one = given[:, 1] / np.maximum(given[:, 0] + given[:, 1], 1e-30)
        one = np.where(given[:, 0] + given[:, 1] > 0, one, 0.5)
    else:
        one = given[:, 1]
    right = np.where(labels == 1, one, 1 - one)
    losses: np.ndarray = -np.log(np.clip(right, _FLOOR, 1))
    return losses


def pearson_nll(
    probabilities: Any,
    y: Any,
    p_fake: Any = None,
    form: Literal["conditional", "printed"] = "conditional",
) -> float:
    """Return Pearson's correlation of the loss with p_fake (the paper's equation 9).

    Parameters
    ----------
    probabilities : array-like of shape (n, 2) or (n, 3)
        Whose loss: D's three outputs, or G's two with `p_fake` given.
    y : array-like of shape (n,)
    p_fake : array-like of shape (n,), optional
        Default: the third column.
    form : {"conditional", "printed"}, optional
        See :func:`negative_log_likelihood`.

    Returns
    -------
    float
        In [−1, 1], higher is better, chance 0; NaN where one of the two is constant.
    """
    given = _probabilities(probabilities)
    fake = _fakeness(given, p_fake)
    loss = negative_log_likelihood(given, y, form)
    if loss.std() < 1e-12 or fake.std() < 1e-12:
        return nan
    return float(np.corrcoef(loss, fake)[0, 1])


def auroc(clean: Any, changed: Any) -> float:
    """Return the chance that a changed image has the larger score; ties count half.

    Parameters
    ----------
    clean, changed : array-like of shape (n,), (m,)

    Returns
    -------
    float
        In [0, 1], higher is better, chance 0.5; NaN where one of the two is empty. Fawcett (2006).

    Raises
    ------
    InvalidInputError
        NaN, or more than one dimension.
    """
    low, high = (np.asarray(scores, dtype=float) for scores in (clean, changed))
    for scores in (low, high):
        if scores.ndim != 1 or np.isnan(scores).any():
            raise InvalidInputError("scores must be one-dimensional and without NaN")
    if not len(low) or not len(high):
        return nan
    ranks = rankdata(np.r_[low, high])[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))


def fakeness_report(
    probabilities: Any, y: Any, changed: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Return every figure of p_fake.

    Parameters
    ----------
    probabilities : array-like of shape (n, 3)
        D's (p0, p1, p_fake) of clean images.
    y : array-like of shape (n,)
    changed : mapping of str to array-like, optional
        p_fake of changed images, by what was done to them ("noise 0.2", "PGD 0.03").

    Returns
    -------
    dict of str to float
        ``"Pearson(NLL, p_fake)"`` ([−1, 1], chance 0) and the same ``", as printed"``;
        ``"AUROC misread"`` (p_fake of images that D misreads against the others) and ``"AUROC
        <change>"`` ([0, 1], chance 0.5); ``"mean p_fake"`` and ``"mean p_fake <change>"``.
    """
    given = _probabilities(probabilities)
    fake = _fakeness(given, None)
    labels = check_labels(y, len(given))
    misread = given[:, :2].argmax(axis=1) != labels
    found = {
        "Pearson(NLL, p_fake)": pearson_nll(given, labels),
        "Pearson(NLL, p_fake), as printed": pearson_nll(given, labels, form="printed"),
        "AUROC misread": auroc(fake[~misread], fake[misread]),
        "mean p_fake": float(fake.mean()),
    }
    for name, scores in (changed or {}).items():
        found[f"AUROC {name}"] = auroc(fake, scores)
        found[f"mean p_fake {name}"] = float(np.mean(scores))
    return found


def _probabilities(probabilities: Any) -> np.ndarray:
    given = np.asarray(probabilities, dtype=float)
    if given.ndim != 2 or given.shape[1] not in (2, 3) or not len(given):
        raise InvalidInputError(f"probabilities must be (n, 2) or (n, 3), not {given.shape}")
    if not np.isfinite(given).all() or given.min() < -1e-6 or given.max() > 1 + 1e-6:
        raise InvalidInputError(
            "probabilities must lie in [0, 1]; give softmax outputs, not logits"
        )
    return np.clip(given, 0, 1)


def _fakeness(given: np.ndarray, p_fake: Any) -> np.ndarray:
    if p_fake is None:
        if given.shape[1] != 3:
            raise InvalidInputError("give p_fake: probabilities have no third column")
        return given[:, 2]
    fake = np.asarray(p_fake, dtype=float)
    if fake.shape != (len(given),) or not np.isfinite(fake).all():
        raise InvalidInputError(f"p_fake must be finite and ({len(given)},), not {fake.shape}")
    return fake
