"""What holds for every table, every constraint and every model, for the methods of dice-ml."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_problems import OUTCOME, problems

from dice_extended_plugin.host import DiceInputError
from dice_extended_plugin.registry import import_target

METHODS = {
    "random": ("dice_extended_plugin.explainers.random:DiceExtendedRandom", {"sample_size": 60}),
    "genetic": (
        "dice_extended_plugin.explainers.genetic:DiceExtendedGenetic",
        {"maxiterations": 5},
    ),
    "kdtree": ("dice_extended_plugin.explainers.kdtree:DiceExtendedKD", {}),
    "nsga3": (
        "art_bridge.explainer:DiceExtendedNSGA3",
        {"population": 8, "generations": 3, "max_rows_per_query": 80},
    ),
}
#: Calls of the model besides those a query takes part in: the check, the speed, the last look.
BESIDES = 12

QUICK = settings(
    derandomize=True,
    deadline=None,
    max_examples=12,
    suppress_health_check=list(HealthCheck),
    # Making a failing case smaller takes minutes: remove this line to see a smaller one.
    phases=[Phase.explicit, Phase.generate],
)
LONG = settings(QUICK, max_examples=250)

pytestmark = pytest.mark.filterwarnings("ignore")


def explainer(method, problem, model=None):
    target, _ = METHODS[method]
    return import_target(target, method)(problem.data(), problem.wrapped(model), report_draws=4)


def ask(method, problem, made, queries=None, **more):
    keywords = {"total_CFs": problem.total_CFs, **METHODS[method][1], **problem.call, **more}
    return made.generate_counterfactuals(
        problem.queries if queries is None else queries, **keywords
    )


def same(one, two):
    return one.to_frame().astype(str).equals(two.to_frame().astype(str))


def check_rows(problem, found, queries=None):
    """Every row is a counterfactual by the model's own label, and keeps the constraints."""
    queries = problem.queries if queries is None else queries
    wanted = 1 - problem.model.labels(queries)
    call = problem.call
    vary = call.get("features_to_vary", problem.names)
    for place, example in enumerate(found.cf_examples_list):
        for rows in (example.final_cfs_df, example.final_cfs_df_sparse):
            if rows is None or not len(rows):
                continue
            assert list(rows.columns) == [*problem.names, OUTCOME]
            assert (problem.model.labels(rows) == wanted[place]).all()
            assert (rows[OUTCOME].astype(int) == wanted[place]).all()
            assert not rows.astype(str).duplicated().any()
            assert len(rows) <= problem.total_CFs
            for column in problem.columns:
                check_column(
                    column, rows[column.name], queries[column.name].iloc[place], vary, call
                )
    counts = [len(e.final_cfs_df) for e in found.cf_examples_list]
    for count, status, reason in zip(counts, found.status, found.reason, strict=True):
        assert status == ("ok" if count >= problem.total_CFs else "partial" if count else "none")
        assert bool(reason) == (status != "ok")


def check_column(column, values, own, vary, call):
    name = column.name
    rules = call.get("rules")
    limits = call.get("permitted_range", {}).get(name)
    if column.continuous:
        numbers, own = values.astype(float), float(own)
        low, high = limits or (float(column.values.min()), float(column.values.max()))
        slack = 1e-6 * max(1.0, abs(low), abs(high))
        assert ((numbers >= low - slack) & (numbers <= high + slack)).all(), name
        if name not in vary:
            assert (numbers == own).all(), name
        direction = (rules.monotone if rules else {}).get(name)
        if direction:
            sign = 1 if direction == "increase" else -1
            assert (sign * (numbers - own) >= -slack).all(), name
        return
    levels = set(values.astype(str))
    assert levels <= {str(value) for value in column.values}, name
    if limits is not None:
        assert levels <= set(limits), name
    if name not in vary:
        assert levels == {str(own)}, name
    for start, end in (rules.forbidden if rules else {}).get(name, []):
        assert str(own) != start or end not in levels, name


def check_call(method, problem):
    """One call, and everything that has to hold of it."""
    queries, frame = problem.queries.copy(), problem.frame.copy()
    call = copy.deepcopy(problem.call)
    made = explainer(method, problem)
    table = made.data_interface.data_df.copy()
    try:
        found = ask(method, problem, made)
    except DiceInputError:  # constraints that a query contradicts: told, nothing else
        assert problem.call
        return
    check_rows(problem, found)
    pd.testing.assert_frame_equal(problem.queries, queries)
    pd.testing.assert_frame_equal(problem.frame, frame)
    pd.testing.assert_frame_equal(made.data_interface.data_df, table)
    assert problem.call == call
    again = type(found).from_json(found.to_json())
    assert again.status == found.status and again.reason == found.reason
    rows = [len(e.final_cfs_df) for e in found.cf_examples_list]
    assert [len(e.final_cfs_df) for e in again.cf_examples_list] == rows
    for place in range(len(queries)):
        alone = ask(method, problem, made, queries.iloc[[place]])
        one, all_ = alone.cf_examples_list[0], found.cf_examples_list[place]
        pd.testing.assert_frame_equal(one.final_cfs_df, all_.final_cfs_df)
        if one.final_cfs_df_sparse is not None:
            pd.testing.assert_frame_equal(one.final_cfs_df_sparse, all_.final_cfs_df_sparse)
        assert (alone.status[0], alone.reason[0]) == (found.status[place], found.reason[place])
    assert same(found, ask(method, problem, explainer(method, problem)))


