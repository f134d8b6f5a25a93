"""Tables of queries at the border: every row can be encoded, or the error says which cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dice_extended_plugin.columns import check_numbers, first_rows
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.space import SAME, FeatureSpace

__all__ = ["check_rows"]


def check_rows(space: FeatureSpace, frame: pd.DataFrame, argument: str = "query_instances") -> None:
    """Raise a clear error unless every row of `frame` can be encoded.

    Raises
    ------
    InvalidInputError
        Empty frame, missing or surplus column, missing or infinite value, text in a
        continuous feature, unknown level, or a frozen feature outside its permitted range.
    """
    if len(frame) == 0:
        raise InvalidInputError(f"{argument} has no rows; give at least one")
    if frame.columns.duplicated().any():
        twice = list(frame.columns[frame.columns.duplicated()])
        raise InvalidInputError(f"{argument} has the column(s) {twice} more than once")
    missing = [name for name in space.names if name not in frame.columns]
    if missing:
        raise InvalidInputError(f"{argument} lacks the column(s) {missing}; add them")
    surplus = [name for name in frame.columns if name not in space.names]
    if surplus:
        raise InvalidInputError(
            f"{argument} has the column(s) {surplus}, which are not features of the data (is "
            f"the outcome among them?); drop them"
        )
    for feature in space.continuous:
        check_numbers(frame[feature], feature, argument)
    for feature in space.categorical:
        if frame[feature].isna().any():
            raise InvalidInputError(
                f"{argument}[{feature!r}] has missing values in row(s) "
                f"{first_rows(frame[feature].isna())}; fill or drop them"
            )
        unknown = space.level_index(feature, frame[feature].tolist()) < 0
        if unknown.any():
            value = frame[feature].iloc[int(np.argmax(unknown))]
            levels = space.levels[space.categorical.index(feature)]
            raise InvalidInputError(
                f"{argument}[{feature!r}] holds {value!r}, a level outside the data; levels "
                f"are {list(levels)}"
            )
    _check_frozen(space, frame, argument)


def _check_frozen(space: FeatureSpace, frame: pd.DataFrame, argument: str) -> None:
    """Raise for a feature that must stay and must move, which has no answer."""
    codes = space.encode(frame)
    numbers = space.low + codes[:, : space.n_continuous] * space.scale
    tolerance = SAME * space.scale
    outside = (numbers < space.permitted_low - tolerance) | (
        numbers > space.permitted_high + tolerance
    )
    banned = codes[:, space.n_continuous :] * ~space.permitted_levels
    stuck = np.concatenate([outside & space.asked, _any_per_block(space, banned > 0)], axis=1)
    stuck &= ~space.vary
    if stuck.any():
        j = int(np.argmax(stuck.any(axis=0)))
        feature = (space.continuous + space.categorical)[j]
        raise InvalidInputError(
            f"{argument}[{feature!r}] lies outside its permitted_range in row(s) "
            f"{first_rows(stuck[:, j])} and may not vary; widen permitted_range or add "
            f"{feature!r} to features_to_vary"
        )


def _any_per_block(space: FeatureSpace, flags: np.ndarray) -> np.ndarray:
    if not space.categorical:
        return np.zeros((len(flags), 0), bool)
    starts = space.blocks[:, 0] - space.n_continuous
    return np.logical_or.reduceat(flags, starts, axis=1)
