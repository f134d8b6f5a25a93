"""What dice-ml's own public tests fix about its explainers, beyond the defects: said in our words.

dice-ml itself is asked beside ours, so that no sentence of its is written down here.
"""

from __future__ import annotations

import dice_ml
import dice_ml.dice
import numpy as np
import pandas as pd
import pytest
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from dice_ml.diverse_counterfactuals import CounterfactualExamples
from native_models import METHODS, pipeline
from raiutils.exceptions import UserConfigValidationException
from sklearn.linear_model import LinearRegression

methods = pytest.mark.parametrize("method", list(METHODS))

#: Calls that dice-ml refuses; the query is added.
REFUSED = {
    "no counterfactuals": {"total_CFs": 0},
    "fewer than none": {"total_CFs": -10},
    "threshold": {"stopping_threshold": -1.0},
    "sparsity": {"posthoc_sparsity_param": 2.0},
    "sparsity's way": {"posthoc_sparsity_algorithm": "random"},
    "range for classes": {"desired_range": [0, 1]},
    "nothing to vary": {"features_to_vary": []},
    "unknown feature": {"features_to_vary": ["weight"]},
    "unknown feature's range": {"permitted_range": {"weight": [1, 2]}},
    "unknown level": {"permitted_range": {"sex": ["other"]}},
    "class not there": {"desired_class": 100},
    "class by a name": {"desired_class": "a"},
    "may not stay": {"features_to_vary": ["bmi"], "permitted_range": {"cholesterol": ["zz"]}},
}


def said(call) -> str:
    with pytest.raises((UserConfigValidationException, ValueError)) as raised:
        call()
    return " ".join(str(part) for part in raised.value.args)


@methods
@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_begins_with_dice_mls_words(method, case, make, forest, data, queries):
    stock = dice_ml.Dice(data, dice_ml.Model(model=forest, backend="sklearn"), method=method)
    call = {"total_CFs": 3, **REFUSED[case]}
    theirs = said(lambda: stock.generate_counterfactuals(queries[:1], **call))
    ours = said(lambda: make(method).generate_counterfactuals(queries[:1], **call))
    assert ours.startswith(theirs)
    assert len(ours) > len(theirs) + 20  # and says what to do


@methods
@pytest.mark.parametrize("change", ["missing", "missing level", "level", "column", "outcome"])
def test_a_refused_query_begins_with_dice_mls_words(method, change, make, forest, data, queries):
    stock = dice_ml.Dice(data, dice_ml.Model(model=forest, backend="sklearn"), method=method)
    query = {
        "missing": queries[:1].assign(bmi=np.nan),
        "missing level": queries[:1].assign(sex=None),
        "level": queries[:1].assign(glucose="none"),
        "column": queries[:1].rename(columns={"glucose": "sugar"}),
        "outcome": queries[:1].assign(progression=1),
    }[change]
    theirs = said(lambda: stock.generate_counterfactuals(query, total_CFs=2))
    ours = said(lambda: make(method).generate_counterfactuals(query, total_CFs=2))
    assert ours.startswith(theirs)


@pytest.mark.parametrize("wanted", [None, [4, 3], [1, 3, 4]])
def test_a_refused_range_begins_with_dice_mls_words(wanted, make, table, data, queries):
    model = pipeline(table.drop(columns="progression"), table["bmi"], LinearRegression())
    wrapped = dice_ml.Model(model=model, backend="sklearn", model_type="regressor")
    stock = dice_ml.Dice(data, wrapped, method="random")
    ours = make("random", model=model, model_type="regressor")
    theirs = said(lambda: stock.generate_counterfactuals(queries[:1], 2, desired_range=wanted))
    assert said(
        lambda: ours.generate_counterfactuals(queries[:1], 2, desired_range=wanted)
    ).startswith(theirs)


def test_opposite_of_three_classes_begins_with_dice_mls_words(make, three_classes, data, queries):
    model = dice_ml.Model(model=three_classes, backend="sklearn")
    stock = dice_ml.Dice(data, model, method="random")
    theirs = said(lambda: stock.generate_counterfactuals(queries[:1], total_CFs=2))
    ours = said(
        lambda: make("random", three_classes).generate_counterfactuals(queries[:1], total_CFs=2)
    )
    assert ours.startswith(theirs)


def test_what_dice_ml_refuses_for_nothing_is_not_said(make, queries):
    """dice-ml refuses NumPy's integers; that must not stand before another mistake."""
    text = said(
        lambda: make("random").generate_counterfactuals(
            queries[:1], 2, desired_class=np.int64(1), features_to_vary=["weight"]
        )
    )
    assert "weight" in text
    assert "class" not in text


