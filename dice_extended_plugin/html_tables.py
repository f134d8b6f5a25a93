"""Small HTML tables for notebooks: what results show when a cell ends with them.

Colours are mixed with the notebook's own, so that dark themes stay readable; what is marked is bold
and framed too. Everything is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_ROWS", "Cell", "facts", "frame_table", "table", "titled"]

#: Rows of a table that are shown; the rest is counted.
MOST_ROWS = 60
_CELL = "padding: 2px 8px; text-align: {align}; vertical-align: top; white-space: nowrap"
_MARKED = "; font-weight: bold; background: rgba(255, 190, 0, .25); outline: 1px solid"
_HEAD = "padding: 2px 8px; text-align: left; border-bottom: 1px solid currentColor"


class Cell(str):
    """A cell that is to be marked: a value that changed."""

    __slots__ = ()


def table(
    head: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    caption: str = "",
    most_rows: int = MOST_ROWS,
) -> str:
    """Return an HTML table.

    Parameters
    ----------
    head : sequence
        Of the columns.
    rows : sequence of sequences
        A :class:`Cell` is marked; numbers are written short, on the right. The first cell of a row
        is its heading.
    caption : str
    most_rows : int
        Further rows are counted only.
    """
    lines = [
        '<div style="overflow-x: auto"><table style="border-collapse: collapse">',
        f'<caption style="text-align: left; font-weight: bold">{_escape(caption)}</caption>'
        if caption
        else "",
        "<thead><tr>",
        *(f'<th scope="col" style="{_HEAD}">{_escape(name)}</th>' for name in head),
        "</tr></thead><tbody>",
        *(_row(row) for row in rows[:most_rows]),
        "</tbody></table></div>",
    ]
    if len(rows) > most_rows:
        lines.append(f"<p>{len(rows) - most_rows} more rows are not shown.</p>")
    return "".join(lines)


def frame_table(frame: pd.DataFrame, caption: str = "", most_rows: int = MOST_ROWS) -> str:
    """Return a DataFrame as a table; its index, where it has names, comes first."""
    named = any(name is not None for name in frame.index.names)
    shown = frame.reset_index() if named else frame
    return table(list(shown.columns), shown.to_numpy(dtype=object).tolist(), caption, most_rows)


def titled(title: str, *parts: str) -> str:
    """Return parts under a heading of their own."""
    return f"<div><p><strong>{_escape(title)}</strong></p>{''.join(parts)}</div>"


def facts(values: Mapping[str, Any]) -> str:
    """Return names and values in one line."""
    return (
        "<p>" + " · ".join(f"{_escape(k)}: {_escape(_text(v))}" for k, v in values.items()) + "</p>"
    )


def _row(row: Sequence[Any]) -> str:
    first, *rest = row
    heading = f'<th scope="row" style="{_CELL.format(align="left")}">{_escape(_text(first))}</th>'
    return "<tr>" + heading + "".join(_cell(value) for value in rest) + "</tr>"


def _cell(value: Any) -> str:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))
    style = _CELL.format(align="right" if number else "left")
    text = _escape(_text(value))
    if isinstance(value, Cell):
        return f'<td style="{style}{_MARKED}"><strong>{text}</strong></td>'
    return f'<td style="{style}">{text}</td>'


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _escape(value: Any) -> str:
    return html.escape(str(value), quote=True)
