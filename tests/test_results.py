"""The result types: one table for all queries, status and reason, and JSON both ways."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from dice_ml.diverse_counterfactuals import CounterfactualExamples
from dice_ml.utils.serialize import DummyDataInterface
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin import __version__
from dice_extended_plugin.assemble import Answer, assemble, explain_shortfall
from dice_extended_plugin.results import (
    STATUSES,
    RobustCounterfactualExamples,
    RobustCounterfactualExplanations,
)

SCORES = ["probability", "rho_lit", "noise_validity"]


def example(n=2, status="ok", reason="", sparse=True, label=1, **scores):
    """One query's result of `n` counterfactuals, made by hand."""
    test = pd.DataFrame({"age": [40], "sex": ["male"], "y": [1 - label]})
    dense = pd.DataFrame(
        {"age": np.arange(50, 50 + n), "sex": ["female"] * n, "y": [label] * n}
    ).astype({"age": "int64", "y": "int64"})
    columns = {name: np.linspace(0.5, 0.9, n) for name in SCORES} | scores
    return RobustCounterfactualExamples(
        data_interface=DummyDataInterface("y", "dummy"),
        final_cfs_df=dense,
        test_instance_df=test,
        final_cfs_df_sparse=dense.assign(age=dense["age"] - 5) if sparse else None,
        posthoc_sparsity_param=0.1 if sparse else None,
        desired_class=label,
        status=status,
        reason=reason,
        robustness=pd.DataFrame(columns),
    )


@pytest.fixture
def three():
    """Query 0 has two counterfactuals, 1 has none, 2 one of two."""
    return RobustCounterfactualExplanations(
        [
            example(2),
            example(0, "none", "0 of 2 found: no way"),
            example(1, "partial", "1 of 2 found: too short"),
        ]
    )


# -- to_frame -------------------------------------------------------------------------------------


def test_one_table_for_all_queries(three):
    frame = three.to_frame()
    assert list(frame.columns) == ["query", "counterfactual", "status", "age", "sex", "y", *SCORES]
    assert frame["query"].tolist() == [0, 0, 2]
    assert frame["counterfactual"].tolist() == [0, 1, 0]
    assert frame["status"].tolist() == ["ok", "ok", "partial"]
    assert frame["age"].tolist() == [45, 46, 45]
    assert frame.index.tolist() == [0, 1, 2]
    assert [frame[c].dtype.kind for c in ("query", "counterfactual", "age", "y")] == ["i"] * 4


def test_dense_rows_on_request(three):
    assert three.to_frame(sparse=False)["age"].tolist() == [50, 51, 50]
    without = RobustCounterfactualExplanations([example(2, sparse=False)])
    pd.testing.assert_frame_equal(without.to_frame(), without.to_frame(sparse=False))
    assert without.to_frame()["age"].tolist() == [50, 51]


def test_with_the_queries(three):
    frame = three.to_frame(queries=True)
    assert frame["query"].tolist() == [0, 0, 0, 1, 2, 2]
    assert frame["counterfactual"].tolist() == [-1, 0, 1, -1, -1, 0]
    assert frame["status"].tolist() == ["ok"] * 3 + ["none"] + ["partial"] * 2
    own = frame["counterfactual"] == -1
    assert (frame.loc[own, "age"] == 40).all() and (frame.loc[own, "y"] == 0).all()
    assert frame.loc[own, SCORES].isna().all().all()
    assert frame.loc[~own, SCORES].notna().all().all()
    assert frame["age"].dtype.kind == "i"


@pytest.mark.parametrize("queries", [False, True])
def test_nothing_found_at_all_is_a_table_of_the_same_columns(queries):
    none = RobustCounterfactualExplanations([example(0, "none", "r"), example(0, "none", "r")])
    frame = none.to_frame(queries=queries)
    assert len(frame) == (2 if queries else 0)
    wanted = ["query", "counterfactual", "status", "age", "sex", "y", *SCORES]
    assert list(frame.columns) == wanted
    both = pd.concat([frame, RobustCounterfactualExplanations([example(2)]).to_frame()])
    assert list(both.columns) == wanted
    assert both["age"].tolist()[-2:] == [45, 46]


