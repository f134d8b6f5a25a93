"""Bad input: one clear error before the search, and nothing changed by it."""

from __future__ import annotations

import copy
import logging

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402
from raiutils.exceptions import UserConfigValidationException  # noqa: E402

from dice_extended_plugin import DiceExtendedPyTorch, NoiseModel  # noqa: E402
from dice_extended_plugin.explainers import gradient_search as module_under_test  # noqa: E402

QUICK = {"min_iter": 20, "max_iter": 30}
FOUR = ["age", "bmi", "bp", "s5"]


@pytest.fixture
def searched(monkeypatch):
    """Count the searches begun; the error must come before the first."""
    calls = []
    original = module_under_test.optimise

    def spy(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(module_under_test, "optimise", spy)
    return calls


def error_of(call) -> str:
    """Text of the error, which must be a ValueError and dice-ml's own."""
    with pytest.raises(UserConfigValidationException) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    text = str(caught.value)
    assert "\n" not in text and len(text) > 20
    return text


def cell(queries, column, value):
    """Return the queries with one odd value in row 1."""
    frame = queries.astype({column: object}) if isinstance(value, str) else queries.copy()
    frame[column] = frame[column].astype(object)
    frame.loc[1, column] = value
    return frame if isinstance(value, (str, type(None))) else frame.infer_objects()


#: What is wrong with the queries -> (change to good queries, words the error must hold).
QUERIES = {
    "nan": (lambda q: cell(q, "bmi", np.nan), ["'bmi'", "[1]", "fill or drop"]),
    "None in numbers": (lambda q: cell(q, "bmi", None), ["'bmi'", "[1]", "fill or drop"]),
    "inf": (lambda q: cell(q, "s5", np.inf), ["'s5'", "[1]", "fill or drop"]),
    "-inf": (lambda q: cell(q, "s5", -np.inf), ["'s5'", "[1]", "fill or drop"]),
    "pd.NA": (
        lambda q: q.assign(age=pd.array([30, pd.NA, 50, 60], dtype="Int64")),
        ["'age'", "[1]", "fill or drop"],
    ),
    "NaN level": (lambda q: cell(q, "sex", np.nan), ["'sex'", "[1]", "fill or drop"]),
    "None level": (lambda q: cell(q, "sex", None), ["'sex'", "[1]", "fill or drop"]),
    "unknown level": (
        lambda q: cell(q, "glucose", "huge"),
        ["'glucose'", "'huge'", "'low'", "'mid'", "'high'"],
    ),
    "unknown number as level": (
        lambda q: q.assign(glucose=3), ["'glucose'", "3", "levels are"]
    ),
    "wrong case": (lambda q: cell(q, "sex", "Female"), ["'sex'", "'Female'", "'female'"]),
    "text in numbers": (lambda q: cell(q, "age", "old"), ["'age'", "numbers", "convert"]),
    "dates in numbers": (
        lambda q: q.assign(age=pd.Timestamp("2020-01-01")), ["'age'", "numbers", "convert"]
    ),
    "complex numbers": (lambda q: q.assign(bmi=1j), ["'bmi'", "numbers", "convert"]),
    "missing column": (lambda q: q.drop(columns="bp"), ["'bp'", "add"]),
    "two missing columns": (lambda q: q[["age", "sex", "bmi"]], ["'bp'", "'s5'", "add"]),
    "extra column": (lambda q: q.assign(weight=1), ["'weight'", "drop"]),
    "outcome among them": (lambda q: q.assign(progression=0), ["'progression'", "outcome", "drop"]),
    "column twice": (lambda q: pd.concat([q, q[["age"]]], axis=1), ["'age'", "more than once"]),
    "no rows": (lambda q: q[:0], ["no rows", "at least one"]),
    "empty frame": (lambda q: pd.DataFrame(), ["no rows", "at least one"]),
    "empty list": (lambda q: [], ["query_instances", "DataFrame"]),
    "None": (lambda q: None, ["query_instances", "DataFrame", "NoneType"]),
    "number": (lambda q: 3, ["query_instances", "DataFrame", "int"]),
    "text": (lambda q: "age", ["query_instances", "DataFrame", "str"]),
    "array": (lambda q: q.to_numpy(), ["query_instances", "DataFrame", "ndarray"]),
    "list of lists": (lambda q: q.to_numpy().tolist(), ["query_instances"]),
    "list of numbers": (lambda q: [1, 2], ["query_instances"]),
    "empty dict": (lambda q: {}, ["'age'", "add"]),
    "dict of lists": (lambda q: q.to_dict("list"), ["query_instances"]),
    "dict without a feature": (
        lambda q: {k: v for k, v in q.iloc[0].to_dict().items() if k != "sex"}, ["'sex'", "add"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", QUERIES)
def test_bad_queries(explainer, queries, searched, case):
    change, words = QUERIES[case]
    ours, good = explainer(), queries[:4]
    bad = change(good)
    kept = copy.deepcopy(bad)
    text = error_of(lambda: ours.generate_counterfactuals(bad, 2, **QUICK))
    assert all(word in text for word in words), text
    assert not searched
    if isinstance(bad, pd.DataFrame):
        pd.testing.assert_frame_equal(bad, kept)


#: Keywords of a bad call -> words the error must hold.
ARGUMENTS = [
    ({"total_CFs": 0}, ["total_CFs", "at least 1"]),
    ({"total_CFs": -3}, ["total_CFs", "-3"]),
    ({"total_CFs": 2.5}, ["total_CFs", "integer"]),
    ({"total_CFs": np.nan}, ["total_CFs", "integer"]),
    ({"total_CFs": "4"}, ["total_CFs", "integer"]),
    ({"total_CFs": True}, ["total_CFs", "integer"]),
    ({"total_CFs": None}, ["total_CFs", "integer"]),
    ({"desired_class": 2}, ["desired_class", "0 ... 1"]),
    ({"desired_class": -1}, ["desired_class", "0 ... 1"]),
    ({"desired_class": "other"}, ["desired_class", "'opposite'", "'other'"]),
    ({"desired_class": 0.5}, ["desired_class", "0.5"]),
    ({"desired_class": np.nan}, ["desired_class", "nan"]),
    ({"desired_class": None}, ["desired_class", "None"]),
    ({"desired_class": [1]}, ["desired_class", "[1]"]),
    ({"desired_range": [0, 1]}, ["desired_range", "None"]),
    ({"stopping_threshold": 1.5}, ["stopping_threshold", "0 and 1"]),
    ({"stopping_threshold": -0.1}, ["stopping_threshold", "at least 0"]),
    ({"stopping_threshold": np.nan}, ["stopping_threshold", "finite"]),
    ({"stopping_threshold": "0.5"}, ["stopping_threshold", "number"]),
    ({"stopping_threshold": None}, ["stopping_threshold", "number"]),
    ({"posthoc_sparsity_param": 1.1}, ["posthoc_sparsity_param", "0 and 1"]),
    ({"posthoc_sparsity_param": -1}, ["posthoc_sparsity_param", "at least 0"]),
    ({"posthoc_sparsity_param": np.nan}, ["posthoc_sparsity_param", "finite"]),
    ({"posthoc_sparsity_algorithm": "cubic"}, ["posthoc_sparsity_algorithm", "'linear'"]),
    ({"posthoc_sparsity_algorithm": None}, ["posthoc_sparsity_algorithm", "'binary'"]),
    # permitted_range
    ({"permitted_range": {"weight": [1, 2]}}, ["permitted_range", "'weight'"]),
    ({"permitted_range": {"BMI": [20, 30]}}, ["permitted_range", "'BMI'", "'bmi'"]),
    ({"permitted_range": {"bmi": [200, 300]}}, ["permitted_range['bmi']", "outside the data"]),
    ({"permitted_range": {"bmi": [-5, 0]}}, ["permitted_range['bmi']", "outside the data"]),
    ({"permitted_range": {"bmi": [30, 20]}}, ["permitted_range['bmi']", "ascending"]),
    ({"permitted_range": {"bmi": [20]}}, ["permitted_range['bmi']", "two numbers"]),
    ({"permitted_range": {"bmi": [20, 25, 30]}}, ["permitted_range['bmi']", "two numbers"]),
    ({"permitted_range": {"bmi": ["a", "b"]}}, ["permitted_range['bmi']", "two numbers"]),
    ({"permitted_range": {"bmi": [None, 30]}}, ["permitted_range['bmi']", "two numbers"]),
    ({"permitted_range": {"bmi": [np.nan, 30]}}, ["permitted_range['bmi']", "finite"]),
    ({"permitted_range": {"bmi": [20, np.inf]}}, ["permitted_range['bmi']", "finite"]),
    ({"permitted_range": {"bmi": 25}}, ["permitted_range['bmi']", "[low, high]"]),
    ({"permitted_range": {"bmi": "20-30"}}, ["permitted_range['bmi']", "[low, high]"]),
    ({"permitted_range": {"age": [30.2, 30.8]}}, ["permitted_range['age']", "widen"]),
    ({"permitted_range": {"sex": []}}, ["permitted_range['sex']", "empty"]),
    ({"permitted_range": {"sex": "male"}}, ["permitted_range['sex']", "list"]),
    ({"permitted_range": {"sex": ["other"]}}, ["permitted_range['sex']", "'other'", "'male'"]),
    ({"permitted_range": {"sex": [None]}}, ["permitted_range['sex']", "None"]),
    ({"permitted_range": [20, 30]}, ["permitted_range", "dictionary"]),
    ({"permitted_range": "age"}, ["permitted_range", "dictionary"]),
    # features_to_vary
    ({"features_to_vary": []}, ["features_to_vary", "at least one"]),
    ({"features_to_vary": "age"}, ["features_to_vary", "['age']"]),
    ({"features_to_vary": ["weight"]}, ["features_to_vary", "'weight'"]),
    ({"features_to_vary": ["age", "Sex"]}, ["features_to_vary", "'Sex'", "'sex'"]),
    ({"features_to_vary": ["progression"]}, ["features_to_vary", "'progression'"]),
    ({"features_to_vary": [3]}, ["features_to_vary", "3"]),
    ({"features_to_vary": None}, ["features_to_vary", "'all'"]),
    ({"features_to_vary": 5}, ["features_to_vary", "'all'"]),
    (
        {"features_to_vary": ["bmi"], "permitted_range": {"age": [70, 79]}},
        ["'age'", "features_to_vary", "widen"],
    ),
    (
        {"features_to_vary": ["bmi"], "permitted_range": {"sex": ["male"]}},
        ["'sex'", "features_to_vary", "widen"],
    ),
    # weights and other keywords of the search
    *[
        ({name: value}, [name, "at least 0"])
        for name in (
            "proximity_weight", "diversity_weight", "categorical_penalty", "robustness_weight"
        )
        for value in (-1, np.nan, np.inf, "1", None)
    ],
    ({"feature_weights": {"bmi": -1}}, ["feature_weights['bmi']", "at least 0"]),
    ({"feature_weights": {"bmi": np.nan}}, ["feature_weights['bmi']", "finite"]),
    ({"feature_weights": {"bmi": "1"}}, ["feature_weights['bmi']", "finite"]),
    ({"feature_weights": {"bmi": None}}, ["feature_weights['bmi']", "finite"]),
    ({"feature_weights": {"BMI": 1}}, ["feature_weights", "'BMI'", "'bmi'"]),
    ({"feature_weights": "mad"}, ["feature_weights", "'inverse_mad'"]),
    ({"feature_weights": None}, ["feature_weights", "'inverse_mad'"]),
    ({"feature_weights": [1, 2]}, ["feature_weights", "'inverse_mad'"]),
    ({"algorithm": "Diverse"}, ["algorithm", "'DiverseCF'"]),
    ({"yloss_type": "hinge"}, ["yloss_type", "'hinge_loss'"]),
    ({"diversity_loss_type": "dpp"}, ["diversity_loss_type", "'avg_dist'"]),
    ({"optimizer": "tensorflow:adam"}, ["optimizer", "'pytorch:adam'"]),
    ({"algorithm": ["DiverseCF"]}, ["algorithm", "'DiverseCF'"]),
    ({"learning_rate": 0}, ["learning_rate", "above 0"]),
    ({"learning_rate": np.nan}, ["learning_rate", "above 0"]),
    ({"min_iter": 0}, ["min_iter", "at least 1"]),
    ({"max_iter": 1.5}, ["max_iter", "integer"]),
    ({"min_iter": 50, "max_iter": 20}, ["min_iter", "max_iter"]),
    ({"project_iter": -1}, ["project_iter", "at least 0"]),
    ({"loss_diff_thres": -1}, ["loss_diff_thres", "at least 0"]),
    ({"loss_converge_maxiter": 0}, ["loss_converge_maxiter", "at least 1"]),
    ({"limit_steps_ls": 0}, ["limit_steps_ls", "at least 1"]),
    ({"random_state": -1}, ["random_state", "at least 0"]),
    ({"random_state": 1.5}, ["random_state", "integer"]),
    ({"random_state": "0"}, ["random_state", "integer"]),
    ({"max_seconds": 0}, ["max_seconds", "above 0"]),
    ({"max_seconds": -5}, ["max_seconds", "above 0"]),
    ({"max_model_calls": 0}, ["max_model_calls", "at least 1"]),
    ({"robustness": "Dice"}, ["robustness", "'dice'", "'validity'"]),
    ({"robustness": True}, ["robustness", "'dice'", "'validity'"]),
    ({"noise": 0.1}, ["noise", "NoiseModel(scale=0.1)"]),
    ({"noise": None}, ["noise", "NoiseModel"]),
    ({"noise": NoiseModel(scale={"BMI": 0.1})}, ["noise", "'BMI'", "continuous"]),
    ({"noise": NoiseModel(flip={"bmi": 0.1})}, ["noise", "'bmi'", "categorical"]),
    ({"proximity_wait": 1.0}, ["'proximity_wait'", "'proximity_weight'"]),
    ({"sparsity_weight": 1.0}, ["unknown keyword", "'sparsity_weight'"]),
    ({"random_seed": 3}, ["unknown keyword", "'random_seed'", "random_state"]),
    ({"sample_size": 10}, ["unknown keyword", "'sample_size'"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keywords", "words"), ARGUMENTS, ids=[str(keywords)[:60] for keywords, _ in ARGUMENTS]
)
def test_bad_arguments(explainer, queries, searched, keywords, words):
    ours = explainer()
    call = {"total_CFs": 2, **QUICK, **keywords}
    text = error_of(lambda: ours.generate_counterfactuals(queries[:4], **call))
    assert all(word in text for word in words), text
    assert not searched


def test_no_state_is_changed_by_any_of_them(explainer, queries, data):
    """After every bad call in a row, a good one gives what a fresh explainer gives."""
    ours, good = explainer(data=data), queries[:4]
    kept = copy.deepcopy(vars(data))
    for change, _ in QUERIES.values():
        error_of(lambda change=change: ours.generate_counterfactuals(change(good), 2, **QUICK))
    for keywords, _ in ARGUMENTS:
        call = {"total_CFs": 2, **QUICK, **keywords}
        error_of(lambda call=call: ours.generate_counterfactuals(good, **call))
    assert vars(data).keys() == kept.keys()
    pd.testing.assert_frame_equal(data.data_df, kept["data_df"])
    assert data.permitted_range == kept["permitted_range"]
    after = ours.generate_counterfactuals(good, 2, **QUICK).to_frame()
    pd.testing.assert_frame_equal(
        after, explainer().generate_counterfactuals(good, 2, **QUICK).to_frame()
    )


def test_opposite_of_three_classes(explainer, queries, searched):
    text = error_of(lambda: explainer(3).generate_counterfactuals(queries[:2], 2))
    assert "desired_class" in text and "0 ... 2" in text
    text = error_of(lambda: explainer(3).generate_counterfactuals(queries[:2], 2, desired_class=3))
    assert "desired_class" in text and "0 ... 2" in text
    assert not searched


@pytest.mark.parametrize("keyword", ["desired_class", "proximity_weight", "total_CFs"])
def test_importances_refuse_bad_arguments_too(explainer, queries, searched, keyword):
    bad = {"desired_class": 7, "proximity_weight": -1.0, "total_CFs": 10.5}[keyword]
    arguments = {"total_CFs": 10, **QUICK, keyword: bad}
    text = error_of(lambda: explainer().local_feature_importance(queries[:2], **arguments))
    assert keyword in text
    assert not searched


# -- models -------------------------------------------------------------------------------------


class Net(torch.nn.Module):
    """A function of the rows as a module with one parameter."""

    def __init__(self, function):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(12) / 4)
        self.function = function

    def forward(self, rows):
        return self.function(torch.sigmoid(rows @ self.weight - 1).unsqueeze(1), rows)


MODELS = {
    "rounds": (lambda p, rows: (p > 0.5).float(), ["gradient", "differentiable"]),
    "detaches": (lambda p, rows: p.detach(), ["gradient", "differentiable"]),
    "leaves torch": (
        lambda p, rows: torch.from_numpy(p.detach().numpy()), ["gradient", "differentiable"]
    ),
    "NaN": (lambda p, rows: p * float("nan"), ["NaN", "check its weights"]),
    "NaN for one row": (
        lambda p, rows: torch.where(torch.arange(len(p)).unsqueeze(1) == 1, float("nan"), p),
        ["NaN", "check its weights"],
    ),
    "inf": (lambda p, rows: p / 0.0, ["infinite", "check its weights"]),
    "logits": (lambda p, rows: torch.logit(p) * 5 + 3, ["probabilities", "Sigmoid"]),
    "two logits": (lambda p, rows: torch.cat([p * 4, -p], 1), ["probabilities", "Softmax"]),
    "two sigmoids": (lambda p, rows: torch.cat([p, p], 1), ["add up to 1", "Softmax"]),
    "three dimensions": (lambda p, rows: p.unsqueeze(2), ["shape", "(2, 1, 1)"]),
    "one number": (lambda p, rows: p.mean(), ["shape"]),
    "one row for all": (lambda p, rows: p[:1], ["shape", "2 rows"]),
    "no columns": (lambda p, rows: p[:, :0], ["shape"]),
    "tuple": (lambda p, rows: (p, p), ["tensor", "tuple"]),
    "array": (lambda p, rows: p.detach().numpy(), ["tensor", "ndarray"]),
    "dict": (lambda p, rows: {"p": p}, ["tensor", "dict"]),
    "None": (lambda p, rows: None, ["tensor", "NoneType"]),
    "raises": (lambda p, rows: p @ rows, ["cannot be called", "12 columns"]),
    "wants other columns": (
        lambda p, rows: torch.nn.functional.linear(rows, torch.ones(1, 9)),
        ["cannot be called", "12 columns"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_bad_models(data, queries, searched, case):
    function, words = MODELS[case]
    module = Net(function)
    model = dice_ml.Model(model=module, backend="PYT", func="ohe-min-max")
    text = error_of(
        lambda: DiceExtendedPyTorch(data, model).generate_counterfactuals(queries[:4], 2, **QUICK)
    )
    assert all(word in text for word in words), text
    assert not searched
    assert module.training and module.weight.grad is None


def test_a_model_that_breaks_during_the_search_gives_no_rows_but_a_reason(data, queries):
    """NaN in places the queries do not lie in: those rows are no counterfactuals."""

    def function(p, rows):
        return torch.where(rows[:, :1] > 0.6, float("nan"), p)

    model = dice_ml.Model(model=Net(function), backend="PYT", func="ohe-min-max")
    ours = DiceExtendedPyTorch(data, model, report_draws=16)
    low = queries[:4].assign(age=25)
    found = ours.generate_counterfactuals(low, 2, min_iter=100, max_iter=150)
    table = found.to_frame()
    assert not table.drop(columns=["status"]).isna().any().any()
    assert (table["age"] < 0.6 * (79 - 19) + 19 + 1).all()


MODEL_OBJECTS = {
    "sklearn": (lambda fit: dice_ml.Model(model=object(), backend="sklearn"), ["'sklearn'", "PYT"]),
    "not a module": (
        lambda fit: dice_ml.Model(model=object(), backend="PYT", func="ohe-min-max"),
        ["object", "torch.nn.Module"],
    ),
    "unknown transformation": (
        lambda fit: dice_ml.Model(model=fit(1), backend="PYT", func=lambda x: x),
        ["func", "ohe-min-max"],
    ),
    "no transformation, and a network of another width": (
        lambda fit: dice_ml.Model(
            model=torch.nn.Sequential(torch.nn.Linear(7, 1), torch.nn.Sigmoid()), backend="PYT"
        ),
        ["cannot be called", "12 columns"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODEL_OBJECTS)
def test_bad_model_objects(data, fit, case):
    make, words = MODEL_OBJECTS[case]
    text = error_of(lambda: DiceExtendedPyTorch(data, make(fit)))
    assert all(word in text for word in words), text


CONSTRUCTOR = [
    ({"robustness": "yes"}, ["robustness"]),
    ({"robustness_weight": -0.1}, ["robustness_weight"]),
    ({"robustness_weight": np.nan}, ["robustness_weight"]),
    ({"noise": 0.2}, ["NoiseModel(scale=0.2)"]),
    ({"noise": NoiseModel(scale={"x": 0.1})}, ["'x'"]),
    ({"random_state": "seed"}, ["random_state"]),
    ({"device": "warp"}, ["'warp'"]),
    ({"max_seconds": -1}, ["max_seconds"]),
    ({"max_model_calls": 0.5}, ["max_model_calls"]),
    ({"report_draws": -1}, ["report_draws"]),
    ({"report_draws": 2.5}, ["report_draws"]),
]


@pytest.mark.parametrize(
    ("keywords", "words"), CONSTRUCTOR, ids=[str(keywords) for keywords, _ in CONSTRUCTOR]
)
def test_bad_constructor_arguments(explainer, keywords, words):
    text = error_of(lambda: explainer(**keywords))
    assert all(word in text for word in words), text


# -- data ---------------------------------------------------------------------------------------


def build(table, module=None, continuous=FOUR, **keywords):
    data = dice_ml.Data(
        dataframe=table, continuous_features=continuous, outcome_name="progression", **keywords
    )
    model = dice_ml.Model(model=module, backend="PYT", func="ohe-min-max")
    return DiceExtendedPyTorch(data, model, report_draws=8)


def test_missing_values_in_the_training_table(table, fit):
    hole = table.copy()
    hole.loc[3, "bmi"] = np.nan
    text = error_of(lambda: build(hole, fit(1)))
    assert "'bmi'" in text and "fill or drop" in text
    hole["bmi"] = hole["bmi"].fillna(np.inf)
    text = error_of(lambda: build(hole, fit(1)))
    assert "'bmi'" in text and "fill or drop" in text


def test_a_table_without_features(table, fit):
    text = error_of(lambda: build(table[["progression"]], fit(1), continuous=[]))
    assert "no features" in text


def test_a_permitted_range_of_the_data_that_lies_outside_it(table, fit):
    for wanted, word in (({"age": [200, 300]}, "'age'"), ({"sex": ["x"]}, "'sex'")):
        text = error_of(lambda wanted=wanted: build(table, fit(1), permitted_range=wanted))
        assert word in text


class Sum(torch.nn.Module):
    """Rises with every column but the constant ones."""

    def forward(self, rows):
        return torch.sigmoid(3 * (rows[:, :1] + rows[:, 1:2]) - 3 + 0 * rows.sum(1, keepdim=True))


def test_constant_features_work_with_a_warning(table, queries, caplog):
    frame = table.assign(bp=1.5, cholesterol="b")
    asked = queries[:4].assign(bp=1.5, cholesterol="b")
    with caplog.at_level(logging.WARNING, "dice_extended_plugin"):
        ours = build(frame, Sum())
    assert any("'bp'" in record.getMessage() for record in caplog.records)
    found = ours.generate_counterfactuals(asked, 2, min_iter=50, max_iter=200)
    rows = found.to_frame()
    assert found.status == ["ok"] * 4
    assert (rows["bp"] == 1.5).all() and (rows["cholesterol"] == "b").all()
    odd = ours.generate_counterfactuals(asked.assign(bp=2.5), 2, min_iter=50, max_iter=200)
    assert (odd.to_frame()["bp"] == 2.5).all()
    for vary in (["bp"], ["cholesterol"], ["bp", "cholesterol"]):
        text = error_of(
            lambda vary=vary: ours.generate_counterfactuals(asked, 2, features_to_vary=vary)
        )
        assert "features_to_vary" in text and "more than one value" in text
    mixed = ours.generate_counterfactuals(
        asked, 2, features_to_vary=["bp", "age", "bmi"], min_iter=50, max_iter=200
    )
    assert mixed.status == ["ok"] * 4


def test_a_constant_categorical_feature_is_named_in_the_log(table, caplog):
    with caplog.at_level(logging.WARNING, "dice_extended_plugin"):
        build(table.assign(cholesterol="b"), Sum())
    assert any("'cholesterol'" in record.getMessage() for record in caplog.records)


def test_features_with_mad_zero_work(table, queries):
    frame = table.assign(bp=np.where(np.arange(len(table)) % 5, 80.0, 120.0))
    ours = build(frame, Sum())
    found = ours.generate_counterfactuals(
        queries[:4].assign(bp=80.0), 2, posthoc_sparsity_param=0.9, min_iter=50, max_iter=200
    )
    rows = found.to_frame()
    assert found.status == ["ok"] * 4
    assert rows["bp"].between(80, 120).all()
    assert np.isfinite(rows.select_dtypes("number").to_numpy(float)).all()


def test_everything_constant(table):
    frame = table.assign(**{c: 1.0 for c in FOUR}, sex="a", glucose="b", cholesterol="c")
    text = error_of(
        lambda: build(frame, Sum()).generate_counterfactuals(frame.drop(columns="progression"), 1)
    )
    assert "more than one value" in text


def test_only_one_permitted_value_each_is_an_error_or_an_answer(explainer, queries):
    """All features pinned by permitted_range: a status with a reason, not a crash."""
    one = queries[:1]
    pins = {f: [one[f].iloc[0]] * (2 if f in FOUR else 1) for f in one}
    found = explainer().generate_counterfactuals(one, 2, permitted_range=pins, **QUICK)
    assert found.status == ["none"]
    assert "permitted_range" in found.reason[0]
