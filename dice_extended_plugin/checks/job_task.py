"""Checks of job tasks: what is done with the rows of a large table, a chunk at a time.

What a task is given (``made``), its ``options`` and its rows are its own; they come from its
``conformance()``, or from ``init={"made": ..., "options": ...}`` and ``call={"rows": ...}``.
"""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import pandas as pd

from dice_extended_plugin.checks.case import (
    Case,
    Check,
    CheckFailed,
    Skip,
    ensure,
    refuses,
    required,
)

__all__ = ["CHECKS"]

_SEED = 3


def make(case: Case) -> Any:
    """Make the task."""
    own = case.own["init"]
    if "made" not in own:
        raise Skip("the suite does not know what the factory of this task makes: give init={...}")
    made = own["made"]
    return case.subject(made() if callable(made) else made, own.get("options", {}), _SEED)


def rows_of(case: Case) -> Any:
    """Return a fresh copy of the rows to treat."""
    if "rows" not in case.own["call"]:
        raise Skip("the suite does not know the rows of this task: give call={'rows': ...}")
    return copy.deepcopy(case.own["call"]["rows"])


def _take(rows: Any, begin: int, end: int) -> Any:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[begin:end].reset_index(drop=True)
    return rows[begin:end]


def _equal(one: pd.DataFrame, two: pd.DataFrame, text: str) -> None:
    try:
        pd.testing.assert_frame_equal(
            one.reset_index(drop=True), two.reset_index(drop=True), rtol=1e-6
        )
    except AssertionError as error:
        raise CheckFailed(f"{text}: {' '.join(str(error).split())}") from None


@required
def check_signature(case: Case) -> None:
    """Check that it is made from (made, options, random_state) and called with (rows, start)."""
    for function, names in (
        (case.subject.__init__, ["self", "made", "options", "random_state"]),
        (case.subject.__call__, ["self", "rows", "start"]),
        (case.subject.check, ["options"]),
        (case.subject.summary, ["tables", "options", "random_state"]),
    ):
        known = list(inspect.signature(function).parameters)
        ensure(known == names, f"{function.__name__} takes {known}, not {names}")


@required
def check_result_type(case: Case) -> None:
    """Check that it returns a table whose first column tells the row of each line, in order."""
    rows = rows_of(case)
    found = make(case)(rows, 100)
    ensure(isinstance(found, pd.DataFrame), f"it returned a {type(found).__name__}, no DataFrame")
    ensure(list(found.columns)[:1] == ["row"], f"the first column is {list(found.columns)[:1]}")
    numbers = found["row"].tolist()
    ensure(numbers == sorted(numbers), "lines are not in the order of the rows")
    known = set(range(100, 100 + len(rows)))
    ensure(set(numbers) <= known, f"row numbers {sorted(set(numbers) - known)} were not given")


@required
def check_input_untouched(case: Case) -> None:
    """Check that rows and options are what they were."""
    rows, options = rows_of(case), copy.deepcopy(case.own["init"].get("options", {}))
    before = copy.deepcopy(rows)
    make(case)(rows, 0)
    same = before.equals(rows) if isinstance(rows, pd.DataFrame) else (before == rows).all()
    ensure(same, "the rows were changed")
    ensure(options == case.own["init"].get("options", {}), "the options were changed")


@required
def check_same_result_again(case: Case) -> None:
    """Check that two tasks of the same seed return the same table."""
    one, two = (make(case)(rows_of(case), 0) for _ in range(2))
    _equal(one, two, "the second task returned another table")


@required
def check_batch_splits(case: Case) -> None:
    """Check that rows in chunks of any size get the lines that they get together."""
    rows, task = rows_of(case), make(case)
    whole, n = task(rows, 0), len(rows)
    for size in (1, 2):
        parts = [task(_take(rows, i, min(i + size, n)), i) for i in range(0, n, size)]
        ensure(
            all(list(part.columns) == list(whole.columns) for part in parts),
            "the columns depend on the chunk",
        )
        ensure(
            all((part.dtypes == whole.dtypes).all() for part in parts),
            "the columns' types depend on the chunk",
        )
        _equal(pd.concat(parts, ignore_index=True), whole, f"chunks of {size} give other lines")


@required
def check_summary(case: Case) -> None:
    """Check that the summary can be written as JSON, and does not depend on the chunks."""
    rows, task = rows_of(case), make(case)
    options, n = case.own["init"].get("options", {}), len(rows)
    texts = []
    for size in (n, 1):
        tables = (task(_take(rows, i, min(i + size, n)), i) for i in range(0, n, size))
        texts.append(json.dumps(case.subject.summary(tables, options, _SEED), sort_keys=True))
    ensure(texts[0] == texts[1], f"chunks of 1 give another summary: {texts}")


@required
def check_no_rows(case: Case) -> None:
    """Check that the summary of no table at all is no error."""
    found = case.subject.summary(iter(()), case.own["init"].get("options", {}), _SEED)
    ensure(isinstance(found, dict), f"summary returned a {type(found).__name__}")
    json.dumps(found)


@required
def check_error_classes(case: Case) -> None:
    """Check that what the factory must not make is refused when the task is made."""
    options = case.own["init"].get("options", {})
    refuses(lambda: case.subject(object(), options, _SEED), "made=object()", (Exception,))


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