def test_to_frame_changes_nothing(three):
    before = copy.deepcopy([vars(e) for e in three.cf_examples_list])
    frame = three.to_frame(queries=True)
    frame.loc[:, "age"] = -1
    for state, now in zip(before, three.cf_examples_list, strict=True):
        for name in ("final_cfs_df", "final_cfs_df_sparse", "test_instance_df", "robustness"):
            pd.testing.assert_frame_equal(state[name], getattr(now, name))


def test_no_warnings_from_pandas(three, recwarn):
    three.to_frame(), three.to_frame(queries=True)
    RobustCounterfactualExplanations([example(0, "none"), example(2)]).to_frame(queries=True)
    three.to_json()
    assert [str(w.message) for w in recwarn if w.category in (FutureWarning, UserWarning)] == []


def test_columns_named_like_ours():
    """A feature called "status" or "query" must not break the table."""
    one = example(1)
    for name in ("final_cfs_df", "final_cfs_df_sparse", "test_instance_df"):
        setattr(one, name, getattr(one, name).rename(columns={"age": "status"}))
    frame = RobustCounterfactualExplanations([one]).to_frame()
    assert frame["status"].tolist() == [45]
    assert frame["status_"].tolist() == ["ok"]
    one.robustness = one.robustness.rename(columns={"rho_lit": "sex"})
    frame = RobustCounterfactualExplanations([one]).to_frame(queries=True)
    assert frame["sex"].tolist() == ["male", "female"]
    assert frame["sex_"].isna().tolist() == [True, False]


# -- status and reason ----------------------------------------------------------------------------


def test_status_and_reason(three):
    assert three.status == ["ok", "none", "partial"]
    assert set(three.status) <= set(STATUSES)
    assert three.reason == ["", "0 of 2 found: no way", "1 of 2 found: too short"]
    assert example().robustness is not None
    plain = RobustCounterfactualExamples(
        data_interface=DummyDataInterface("y"), test_instance_df=pd.DataFrame({"y": [0]})
    )
    assert (plain.status, plain.reason, len(plain.robustness)) == ("ok", "", 0)


@pytest.mark.parametrize(
    ("stopped", "words"),
    [
        ("max_seconds", ["max_seconds = 3", "budget"]),
        ("max_model_calls", ["max_model_calls = 7", "budget"]),
        ("max_iter", ["max_iter = 9", "permitted_range", "features_to_vary"]),
        ("stalled", ["stopped improving", "stopping_threshold"]),
        ("converged", ["stopped improving", "permitted_range"]),
        ("", ["before its search began", "budget"]),
    ],
)
def test_a_shortfall_is_explained(stopped, words):
    limits = {"max_seconds": 3, "max_model_calls": 7, "max_iter": 9}
    text = explain_shortfall(1, 4, "of class 0", stopped, limits)
    assert text.startswith("1 of 4 counterfactuals of class 0 found")
    assert all(word in text for word in words), text
    assert explain_shortfall(4, 4, "of class 0", stopped, limits) == ""


def test_a_contradiction_is_the_reason_whatever_stopped_the_search():
    text = explain_shortfall(0, 4, "of class 0", "stalled", {}, "no value is left for 'age'")
    assert text.startswith("0 of 4 counterfactuals of class 0 found: no value is left for 'age'")


