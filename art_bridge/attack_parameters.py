"""The parameters of the counterfactual attacks: their defaults and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from art_bridge import border
from art_bridge.constraints import Constraints
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["MODES", "check_number", "check_parameters", "read_constraints"]

#: Population, generations and model rows of each mode where not given.
MODES: dict[str, tuple[int, int, int | None]] = {
    "fast": (16, 50, 2750),
    "faithful": (100, 50, None),
}
_SMALLEST_POPULATION = 4


def read_constraints(constraints: Constraints | Mapping[str, Any] | None) -> Constraints | None:
    """Return constraints given as such or as a mapping of their fields."""
    return Constraints(**constraints) if isinstance(constraints, Mapping) else constraints


def check_parameters(attack: Any) -> None:
    """Raise an :class:`InvalidInputError` that names the parameter and what it must be."""
    for name in ("targeted", "minimal", "verbose"):
        if not isinstance(getattr(attack, name), (bool, np.bool_)):
            raise InvalidInputError(f"{name} must be True or False")
    check_number("p", attack.p, 0, 1)
    if isinstance(attack.norm, bool) or attack.norm not in (1, 2, np.inf, "inf"):
        raise InvalidInputError(f'norm must be 1, 2, np.inf or "inf", not {attack.norm!r}')
    if attack.mode not in MODES:
        raise InvalidInputError(f'mode must be "fast" or "faithful", not {attack.mode!r}')
    if attack.pick not in ("closest", "lexicographic"):
        raise InvalidInputError(f'pick must be "closest" or "lexicographic", not {attack.pick!r}')
    for name, least in (
        ("population", _SMALLEST_POPULATION),
        ("generations", 1),
        ("max_rows", 1),
    ):
        if getattr(attack, name) is not None:
            _check_whole(name, getattr(attack, name), least)
    _check_whole("batch_size", attack.batch_size, 1)
    _check_whole("random_state", attack.random_state, 0)
    if attack.max_seconds is not None:
        check_number("max_seconds", attack.max_seconds, 0, np.inf)
    _check_data(attack)


def _check_data(attack: Any) -> None:
    if attack.constraints is not None and not isinstance(
        attack.constraints, (Constraints, Mapping)
    ):
        raise InvalidInputError("constraints must be Constraints(...), or a mapping of its fields")
    try:
        rules = read_constraints(attack.constraints)
    except TypeError as error:
        raise InvalidInputError(f"constraints: {error}") from None
    if attack.x_train is None:
        if attack.y_train is not None:
            raise InvalidInputError("y_train is given without x_train")
        return
    train = border.read_rows(attack.x_train, "x_train")
    if len(train) == 0:
        raise InvalidInputError("x_train has no rows")
    if not np.isfinite(train).all():
        raise InvalidInputError("x_train holds NaN or infinity; drop or fill those rows")
    if rules is not None:
        rules.check(train.shape[1])
    if attack.y_train is not None:
        n_classes = int(attack.estimator.nb_classes)
        true = border.class_index(attack.y_train, len(train), n_classes, "y_train")
        if len(np.unique(true)) < 2:
            raise InvalidInputError("y_train holds a single class; two are needed")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless a parameter is a number of the range; truth values are none."""
    good = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))
    if not (good and low <= value <= high):
        raise InvalidInputError(f"{name} must be a number from {low} to {high}, not {value!r}")


def _check_whole(name: str, value: Any, least: int) -> None:
    good = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not (good and value >= least):
        raise InvalidInputError(f"{name} must be a whole number of at least {least}, not {value!r}")
