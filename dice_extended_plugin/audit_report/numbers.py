"""Numbers as a person reads them, and as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["brief", "cell_text", "jsonable", "percent", "short"]

_BRIEF = 60


def brief(text: str) -> str:
    """Return a name short enough for a sentence: its beginning where it is very long."""
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1].rstrip() + "…"


def short(value: Any, digits: int = 3) -> str:
    """Return a number with about `digits` digits that count; "–" where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text and abs(value) >= 1 else text


def percent(share: Any, digits: int = 0) -> str:
    """Return a share as a percentage; 100 % and 0 % only where they are exact."""
    if share is None or not math.isfinite(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        return f"> {100 - 10**-digits:.{digits}f} %" if digits else "> 99 %"
    if share > 0 and float(text) == 0:
        return f"< {10**-digits:.{digits}f} %" if digits else "< 1 %"
    return f"{text} %"


def cell_text(value: Any) -> str:
    """Return a table's cell as text: whole numbers without a point, others as they are."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return str(value)


def jsonable(value: Any) -> Any:
    """Return a value as plain JSON: no NumPy, no tuples; NaN and infinity become None.

    Numbers are rounded to 9 digits, so that the last bits of a machine's arithmetic do not show.
    """
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [jsonable(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
