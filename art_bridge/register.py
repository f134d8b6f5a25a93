"""Make the attacks known to ART's own metrics by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from art.metrics import metrics

from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["register_with_art", "unregister_from_art"]

_CLASSES = {
    "unconstrained_counterfactual": UnconstrainedCounterfactual,
    "boundary_counterfactual": BoundaryCounterfactual,
}


def register_with_art(
    x_train: np.ndarray | None = None, y_train: np.ndarray | None = None, **params: Any
) -> tuple[str, ...]:
    """Let ``empirical_robustness`` and ``adversarial_accuracy`` find the attacks by name.

    ART makes an attack from the classifier alone, so what else an attack needs is stored here.
    ART keeps one entry for the whole process; calling this again replaces it.

    Parameters
    ----------
    x_train, y_train : ndarray, optional
        Training rows and labels that the attacks start from. Without them every classifier needs
        finite ``clip_values``.
    **params
        Further parameters of :class:`~art_bridge.attack.UnconstrainedCounterfactual`. A call's
        ``attack_params`` come on top.

    Returns
    -------
    tuple of str
        The names: ``"unconstrained_counterfactual"`` and ``"boundary_counterfactual"``.

    Raises
    ------
    InvalidInputError
        A parameter that the attacks do not have.
    """
    unknown = sorted(set(params) - set(UnconstrainedCounterfactual.attack_params))
    if unknown:
        raise InvalidInputError(f"the counterfactual attacks have no parameter {unknown}")
    stored = {"x_train": x_train, "y_train": y_train, **params}
    given = {name: value for name, value in stored.items() if value is not None}
    for name, attack in _CLASSES.items():
        metrics.SUPPORTED_METHODS[name] = {"class": attack, "params": given}
    return tuple(_CLASSES)


def unregister_from_art() -> None:
    """Take back what :func:`register_with_art` did."""
    for name in _CLASSES:
        metrics.SUPPORTED_METHODS.pop(name, None)
