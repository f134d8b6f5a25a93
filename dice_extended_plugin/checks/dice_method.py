"""Checks of dice-ml methods: explainer classes that ``Dice(data, model, method=...)`` makes."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.checks import dice_advice
from dice_extended_plugin.checks.case import (
    Case,
    Check,
    CheckFailed,
    Skip,
    ensure,
    need,
    refuses,
    required,
)
from dice_extended_plugin.checks.dice_asking import (
    HOSTS_OWN_ERRORS,
    INCOME,
    JOBS,
    RANGE,
    VARY,
    K,
    as_text,
    ask,
    cells,
    confirm,
    host_errors,
    make,
    problem,
    tables,
    typed,
)
from dice_extended_plugin.checks.tables import CONTINUOUS, OUTCOME, Table

__all__ = ["BACKENDS", "CHECKS"]

#: Frameworks of the suite's models.
BACKENDS = ("sklearn", "PYT", "TF2")


def _weights(given: Table) -> list[np.ndarray]:
    network = given.model.model
    if given.backend == "PYT":
        return [value.detach().numpy().copy() for value in network.parameters()]
    if given.backend == "TF2":
        return [np.array(value) for value in network.get_weights()]
    return []


def _same_frame(now: pd.DataFrame, before: pd.DataFrame, text: str) -> None:
    try:
        pd.testing.assert_frame_equal(now, before)
    except AssertionError as error:
        detail = " ".join(str(error).split())
        raise CheckFailed(f"{text}: {detail}") from None


@required
def check_signature(case: Case) -> None:
    """Check that ``generate_counterfactuals`` has dice-ml's arguments, order and defaults."""
    need("dice_ml")
    from dice_ml.explainer_interfaces.explainer_base import ExplainerBase

    ensure(
        isinstance(case.subject, type) and issubclass(case.subject, ExplainerBase),
        "it must be a class derived from dice_ml's ExplainerBase",
    )
    theirs = inspect.signature(ExplainerBase.generate_counterfactuals).parameters
    ours = inspect.signature(case.subject.generate_counterfactuals).parameters
    for place, (name, parameter) in enumerate(theirs.items()):
        ensure(name in ours, f"generate_counterfactuals has no argument {name!r}")
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        ensure(
            list(ours)[place] == name,
            f"argument {place} must be {name!r}, it is {list(ours)[place]!r}",
        )
        ensure(
            ours[name].default == parameter.default,
            f"default of {name!r} must be {parameter.default!r}, it is {ours[name].default!r}",
        )
    names = list(inspect.signature(case.subject).parameters)[:2]
    ensure(len(names) == 2, "the constructor takes (data_interface, model_interface)")


@required
def check_result_type(case: Case) -> None:
    """Check that the result is dice-ml's: an example per query, all columns, no repeats."""
    given = problem(case)
    from dice_ml.counterfactual_explanations import CounterfactualExplanations

    result = ask(case, make(case, given), given.queries)
    ensure(
        isinstance(result, CounterfactualExplanations),
        f"the result must be a CounterfactualExplanations, it is a {type(result).__name__}",
    )
    examples = result.cf_examples_list
    ensure(
        len(examples) == len(given.queries),
        f"{len(given.queries)} queries, but {len(examples)} examples",
    )
    columns = [*given.queries.columns, OUTCOME]
    for place, (example, rows) in enumerate(zip(examples, tables(result), strict=True)):
        own = example.test_instance_df
        ensure(
            list(own.columns) == columns,
            f"query {place}: columns are {list(own.columns)}, they must be {columns}",
        )
        ensure(
            list(rows.columns) == columns,
            f"counterfactuals of query {place}: columns are {list(rows.columns)}, they must be "
            f"{columns}",
        )
        names = list(given.queries.columns)
        ensure(
            cells(own[names], names) == cells(given.queries.iloc[[place]], names),
            f"example {place} is not about query {place}: {own.iloc[0].to_dict()}",
        )
        ensure(len(rows) <= K, f"query {place}: asked for {K} rows, got {len(rows)}")
        ensure(not rows.duplicated().any(), f"query {place}: a row is there twice")
    ensure(sum(map(len, tables(result))) > 0, "it found nothing on an easy problem")


