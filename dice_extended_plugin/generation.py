"""Ask any explainer for counterfactuals of many queries: timed, counted, and never a crash."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.calls import CallCounter, counted
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.rows import check_rows
from dice_extended_plugin.space import FeatureSpace

__all__ = ["Generated", "generate"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generated:
    """What an explainer answered.

    Attributes
    ----------
    tables : list of DataFrame or None, length Q
        Rows that the space can encode, after post-hoc sparsity where there was one.
    status : list of {"ok", "partial", "none"}, length Q
    reason : list of str, length Q
        Why there are fewer than k; "" for "ok".
    seconds : ndarray of shape (Q,)
        Wall time; of a batch its share.
    model_calls, model_rows : ndarray of shape (Q,) or None
        None where the model's framework cannot be counted.
    """

    tables: list[pd.DataFrame | None]
    status: list[str]
    reason: list[str]
    seconds: np.ndarray
    model_calls: np.ndarray | None
    model_rows: np.ndarray | None


def generate(
    explainer: Any,
    queries: pd.DataFrame,
    k: int,
    space: FeatureSpace,
    keywords: Sequence[Mapping[str, Any]] | Mapping[str, Any] = (),
    model: Any = None,
    verbose: bool = False,
) -> Generated:
    """Ask for k counterfactuals of each query.

    An explainer of ours, or a callable, gets all queries in one call; if that call raises, and for
    stock dice-ml always, one query at a time, so that a query that fails spoils no other.

    Parameters
    ----------
    explainer : dice-ml explainer or callable
        ``explainer.generate_counterfactuals(queries, total_CFs=k, **keywords)``, else
        ``explainer(queries, k, **keywords)``, which returns the same kind of object or one
        DataFrame (or None) per query.
    keywords : mapping, or one mapping per query
        Queries with equal keywords share a call.
    model : dice_ml.Model, optional
        Whose calls are counted.
    verbose : bool
        Let the explainer print.
    """
    n = len(queries)
    each = [dict(keywords)] * n if isinstance(keywords, Mapping) else [dict(kw) for kw in keywords]
    each = each or [{}] * n
    answers: list[_Answer] = [_Answer()] * n
    with counted(model) as counter:
        for rows, given in _groups(each):
            part = queries.iloc[rows].reset_index(drop=True)
            batches = [list(range(len(part)))] if _takes_batches(explainer) else []
            found = _try(explainer, part, k, given, counter, verbose) if batches else None
            if found is None or any(answer.error for answer in found):
                found = [
                    _try(
                        explainer, part.iloc[[i]].reset_index(drop=True), k, given, counter, verbose
                    )[0]
                    for i in range(len(part))
                ]
            for row, answer in zip(rows, found, strict=True):
                answers[row] = answer
    checked = [_check(answer, space, k) for answer in answers]
    is_counted = counter is not None
    return Generated(
        tables=[table for table, _, _ in checked],
        status=[status for _, status, _ in checked],
        reason=[reason for _, _, reason in checked],
        seconds=np.array([answer.seconds for answer in answers]),
        model_calls=np.array([answer.calls for answer in answers]) if is_counted else None,
        model_rows=np.array([answer.rows for answer in answers]) if is_counted else None,
    )


@dataclass(frozen=True)
class _Answer:
    """One query's share of a call."""

    table: pd.DataFrame | None = None
    reason: str = ""
    error: str = ""
    seconds: float = np.nan
    calls: float = np.nan
    rows: float = np.nan


