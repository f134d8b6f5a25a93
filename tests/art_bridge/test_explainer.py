"""DiCE method "nsga3": the contract of the other methods without gradients, on the ART search."""

from __future__ import annotations

import time

import dice_ml
import numpy as np
import pytest
from raiutils.exceptions import UserConfigValidationException
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dice_extended_plugin import Dice, Rules

CONTINUOUS = ["age", "bmi", "bp", "s5"]


def fitted(table, last):
    x, y = table.drop(columns="progression"), table["progression"]
    texts = [c for c in x.columns if c not in CONTINUOUS]
    first = ColumnTransformer([("n", StandardScaler(), CONTINUOUS), ("t", OneHotEncoder(), texts)])
    return make_pipeline(first, last).fit(x, y)


@pytest.fixture(scope="module")
def forest(table):
    return fitted(table, RandomForestClassifier(8, random_state=0))


@pytest.fixture
def make(data, forest):
    def make(model=None, data=data, **keywords):
        model = dice_ml.Model(model=model or forest, backend="sklearn")
        return Dice(data, model, method="nsga3", **{"report_draws": 0, **keywords})

    return make


def frames(found):
    return [example.final_cfs_df_sparse for example in found.cf_examples_list]


@pytest.mark.parametrize("mode", ["fast", "faithful"])
@pytest.mark.parametrize("robustness", [None, "dice"])
def test_every_row_is_a_counterfactual(make, forest, queries, mode, robustness):
    found = make(robustness=robustness).generate_counterfactuals(
        queries[:6], total_CFs=4, mode=mode, generations=12
    )
    wanted = 1 - forest.predict(queries[:6])
    assert found.status == ["ok"] * 6
    for rows, label in zip(frames(found), wanted, strict=True):
        p = forest.predict_proba(rows[queries.columns])
        assert (p[:, label] > p[:, 1 - label]).all()
        assert not rows.duplicated().any()


def test_the_batch_decides_nothing(make, queries):
    whole = make().generate_counterfactuals(queries[:5], total_CFs=3)
    for i in range(5):
        alone = make().generate_counterfactuals(queries.iloc[[i]], total_CFs=3)
        assert frames(alone)[0].equals(frames(whole)[i])


def test_it_is_nearer_than_random_sampling(make, data, forest, queries, space):
    model = dice_ml.Model(model=forest, backend="sklearn")
    other = Dice(data, model, method="random", robustness=None, report_draws=0)
    x = space.encode(queries)

    def distance(explainer):
        found = explainer.generate_counterfactuals(queries, total_CFs=1)
        rows = [space.encode(rows[queries.columns]) for rows in frames(found)]
        return np.mean([np.abs(row - own).sum() for row, own in zip(rows, x, strict=True)])

    assert distance(make(robustness=None)) < distance(other)


def test_constraints_and_rules_hold(make, queries):
    found = make().generate_counterfactuals(
        queries,
        total_CFs=3,
        features_to_vary=["bmi", "bp", "glucose", "s5"],
        permitted_range={"bmi": [20, 30], "glucose": ["low", "mid"]},
        rules=Rules(monotone={"s5": "increase"}),
    )
    assert "ok" in found.status
    for rows, (_, query) in zip(frames(found), queries.iterrows(), strict=True):
        if rows is None or len(rows) == 0:
            continue
        for name in ("age", "sex", "cholesterol"):
            assert (rows[name] == query[name]).all()
        assert (rows["bmi"].between(20, 30)).all()
        assert rows["glucose"].isin(["low", "mid"]).all()
        assert (rows["s5"] >= query["s5"] - 1e-9).all()


def test_a_threshold_is_kept(make, forest, queries):
    found = make().generate_counterfactuals(
        queries[:6], total_CFs=2, desired_class=1, stopping_threshold=0.75
    )
    assert "ok" in found.status
    for rows in frames(found):
        if rows is not None and len(rows):
            assert (forest.predict_proba(rows[queries.columns])[:, 1] >= 0.75).all()


