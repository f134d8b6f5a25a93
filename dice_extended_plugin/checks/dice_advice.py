"""Recommended checks of dice-ml methods: what dice-ml's own explainers do not promise."""

from __future__ import annotations

import copy
import inspect

import numpy as np

from dice_extended_plugin.checks.case import Case, Check, CheckFailed, ensure, recommended, refuses
from dice_extended_plugin.checks.dice_asking import (
    RANGE,
    VARY,
    K,
    as_text,
    ask,
    confirm,
    host_errors,
    make,
    problem,
    tables,
)
from dice_extended_plugin.repeat import repeatable

__all__ = ["CHECKS"]


@recommended
def check_no_leak(case: Case) -> None:
    """Check that constraints of one call do not reach the next; dice-ml's own methods fail here."""
    given = problem(case)
    explainer = make(case, given)
    before = copy.deepcopy(given.data.permitted_range)
    free = as_text(ask(case, explainer, given.queries))
    ask(case, explainer, given.queries, permitted_range=RANGE)
    ask(case, explainer, given.queries, features_to_vary=VARY)
    ensure(given.data.permitted_range == before, "permitted_range stayed in the data object")
    ensure(
        free == as_text(ask(case, explainer, given.queries)), "constraints reached the next call"
    )


@recommended
def check_status(case: Case) -> None:
    """Check that each query has a status that fits its rows, and a reason if not "ok"."""
    for constant in (False, True):
        given = problem(case, constant=constant)
        result = ask(case, make(case, given), given.queries)
        ensure(hasattr(result, "status"), "the result has no status")
        counts = list(map(len, tables(result)))
        for place, (count, status, why) in enumerate(
            zip(counts, result.status, result.reason, strict=True)
        ):
            right = "ok" if count >= K else "partial" if count else "none"
            ensure(status == right, f"query {place} has {count} rows and status {status!r}")
            ensure(
                bool(why) == (right != "ok"),
                f"query {place} has status {status!r} and the reason {why!r}",
            )


@recommended
def check_budgets(case: Case) -> None:
    """Check that ``max_model_calls`` and ``max_seconds`` are taken, kept, and leave valid rows."""
    for keywords in ({"max_model_calls": 1}, {"max_model_calls": 4}, {"max_seconds": 1e-6}):
        given = problem(case)
        result = ask(case, make(case, given), given.queries, **keywords)
        confirm(given, result, 1 - given.labels(given.queries))
        if given.backend != "TF2" and "max_model_calls" in keywords:
            # Calls besides a query's own: the check of the model, its speed, the last look at
            # what was found, sparsity and the report.
            most = keywords["max_model_calls"] * len(given.queries) + 120
            ensure(
                given.watch.calls <= most,
                f"{keywords}: {given.watch.calls} model calls for {len(given.queries)} queries",
            )


@recommended
def check_bad_input(case: Case) -> None:
    """Check that queries and arguments that make no sense are refused before the model is asked."""
    given = problem(case)
    explainer, errors = make(case, given), host_errors()
    good = given.queries
    bad_queries = {
        "a missing column": good.drop(columns="age"),
        "an unknown column": good.assign(height=1.0),
        "an unknown level": good.assign(job="pilot"),
        "an infinite value": good.assign(income=np.inf),
        "text among numbers": good.assign(age="old"),
        "no rows": good[:0],
    }
    calls = {
        "total_CFs=1.5": {"total_CFs": 1.5},
        "features_to_vary=['height']": {"features_to_vary": ["height"]},
        "permitted_range of an unknown feature": {"permitted_range": {"height": [1, 2]}},
        "permitted_range outside of the data": {"permitted_range": {"income": [900, 901]}},
        "permitted_range that descends": {"permitted_range": {"income": [50, 20]}},
        "an unknown keyword": {"proximity_wait": 1.0},
    }
    before = given.watch.calls
    for what, queries in bad_queries.items():
        refuses(lambda q=queries: ask(case, explainer, q), what, errors)  # type: ignore[misc]
    for what, keywords in calls.items():
        refuses(lambda k=keywords: ask(case, explainer, good, **k), what, errors)  # type: ignore[misc]
    asked = given.watch.calls - before
    ensure(asked == 0, f"the model was asked {asked} times before bad input was refused")
    what = "a class that the model does not have"
    refuses(lambda: ask(case, explainer, good, desired_class=7), what, errors)


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's and Python's global random generators are left alone."""
    import random

    given = problem(case)
    explainer = make(case, given)
    # From a state that no component would choose: one that seeds with 0 shows, even when the
    # generators stood at that seed before.
    with repeatable(8_154_711):
        before = random.getstate(), np.random.get_state()
        ask(case, explainer, given.queries)
        after = random.getstate(), np.random.get_state()
    ensure(after[0] == before[0], "Python's global generator was used")
    same = all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    ensure(same, "NumPy's global generator was used")


@recommended
def check_seed(case: Case) -> None:
    """Check that the constructor takes ``random_state``; equal seeds give equal rows."""
    if "random_state" not in inspect.signature(case.subject.__init__).parameters:
        ensure(False, "the constructor takes no random_state")
    texts = []
    for seed in (3, 3):
        given = problem(case)
        keywords = {**case.own["init"], "random_state": seed}
        explainer = case.subject(given.data, given.model, **keywords)
        texts.append(as_text(ask(case, explainer, given.queries)))
    ensure(texts[0] == texts[1], "equal seeds gave different rows")


@recommended
def check_class_of_factory(case: Case) -> None:
    """Check that a factory of dice-ml's can become the class, as ``Dice`` does."""
    given = problem(case)
    from dice_extended_plugin.dice import Dice

    holder = Dice.__new__(Dice)
    try:
        holder.__class__ = case.subject
    except TypeError as error:
        raise CheckFailed(f"dice-ml's factory assigns __class__: {error}") from error
    case.subject.__init__(holder, given.data, given.model, **case.own["init"])
    ask(case, holder, given.queries[:1])


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