@required
def check_input_untouched(case: Case) -> None:
    """Check that queries, arguments, training table and network are what they were."""
    given = problem(case)
    explainer = make(case, given)
    queries, frame = given.queries.copy(), given.data.data_df.copy()
    vary, ranges = list(VARY), copy.deepcopy(RANGE)
    network = _weights(given)
    ask(case, explainer, given.queries, features_to_vary=vary, permitted_range={"age": [20, 60]})
    ask(case, explainer, given.queries, permitted_range=ranges)
    _same_frame(given.queries, queries, "query_instances was changed")
    _same_frame(given.data.data_df, frame, "the training table of dice_ml.Data was changed")
    ensure(vary == VARY, f"features_to_vary was changed to {vary}")
    ensure(ranges == RANGE, f"permitted_range was changed to {ranges}")
    for before, after in zip(network, _weights(given), strict=True):
        ensure(np.array_equal(before, after), "the model's weights were changed")


@required
def check_constraints_kept(case: Case) -> None:
    """Check that ``features_to_vary`` and ``permitted_range`` hold in every row."""
    for vary in (VARY, ["income"], ["age", "smoker"]):
        given = problem(case)
        # Only the first leaves so much freedom that something has to be found.
        for rows in _all_rows(case, given, needed=vary is VARY, features_to_vary=vary):
            own = given.queries.iloc[rows["query"]]
            for name in given.queries.columns.difference(vary):
                names = [name]
                ensure(
                    cells(rows[names], names) == cells(own[names], names),
                    f"{name!r} is not in features_to_vary={vary}, and was changed",
                )
    given = problem(case)
    low, high = INCOME
    for rows in _all_rows(case, given, permitted_range=RANGE):
        income = rows["income"].astype(float)
        ensure(
            income.between(low, high).all(),
            f"permitted_range['income'] is {INCOME}, a row has {income.max()} or {income.min()}",
        )
        wrong = set(rows["job"].astype(str)) - set(JOBS)
        ensure(not wrong, f"permitted_range['job'] is {JOBS}, rows have {wrong}")


def _all_rows(case: Case, given: Table, needed: bool = True, **keywords: Any) -> list[pd.DataFrame]:
    """Rows of all queries before and after post-hoc sparsity, with the query's number."""
    try:
        result = ask(case, make(case, given), given.queries, **keywords)
    except host_errors():
        if needed:
            raise
        return []  # dice-ml's own methods raise where nothing is found
    parts = []
    for which in ("dense", "last"):
        rows = [t.assign(query=i) for i, t in enumerate(tables(result, which)) if len(t)]
        if rows:
            parts.append(pd.concat(rows, ignore_index=True))
    ensure(parts or not needed, f"it found nothing with {keywords} on an easy problem")
    return parts


@required
def check_data_ranges_kept(case: Case) -> None:
    """Check that values stay within the training table's ranges and levels, in its precision."""
    given = problem(case)
    known = given.data.data_df
    for rows in _all_rows(case, given):
        for name in given.queries.columns:
            if name in CONTINUOUS:
                values = rows[name].astype(float)
                low, high = float(known[name].min()), float(known[name].max())
                ensure(
                    values.between(low, high).all(),
                    f"{name!r} reaches from {values.min()} to {values.max()}, the data from {low} "
                    f"to {high}",
                )
            else:
                new = set(rows[name].astype(str)) - set(known[name].astype(str))
                ensure(not new, f"{name!r} has the level(s) {new}, which the data do not have")


@required
def check_validity(case: Case) -> None:
    """Check that every row has the wanted class when the model is asked again."""
    given = problem(case)
    result = ask(case, make(case, given), given.queries)
    wanted = 1 - given.labels(given.queries)
    confirm(given, result, wanted)


@required
def check_desired_class(case: Case) -> None:
    """Check that a class can be named: rows have it, or the method says that it cannot."""
    given = problem(case)
    own = given.labels(given.queries)
    for wanted in (0, 1):
        queries = given.queries[own != wanted]
        result = ask(case, make(case, given), queries, desired_class=wanted)
        confirm(given, result, np.full(len(queries), wanted))
    given = problem(case, n_classes=3)
    queries = given.queries[given.labels(given.queries) != 2]
    try:
        result = ask(case, make(case, given), queries, desired_class=2)
    except host_errors():
        return
    confirm(given, result, np.full(len(queries), 2))


