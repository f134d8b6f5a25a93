"""Counterfactuals in a notebook: a table per query, changed cells marked."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from dice_extended_plugin.html_tables import Cell, facts, table, titled

__all__ = ["MOST_QUERIES", "example_html", "explanations_html"]

#: Queries with a table of their own; the others are counted.
MOST_QUERIES = 10
#: Robustness columns that are shown; the others are in ``robustness``.
_SHOWN = ("probability", "noise_validity", "rho_lit")


def explanations_html(explanations: Any) -> str:
    """Return the tables of a call's first queries, under a count of the statuses.

    Parameters
    ----------
    explanations : RobustCounterfactualExplanations
    """
    examples = explanations.cf_examples_list
    counts = pd.Series(explanations.status, dtype=object).value_counts()
    head = facts({"queries": len(examples)} | {str(name): int(n) for name, n in counts.items()})
    parts = [
        example_html(example, f"Query {i}") for i, example in enumerate(examples[:MOST_QUERIES])
    ]
    more = ""
    if len(examples) > MOST_QUERIES:
        more = (
            f"<p>{len(examples) - MOST_QUERIES} more queries are not shown; "
            "<code>to_frame()</code> has all of them.</p>"
        )
    return titled("Counterfactual explanations", head, *parts, more)


def example_html(example: Any, name: str = "Query") -> str:
    """Return a query and its counterfactuals; cells that differ from the query's are marked.

    Parameters
    ----------
    example : RobustCounterfactualExamples
    name : str
    """
    query = example.test_instance_df
    sparse = example.final_cfs_df_sparse
    rows = example.final_cfs_df if sparse is None else sparse
    status = example.status + (f": {example.reason}" if example.reason else "")
    names = list(query.columns)
    shown = [name for name in _SHOWN if name in example.robustness.columns]
    today = query.iloc[0].tolist()
    lines: list[list[Any]] = [["query", *today, *[None] * len(shown)]]
    for number in range(0 if rows is None else len(rows)):
        values = rows.iloc[number].reindex(names).tolist()
        scores = [_score(example.robustness, one, number) for one in shown]
        cells = [_marked(a, b) for a, b in zip(values, today, strict=True)]
        lines.append([number, *cells, *scores])
    return table(["", *names, *shown], lines, f"{name}: {status}")


def _score(scores: pd.DataFrame, name: str, row: int) -> Any:
    return scores[name].iloc[row] if row < len(scores) else None


def _marked(value: Any, today: Any) -> Any:
    if _same(value, today):
        return value
    shown = f"{value:.6g}" if isinstance(value, float) else value
    return Cell(shown)


def _same(a: Any, b: Any) -> bool:
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-4)
    except (TypeError, ValueError):
        return str(a) == str(b)