def test_assemble_cuts_the_tables_by_query():
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=[7, 8, 9])
    answer = Answer(
        query=np.array([0, 0, 2]),
        dense=pd.DataFrame({"a": [10, 11, 12]}),
        sparse=pd.DataFrame({"a": [5, 6, 7]}),
        dense_label=np.array([1, 1, 0]),
        sparse_label=np.array([1, 1, 0]),
        scores=pd.DataFrame({"rho_lit": [0.1, 0.2, 0.3]}),
        query_label=np.array([0, 1, 1]),
        desired_class=np.array([1, 0, 0]),
        desired_range=None,
        status=["ok", "none", "partial"],
        reason=["", "x", "y"],
    )
    made = assemble(frame, answer, DummyDataInterface("y", "dummy"), 0.1)
    assert [len(e.final_cfs_df) for e in made] == [2, 0, 1]
    assert [e.final_cfs_df_sparse["a"].tolist() for e in made] == [[5, 6], [], [7]]
    assert [e.robustness["rho_lit"].tolist() for e in made] == [[0.1, 0.2], [], [0.3]]
    assert [e.test_instance_df["a"].iloc[0] for e in made] == [1, 2, 3]
    assert [e.test_instance_df["y"].iloc[0] for e in made] == [0, 1, 1]
    assert [e.desired_class for e in made] == [1, 0, 0]
    assert list(frame.columns) == ["a"] and list(answer.dense.columns) == ["a"]


# -- JSON -----------------------------------------------------------------------------------------


def test_json_fits_dice_mls_schema_and_comes_back(three):
    text = three.to_json()
    written = json.loads(text)
    CounterfactualExplanations._check_cf_exp_output_against_json_schema(written, "2.0")
    ours = written["metadata"]["dice_extended"]
    assert ours["version"] == __version__
    again = RobustCounterfactualExplanations.from_json(text)
    assert isinstance(again, RobustCounterfactualExplanations)
    assert (again.status, again.reason) == (three.status, three.reason)
    pd.testing.assert_frame_equal(again.to_frame(), three.to_frame(), check_dtype=False)
    assert again.to_json() == text
    assert again == three


def test_dice_ml_reads_ours(three):
    plain = CounterfactualExplanations.from_json(three.to_json())
    assert type(plain) is CounterfactualExplanations
    assert [len(e.final_cfs_df) for e in plain.cf_examples_list] == [2, 0, 1]


