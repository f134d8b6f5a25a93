"""dice-ml's result types with what is new beside it: status, reason and robustness."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from dice_ml.diverse_counterfactuals import CounterfactualExamples
from jsonschema.exceptions import ValidationError
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin import __version__
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["STATUSES", "RobustCounterfactualExamples", "RobustCounterfactualExplanations"]

#: All wanted counterfactuals found, some of them, none of them.
STATUSES = ("ok", "partial", "none")
#: Key of our part in the JSON form's metadata, the only part that travels whole.
_METADATA = "dice_extended"
_PARTS = ("status", "reason", "robustness")
#: What reading a text of another form ends in.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OSError)


class RobustCounterfactualExamples(CounterfactualExamples):
    """Counterfactuals of one query.

    Attributes
    ----------
    status : {"ok", "partial", "none"}
    reason : str
        Why fewer than asked for were found, and what to change; "" for "ok".
    robustness : DataFrame
        One row per returned counterfactual: ``probability`` of the wanted class, ``rho_lit`` and
        ``rho_open`` (literal Dice-Sorensen coefficient, noise on all features, clipped and open),
        ``noise_validity`` with its 95 % Wilson interval ``noise_validity_low`` and ``..._high``,
        and the columns plugins add. All in [0, 1], higher is better.
    """

    def __init__(
        self,
        *,
        status: str = "ok",
        reason: str = "",
        robustness: pd.DataFrame | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.status, self.reason = status, reason
        self.robustness = pd.DataFrame() if robustness is None else robustness

    def clear(self) -> None:
        """Leave no rows."""
        for name in ("final_cfs_df", "final_cfs_df_sparse", "robustness"):
            table = getattr(self, name)
            setattr(self, name, None if table is None else table.iloc[:0])

    def _repr_html_(self) -> str:
        from dice_extended_plugin.results_html import example_html

        return example_html(self)

    def print_list(self, li: list[list[Any]], show_only_changes: bool) -> None:
        """Print rows; with `show_only_changes` cells equal to the query's are "-".

        dice-ml's own raises TypeError on tables with text.
        """
        query = self.test_instance_df.iloc[0].tolist()
        for row in li:
            cells = zip(row, query, strict=True)
            shown = ["-" if _same_cell(a, b) else a for a, b in cells] if show_only_changes else row
            print(shown)  # what the host's method is for


def _same_cell(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return str(a) == str(b)
    return math.isclose(a, b, rel_tol=1e-4)


class RobustCounterfactualExplanations(CounterfactualExplanations):
    """Counterfactuals of all queries of a call; a dice-ml ``CounterfactualExplanations``."""

    def __init__(self, cf_examples_list: list[Any], **kwargs: Any) -> None:
        super().__init__(cf_examples_list, **kwargs)
        self._metadata[_METADATA] = {
            "version": __version__,
            "status": self.status,
            "reason": self.reason,
            "robustness": [_jsonable(example.robustness) for example in cf_examples_list],
        }

    def __eq__(self, other: object) -> bool:
        """Compare as dice-ml does; what only ours hold does not tell them from dice-ml's."""
        if not isinstance(other, CounterfactualExplanations):
            return False
        own, theirs = dict(self.metadata), dict(other.metadata)
        if _METADATA not in theirs:
            own.pop(_METADATA)
        parts = ("cf_examples_list", "local_importance", "summary_importance")
        same = all(getattr(self, part) == getattr(other, part) for part in parts)
        return same and own == theirs

    __hash__ = None  # type: ignore[assignment]  # as dice-ml's

    @property
    def status(self) -> list[str]:
        """Status of each query."""
        return [example.status for example in self.cf_examples_list]

    @property
    def reason(self) -> list[str]:
        """Reason of each query."""
        return [example.reason for example in self.cf_examples_list]

    def _repr_html_(self) -> str:
        from dice_extended_plugin.results_html import explanations_html

        return explanations_html(self)

    def to_frame(self, sparse: bool = True, queries: bool = False) -> pd.DataFrame:
        """Return the counterfactuals of all queries in one table.

        Parameters
        ----------
        sparse : bool, default True
            Rows after post-hoc sparsity, where there was one.
        queries : bool, default False
            Put each query's own row (``counterfactual`` = -1) before its counterfactuals.

        Returns
        -------
        DataFrame
            Columns ``query`` and ``counterfactual`` (numbers from 0), ``status``, the features
            and the outcome, then the robustness columns (NaN for queries). A query without
            counterfactuals has no row but its own. Where a feature has the name of one of our
            columns, ours gets an underscore behind it.
        """
        parts = [
            _table(example, number, sparse, queries)
            for number, example in enumerate(self.cf_examples_list)
        ]
        # Tables without rows would only blur the column types of the others.
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)

    @staticmethod
    def from_json(json_str: str) -> RobustCounterfactualExplanations:
        """Read the form that :meth:`to_json` writes, status and robustness included.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: no JSON text, or one that holds something else.
        """
        try:
            _check_tables(json.loads(json_str))
            plain = CounterfactualExplanations.from_json(json_str)
            if not isinstance(plain, CounterfactualExplanations):
                raise InvalidInputError("the JSON text holds no counterfactual explanations")
            return _restore(plain, json_str)
        except InvalidInputError:
            raise
        except (*_UNREADABLE, UserConfigValidationException, ValidationError) as error:
            told = str(error).partition("\n")[0]  # jsonschema goes on with the whole text
            raise InvalidInputError(
                f"the JSON text holds no counterfactual explanations: {told:.200}"
            ) from error