def test_budgets_end_the_search_with_a_reason(make, forest, queries):
    class Slow:
        classes_ = forest.classes_

        def predict_proba(self, rows):
            time.sleep(0.2)
            return forest.predict_proba(rows)

    explainer = make(Slow())
    # One call asks about the nearest training rows, fewer than are wanted here.
    few = explainer.generate_counterfactuals(queries[:3], total_CFs=30, max_model_calls=1)
    assert "ok" not in few.status
    assert all("max_model_calls" in why for why in few.reason)
    started = time.monotonic()
    late = explainer.generate_counterfactuals(queries, total_CFs=30, max_seconds=0.3)
    assert time.monotonic() - started < 4.0
    assert "ok" not in late.status
    assert all("max_seconds" in why for why in late.reason)


def test_a_model_that_never_says_the_class(make, forest, queries):
    class Constant:
        classes_ = forest.classes_

        def predict_proba(self, rows):
            return np.tile([0.9, 0.1], (len(rows), 1))

    found = make(Constant()).generate_counterfactuals(queries[:2], total_CFs=2)
    assert found.status == ["none", "none"]
    assert all(found.reason)


def test_private_data_has_no_training_rows(forest, table, queries):
    levels = {c: sorted(set(table[c])) for c in ("sex", "glucose", "cholesterol")}
    features = {c: levels[c] if c in levels else _range(table[c]) for c in queries.columns}
    data = dice_ml.Data(features=features, outcome_name="progression")
    model = dice_ml.Model(model=forest, backend="sklearn")
    found = Dice(data, model, method="nsga3").generate_counterfactuals(queries[:3], total_CFs=2)
    assert found.status == ["ok"] * 3


def _range(column):
    ends = [column.min(), column.max()]
    return [v.item() for v in ends]


def test_three_classes(table, queries):
    table = table.copy()
    table["progression"] = np.digitize(table["bmi"] + table["s5"], [29, 33])
    model = fitted(table, LogisticRegression(max_iter=500))
    data = dice_ml.Data(dataframe=table, continuous_features=CONTINUOUS, outcome_name="progression")
    explainer = Dice(data, dice_ml.Model(model=model, backend="sklearn"), method="nsga3")
    rows = queries[model.predict(queries) == 0]
    found = explainer.generate_counterfactuals(rows, total_CFs=2, desired_class=2)
    for table in frames(found):
        assert (model.predict(table[queries.columns]) == 2).all()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"mode": "best"}, "mode"),
        ({"population": 7}, "even"),
        ({"population": 2}, "population"),
        ({"generations": 0}, "generations"),
        ({"max_rows_per_query": 0}, "max_rows_per_query"),
        ({"genrations": 5}, "generations"),
    ],
)
def test_wrong_options_are_named(make, queries, wrong, text):
    with pytest.raises(UserConfigValidationException, match=text):
        make().generate_counterfactuals(queries[:1], total_CFs=1, **wrong)


def test_a_regression_model_is_sent_elsewhere(data, table, queries):
    model = dice_ml.Model(
        model=fitted(table, LinearRegression()), backend="sklearn", model_type="regressor"
    )
    explainer = Dice(data, model, method="nsga3")
    with pytest.raises(UserConfigValidationException, match="random"):
        explainer.generate_counterfactuals(queries[:1], total_CFs=1, desired_range=[0.5, 1.0])


def test_a_torch_network_is_explained_too(data, space, table, queries, torch):
    rows = space.encode(table.drop(columns="progression"))
    slope = np.linspace(-4.0, 4.0, space.n_columns)
    linear = torch.nn.Linear(space.n_columns, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.as_tensor(slope)[None])
        linear.bias.fill_(-float(np.median(rows @ slope)))
    network = torch.nn.Sequential(linear, torch.nn.Sigmoid())
    model = dice_ml.Model(model=network, backend="PYT", func="ohe-min-max")
    found = Dice(data, model, method="nsga3").generate_counterfactuals(queries[:3], total_CFs=2)
    assert found.status == ["ok"] * 3
    before = space.encode(queries[:3]) @ slope > np.median(rows @ slope)
    for was, answer in zip(before, frames(found), strict=True):
        now = space.encode(answer[queries.columns]) @ slope > np.median(rows @ slope)
        assert (now != was).all()