@required
def check_regression(case: Case) -> None:
    """Check that ``desired_range`` is met for a regression model, or refused."""
    given = problem(case, n_classes=1)
    low, high = np.quantile(given.predict(given.data.data_df[list(given.queries)]), [0.6, 0.9])
    try:
        result = ask(case, make(case, given), given.queries, desired_range=[low, high])
    except host_errors():
        return
    for place, rows in enumerate(tables(result)):
        if len(rows):
            value = given.predict(typed(rows, given))[:, 0]
            ensure(
                ((value >= low - 1e-6) & (value <= high + 1e-6)).all(),
                f"query {place}: asked again the model gives {value.tolist()}, which is not in "
                f"[{low:.4g}, {high:.4g}]",
            )


@required
def check_same_result_again(case: Case) -> None:
    """Check that the same call gives the same rows, from the same explainer and from a new one."""
    given = problem(case)
    explainer = make(case, given)
    first = as_text(ask(case, explainer, given.queries))
    ensure(first == as_text(ask(case, explainer, given.queries)), "a second call gave other rows")
    fresh = problem(case)
    again = as_text(ask(case, make(case, fresh), fresh.queries))
    ensure(first == again, "a new explainer gave other rows")


@required
def check_batch_splits(case: Case) -> None:
    """Check that queries one at a time, in two parts and turned round give the rows of one call."""
    given = problem(case)
    explainer = make(case, given)
    whole = as_text(ask(case, explainer, given.queries))
    n = len(given.queries)
    for parts in ([[i] for i in range(n)], [[0, 1], list(range(2, n))], [list(range(n))[::-1]]):
        for part in parts:
            found = as_text(ask(case, explainer, given.queries.iloc[part]))
            for place, text in zip(part, found, strict=True):
                ensure(
                    text == whole[place],
                    f"query {place} has other counterfactuals when asked with "
                    f"{len(part) - 1} other(s)",
                )


@required
def check_ends(case: Case) -> None:
    """Check that a constant model ends the search: no rows, or dice-ml's error."""
    given = problem(case, constant=True)
    explainer = make(case, given)
    try:
        result = ask(case, explainer, given.queries)
    except host_errors():
        return
    ensure(not sum(map(len, tables(result))), "rows were found that the model does not confirm")


@required
def check_error_classes(case: Case) -> None:
    """Check that what dice-ml refuses is refused, with its exception or a ValueError."""
    given = problem(case)
    explainer = make(case, given)
    errors = host_errors()
    for what, keywords in HOSTS_OWN_ERRORS.items():
        refuses(lambda k=keywords: ask(case, explainer, given.queries, **k), what, errors)  # type: ignore[misc]
    missing = given.queries.assign(income=np.nan)
    refuses(lambda: ask(case, explainer, missing), "a query with a missing value", errors)


@required
def check_no_state_after_error(case: Case) -> None:
    """Check that after calls that were refused, a good one gives what a new explainer gives."""
    given = problem(case)
    explainer, errors = make(case, given), host_errors()
    for keywords in HOSTS_OWN_ERRORS.values():
        try:
            ask(case, explainer, given.queries, **keywords)
        except errors:
            continue
        except Exception as error:  # another check tells of its class
            _ = error
    found = as_text(ask(case, explainer, given.queries))
    fresh = problem(case)
    ensure(
        found == as_text(ask(case, make(case, fresh), fresh.queries)),
        "a call that was refused changed what the next one gives",
    )


@required
def check_json_round_trip(case: Case) -> None:
    """Check that ``from_json(to_json())`` gives the same rows."""
    given = problem(case)
    result = ask(case, make(case, given), given.queries)
    again = type(result).from_json(result.to_json())
    n_examples = len(again.cf_examples_list)
    ensure(n_examples == len(given.queries), f"JSON kept {n_examples} examples")
    for place, (one, two) in enumerate(zip(tables(result), tables(again), strict=True)):
        texts = [cells(rows, list(one.columns)) for rows in (one, two)]
        ensure(texts[0] == texts[1], f"query {place} came back from JSON as {texts[1]}")


@required
def check_copies(case: Case) -> None:
    """Check that a deep copy of the explainer gives the same rows, and a result can be copied."""
    given = problem(case)
    if given.backend == "TF2":
        raise Skip("Keras models are not copied here")
    explainer = make(case, given)
    result = ask(case, explainer, given.queries)
    again = ask(case, copy.deepcopy(explainer), given.queries)
    ensure(as_text(result) == as_text(again), "a copy of the explainer gives other rows")
    ensure(as_text(copy.deepcopy(result)) == as_text(result), "a copy of the result is different")


CHECKS = (
    *(value for value in list(globals().values()) if isinstance(value, Check)),
    *dice_advice.CHECKS,
)
