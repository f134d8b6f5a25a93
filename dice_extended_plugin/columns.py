"""One column at a time: check it on the way in, give it back its own type on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["check_numbers", "factorize", "first_rows", "write_levels", "write_numbers"]


def factorize(values: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    """Distinct values and where each went, without pandas' merging of True, 1 and 1.0."""
    order: dict[tuple[type, Any], int] = {}
    inverse = np.fromiter(
        (order.setdefault((type(value), value), len(order)) for value in values), int, len(values)
    )
    return [value for _, value in order], inverse


def first_rows(flags: Any) -> list[int]:
    """Return the first five row numbers flagged, for an error text."""
    return [int(i) for i in np.flatnonzero(np.asarray(flags))[:5]]


def check_numbers(column: pd.Series, feature: str, argument: str) -> None:
    """Raise unless a continuous column holds finite numbers only."""
    try:
        if column.dtype.kind in "cmM":  # these would turn into numbers silently
            raise TypeError(column.dtype)
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{argument}[{feature!r}] must hold numbers, it holds {column.iloc[0]!r}; convert the "
            f"column, or leave the feature out of continuous_features"
        ) from None
    finite = np.abs(numbers) <= np.finfo(np.float32).max  # float32 is what the hosts compute in
    if not finite.all():
        raise InvalidInputError(
            f"{argument}[{feature!r}] has missing or infinite values in row(s) "
            f"{first_rows(~finite)}; fill or drop them"
        )


def write_numbers(raw: np.ndarray, changed: np.ndarray, query: pd.Series) -> Any:
    """Numbers in the query's dtype, or float64 where that dtype would cut decimals off."""
    own = query.to_numpy(dtype=np.float64)
    values = np.where(changed, raw, own)
    if pd.api.types.is_bool_dtype(query.dtype) or query.dtype == object:
        return values
    if pd.api.types.is_integer_dtype(query.dtype) and not (values == np.trunc(values)).all():
        return values
    return pd.array(values, dtype="float64").astype(query.dtype)


def write_levels(
    levels: tuple[str, ...], level: np.ndarray, changed: np.ndarray, query: pd.Series
) -> Any:
    """Levels as the query writes them: text, number or truth value, categories kept."""
    kind: Any = query.dtype
    if isinstance(kind, pd.CategoricalDtype):
        known = list(kind.categories)
        written = [_write_level(text, pd.Series(known).dtype) for text in levels]
        categories = known + [value for value in written if value not in known]
        values = np.where(changed, np.array(written, object)[level], query.astype(object))
        return pd.Categorical(values, categories=categories, ordered=kind.ordered)
    if kind == np.dtype(object) and len(query):
        sample = {type(value) for value in query}
        kind = np.array(list(query)).dtype if sample <= {bool, int, np.bool_, np.int64} else kind
    written = [_write_level(text, kind) for text in levels]
    values = np.where(changed, np.array(written, object)[level], query.astype(object))
    try:
        return pd.Series(values).astype(query.dtype)
    except (TypeError, ValueError):
        return pd.Series(values)


def _write_level(text: str, kind: Any) -> Any:
    if pd.api.types.is_bool_dtype(kind):
        return {"True": True, "1": True, "1.0": True}.get(text, False) if text in _TRUTHS else text
    if pd.api.types.is_numeric_dtype(kind):
        try:
            number = float(text)
        except ValueError:
            return text
        return (
            int(number) if number.is_integer() and pd.api.types.is_integer_dtype(kind) else number
        )
    return text


_TRUTHS = {"True", "False", "1", "0", "1.0", "0.0"}
