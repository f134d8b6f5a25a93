"""One table per row: its values today, and each change beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dice_extended_plugin.audit_report.numbers import cell_text
from dice_extended_plugin.audit_report.searches import Search
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.dice_sorensen import wilson_interval

__all__ = ["query_tables"]


def query_tables(
    search: Search,
    origin: list[str],
    wanted: list[str],
    held: np.ndarray,
    settings: ReportSettings,
) -> list[dict[str, Any]]:
    """Return a table for every row of the report.

    Parameters
    ----------
    origin, wanted : list of str, length Q
        What the model says now, and what is wanted, in words.
    held : ndarray of shape (Q,)
        Held-out noise validity of the recommended changes.
    """
    sets = search.sets
    share = sets.noise_validity
    names = list(sets.judge.space.names)
    tables = []
    for query in range(sets.n_queries):
        rows = np.flatnonzero((sets.query == query) & sets.valid)
        # The recommended change stands first, then the others by how well they hold.
        order = sorted(rows, key=lambda row: (row != search.chosen[query], -share[row], row))
        today = sets.queries.iloc[query]
        changes = [sets.frame.iloc[row] for row in order]
        tables.append(
            {
                "number": query + 1,
                "from": origin[query],
                "to": wanted[query],
                "status": search.status[query],
                "reason": search.reason[query],
                "verdict": _verdict(held[query], settings),
                "changes": [
                    _scores(search, row, share[row], settings, row == search.chosen[query])
                    for row in order
                ],
                "features": [
                    _feature(name, today[name], [change[name] for change in changes])
                    for name in names
                ],
            }
        )
    return tables


def _verdict(held: float, settings: ReportSettings) -> str:
    if np.isnan(held):
        return "none"
    return "survives" if held >= settings.survive_at else "fragile"


def _scores(
    search: Search, row: int, share: float, settings: ReportSettings, recommended: bool
) -> dict[str, Any]:
    low, high = wilson_interval(share, settings.n_draws)
    sets = search.sets
    changed = sets.judge.space.changed(sets.u[row], sets.own[row])
    return {
        "recommended": bool(recommended),
        "noise_validity": float(share),
        "low": float(low),
        "high": float(high),
        "proximity": float(search.proximity[row]),
        "changed": int(changed.sum()),
    }


def _feature(name: str, today: Any, after: list[Any]) -> dict[str, Any]:
    """Return a feature's value today and in each change; None where it stays."""
    now = cell_text(today)
    cells = []
    for value in after:
        text = cell_text(value)
        step = ""
        if text != now and _is_number(today) and _is_number(value):
            step = "up" if float(value) > float(today) else "down"
        cells.append(None if text == now else {"value": text, "step": step})
    return {"name": str(name), "now": now, "after": cells}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