def _check_tables(read: Any) -> None:
    """Raise unless the tables of dice-ml's older format are tables.

    dice-ml hands those texts to ``pandas.read_json``, which opens a text that is an address or a
    path. JSON text is neither.
    """
    if not isinstance(read, dict):
        raise InvalidInputError("the JSON text holds no counterfactual explanations")
    for example in read.get("cf_examples_list", ()):
        values = json.loads(example)
        for name in ("test_instance_df", "final_cfs_df"):
            text = values.get(name)
            if text is not None and not isinstance(json.loads(text), (dict, list)):
                raise InvalidInputError(f"{name} in the JSON text is no table: {text!r:.80}")


def _table(example: Any, number: int, sparse: bool, queries: bool) -> pd.DataFrame:
    """One query's part of :meth:`RobustCounterfactualExplanations.to_frame`."""
    rows = example.final_cfs_df_sparse if sparse else None
    rows = example.final_cfs_df if rows is None else rows
    rows = example.test_instance_df.iloc[:0] if rows is None else rows  # dice-ml's JSON may lack it
    own = set(example.test_instance_df.columns)
    scores = example.robustness.rename(columns=lambda name: free_name(name, own))
    table = pd.concat([rows.reset_index(drop=True), scores], axis=1)
    ranks = np.arange(len(table))
    if queries:
        table = pd.concat(
            [example.test_instance_df, table]
            if len(table)
            else [example.test_instance_df.reindex(columns=table.columns)],
            ignore_index=True,
        )
        ranks = np.concatenate([[-1], ranks])
    for name, values in (("status", example.status), ("counterfactual", ranks), ("query", number)):
        table.insert(0, free_name(name, set(table.columns)), values)
    return table


def free_name(name: str, taken: set[Any]) -> str:
    """Return a name that is not taken: with underscores behind it if need be."""
    while name in taken:
        name += "_"
    return name


def _restore(plain: CounterfactualExplanations, json_str: str) -> RobustCounterfactualExplanations:
    """Give plain explanations read from JSON the part that dice-ml's reader leaves out."""
    extra = json.loads(json_str)["metadata"].get(_METADATA)
    if extra is None:
        extra = _guess(plain)
    elif any(len(extra.get(part, ())) != len(plain.cf_examples_list) for part in _PARTS):
        raise InvalidInputError(
            f"the JSON text's metadata[{_METADATA!r}] does not have one entry of each of {_PARTS} "
            f"per query; write the text anew, or delete that key to read the rest"
        )
    examples = []
    for i, example in enumerate(plain.cf_examples_list):
        robust = RobustCounterfactualExamples.__new__(RobustCounterfactualExamples)
        robust.__dict__.update(example.__dict__)
        robust.status, robust.reason = extra["status"][i], extra["reason"][i]
        robust.robustness = pd.DataFrame(extra["robustness"][i])
        examples.append(robust)
    return RobustCounterfactualExplanations(
        examples,
        local_importance=plain.local_importance,
        summary_importance=plain.summary_importance,
        version=plain.metadata["version"],
    )


def _guess(plain: CounterfactualExplanations) -> dict[str, list[Any]]:
    """Our part for a text that dice-ml wrote: it says only whether anything was found."""
    found = [e.final_cfs_df is not None and len(e.final_cfs_df) > 0 for e in plain.cf_examples_list]
    return {
        "status": ["ok" if some else "none" for some in found],
        "reason": ["" if some else "the JSON text holds no counterfactuals" for some in found],
        "robustness": [{} for _ in found],
    }


def _jsonable(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns as JSON values."""
    return {
        str(name): [_json_value(value) for value in column.tolist()]
        for name, column in table.items()
    }


def _json_value(value: Any) -> Any:
    """Missing and infinite numbers, which JSON lacks, as null; NumPy's scalars as Python's."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value is pd.NA or value is pd.NaT else value
