"""Tables of a job: every chunk's has the same types, whatever values it happens to hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dice_extended_plugin import host

__all__ = ["column_types", "typed"]


def column_types(data: Any, model: Any) -> dict[str, str]:
    """Return the type of features and outcome, from dice-ml's data and model objects.

    Whole numbers are ``Int64``, other numbers ``Float64``, both with room for what is missing;
    levels and named classes are ``string``.
    """
    frame = getattr(data, "data_df", None)
    continuous = set(data.continuous_feature_names)
    types: dict[str, str] = {}
    for name in data.feature_names:
        if name not in continuous:
            types[str(name)] = "string"
        else:
            types[str(name)] = "Float64" if frame is None else _number(frame[name].dtype)
    outcome = str(data.outcome_name)
    if host.is_regression(model):
        types[outcome] = "Float64"
    else:
        types[outcome] = _classes(getattr(getattr(model, "model", None), "classes_", None))
    return types


def typed(table: pd.DataFrame, types: Mapping[Any, str]) -> pd.DataFrame:
    """Give every column its type.

    Raises
    ------
    ValueError
        A column holds something that its type cannot.
    """
    return pd.DataFrame(
        {name: _as_type(column, types[name]) for name, column in table.items()}, copy=False
    )


def _number(dtype: Any) -> str:
    if pd.api.types.is_integer_dtype(dtype):
        return "Int64"
    return "Float64" if pd.api.types.is_numeric_dtype(dtype) else "string"


def _classes(names: Any) -> str:
    """Return the type of the outcome: a model whose classes have names answers with those."""
    if names is None:
        return "Int64"
    return _number(pd.Series(list(names)).dtype)


def _as_type(column: pd.Series, wanted: str) -> pd.Series:
    if wanted == "string":
        missing = column.isna()
        return column.astype(str).mask(missing).astype("string")
    numbers: Any = pd.to_numeric(column)
    whole: pd.Series = numbers.astype(wanted)
    return whole
