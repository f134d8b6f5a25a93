"""From what a search found to dice-ml's result objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from dice_ml.constants import ModelTypes

from dice_extended_plugin.results import RobustCounterfactualExamples, free_name

__all__ = ["Answer", "assemble", "flat_table"]


@dataclass(frozen=True)
class Answer:
    """Decoded counterfactuals of a call; row i of the tables belongs to query ``query[i]``.

    Parameters
    ----------
    query : ndarray of int, shape (n,)
        Ascending.
    dense : DataFrame of n rows
        Before post-hoc sparsity.
    sparse : DataFrame of n rows or None
        After it.
    dense_label, sparse_label : ndarray, shape (n,)
        The model's own answer to each row: class index, or predicted value.
    scores : DataFrame of n rows
        Robustness columns.
    query_label : ndarray, shape (Q,)
        The model's own answer to each query.
    desired_class : ndarray, shape (Q,), or None
        By name where the model's classes have names. None for a regression model.
    desired_range : (float, float) or None
        None for a classifier.
    status, reason : list of str, length Q
    origin : ndarray of shape (n,), optional
        What the training table calls the row each comes from; the index of dice-ml's tables.
    """

    query: np.ndarray
    dense: pd.DataFrame
    sparse: pd.DataFrame | None
    dense_label: np.ndarray
    sparse_label: np.ndarray
    scores: pd.DataFrame
    query_label: np.ndarray
    desired_class: np.ndarray | None
    desired_range: tuple[float, float] | None
    status: list[str]
    reason: list[str]
    origin: np.ndarray | None = None


def assemble(
    frame: pd.DataFrame, answer: Answer, data: Any, posthoc_sparsity_param: float | None
) -> list[RobustCounterfactualExamples]:
    """Cut the tables of a call into one dice-ml example object per query.

    The outcome column holds the model's own answers in every table.
    """
    outcome = data.outcome_name
    queries = frame.assign(**{outcome: answer.query_label})
    dense = answer.dense.assign(**{outcome: answer.dense_label})
    sparse = (
        None if answer.sparse is None else answer.sparse.assign(**{outcome: answer.sparse_label})
    )
    first = np.searchsorted(answer.query, np.arange(len(frame) + 1))
    return [
        RobustCounterfactualExamples(
            data_interface=data,
            final_cfs_df=_cut(dense, first, i, answer.origin),
            test_instance_df=queries.iloc[i : i + 1].reset_index(drop=True),
            final_cfs_df_sparse=(None if sparse is None else _cut(sparse, first, i, answer.origin)),
            posthoc_sparsity_param=posthoc_sparsity_param,
            **_wanted(answer, i),
            status=answer.status[i],
            reason=answer.reason[i],
            robustness=_cut(answer.scores, first, i),
        )
        for i in range(len(frame))
    ]


def flat_table(answer: Answer, outcome: str) -> pd.DataFrame:
    """Put a whole call into one table, with a row of missing values for a query without any.

    Returns
    -------
    DataFrame
        Columns ``query``, ``counterfactual`` (-1 for none), ``status``, ``reason``, then features,
        outcome and robustness columns.
    """
    n_queries = len(answer.status)
    count = np.bincount(answer.query, minlength=n_queries)
    query = np.repeat(np.arange(n_queries), np.maximum(count, 1))
    first = np.cumsum(count) - count
    number = np.arange(len(query)) - np.searchsorted(query, query)
    found = count[query] > 0
    features, label = (
        (answer.dense, answer.dense_label)
        if answer.sparse is None
        else (answer.sparse, answer.sparse_label)
    )
    table = features.assign(**{outcome: label})
    scores = answer.scores.rename(columns=lambda name: free_name(name, set(table.columns)))
    table = pd.concat([table, scores], axis=1)
    if not found.all():
        table = table.reindex(np.where(found, first[query] + number, -1)).reset_index(drop=True)
    ours = {
        "reason": np.array(answer.reason, dtype=object)[query],
        "status": np.array(answer.status, dtype=object)[query],
        "counterfactual": np.where(found, number, -1),
        "query": query,
    }
    for name, values in ours.items():
        table.insert(0, free_name(name, set(table.columns)), values)
    return table


def _wanted(answer: Answer, i: int) -> dict[str, Any]:
    """Tell dice-ml's result object about the wanted outcome of query `i`."""
    if answer.desired_class is not None:
        wanted = answer.desired_class[i]
        return {"desired_class": wanted if isinstance(wanted, str) else int(wanted)}
    return {"desired_range": list(answer.desired_range or ()), "model_type": ModelTypes.Regressor}


def _cut(
    table: pd.DataFrame, first: np.ndarray, i: int, names: np.ndarray | None = None
) -> pd.DataFrame:
    part = table.iloc[first[i] : first[i + 1]].reset_index(drop=True)
    return part if names is None else part.set_axis(names[first[i] : first[i + 1]])


def explain_shortfall(
    found: int,
    wanted: int,
    outcome: str,
    stopped: str,
    limits: Mapping[str, Any],
    contradiction: str = "",
) -> str:
    """Say in words why a query got fewer counterfactuals than asked for, and what to change."""
    if found >= wanted:
        return ""
    start = f"{found} of {wanted} counterfactuals {outcome} found: "
    if contradiction:
        return f"{start}{contradiction}; relax one of them"
    how = {
        "max_seconds": f"max_seconds = {limits.get('max_seconds')} was spent",
        "max_model_calls": f"max_model_calls = {limits.get('max_model_calls')} was spent",
        "max_iter": f"max_iter = {limits.get('max_iter')} was reached",
        "": f"max_seconds = {limits.get('max_seconds')} was spent before its search began",
    }.get(stopped, "the search stopped improving")
    remedy = (
        "raise the budget"
        if stopped in ("max_seconds", "max_model_calls", "")
        else "widen permitted_range or features_to_vary, or lower stopping_threshold towards 0.5"
    )
    return f"{start}{how}; {remedy}"
