"""What the search for plausible counterfactuals minimises (Barredo-Arrieta and Del Ser, 2020)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["OBJECTIVES", "f_adv", "f_att", "f_gan", "worst_f_adv"]

#: The columns of an array of objectives.
OBJECTIVES = ("f_gan", "f_adv", "f_att")
#: Least probability in the logarithm.
_FLOOR = 1e-12


def f_gan(critic_original: Any, critic_edited: Any) -> np.ndarray:
    """Return D(x) − D(x_b): the lower, the more believable the edited image.

    Parameters
    ----------
    critic_original : array-like, broadcast against the next
        The critic's value of the original image.
    critic_edited : array-like of shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Unbounded.
    """
    return np.asarray(critic_original, dtype=np.float64) - np.asarray(critic_edited, np.float64)


def f_adv(
    probabilities: np.ndarray,
    original_class: int,
    form: Literal["probability", "log"] = "probability",
) -> np.ndarray:
    """Return the probability that the predictor still gives the original class.

    Parameters
    ----------
    probabilities : ndarray of shape (n, K)
    original_class : int
    form : {"probability", "log"}, default "probability"
        "log" is the paper's negative cross-entropy, log p. The order is the same.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1], or from log 1e-12 to 0.
    """
    share = np.asarray(probabilities, dtype=np.float64)[:, original_class]
    if form == "probability":
        return share
    if form != "log":
        raise InvalidInputError(f"adversarial must be 'probability' or 'log', it is {form!r}")
    return np.log(np.maximum(share, _FLOOR))


def worst_f_adv(form: str) -> float:
    """Return the largest value of :func:`f_adv`."""
    return 1.0 if form == "probability" else 0.0


def f_att(delta: np.ndarray) -> np.ndarray:
    """Return ‖δ‖₂ of changes of shape (n, m); attributes lie in [0, 1]."""
    return np.sqrt(np.square(np.asarray(delta, dtype=np.float64)).sum(axis=1))