@pytest.mark.parametrize("method", METHODS)
@QUICK
@given(problem=problems())
def test_what_is_returned_holds(method, problem):
    check_call(method, problem)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@LONG
@given(problem=problems())
def test_what_is_returned_holds_in_many_cases(method, problem):
    check_call(method, problem)


def check_failure(method, problem, failure, fail_at):
    """A model that fails during a call: an error or fewer rows, and no trace in the explainer."""
    broken = problem.fresh_model(failure=failure, fail_at=fail_at)
    made = explainer(method, problem, broken)
    try:
        found = ask(method, problem, made)
    except DiceInputError:
        pass
    except RuntimeError as error:
        assert failure == "raises" and str(error) == "the model broke"
    else:
        if failure != "nan":
            check_rows(problem, found)
        for example in found.cf_examples_list:
            # NaN is no answer: rows that are returned have one.
            rows = example.final_cfs_df
            assert (problem.model.labels(rows) == rows[OUTCOME].astype(int)).all()
    broken.failure = None
    try:
        repaired = ask(method, problem, made)
    except DiceInputError:
        return
    assert same(repaired, ask(method, problem, explainer(method, problem)))


FAILURES = st.sampled_from(["raises", "nan"])


@pytest.mark.parametrize("method", METHODS)
@QUICK
@given(problem=problems(("linear", "step")), failure=FAILURES, fail_at=st.integers(1, 9))
def test_a_model_that_fails_leaves_no_trace(method, problem, failure, fail_at):
    check_failure(method, problem, failure, fail_at)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@LONG
@given(problem=problems(("linear", "step")), failure=FAILURES, fail_at=st.integers(1, 30))
def test_a_model_that_fails_leaves_no_trace_in_many_cases(method, problem, failure, fail_at):
    check_failure(method, problem, failure, fail_at)


BAD = [
    {"total_CFs": 0},
    {"features_to_vary": ["no such feature"]},
    {"permitted_range": {"no such feature": [0, 1]}},
    {"desired_class": 5},
    {"posthoc_sparsity_param": 2.0},
    {"stopping_threshold": -1.0},
    {"no_such_keyword": 1},
]


def check_bad_call(method, problem, bad):
    """A refused call leaves no trace, and the model is not asked for more than a look."""
    made = explainer(method, problem)
    before = problem.model.calls
    with pytest.raises(DiceInputError) as caught:
        ask(method, problem, made, **bad)
    assert len(str(caught.value)) > 20
    # A class that there is not can only be told once the model has answered.
    assert problem.model.calls - before <= ("desired_class" in bad)
    try:
        found = ask(method, problem, made)
    except DiceInputError:
        return
    assert same(found, ask(method, problem, explainer(method, problem)))


@pytest.mark.parametrize("method", METHODS)
@settings(QUICK, max_examples=8)
@given(problem=problems(), bad=st.sampled_from(BAD))
def test_a_refused_call_leaves_no_trace(method, problem, bad):
    check_bad_call(method, problem, bad)


def check_budget(method, problem, most):
    """Calls of the model are counted; time is not measured."""
    made = explainer(method, problem)
    # Taking small changes back has a limit of its own, `limit_steps_ls`.
    before = problem.model.calls
    try:
        found = ask(method, problem, made, max_model_calls=most, posthoc_sparsity_param=None)
    except DiceInputError:
        return
    assert problem.model.calls - before <= most + BESIDES
    check_rows(problem, found)
    slow = problem.fresh_model(failure="slow")
    tired = explainer(method, problem, slow)
    check_rows(problem, ask(method, problem, tired, max_seconds=1e-9))
    assert slow.calls <= BESIDES


@pytest.mark.parametrize("method", METHODS)
@settings(QUICK, max_examples=8)
@given(problem=problems(), most=st.integers(1, 12))
def test_budgets_are_kept(method, problem, most):
    check_budget(method, problem, most)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@LONG
@given(problem=problems(), bad=st.sampled_from(BAD), most=st.integers(1, 40))
def test_budgets_and_refusals_in_many_cases(method, problem, bad, most):
    check_bad_call(method, problem, bad)
    check_budget(method, problem, most)


def test_the_generator_makes_what_it_is_for():
    """Odd names, all kinds of columns, all kinds of constraints: none is left out."""
    seen = set()

    @settings(QUICK, max_examples=150)
    @given(problem=problems())
    def look(problem):
        seen.update(column.kind for column in problem.columns)
        seen.update(problem.names)
        seen.update(problem.call)
        seen.update(vars(problem.call["rules"]) if "rules" in problem.call else ())
        seen.add(problem.model.kind)
        seen.add(len(np.unique(problem.model.labels(problem.frame))))

    look()
    wanted = {"int8", "bool", "category", "float32", "constant", "Größe", "status", "query"}
    assert wanted <= seen and {"features_to_vary", "permitted_range", "rules", 1, 2} <= seen