def _groups(each: list[dict[str, Any]]) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Yield queries with equal keywords, in order."""
    groups: list[tuple[list[int], dict[str, Any]]] = []
    for i, keywords in enumerate(each):
        for rows, known in groups:
            if known == keywords:
                rows.append(i)
                break
        else:
            groups.append(([i], keywords))
    yield from groups


def _takes_batches(explainer: Any) -> bool:
    """Whether one call with many queries is one search: ours, and plain callables."""
    if not hasattr(explainer, "generate_counterfactuals"):
        return True
    return not type(explainer).__module__.startswith("dice_ml.")


def _try(
    explainer: Any,
    queries: pd.DataFrame,
    k: int,
    keywords: dict[str, Any],
    counter: CallCounter | None,
    verbose: bool,
) -> list[_Answer]:
    """Make one call; an error becomes the answer of every query in it."""
    n = len(queries)
    before = (counter.calls, counter.rows) if counter else (0, 0)
    start = time.perf_counter()
    tables: list[Any] = [None] * n
    reasons, error = [""] * n, ""
    try:
        with _quiet(verbose):
            tables, reasons = _read(_call(explainer, queries, k, keywords), n)
    except Exception as problem:  # whatever a stranger's explainer raises is its answer
        error = f"{type(problem).__name__}: {str(problem).strip().partition(chr(10))[0]}"
        logger.info("%d queries: %s", n, error)
    seconds = (time.perf_counter() - start) / n
    calls, rows = (counter.calls, counter.rows) if counter else (0, 0)
    return [
        _Answer(table, reason, error, seconds, (calls - before[0]) / n, (rows - before[1]) / n)
        for table, reason in zip(tables, reasons, strict=True)
    ]


def _call(explainer: Any, queries: pd.DataFrame, k: int, keywords: dict[str, Any]) -> Any:
    if hasattr(explainer, "generate_counterfactuals"):
        return explainer.generate_counterfactuals(queries, total_CFs=k, **keywords)
    if callable(explainer):
        return explainer(queries, k, **keywords)
    raise InvalidInputError(
        f"an explainer must have generate_counterfactuals() or be callable, not "
        f"{type(explainer).__name__}"
    )


@contextlib.contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """Swallow what stock dice-ml prints whatever its `verbose`."""
    if verbose:
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _read(answer: Any, n: int) -> tuple[list[pd.DataFrame | None], list[str]]:
    """Tables and reasons from a dice-ml result or a sequence of tables."""
    examples = getattr(answer, "cf_examples_list", None)
    if examples is None:
        if isinstance(answer, pd.DataFrame) or not isinstance(answer, Sequence):
            raise InvalidInputError(
                f"an explainer must return a dice-ml result or one DataFrame per query, not "
                f"{type(answer).__name__}"
            )
        tables, reasons = list(answer), [""] * len(answer)
    else:
        tables = [_last(example) for example in examples]
        reasons = [str(getattr(example, "reason", "")) for example in examples]
    if len(tables) != n:
        raise InvalidInputError(f"an explainer returned {len(tables)} sets for {n} queries")
    for table in tables:
        if table is not None and not isinstance(table, pd.DataFrame):
            raise InvalidInputError(
                f"an explainer must return a DataFrame or None per query, not "
                f"{type(table).__name__}"
            )
    return tables, reasons


def _last(example: Any) -> pd.DataFrame | None:
    sparse = getattr(example, "final_cfs_df_sparse", None)
    return example.final_cfs_df if sparse is None else sparse


def _check(answer: _Answer, space: FeatureSpace, k: int) -> tuple[pd.DataFrame | None, str, str]:
    """Keep the rows that can be measured; say why there are fewer than k."""
    if answer.error:
        return None, "none", answer.error
    table = answer.table
    if table is None or len(table) == 0:
        return None, "none", answer.reason or "no counterfactual was returned"
    table, odd = _readable(table.reset_index(drop=True), space)
    reason = answer.reason
    if odd:
        reason = f"{reason}; " * bool(reason) + f"rows left out: {odd}"
    n = 0 if table is None else len(table)
    status = "ok" if n >= k else "partial" if n else "none"
    if n < k and not reason:
        reason = f"{n} of {k} counterfactuals were returned"
    return table, status, reason


def _readable(table: pd.DataFrame, space: FeatureSpace) -> tuple[pd.DataFrame | None, str]:
    """Drop the rows that are no rows of the data, and say what was wrong with the first."""
    missing = [name for name in space.names if name not in table.columns]
    if missing:
        return None, f"the table lacks the column(s) {missing}"
    features = table[list(space.names)]
    try:
        check_rows(space, features, "counterfactuals")
        return features, ""
    except InvalidInputError as error:
        odd = str(error)
    good = [i for i in range(len(features)) if _fits(space, features.iloc[[i]])]
    return (features.iloc[good].reset_index(drop=True) if good else None), odd


def _fits(space: FeatureSpace, row: pd.DataFrame) -> bool:
    try:
        check_rows(space, row, "counterfactuals")
    except InvalidInputError:
        return False
    return True
