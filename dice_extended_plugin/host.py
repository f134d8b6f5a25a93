"""What dice-ml's data objects say, read without changing them.

dice-ml keeps ranges, levels, precisions and weights in two data classes (PublicData with a table,
PrivateData with metadata only) whose helpers fail on some tables: precisions of values such as
1e-06, constant features, one-column tables. The few facts a search needs are read here once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.options import check_number
from dice_extended_plugin.rows import check_rows
from dice_extended_plugin.space import FeatureSpace

__all__ = [
    "DiceInputError",
    "column_weights",
    "feature_space",
    "has_table",
    "is_regression",
    "model_input",
    "outcome_spread",
    "query_frame",
    "sparsity_deviation",
    "takes_encoded_rows",
]

#: Decimals beyond this are noise of float32 storage.
_MOST_DECIMALS = 10


class DiceInputError(InvalidInputError, UserConfigValidationException):
    """An :class:`InvalidInputError` that code written for dice-ml catches as its own."""


def has_table(data: Any) -> bool:
    """Tell PublicData (with the training table) from PrivateData (metadata only)."""
    return getattr(data, "data_df", None) is not None


def is_regression(model: Any) -> bool:
    """Tell whether a dice-ml model was declared with ``model_type="regressor"``."""
    return getattr(model, "model_type", "classifier") == "regressor"


def feature_space(data: Any) -> FeatureSpace:
    """Read the features of a dice-ml data object.

    Ranges, levels and precisions are the data's; a ``permitted_range`` given to ``dice_ml.Data``
    becomes a constraint of the space.
    """
    continuous = list(data.continuous_feature_names)
    categorical = list(data.categorical_feature_names)
    if not continuous and not categorical:
        raise DiceInputError("the data has no features besides the outcome; add some")
    if has_table(data):
        table = data.data_df
        _check_table(table, data.feature_names)
        ranges = {f: (float(table[f].min()), float(table[f].max())) for f in continuous}
        levels = {f: [str(level) for level in table[f].cat.categories] for f in categorical}
        integer = [f for f in continuous if pd.api.types.is_integer_dtype(table[f].dtype)]
    else:
        ranges = {f: _ends(data.permitted_range[f]) for f in continuous}
        levels = {
            f: sorted(str(level) for level in data.categorical_levels[f]) for f in categorical
        }
        integer = [f for f in continuous if data.type_and_precision.get(f, "int") == "int"]
    space = FeatureSpace.build(
        data.feature_names, ranges, levels, _precisions(data, continuous, integer), integer
    )
    _check_columns(space)
    return space.constrain("all", _given_range(data, space)) if has_table(data) else space


def outcome_spread(data: Any) -> float:
    """Return the standard deviation of the outcome in the training table; 1 where unknown or 0."""
    if not has_table(data):
        return 1.0
    spread = float(pd.to_numeric(data.data_df[data.outcome_name], errors="coerce").std())
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def _ends(pair: Iterable[Any]) -> tuple[float, float]:
    low, high = pair
    return float(low), float(high)


def _check_table(table: pd.DataFrame, features: Iterable[str]) -> None:
    if len(table) == 0:
        raise DiceInputError("the training table given to dice_ml.Data has no rows; give it some")
    for feature in features:
        column = table[feature]
        if column.isna().any() or (column.dtype.kind == "f" and not np.isfinite(column).all()):
            raise DiceInputError(
                f"the training table has missing or infinite values in {feature!r}; fill or drop "
                f"them before dice_ml.Data"
            )


def _check_columns(space: FeatureSpace) -> None:
    """Two features may share an encoded name: "a" at level "b_c" and "a_b" at level "c"."""
    owner: dict[str, str] = {}
    features = space.continuous + space.categorical
    for column, j in zip(space.columns, space.column_feature, strict=True):
        first = owner.setdefault(column, features[j])
        if first != features[j]:
            raise DiceInputError(
                f"the features {first!r} and {features[j]!r} both get the encoded column "
                f"{column!r}; rename one of them"
            )


def _given_range(data: Any, space: FeatureSpace) -> dict[str, Any]:
    """Return the part of ``data.permitted_range`` that narrows or moves what the data holds."""
    given = {}
    for j, feature in enumerate(space.continuous):
        ends = data.permitted_range[feature]
        if tuple(map(float, ends)) != (space.low[j], space.high[j]):
            given[feature] = ends
    for j, feature in enumerate(space.categorical):
        wanted = [str(level) for level in data.permitted_range[feature]]
        if set(wanted) != set(space.levels[j]):
            given[feature] = wanted
    return given


def _precisions(data: Any, continuous: list[str], integer: list[str]) -> dict[str, int]:
    """Decimals of each continuous feature: as given, else the most that its modes show."""
    if not has_table(data):
        stated = data.type_and_precision
        return {f: 0 if stated.get(f, "int") == "int" else int(stated[f][1]) for f in continuous}
    stated = data.continuous_features_precision or {}
    found = {}
    for feature in continuous:
        if feature in stated:
            found[feature] = int(stated[feature])
        elif feature in integer:
            found[feature] = 0
        else:
            found[feature] = _decimals(data.data_df[feature].mode().to_numpy())
    return found


def _decimals(modes: np.ndarray) -> int:
    texts = (np.format_float_positional(mode, unique=True, trim="0") for mode in modes[:10_000])
    most = max((len(text.partition(".")[2]) for text in texts), default=0)
    return min(most, _MOST_DECIMALS)


def column_weights(
    data: Any, space: FeatureSpace, feature_weights: str | Mapping[str, float]
) -> np.ndarray:
    """Weight of each encoded column in distances, as dice-ml sets them.

    Parameters
    ----------
    feature_weights : "inverse_mad" or mapping
        ``round(1 / MAD, 2)`` on the scaled data for continuous features (1 where the MAD is 0)
        and 1 for levels; or weights by feature or encoded column name, 1 where not named.

    Returns
    -------
    ndarray of shape (d,)
    """
    if isinstance(feature_weights, str):
        if feature_weights != "inverse_mad":
            raise DiceInputError(
                f"feature_weights must be 'inverse_mad' or a dictionary, not {feature_weights!r}"
            )
        mads = data.get_valid_mads(normalized=True)
        given: Mapping[str, float] = {f: round(1 / mads[f], 2) for f in space.continuous}
    elif isinstance(feature_weights, Mapping):
        given = feature_weights
    else:
        raise DiceInputError(
            f"feature_weights must be 'inverse_mad' or a dictionary, not {feature_weights!r}"
        )
    weights = np.ones(space.n_columns)
    owner = space.column_feature
    for name, weight in given.items():
        check_number(f"feature_weights[{name!r}]", weight, least=0.0)
        if name in space.columns:
            weights[space.columns.index(name)] = weight
        elif name in space.categorical:
            feature = space.n_continuous + space.categorical.index(name)
            weights[owner == feature] = weight
        else:
            known = space.columns + space.categorical
            raise DiceInputError(
                f"feature_weights: no feature or column {name!r}"
                f"{did_you_mean(str(name), known)}; features are {list(space.names)}"
            )
    return weights


def sparsity_deviation(data: Any, space: FeatureSpace, quantile: float) -> np.ndarray | None:
    """Largest change of each continuous feature that post-hoc sparsity takes back.

    As in dice-ml the smaller of the MAD and the given quantile of the distances of the distinct
    values from their median, in the table's units. None without a table.
    """
    if not has_table(data):
        return None
    mads = data.get_valid_mads()
    deviation = np.zeros(space.n_continuous)
    for j, feature in enumerate(space.continuous):
        distinct = np.unique(data.data_df[feature].to_numpy(dtype=np.float64))
        spread = np.quantile(np.abs(distinct - np.median(distinct)), quantile)
        deviation[j] = min(spread, float(mads[feature]))
    return deviation


def takes_encoded_rows(model: Any, space: FeatureSpace) -> bool:
    """Tell whether a model is asked about scaled and one-hot encoded columns.

    So it is with ``func="ohe-min-max"``, and for a network whose ``func`` was not given where there
    are levels: it cannot read text, and dice-ml's older releases took it so.
    """
    backend, func = model.backend, model.transformer.func
    network = isinstance(backend, str) and (backend == "PYT" or backend.startswith("TF"))
    own = not isinstance(backend, str)
    return (func == "ohe-min-max" and not own) or (
        func is None and network and bool(space.categorical)
    )


def model_input(model: Any, space: FeatureSpace, table: pd.DataFrame) -> np.ndarray:
    """Return rows as dice-ml hands them to the model, (n, d).

    Levels are written as text first, the form in which dice-ml stores them: its transformation
    compares texts, and a truth value or a number would match no level.
    """
    if model.transformer.func is None and takes_encoded_rows(model, space):
        return space.encode(table)
    plain = {
        feature: np.array(space.levels[j], dtype=object)[
            space.level_index(feature, table[feature].tolist())
        ]
        for j, feature in enumerate(space.categorical)
    }
    with warnings.catch_warnings():  # dice-ml's own use of pandas; nothing a caller could change
        warnings.simplefilter("ignore", FutureWarning)
        rows = model.transformer.transform(table[list(space.names)].assign(**plain))
    if model.transformer.func == "ohe-min-max":
        rows = rows[list(space.columns)]
    else:
        rows = (rows[list(space.continuous)] - space.low) / space.scale
    return rows.to_numpy(dtype=np.float64, copy=True)  # pandas 3 would hand out a read-only view


def query_frame(query_instances: Any, space: FeatureSpace) -> pd.DataFrame:
    """Return queries in any form dice-ml documents as a checked table in the data's column order.

    Parameters
    ----------
    query_instances : DataFrame, Series, dict, or list of dicts or one-row DataFrames
        Never changed.
    """
    if isinstance(query_instances, pd.DataFrame):
        frame = query_instances
    elif isinstance(query_instances, pd.Series):
        frame = query_instances.to_frame().T.infer_objects()
    elif isinstance(query_instances, Mapping):
        frame = pd.DataFrame([dict(query_instances)])
    elif isinstance(query_instances, (list, tuple)) and query_instances:
        parts = [
            row if isinstance(row, pd.DataFrame) else pd.DataFrame([row]) for row in query_instances
        ]
        frame = pd.concat(parts, ignore_index=True)
    else:
        raise DiceInputError(
            f"query_instances must be a DataFrame, a dict or a non-empty list of dicts, not "
            f"{type(query_instances).__name__}"
        )
    check_rows(space, frame)
    return frame[list(space.names)].reset_index(drop=True)
