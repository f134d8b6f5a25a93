"""dice-ml's result types with what is new beside it: status, reason and robustness."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from dice_ml.diverse_counterfactuals import CounterfactualExamples

from dice_extended_plugin import __version__
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["STATUSES", "RobustCounterfactualExamples", "RobustCounterfactualExplanations"]

#: All wanted counterfactuals found, some of them, none of them.
STATUSES = ("ok", "partial", "none")
#: Key of our part in the JSON form's metadata, the only part that travels whole.
_METADATA = "dice_extended"


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

    @property
    def status(self) -> list[str]:
        """Status of each query."""
        return [example.status for example in self.cf_examples_list]

    @property
    def reason(self) -> list[str]:
        """Reason of each query."""
        return [example.reason for example in self.cf_examples_list]

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
            counterfactuals has no row but its own.
        """
        parts = []
        for number, example in enumerate(self.cf_examples_list):
            table = example.final_cfs_df_sparse if sparse else None
            table = example.final_cfs_df if table is None else table
            table = pd.concat([table, example.robustness], axis=1)
            ranks = np.arange(len(table))
            if queries:
                table = pd.concat([example.test_instance_df, table], ignore_index=True)
                ranks = np.concatenate([[-1], ranks])
            table.insert(0, "status", example.status)
            table.insert(0, "counterfactual", ranks)
            table.insert(0, "query", number)
            if len(table):
                parts.append(table)
        if parts:
            return pd.concat(parts, ignore_index=True)
        empty = self.cf_examples_list[0].test_instance_df.iloc[:0].copy()
        return pd.concat([pd.DataFrame(columns=["query", "counterfactual", "status"]), empty])

    @staticmethod
    def from_json(json_str: str) -> RobustCounterfactualExplanations:
        """Read the form that :meth:`to_json` writes, status and robustness included."""
        plain = CounterfactualExplanations.from_json(json_str)
        if not isinstance(plain, CounterfactualExplanations):
            raise InvalidInputError("the JSON text holds no counterfactual explanations")
        return _restore(plain, json_str)


def _restore(plain: CounterfactualExplanations, json_str: str) -> RobustCounterfactualExplanations:
    """Give plain explanations read from JSON the part that dice-ml's reader leaves out."""
    extra = json.loads(json_str)["metadata"].get(_METADATA, {})
    examples = []
    for i, example in enumerate(plain.cf_examples_list):
        robust = RobustCounterfactualExamples.__new__(RobustCounterfactualExamples)
        robust.__dict__.update(example.__dict__)
        robust.status = extra["status"][i] if extra else "ok"
        robust.reason = extra["reason"][i] if extra else ""
        robust.robustness = pd.DataFrame(extra["robustness"][i] if extra else None)
        examples.append(robust)
    return RobustCounterfactualExplanations(
        examples,
        local_importance=plain.local_importance,
        summary_importance=plain.summary_importance,
        version=plain.metadata["version"],
    )


def _jsonable(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns as JSON values; NaN, which JSON lacks, as null."""
    return {
        str(name): [None if value != value else value for value in column.tolist()]
        for name, column in table.items()
    }
