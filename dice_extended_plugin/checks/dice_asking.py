"""How the checks of dice-ml methods ask a method, and read its answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.checks.case import Case, ensure, need
from dice_extended_plugin.checks.tables import CONTINUOUS, OUTCOME, Table, table

__all__ = [
    "HOSTS_OWN_ERRORS",
    "INCOME",
    "JOBS",
    "RANGE",
    "VARY",
    "K",
    "as_text",
    "ask",
    "cells",
    "confirm",
    "host_errors",
    "make",
    "problem",
    "tables",
    "typed",
]

#: Counterfactuals asked for per query.
K = 2
#: Constraints of the checks.
VARY = ["age", "income", "smoker"]
INCOME, JOBS = [20.0, 50.0], ["clerk", "nurse"]
RANGE: dict[str, Any] = {"income": INCOME, "job": JOBS}
#: What dice-ml itself refuses.
HOSTS_OWN_ERRORS: dict[str, dict[str, Any]] = {
    "total_CFs=0": {"total_CFs": 0},
    "features_to_vary=[]": {"features_to_vary": []},
    "stopping_threshold=1.5": {"stopping_threshold": 1.5},
    "posthoc_sparsity_param=1.5": {"posthoc_sparsity_param": 1.5},
    "posthoc_sparsity_algorithm='cubic'": {"posthoc_sparsity_algorithm": "cubic"},
    "desired_range for a classifier": {"desired_range": [0, 1]},
}


def problem(case: Case, **options: Any) -> Table:
    """Make the suite's problem for a case."""
    need("dice_ml", "sklearn")
    return table(case.backend or "sklearn", max_calls=case.max_calls, **options)


def make(case: Case, given: Table) -> Any:
    """Make the explainer."""
    return case.subject(given.data, given.model, **case.own["init"])


def ask(case: Case, explainer: Any, queries: pd.DataFrame, **keywords: Any) -> Any:
    """Ask for counterfactuals with the case's keywords."""
    call = {"total_CFs": K, **case.own["call"], **keywords}
    return explainer.generate_counterfactuals(queries, **call)


def tables(result: Any, which: str = "last") -> list[pd.DataFrame]:
    """Return one table per query: after post-hoc sparsity where there was one, or before it."""
    found = []
    for example in result.cf_examples_list:
        sparse = example.final_cfs_df_sparse if which == "last" else None
        rows = example.final_cfs_df if sparse is None else sparse
        found.append(example.test_instance_df.iloc[:0] if rows is None else rows)
    return found


def as_text(result: Any) -> list[str]:
    """Rows of a result as text, to compare without regard to column types."""
    return [rows.reset_index(drop=True).to_csv(float_format="%.9g") for rows in tables(result)]


def host_errors() -> tuple[type[BaseException], ...]:
    """Return the classes that bad input may raise."""
    from raiutils.exceptions import UserConfigValidationException

    return ValueError, UserConfigValidationException


def confirm(given: Table, result: Any, wanted: np.ndarray) -> None:
    """Check that the model, asked again, gives every row the class wanted of its query."""
    for which in ("dense", "last"):
        for place, rows in enumerate(tables(result, which)):
            if not len(rows):
                continue
            found = given.labels(typed(rows, given))
            ensure(
                (found == wanted[place]).all(),
                f"query {place}: class {wanted[place]} was wanted, asked again the model gives "
                f"{found.tolist()}",
            )
            claimed = rows[OUTCOME].astype(float).round().astype(int).tolist()
            ensure(
                claimed == found.tolist(),
                f"query {place}: the outcome column claims {claimed}, the model gives "
                f"{found.tolist()}",
            )


def typed(rows: pd.DataFrame, given: Table) -> pd.DataFrame:
    """Return rows in the types the model knows; dice-ml writes some numbers as text."""
    frame = rows[list(given.queries.columns)]
    return frame.astype({n: float for n in CONTINUOUS} | {"job": str, "smoker": str})


def cells(rows: pd.DataFrame, columns: list[str]) -> list[list[str]]:
    """Return rows as text to compare, numbers to six digits whatever they are kept as."""

    def cell(value: Any) -> str:
        try:
            return f"{float(value):.6g}"
        except (TypeError, ValueError):
            return str(value)

    frame = rows if list(rows.columns) == columns else rows.set_axis(columns, axis=1)
    return [[cell(value) for value in row] for row in frame.to_numpy(dtype=object)]