def strict(text):
    """Parse as the JSON standard has it, without Python's NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_nan_and_none_in_scores_become_null():
    given = RobustCounterfactualExplanations(
        [
            example(3, noise_validity=np.array([0.5, np.nan, 1.0]), note=["a", None, "b"]),
            example(0, "none", noise_validity=np.zeros(0), note=[]),
        ]
    )
    text = given.to_json()
    written = strict(text)["metadata"]["dice_extended"]["robustness"]
    assert written[0]["noise_validity"] == [0.5, None, 1.0]
    assert written[0]["note"] == ["a", None, "b"]
    again = RobustCounterfactualExplanations.from_json(text)
    values = again.cf_examples_list[0].robustness["noise_validity"]
    assert values.isna().tolist() == [False, True, False]
    assert values.dtype == float
    assert again.to_json() == text


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_scores_are_json_too(value):
    given = RobustCounterfactualExplanations([example(1, distance=np.array([value]))])
    strict(given.to_json())


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], dtype=np.int64),
        np.array([True, False]),
        np.array([0.5, 0.25], dtype=np.float32),
        pd.array([1, None], dtype="Int64"),
        pd.array([True, None], dtype="boolean"),
        pd.Categorical(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        np.array([np.float64(1.0), np.int64(2)], dtype=object),
    ],
    ids=str,
)
def test_columns_of_plugins_of_any_kind_are_json(values):
    given = RobustCounterfactualExplanations([example(2, theirs=values)])
    text = given.to_json()
    strict(text)
    again = RobustCounterfactualExplanations.from_json(text)
    read = again.cf_examples_list[0].robustness["theirs"]
    for got, want in zip(read, pd.Series(values), strict=True):
        assert (pd.isna(got) and pd.isna(want)) or got == want


def test_importances_travel():
    given = RobustCounterfactualExplanations(
        [example(2)],
        local_importance=[{"age": 1.0, "sex": 0.5}],
        summary_importance={"age": 0.4, "sex": 0.1},
    )
    again = RobustCounterfactualExplanations.from_json(given.to_json())
    assert again.local_importance == [{"age": 1.0, "sex": 0.5}]
    assert again.summary_importance["age"] == 0.4


def plain_dice_ml(version=None):
    one = example(2)
    stock = CounterfactualExamples(
        data_interface=one.data_interface,
        final_cfs_df=one.final_cfs_df,
        test_instance_df=one.test_instance_df,
        final_cfs_df_sparse=one.final_cfs_df_sparse,
        posthoc_sparsity_param=0.1,
        desired_class=1,
    )
    return CounterfactualExplanations([stock], version=version)


def test_plain_dice_ml_json_is_read():
    again = RobustCounterfactualExplanations.from_json(plain_dice_ml().to_json())
    assert again.status == ["ok"] and again.reason == [""]
    frame = again.to_frame()
    assert frame["age"].tolist() == [45, 46]
    assert list(frame.columns) == ["query", "counterfactual", "status", "age", "sex", "y"]
    assert (
        json.loads(again.to_json())["cfs_list"] == json.loads(plain_dice_ml().to_json())["cfs_list"]
    )


def test_plain_dice_ml_json_with_an_empty_query_is_none():
    """dice-ml writes no status; a query without rows was not answered."""
    text = plain_dice_ml().to_json()
    written = json.loads(text)
    written["cfs_list"] = [[]]
    again = RobustCounterfactualExplanations.from_json(json.dumps(written))
    assert again.status == ["none"]
    written["cfs_list"] = [None]
    missing = RobustCounterfactualExplanations.from_json(json.dumps(written))
    assert missing.status == ["none"]
    assert len(missing.to_frame()) == 0


@pytest.mark.parametrize(
    "text",
    [
        '{"metadata": {}}',
        '{"metadata": {"version": "9.0"}}',
        '{"a": 1}',
        "[1, 2]",
        "not json",
        '{"metadata": {"version": "2.0"}}',
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(Exception) as caught:  # dice-ml's, the schema's or ours, never a TypeError
        RobustCounterfactualExplanations.from_json(text)
    assert not isinstance(caught.value, (TypeError, KeyError, AttributeError))


def test_a_damaged_part_of_ours_is_named(three):
    written = json.loads(three.to_json())
    written["metadata"]["dice_extended"]["status"] = ["ok"]
    with pytest.raises(ValueError, match="dice_extended"):
        RobustCounterfactualExplanations.from_json(json.dumps(written))


# -- from a real search ---------------------------------------------------------------------------


def test_results_of_a_search(explainer, queries):
    found = explainer().generate_counterfactuals(queries[:3], 2, min_iter=20, max_iter=30)
    assert type(found) is RobustCounterfactualExplanations
    CounterfactualExplanations._check_cf_exp_output_against_json_schema(
        json.loads(found.to_json()), "2.0"
    )
    strict(found.to_json())
    for e in found.cf_examples_list:
        assert len(e.robustness) == len(e.final_cfs_df) == len(e.final_cfs_df_sparse)
        assert e.robustness.index.equals(e.final_cfs_df.index)
    copied = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(copied.to_frame(queries=True), found.to_frame(queries=True))
    with pytest.raises(UserConfigValidationException):
        CounterfactualExplanations.from_json('{"metadata": {"version": "7"}}')


def test_visualisation_of_a_partial_result(three, capsys):
    three.visualize_as_list()
    text = capsys.readouterr().out
    assert text.count("Query instance") == 3
    assert text.count("No counterfactuals found") == 1


def test_only_changes_are_shown_on_tables_with_text(capsys):
    """dice-ml's own method divides the text by 10,000."""
    made = RobustCounterfactualExamples(
        data_interface=DummyDataInterface("y"),
        test_instance_df=pd.DataFrame({"a": ["x"], "b": [2.0], "y": [0]}),
        final_cfs_df=pd.DataFrame({"a": ["z", "x"], "b": [2.0, 2.5], "y": [1, 1]}),
        posthoc_sparsity_param=None,
    )
    made.visualize_as_list(show_only_changes=True)
    assert capsys.readouterr().out.splitlines()[-2:] == ["['z', '-', 1]", "['-', 2.5, 1]"]
