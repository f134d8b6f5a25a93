"""What a call may restrict: which features change, and which values they take."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from dice_extended_plugin.space import FeatureSpace

__all__ = ["check_names", "permit", "restrict_vary"]

logger = logging.getLogger(__name__)


def restrict_vary(space: FeatureSpace, features_to_vary: Any) -> np.ndarray:
    """Return which features may change, given dice-ml's ``features_to_vary``."""
    if isinstance(features_to_vary, str):
        if features_to_vary != "all":
            raise InvalidInputError(
                f"features_to_vary must be 'all' or a list of features, not the string "
                f"{features_to_vary!r}; write [{features_to_vary!r}]"
            )
        return space.vary
    if not isinstance(features_to_vary, Iterable):
        raise InvalidInputError(
            f"features_to_vary must be 'all' or a list of features, not {features_to_vary!r}"
        )
    chosen = list(features_to_vary)
    check_names(space, chosen, "features_to_vary")
    return space.vary & np.array([f in chosen for f in space.continuous + space.categorical])


def check_names(space: FeatureSpace, features: Iterable[str], argument: str) -> None:
    """Raise unless every name is a feature of the space."""
    for feature in features:
        if feature not in space.names:
            hint = did_you_mean(str(feature), space.names)
            raise InvalidInputError(
                f"{argument}: no feature {feature!r} in the data{hint}; features are "
                f"{list(space.names)}"
            )


def permit(space: FeatureSpace, feature: str, wanted: Sequence[Any]) -> FeatureSpace:
    """Return a space in which `feature` may take the wanted range or levels only."""
    check_names(space, [feature], "permitted_range")
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise InvalidInputError(
            f"permitted_range[{feature!r}] must be a list, not {wanted!r}: [low, high] for a "
            f"continuous feature, the permitted levels for a categorical one"
        )
    values = list(wanted)
    if feature in space.continuous:
        return _permit_range(space, space.continuous.index(feature), values)
    return _permit_levels(space, space.categorical.index(feature), values)


def _permit_range(space: FeatureSpace, j: int, wanted: list[Any]) -> FeatureSpace:
    feature = space.continuous[j]
    where = f"permitted_range[{feature!r}]"
    try:
        low, high = (float(value) for value in wanted)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{where} must be two numbers [low, high], not {wanted!r}"
        ) from None
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise InvalidInputError(f"{where} must be finite and ascending, not {wanted!r}")
    if high < space.low[j] or low > space.high[j]:
        raise InvalidInputError(
            f"{where} = {wanted!r} lies outside the data, which runs from {space.low[j]:g} to "
            f"{space.high[j]:g}; give a range that overlaps it"
        )
    step = 10.0 ** -space.precision[j]
    if _grid_up(low, step) > _grid_down(high, step):
        raise InvalidInputError(
            f"{where} = {wanted!r} holds no value with {space.precision[j]} decimals, the "
            f"precision of this feature; widen it or set continuous_features_precision"
        )
    if low < space.low[j] or high > space.high[j]:
        logger.warning("%s = %r reaches beyond the data", where, wanted)
    fields = {name: getattr(space, name).copy() for name in _RANGE_FIELDS}
    fields["permitted_low"][j], fields["permitted_high"][j] = low, high
    fields["asked"][j] = True
    return replace(space, **fields)


def _permit_levels(space: FeatureSpace, j: int, wanted: list[Any]) -> FeatureSpace:
    feature = space.categorical[j]
    if not wanted:
        raise InvalidInputError(f"permitted_range[{feature!r}] is empty; name some levels")
    index = space.level_index(feature, wanted)
    if (index < 0).any():
        bad = wanted[int(np.argmax(index < 0))]
        raise InvalidInputError(
            f"permitted_range[{feature!r}]: no level {bad!r} in the data; levels are "
            f"{list(space.levels[j])}"
        )
    start = space.blocks[j, 0] - space.n_continuous
    permitted = space.permitted_levels.copy()
    permitted[start : start + len(space.levels[j])] = False
    permitted[start + index] = True
    return replace(space, permitted_levels=permitted)


_RANGE_FIELDS = ("permitted_low", "permitted_high", "asked")


def _grid_up(value: float, step: float) -> float:
    return float(np.ceil(value / step - 1e-9))


def _grid_down(value: float, step: float) -> float:
    return float(np.floor(value / step + 1e-9))
