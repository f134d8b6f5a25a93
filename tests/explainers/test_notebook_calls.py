"""The calls that dice-ml's notebooks make, with the one import changed.

Every constructor, keyword and attribute that they use, on a small table and small models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from native_models import pipeline
from sklearn.linear_model import LinearRegression

import dice_extended_plugin as dice_ml  # the changed import
from dice_extended_plugin import Dice

QUERY = {
    "age": 40, "sex": "female", "bmi": 27.0, "glucose": "mid", "bp": 90.0, "cholesterol": "b",
    "s5": 4.5,
}  # fmt: skip
FEW = {"min_iter": 20, "max_iter": 60, "learning_rate": 0.1}


@pytest.fixture
def parts(table, forest):
    d = dice_ml.Data(
        dataframe=table, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    return d, dice_ml.Model(model=forest, backend="sklearn")


@pytest.mark.parametrize("method", ["random", "genetic", "kdtree"])
def test_model_agnostic(method, parts, queries, capsys):
    exp = dice_ml.Dice(*parts, method=method)
    two = queries[4:6]
    calls = [
        {"total_CFs": 2, "verbose": False},
        {"total_CFs": 4, "verbose": True},
        {"total_CFs": 4, "features_to_vary": ["age", "bmi", "bp", "s5", "glucose"]},
        {"total_CFs": 4, "permitted_range": {"age": [22, 60], "bmi": [20, 35]}},
    ]
    if method == "random":
        calls.append({"total_CFs": 4, "random_seed": 9})
    if method == "genetic":
        calls.append({"total_CFs": 2, "yloss_type": "hinge_loss"})
    for call in calls:
        found = exp.generate_counterfactuals(two, desired_class="opposite", **call)
        assert [len(e.final_cfs_df) for e in found.cf_examples_list] == [call["total_CFs"]] * 2
        found.visualize_as_dataframe(show_only_changes=True)
        found.visualize_as_dataframe(show_only_changes=False)
        shown = capsys.readouterr().out
        assert shown.count("new outcome") == 4


def test_importances(parts, queries, table):
    exp = Dice(*parts, method="random")
    one = queries[1:2]
    e1 = exp.generate_counterfactuals(
        one, total_CFs=10, desired_range=None, desired_class="opposite", permitted_range=None,
        features_to_vary="all",
    )  # fmt: skip
    imp = exp.local_feature_importance(one, cf_examples_list=e1.cf_examples_list)
    assert set(imp.local_importance[0]) == set(queries.columns)
    again = exp.local_feature_importance(one, posthoc_sparsity_param=None)
    assert sum(again.local_importance[0].values()) > 0
    rows = table.drop(columns="progression")[:20]
    cobj = exp.global_feature_importance(rows, total_CFs=10, posthoc_sparsity_param=None)
    assert sum(cobj.summary_importance.values()) > 0
    default = exp.global_feature_importance(rows)
    assert len(default.local_importance) == 20
    text = cobj.to_json()
    back = imp.from_json(text)
    assert back.summary_importance == cobj.summary_importance
    assert back.local_importance == cobj.local_importance
    assert [o.visualize_as_dataframe(show_only_changes=True) for o in back.cf_examples_list] == (
        [None] * 20
    )


def test_three_classes_and_regression(table, three_classes, queries):
    names = ["age", "bmi", "bp", "s5"]
    frame = table.assign(progression=three_classes.predict(table.drop(columns="progression")))
    d = dice_ml.Data(dataframe=frame, continuous_features=names, outcome_name="progression")
    m = dice_ml.Model(model=three_classes, backend="sklearn", model_type="classifier")
    exp = Dice(d, m, method="genetic")
    found = exp.generate_counterfactuals(queries[2:3], total_CFs=7, desired_class=2)
    assert found.cf_examples_list[0].final_cfs_df["progression"].tolist() == [2] * 7
    found.visualize_as_dataframe()
    target = table["bmi"] * 3 + table["age"]
    frame = table.assign(progression=target.astype(float))
    model = pipeline(table.drop(columns="progression"), target, LinearRegression())
    d = dice_ml.Data(dataframe=frame, continuous_features=names, outcome_name="progression")
    m = dice_ml.Model(model=model, backend="sklearn", model_type="regressor")
    found = Dice(d, m, method="genetic").generate_counterfactuals(
        queries[2:4], total_CFs=2, desired_range=[100.0, 140.0]
    )
    found.visualize_as_dataframe(show_only_changes=True)
    rows = found.to_frame()
    assert rows["progression"].between(100.0, 140.0).all()


@pytest.mark.parametrize("func", ["ohe-min-max", None])
def test_a_network_and_a_query_in_a_dictionary(func, table, fit):
    """The notebook with advanced options gives no func: dice-ml's older releases needed none."""
    d = dice_ml.Data(
        dataframe=table, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    m = dice_ml.Model(model=fit(1), backend="PYT", func=func)
    exp = dice_ml.Dice(d, m)
    mads = d.get_mads(normalized=True)
    own = {feature: round(1 / mads[feature], 2) for feature in mads}
    first = exp.generate_counterfactuals(QUERY, total_CFs=4, desired_class="opposite", **FEW)
    assert first.status == ["ok"]
    for extra in (
        {"feature_weights": own},
        {"feature_weights": {"age": 1, "bmi": 1}},
        {"proximity_weight": 1.5, "diversity_weight": 1.0},
    ):
        found = exp.generate_counterfactuals(
            QUERY, total_CFs=4, desired_class="opposite", **extra, **FEW
        )
        found.visualize_as_dataframe(show_only_changes=True)
        assert found.status == ["ok"]
    for method in ("random", "genetic", "kdtree"):
        found = dice_ml.Dice(d, m, method=method).generate_counterfactuals(QUERY, total_CFs=3)
        assert found.status == ["ok"]


def test_func_left_out_is_the_same_as_ohe_min_max(table, fit, queries):
    d = dice_ml.Data(
        dataframe=table, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    for method in ("gradient", "random"):
        tables = [
            Dice(d, dice_ml.Model(model=fit(1), backend="PYT", func=func), method=method)
            .generate_counterfactuals(queries[:3], 3, **(FEW if method == "gradient" else {}))
            .to_frame()
            for func in ("ohe-min-max", None)
        ]
        pd.testing.assert_frame_equal(*tables, atol=1e-6)


def test_private_data(forest, table):
    d = dice_ml.Data(
        features={
            "age": [18, 80], "sex": ["female", "male"], "bmi": [18, 42],
            "glucose": ["high", "low", "mid"], "bp": [60, 130], "cholesterol": ["a", "b", "c"],
            "s5": [3, 6],
        },
        outcome_name="progression",
    )  # fmt: skip
    m = dice_ml.Model(model=forest, backend="sklearn")
    exp = dice_ml.Dice(d, m, method="genetic")
    found = exp.generate_counterfactuals(
        pd.DataFrame(QUERY | {"bmi": 27, "bp": 90, "s5": 4}, index=[0]),
        total_CFs=4,
        desired_class="opposite",
        initialization="random",
    )
    found.visualize_as_dataframe(show_only_changes=True)
    assert len(found.cf_examples_list[0].final_cfs_df) == 4
    assert np.isin(found.to_frame()["glucose"], ["high", "low", "mid"]).all()
