"""Rules about single changes, beyond what dice-ml can say: only up, a <= b, never from A to B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dice_extended_plugin.constraints import check_names
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.options import check_number

if TYPE_CHECKING:
    from dice_extended_plugin.space import FeatureSpace

__all__ = ["Rules", "obey"]

_DIRECTIONS = {"increase": 1, "decrease": -1}


@dataclass(frozen=True)
class Rules:
    """What a counterfactual may do to a query, besides ranges and immutable features.

    Parameters
    ----------
    monotone : mapping
        Of a continuous feature to "increase" or "decrease"; of a categorical feature to its
        levels in the only order in which it may move, for example
        ``{"age": "increase", "education": ["School", "Bachelors", "Masters"]}``. Levels that are
        not in the list can neither be left nor reached.
    order : sequence of (str, str)
        Pairs of continuous features of which the first is never larger than the second.
    forbidden : mapping of str to sequence of (level, level)
        Transitions of categorical features that must not happen, ``(from, to)``.
    step : mapping of str to float
        A changed value of the feature is a whole multiple of its step, for example
        ``{"hours_per_week": 5}``.
    """

    monotone: Mapping[str, str | Sequence[Any]] = field(default_factory=dict)
    order: Sequence[tuple[str, str]] = ()
    forbidden: Mapping[str, Sequence[tuple[Any, Any]]] = field(default_factory=dict)
    step: Mapping[str, float] = field(default_factory=dict)


def obey(space: FeatureSpace, rules: Rules | None) -> FeatureSpace:
    """Return a space that also keeps the rules; this one stays as it is.

    Raises
    ------
    InvalidInputError
        A feature, level or direction that does not exist, a step finer than the feature's
        decimals, or an order of a feature with itself.
    """
    if rules is None:
        return space
    if not isinstance(rules, Rules):
        raise InvalidInputError(
            f"rules must be a Rules, not {type(rules).__name__}; write "
            f"Rules(monotone={{'age': 'increase'}})"
        )
    for name in ("monotone", "forbidden", "step"):
        if not isinstance(getattr(rules, name), Mapping):
            raise InvalidInputError(
                f"rules.{name} must be a dictionary by feature, not {getattr(rules, name)!r}"
            )
    for feature, wanted in rules.monotone.items():
        space = _monotone(space, feature, wanted)
    for feature, pairs in rules.forbidden.items():
        space = _forbid(space, feature, pairs)
    for feature, step in rules.step.items():
        space = _coarsen(space, feature, step)
    order = tuple(_pair(space, pair) for pair in rules.order)
    return replace(space, order=space.order + order)


def _monotone(space: FeatureSpace, feature: str, wanted: Any) -> FeatureSpace:
    check_names(space, [feature], "rules.monotone")
    where = f"rules.monotone[{feature!r}]"
    if feature in space.categorical:
        if isinstance(wanted, str):
            raise InvalidInputError(
                f"{where} = {wanted!r}: the feature is categorical; list its levels in the order "
                f"in which it may move"
            )
        index = _levels(space, feature, list(wanted), where)
        size = len(space.levels[space.categorical.index(feature)])
        rank = np.full(size, -1)
        rank[index] = np.arange(len(index))
        never = (rank[:, None] > rank) | (rank[:, None] < 0) | (rank < 0)
        return _without(space, feature, never & ~np.eye(size, dtype=bool))
    if not isinstance(wanted, str) or wanted not in _DIRECTIONS:
        raise InvalidInputError(f"{where} must be 'increase' or 'decrease', not {wanted!r}")
    direction = space.direction.copy()
    j = space.continuous.index(feature)
    if direction[j] == -_DIRECTIONS[wanted]:
        raise InvalidInputError(f"{where}: the feature may already only move the other way")
    direction[j] = _DIRECTIONS[wanted]
    return replace(space, direction=direction)


def _forbid(space: FeatureSpace, feature: str, pairs: Any) -> FeatureSpace:
    check_names(space, [feature], "rules.forbidden")
    where = f"rules.forbidden[{feature!r}]"
    if feature not in space.categorical:
        raise InvalidInputError(
            f"{where}: the feature is continuous; use permitted_range or rules.monotone"
        )
    size = len(space.levels[space.categorical.index(feature)])
    never = np.zeros((size, size), dtype=bool)
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise InvalidInputError(f"{where} must hold pairs (from, to), not {pair!r}")
        first, second = _levels(space, feature, list(pair), where)
        never[first, second] = True
    return _without(space, feature, never & ~np.eye(size, dtype=bool))


def _without(space: FeatureSpace, feature: str, never: np.ndarray) -> FeatureSpace:
    """Add impossible transitions, (levels, levels) from row to column."""
    forbidden = space.forbidden.copy()
    j = space.categorical.index(feature)
    start = space.blocks[j, 0] - space.n_continuous
    block = slice(start, start + len(never))
    forbidden[block, block] |= never
    return replace(space, forbidden=forbidden)


def _levels(space: FeatureSpace, feature: str, values: list[Any], where: str) -> np.ndarray:
    index = space.level_index(feature, values) if values else np.empty(0, dtype=int)
    if len(values) == 0 or (index < 0).any() or len(set(index)) < len(index):
        what = (
            f"no level {values[int(np.argmax(index < 0))]!r} in the data"
            if ((index < 0).any())
            else f"levels must be named once each, not {values!r}"
        )
        known = list(space.levels[space.categorical.index(feature)])
        raise InvalidInputError(f"{where}: {what}; levels are {known}")
    return index


def _coarsen(space: FeatureSpace, feature: str, step: Any) -> FeatureSpace:
    check_names(space, [feature], "rules.step")
    where = f"rules.step[{feature!r}]"
    if feature not in space.continuous:
        raise InvalidInputError(f"{where}: the feature is categorical and has no steps")
    check_number(where, step, above=0.0)
    j = space.continuous.index(feature)
    finest = 10.0 ** -space.precision[j]
    if abs(step / finest - round(step / finest)) > 1e-6:
        raise InvalidInputError(
            f"{where} = {step!r} is no multiple of {finest:g}, the precision of this feature; set "
            f"continuous_features_precision or another step"
        )
    steps = space.step.copy()
    steps[j] = float(step)
    return replace(space, step=steps)


def _pair(space: FeatureSpace, pair: Any) -> tuple[int, int]:
    if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
        raise InvalidInputError(f"rules.order must hold pairs of two features, not {pair!r}")
    check_names(space, pair, "rules.order")
    for feature in pair:
        if feature not in space.continuous:
            raise InvalidInputError(
                f"rules.order: {feature!r} is categorical; only continuous features have an order"
            )
    return space.continuous.index(pair[0]), space.continuous.index(pair[1])