@methods
def test_classes_with_names_are_wanted_by_name(method, make, table, data, queries):
    """The outcome column, the wanted class and the JSON form hold the same names as dice-ml's."""
    names = np.array(["calm", "worse"])[table["progression"]]
    model = pipeline(table.drop(columns="progression"), names)
    named = table.assign(progression=names)
    own = dice_ml.Data(
        dataframe=named, continuous_features=data.continuous_feature_names,
        outcome_name="progression",
    )  # fmt: skip
    stock = dice_ml.Dice(own, dice_ml.Model(model=model, backend="sklearn"), method="random")
    theirs = stock.generate_counterfactuals(queries[:1], total_CFs=2).cf_examples_list[0]
    found = make(method, model, data=own).generate_counterfactuals(queries[:1], total_CFs=2)
    ours = found.cf_examples_list[0]
    assert ours.desired_class == theirs.desired_class == ours.new_outcome
    assert set(ours.final_cfs_df["progression"]) == {theirs.desired_class}
    assert CounterfactualExplanations.from_json(found.to_json()) == found


@methods
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_dice_mls_reader_gives_an_equal_object(method, version, make, queries, pandas_reads_text):
    found = make(method).generate_counterfactuals(queries[:2], total_CFs=2)
    found.metadata["version"] = version
    if version == "1.0" and not pandas_reads_text:
        pytest.skip("dice-ml's reader of the first form fails on pandas 3")
    again = CounterfactualExplanations.from_json(found.to_json())
    assert again == found
    assert found == again
    again.metadata["version"] = "3.0"
    assert again != found
    assert found != "else"


@pytest.fixture
def pandas_reads_text() -> bool:
    return int(pd.__version__.split(".")[0]) < 3


@methods
def test_the_inner_entry_takes_what_dice_mls_inner_ones_take(method, make, queries):
    ours = make(method)
    nothing = ours._generate_counterfactuals(queries[:1], total_CFs=0)
    assert isinstance(nothing, CounterfactualExamples)
    assert len(nothing.final_cfs_df) == len(nothing.robustness) == 0
    plain = ours._generate_counterfactuals(
        query_instance=queries[:1], total_CFs=2, posthoc_sparsity_algorithm=None
    )
    assert plain.final_cfs_df_sparse.equals(plain.final_cfs_df)
    assert len(plain.final_cfs_df) == 2


@methods
def test_the_last_querys_rows_stay_on_the_explainer(method, make, queries):
    """As on dice-ml's; nothing reads them, so they change no answer."""
    ours = make(method)
    found = ours.generate_counterfactuals(queries[:3], total_CFs=2)
    last = found.cf_examples_list[-1]
    pd.testing.assert_frame_equal(ours.final_cfs_df, last.final_cfs_df)
    assert ours.cfs_preds.tolist() == last.final_cfs_df["progression"].tolist()
    ours.final_cfs_df = ours.cfs_preds = None
    again = ours.generate_counterfactuals(queries[:3], total_CFs=2)
    assert again.to_frame().equals(found.to_frame())


def test_neighbours_keep_the_training_rows_names(make, table, data, queries, forest):
    """dice-ml's kd-tree tells which training row each counterfactual is."""
    frame = table.set_axis(10_000 + 3 * np.arange(len(table)))
    named = dice_ml.Data(
        dataframe=frame, continuous_features=data.continuous_feature_names,
        outcome_name="progression",
    )  # fmt: skip
    ours = make("kdtree", data=named)
    found = ours.generate_counterfactuals(queries, total_CFs=4, posthoc_sparsity_param=None)
    columns = list(queries.columns)
    for example in found.cf_examples_list:
        rows = example.final_cfs_df
        own = frame.loc[rows.index, columns]
        for name in columns:  # to the decimals that dice-ml reads off the table
            near = name in data.continuous_feature_names
            same = np.isclose(rows[name], own[name], atol=0.5) if near else rows[name] == own[name]
            assert same.all()
    sparse = ours.generate_counterfactuals(queries[:2], total_CFs=4).cf_examples_list[1]
    assert list(sparse.final_cfs_df.index) == list(sparse.final_cfs_df_sparse.index)
    assert found.to_frame().index.tolist() == list(range(4 * len(queries)))
    with pytest.raises(UserConfigValidationException) as raised:
        make("kdtree", data=dice_ml.Data(features={"a": [0, 1]}, outcome_name="y"))
    private = dice_ml.Data(features={"a": [0, 1]}, outcome_name="y")
    model = dice_ml.Model(model=forest, backend="sklearn")
    assert str(raised.value).startswith(
        said(lambda: dice_ml.dice.Dice(private, model, method="kdtree"))
    )
