"""The task "explain": counterfactuals for every row, by any method of ``Dice``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.errors import TaskError
from dice_extended_plugin.jobs.sources import Rows
from dice_extended_plugin.jobs.tables import column_types, typed
from dice_extended_plugin.results import free_name

__all__ = ["ExplainTask"]

#: Options that make the explainer; all others are keywords of ``generate_counterfactuals``.
_MAKING = ("method", "explainer")
#: Our columns and their types.
_OWN = {"row": "int64", "counterfactual": "int64", "status": "string", "reason": "string"}


class ExplainTask:
    """Explain rows.

    Parameters
    ----------
    made : (dice_ml.Data, dice_ml.Model) or explainer
    options : mapping
        ``method`` (str, default "auto") and ``explainer`` (keywords of the method's class) if the
        factory made data and model; ``total_CFs`` (int, required) and every other keyword of
        ``generate_counterfactuals``.
    random_state : int
        Of the explainer; one that the factory made keeps its own.
    """

    def __init__(self, made: Any, options: Mapping[str, Any], random_state: int) -> None:
        self._call = {key: value for key, value in options.items() if key not in _MAKING}
        self._call.setdefault("verbose", False)
        if hasattr(made, "generate_counterfactuals"):
            if given := [key for key in _MAKING if key in options]:
                raise TaskError(f"the factory made an explainer itself: leave out {given}")
            self._explainer = made
        else:
            self._explainer = _explainer(made, options, random_state)
        data = self._explainer.data_interface
        self._features, self._outcome = list(data.feature_names), str(data.outcome_name)
        self._types = column_types(data, self._explainer.model)

    def __call__(self, rows: Rows, start: int) -> pd.DataFrame:
        """Return one line per counterfactual.

        Columns: ``row``; ``counterfactual``, its number, -1 in the one line of a row without any;
        ``status`` and ``reason``; the features and the outcome; the robustness columns.
        """
        if not isinstance(rows, pd.DataFrame):
            raise TaskError("rows to explain are a table with named columns, not an array")
        if missing := [name for name in self._features if name not in rows.columns]:
            raise TaskError(
                f"the rows lack the feature(s) {', '.join(map(repr, missing))}; they have "
                f"{', '.join(map(repr, rows.columns))}"
            )
        table = self._table(rows[self._features])
        own = list(table.columns[: len(_OWN)])
        known = {name: self._types.get(str(name), "Float64") for name in table.columns}
        known |= dict(zip(own, _OWN.values(), strict=True))
        # Ours keep their names in a job's files: a feature of the same name gets the underscore.
        names = dict(zip(own, _OWN, strict=True))
        names |= {name: free_name(name, set(_OWN)) for name in table.columns if name not in own}
        table[own[0]] += start
        return typed(table, known).rename(columns=names)

    def _table(self, rows: pd.DataFrame) -> pd.DataFrame:
        if hasattr(self._explainer, "counterfactual_table"):
            table: pd.DataFrame = self._explainer.counterfactual_table(rows, **self._call)
            return table
        # Another package's method: its result objects are all there is.
        result = self._explainer.generate_counterfactuals(rows, **self._call)
        return pd.concat(
            [
                _lines(example, number, [*self._features, self._outcome])
                for number, example in enumerate(result.cf_examples_list)
            ],
            ignore_index=True,
        )

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Check what can be checked without a model."""
        if "total_CFs" not in options:
            raise InvalidInputError("options of the task 'explain' lack total_CFs")
        for name, kind in (("method", str), ("explainer", Mapping)):
            if name in options and not isinstance(options[name], kind):
                raise InvalidInputError(f"option {name} is of a wrong type: {options[name]!r}")
        if given := [name for name in ("query_instances", "verbose") if name in options]:
            raise InvalidInputError(f"option {given[0]!r} is the job's own: leave it out")

    @staticmethod
    def summary(
        tables: Iterator[pd.DataFrame], options: Mapping[str, Any], random_state: int
    ) -> dict[str, Any]:
        """Count rows by status, and average every column of scores."""
        statuses: dict[str, int] = {}
        sums: dict[str, list[float]] = {}
        lines = 0
        for table in tables:
            first = table.drop_duplicates("row")["status"].value_counts()
            for status, count in first.items():
                statuses[str(status)] = statuses.get(str(status), 0) + int(count)
            found = table[table["counterfactual"] >= 0]
            lines += len(found)
            for name in _SCORES:
                if name in found.columns:
                    held = sums.setdefault(name, [0.0, 0.0])
                    values = found[name].to_numpy(dtype=float, na_value=np.nan)
                    held[0] += float(np.nansum(values))
                    held[1] += float(np.isfinite(values).sum())
        means = {name: round(total / n, 6) for name, (total, n) in sums.items() if n}
        return {"statuses": statuses, "counterfactuals": lines, "means": means}


_SCORES = ("probability", "rho_lit", "rho_open", "noise_validity")


def _explainer(made: Any, options: Mapping[str, Any], random_state: int) -> Any:
    from dice_extended_plugin.dice import Dice

    if not isinstance(made, tuple) or len(made) != 2:
        raise TaskError(
            "for the task 'explain' the factory returns (dice_ml.Data, dice_ml.Model), or an "
            f"explainer, not a {type(made).__name__}"
        )
    keywords = {"random_state": random_state, **options.get("explainer", {})}
    try:
        return Dice(*made, method=options.get("method", "auto"), **keywords)
    except TypeError as error:
        raise TaskError(f"option explainer: {error}") from error


def _lines(example: Any, query: int, columns: list[str]) -> pd.DataFrame:
    """Return what dice-ml's own result says of one query, in the form of ours."""
    found = example.final_cfs_df_sparse
    found = example.final_cfs_df if found is None else found
    n = 0 if found is None else len(found)
    lines: dict[str, Any] = {
        "query": np.full(max(n, 1), query),
        "counterfactual": np.arange(n) if n else [-1],
        "status": getattr(example, "status", "ok" if n else "none"),
        "reason": getattr(example, "reason", ""),
    }
    taken = set(columns)
    lines = {free_name(name, taken): value for name, value in lines.items()}
    for name in columns:
        lines[name] = [None] if found is None or not n else found[name].tolist()
    return pd.DataFrame(lines)
