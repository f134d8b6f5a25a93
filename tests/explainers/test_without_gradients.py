"""What random, genetic and kd-tree share: dice-ml's contract, and none of its defects.

Numbers in docstrings are those of the host page's lists (``hosts/dice_ml.md``, section 1).
"""

from __future__ import annotations

import copy
import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import dice_ml
import numpy as np
import pandas as pd
import pytest
from dice_ml.counterfactual_explanations import CounterfactualExplanations
from native_models import CONTINUOUS, METHODS, explainer_class, pipeline
from raiutils.exceptions import UserConfigValidationException
from sklearn.linear_model import LinearRegression, LogisticRegression

from dice_extended_plugin.evaluation import measure
from dice_extended_plugin.host import column_weights
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.row_writer import RowWriter
from dice_extended_plugin.rules import Rules

pytestmark = pytest.mark.parametrize("method", list(METHODS))
STOCK = {"random": "DiceRandom", "genetic": "DiceGenetic", "kdtree": "DiceKD"}


def features(table, frame):
    return table[list(frame.columns)]


def same_rows(a, b) -> bool:
    return a.to_frame().astype(object).equals(b.to_frame().astype(object))


def strict_labels(model, table):
    """The model's own label; -1 for a tie."""
    p = model.predict_proba(table)
    top = np.sort(p, axis=1)
    return np.where(top[:, -1] > top[:, -2], p.argmax(axis=1), -1)


# -- results ------------------------------------------------------------------------------------


def test_every_row_is_a_counterfactual_by_the_models_own_label(method, make, forest, queries):
    """Defect 6: 20 % of the rows that dice-ml's random returns on German credit are ties."""
    found = make(method).generate_counterfactuals(queries, total_CFs=6)
    wanted = 1 - forest.predict(queries)
    assert found.status == ["ok"] * len(queries)
    for example, label in zip(found.cf_examples_list, wanted, strict=True):
        for table in (example.final_cfs_df, example.final_cfs_df_sparse):
            assert len(table) == 6
            assert (strict_labels(forest, features(table, queries)) == label).all()
            assert (table["progression"] == label).all()
            assert not table.duplicated().any()


def test_results_and_explainers_are_dice_mls_own_types(method, make, queries):
    from importlib import import_module

    ours = make(method)
    name = {"random": "dice_random", "genetic": "dice_genetic", "kdtree": "dice_KD"}[method]
    module = import_module(f"dice_ml.explainer_interfaces.{name}")
    assert isinstance(ours, getattr(module, STOCK[method]))
    found = ours.generate_counterfactuals(queries[:2], 3)
    assert isinstance(found, CounterfactualExplanations)
    again = type(found).from_json(found.to_json())
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame(), check_dtype=False)
    one = ours._generate_counterfactuals(queries[:1], 3)
    pd.testing.assert_frame_equal(one.final_cfs_df, found.cf_examples_list[0].final_cfs_df)


def test_as_the_responsible_ai_toolbox_calls(method, make, queries):
    """Its keywords and no others: robustness is on by default."""
    ours = make(method, report_draws=16)
    found = ours.generate_counterfactuals(
        queries,
        total_CFs=10,
        desired_class="opposite",
        desired_range=None,
        features_to_vary="all",
        permitted_range=None,
    )
    assert ours.options.read(ours.defaults, {}).robust
    frame = found.to_frame()
    assert {"noise_validity", "rho_lit", "probability"} <= set(frame.columns)
    summary = ours.global_feature_importance(queries, total_CFs=10)
    assert 0 < max(summary.summary_importance.values()) <= 1
    local = ours.local_feature_importance(queries[:1], total_CFs=10)
    assert set(local.local_importance[0]) == set(queries.columns)
    copied = pickle.loads(pickle.dumps(ours))
    assert same_rows(
        copied.generate_counterfactuals(queries[:3], 10),
        ours.generate_counterfactuals(queries[:3], 10),
    )
    assert pickle.loads(pickle.dumps(found)).status == found.status


def test_one_by_one_or_together(method, make, queries):
    """Same seed, same rows, in any batch and order; another seed, other draws."""
    ours = make(method)
    together = ours.generate_counterfactuals(queries, 4)
    tables = [example.final_cfs_df_sparse for example in together.cf_examples_list]
    for i in (0, 7, 11):
        alone = make(method).generate_counterfactuals(queries.iloc[[i]], 4)
        pd.testing.assert_frame_equal(alone.cf_examples_list[0].final_cfs_df_sparse, tables[i])
    turned = ours.generate_counterfactuals(queries.iloc[::-1], 4)
    for i, example in enumerate(reversed(turned.cf_examples_list)):
        pd.testing.assert_frame_equal(example.final_cfs_df_sparse, tables[i])
    small = make(method, max_rows=700).generate_counterfactuals(queries, 4)
    assert same_rows(small, together)


def test_global_generators_are_left_alone(method, make, queries):
    """Leak 6: DiceRandom reseeds the global generators, the others draw from them."""
    ours = make(method)
    random.seed(3), np.random.seed(3)
    ours.generate_counterfactuals(queries[:2], 3, random_state=5)
    drawn = random.random(), np.random.rand()
    random.seed(3), np.random.seed(3)
    assert drawn == (random.random(), np.random.rand())


# -- leaks --------------------------------------------------------------------------------------


def test_nothing_of_a_call_reaches_the_next(method, make, queries, data):
    """Leaks 1, 2 and 4: ranges, populations and weights of one call in the next."""
    before = copy.deepcopy(data.permitted_range)
    ours = make(method)
    free = ours.generate_counterfactuals(queries[:4], 5)
    tight = ours.generate_counterfactuals(
        queries[:4],
        1,
        permitted_range={"age": [40, 45], "glucose": ["low"]},
        features_to_vary=["age", "glucose", "bmi", "s5"],
        feature_weights={"bmi": 9.0},
    )
    assert data.permitted_range == before
    assert same_rows(free, ours.generate_counterfactuals(queries[:4], 5))
    fresh = make(method).generate_counterfactuals(
        queries[:4],
        1,
        permitted_range={"age": [40, 45], "glucose": ["low"]},
        features_to_vary=["age", "glucose", "bmi", "s5"],
        feature_weights={"bmi": 9.0},
    )
    assert same_rows(tight, fresh)


def test_constraints_are_kept(method, make, queries, forest):
    """Leak 2: with features_to_vary, genetic changed all other features as well."""
    ours = make(method)
    vary = ["bmi", "bp", "s5", "cholesterol"]
    found = ours.generate_counterfactuals(
        queries,
        5,
        features_to_vary=vary,
        permitted_range={"bmi": [20.05, 31.5], "cholesterol": ["a", "b"]},
    )
    frame = found.to_frame()
    assert len(frame) > 30
    own = queries.iloc[frame["query"]].reset_index(drop=True)
    for name in set(queries.columns) - set(vary):
        assert (frame[name] == own[name]).all()
    assert frame["bmi"].between(20.05, 31.5).all()
    assert frame["cholesterol"].isin(["a", "b"]).all()
    assert (strict_labels(forest, features(frame, queries)) == frame["progression"]).all()


def test_rules_are_kept(method, make, queries):
    rules = Rules(monotone={"age": "increase", "bmi": "decrease"})
    frame = make(method).generate_counterfactuals(queries, 4, rules=rules).to_frame()
    own = queries.iloc[frame["query"]].reset_index(drop=True)
    assert (frame["age"] >= own["age"]).all()
    assert (frame["bmi"] <= own["bmi"]).all()


def test_two_threads_share_one_explainer(method, make, queries):
    """Leak 7: dice-ml keeps the state of the last query on the instance."""
    ours = make(method)
    calls = [
        {"query_instances": queries[i : i + 2], "total_CFs": 2 + i % 2, **extra}
        for i, extra in enumerate(
            [
                {"desired_class": 1},
                {"desired_class": 0},
                {"robustness": None},
                {"features_to_vary": ["bmi", "s5"]},
            ]
        )
    ]
    serial = [ours.generate_counterfactuals(**call) for call in calls]
    fresh = make(method)
    with ThreadPoolExecutor(2) as pool:
        threaded = list(pool.map(lambda call: fresh.generate_counterfactuals(**call), calls))
    for a, b in zip(serial, threaded, strict=True):
        assert same_rows(a, b)


# -- model kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_torch_models(method, make, fit, queries, data, n_outputs):
    """Defects 1 and 3: genetic and kdtree fail on one output, "opposite" on numpy >= 2.4."""
    torch = pytest.importorskip("torch")
    module = copy.deepcopy(fit(n_outputs))  # stock explainers leave gradients on the shared one
    module.zero_grad(set_to_none=True)
    ours = make(method, model=module, backend="PYT", func="ohe-min-max")
    wanted = {"desired_class": np.int64(2)} if n_outputs == 3 else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        found = ours.generate_counterfactuals(queries[:5], 4, **wanted)
    frame = found.to_frame()
    assert len(frame) >= 18
    rows = ours.model.transformer.transform(features(frame, queries)).to_numpy(dtype=float)
    with torch.no_grad():
        p = module(torch.tensor(rows).float()).numpy()
    label = (p[:, 0] > 0.5).astype(int) if n_outputs == 1 else p.argmax(1)
    assert (label == frame["progression"]).all()
    assert all(p.grad is None for p in module.parameters())
    alone = ours.generate_counterfactuals(queries[2:3], 4, **wanted)
    pd.testing.assert_frame_equal(
        alone.cf_examples_list[0].final_cfs_df, found.cf_examples_list[2].final_cfs_df
    )


def test_dropout_is_off(method, make, fit, queries):
    torch = pytest.importorskip("torch")
    module = copy.deepcopy(torch.nn.Sequential(fit(1)[:2], torch.nn.Dropout(0.8), fit(1)[2:]))
    module.train()
    noisy = make(method, model=module, backend="PYT", func="ohe-min-max")
    plain = make(method, model=fit(1), backend="PYT", func="ohe-min-max")
    assert same_rows(
        noisy.generate_counterfactuals(queries[:3], 3),
        plain.generate_counterfactuals(queries[:3], 3),
    )
    assert module.training


def test_keras_models(method, make, queries, table, space):
    """Defect 3, for Keras."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((space.n_columns,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    model.optimizer.learning_rate = 0.02
    model.fit(space.encode(table), table["progression"], epochs=15, verbose=0)
    ours = make(method, model=model, backend="TF2", func="ohe-min-max")
    found = ours.generate_counterfactuals(queries[:4], 3)
    frame = found.to_frame()
    assert found.status == ["ok"] * 4
    rows = ours.model.transformer.transform(features(frame, queries)).to_numpy(dtype=np.float32)
    assert ((np.asarray(model(rows))[:, 0] > 0.5) == frame["progression"]).all()
    alone = ours.generate_counterfactuals(queries[2:3], 3)
    pd.testing.assert_frame_equal(
        alone.cf_examples_list[0].final_cfs_df, found.cf_examples_list[2].final_cfs_df
    )


def test_scikit_learn_on_encoded_columns(method, make, table, space, queries):
    columns = pd.DataFrame(space.encode(table), columns=space.columns)
    model = LogisticRegression(max_iter=500).fit(columns, table["progression"])
    ours = make(method, model=model, func="ohe-min-max")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # about missing feature names
        frame = ours.generate_counterfactuals(queries[:4], 3).to_frame()
    assert len(frame) == 12
    rows = pd.DataFrame(space.encode(features(frame, queries)), columns=space.columns)
    assert (model.predict(rows) == frame["progression"]).all()


@pytest.mark.parametrize("desired", [0, 1, 2])
def test_three_classes(method, make, three_classes, queries, desired):
    ours = make(method, model=three_classes)
    frame = ours.generate_counterfactuals(queries[:5], 3, desired_class=desired).to_frame()
    assert len(frame) == 15
    assert (strict_labels(three_classes, features(frame, queries)) == desired).all()
    with pytest.raises(UserConfigValidationException, match="no meaning for 3 classes"):
        ours.generate_counterfactuals(queries[:1], 3)
    with pytest.raises(UserConfigValidationException, match="not a class"):
        ours.generate_counterfactuals(queries[:1], 3, desired_class=3)


def test_named_classes(method, make, table, queries):
    """The outcome column speaks the model's language, as dice-ml's does."""
    model = pipeline(
        table.drop(columns="progression"), table["progression"].map({0: "no", 1: "yes"})
    )
    found = make(method, model=model).generate_counterfactuals(queries[:4], 3)
    frame = found.to_frame()
    assert (model.predict(features(frame, queries)) == frame["progression"]).all()
    own = [example.test_instance_df["progression"][0] for example in found.cf_examples_list]
    assert own == list(model.predict(queries[:4]))


def test_regression(method, make, table, queries):
    frame = table.drop(columns=["progression", "s5"])
    target = table["s5"]
    data = dice_ml.Data(
        dataframe=frame.assign(s5=target),
        continuous_features=["age", "bmi", "bp"],
        outcome_name="s5",
    )
    model = pipeline(frame, target, LinearRegression())
    asked = queries.drop(columns="s5")
    ours = make(method, model=model, data=data, model_type="regressor")
    low, high = np.quantile(model.predict(frame), [0.7, 0.9])
    found = ours.generate_counterfactuals(asked, 4, desired_range=[low, high])
    rows = found.to_frame()
    assert len(rows) >= 40
    predicted = model.predict(features(rows, asked))
    assert ((predicted >= low) & (predicted <= high)).all()
    np.testing.assert_allclose(predicted, rows["s5"])
    with pytest.raises(UserConfigValidationException, match="desired_range"):
        ours.generate_counterfactuals(asked, 2)


# -- column kinds -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bool", "integer", "category"])
def test_columns_reach_the_model_in_their_own_type(method, make, table, queries, kind):
    """Defects 7 and 13: values become text inside, and an encoder refuses them."""
    write = {
        "bool": lambda c: c == "female",
        "integer": lambda c: c.map({"female": 0, "male": 7}).astype(int),
        "category": lambda c: c.astype(pd.CategoricalDtype(["male", "female"])),
    }[kind]
    frame = table.assign(sex=write(table["sex"]))
    asked = queries.assign(sex=write(queries["sex"]))
    data = dice_ml.Data(dataframe=frame, continuous_features=CONTINUOUS, outcome_name="progression")
    rows = frame.drop(columns="progression")
    # The label leans on the column, so that it has to change.
    label = ((frame["sex"] == rows["sex"].iloc[0]) ^ (rows["bmi"] > 26)).astype(int)
    model = pipeline(rows, label)
    found = make(method, model=model, data=data).generate_counterfactuals(asked, 4)
    result = found.to_frame()
    assert len(result) == 4 * len(asked)
    assert set(result["sex"]) <= set(frame["sex"])
    sparse = found.cf_examples_list[0].final_cfs_df_sparse
    assert sparse["sex"].dtype == asked["sex"].dtype
    table_ = features(result, asked).astype({"sex": asked["sex"].dtype})
    assert (strict_labels(model, table_) == result["progression"]).all()
    own = asked["sex"].iloc[result["query"]].to_numpy()
    assert (result["sex"].to_numpy() != own).any()


def test_queries_as_dictionaries_and_numpy_classes(method, make, queries):
    """Defect 10: np.int64 as desired_class is refused, dictionaries raise AttributeError."""
    ours = make(method)
    row = queries.iloc[0].to_dict()
    one = ours.generate_counterfactuals(row, 3, desired_class=np.int64(1))
    other = ours.generate_counterfactuals([row], 3, desired_class=1)
    assert same_rows(one, other)


def test_a_feature_name_that_begins_like_another(method, make, queries, table):
    """Defect 10: `gender` swallows the columns of `gender_x`."""
    frame = table.assign(sex_x=np.where(table["age"] > 50, "u", "v"))
    asked = queries.assign(sex_x=np.where(queries["age"] > 50, "u", "v"))
    data = dice_ml.Data(dataframe=frame, continuous_features=CONTINUOUS, outcome_name="progression")
    model = pipeline(frame.drop(columns="progression"), table["progression"])
    result = make(method, model=model, data=data).generate_counterfactuals(asked[:3], 3).to_frame()
    assert set(result["sex_x"]) <= {"u", "v"} and set(result["sex"]) <= {"female", "male"}
    assert len(result) == 9


def test_constraints_with_the_users_threshold(method, make, forest, queries):
    """Defect 10: thresholds beyond 0.5 are silently replaced by 0.75 or 0.25."""
    low = queries[forest.predict(queries) == 0]
    found = make(method).generate_counterfactuals(low, 3, stopping_threshold=0.8)
    frame = found.to_frame()
    assert len(frame) > 0
    assert (forest.predict_proba(features(frame, queries))[:, 1] >= 0.8 - 1e-12).all()


# -- robustness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["dice", "validity"])
def test_robustness_raises_held_out_noise_validity(
    method, make, forest, queries, space, data, table, mode
):
    asked = table.drop(columns="progression").iloc[20:60].reset_index(drop=True)
    ours = make(method)
    wanted = 1 - forest.predict(asked)
    writer = RowWriter(space, asked, space.encode(asked))

    def scores(rows):
        return forest.predict_proba(writer.table(rows, None))

    def noise_validity(robustness):
        found = ours.generate_counterfactuals(asked, 5, robustness=robustness)
        tables = [features(e.final_cfs_df_sparse, asked) for e in found.cf_examples_list]
        weights = column_weights(data, space, "inverse_mad")
        return measure(tables, asked, space, weights, scores, wanted, 5, NoiseModel(), 100, 77)[
            "noise_validity"
        ]

    gain = noise_validity(mode) - noise_validity(None)
    assert gain.mean() > 0.01
    assert (gain > 0).sum() > (gain < 0).sum()


def test_weight_zero_is_plain(method, make, queries):
    ours = make(method)
    assert same_rows(
        ours.generate_counterfactuals(queries[:4], 4, robustness=None),
        ours.generate_counterfactuals(queries[:4], 4, robustness_weight=0),
    )


# -- bad input and no answer --------------------------------------------------------------------


def test_nothing_found_is_a_result(method, make, queries, table):
    model = LogisticRegression().fit([[0], [1]], [0, 1])

    class Stubborn:
        classes_ = np.array([0, 1])

        def predict_proba(self, rows):
            return np.tile([0.9, 0.1], (len(rows), 1)) + 0 * model.coef_

    found = make(method, model=Stubborn()).generate_counterfactuals(queries[:2], 2)
    assert found.status == ["none", "none"]
    assert all("0 of 2 counterfactuals of class 1 found" in reason for reason in found.reason)
    assert len(found.to_frame()) == 0
    assert type(found).from_json(found.to_json()).status == ["none", "none"]


def test_partial_answers_say_why(method, make, queries, table, forest):
    """One yes/no feature may change: at most one counterfactual a query."""
    found = make(method).generate_counterfactuals(queries, 5, features_to_vary=["sex"])
    assert set(found.status) <= {"none", "partial"}
    assert all("of 5 counterfactuals" in reason for reason in found.reason)
    frame = found.to_frame()
    assert frame["query"].is_unique


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"robustness": "yes"}, "robustness must be one of"),
        ({"robustness_weight": -1}, "robustness_weight"),
        ({"noise": 0.1}, "noise must be a NoiseModel"),
        ({"random_state": -1}, "random_state"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_model_calls": 0}, "max_model_calls"),
        ({"proximity_wieght": 1}, "did you mean 'proximity_weight'"),
        ({"diversity_loss_type": "dpp"}, "diversity_loss_type"),
        ({"limit_steps_ls": 0}, "limit_steps_ls"),
        ({"total_CFs": 0}, "total_CFs"),
    ],
)
def test_bad_keywords(method, make, queries, keywords, message):
    ours = make(method)
    with pytest.raises(UserConfigValidationException, match=message):
        ours.generate_counterfactuals(queries[:1], **{"total_CFs": 2, **keywords})


def test_models_that_cannot_be_used(method, make, queries):
    class Silent:
        def predict(self, rows):
            return np.zeros(len(rows))

    class Wrong(Silent):
        def predict_proba(self, rows):
            return np.full((len(rows), 2), 7.0)

    class Nan(Silent):
        def predict_proba(self, rows):
            return np.full((len(rows), 2), np.nan)

    class Broken(Silent):
        def predict_proba(self, rows):
            raise KeyError("no such column")

    for model, message in (
        (Silent(), "has no predict_proba"),
        (Wrong(), "not probabilities"),
        (Nan(), "NaN"),
        (Broken(), "cannot be asked about the queries: KeyError"),
    ):
        with pytest.raises(UserConfigValidationException, match=message):
            make(method, model=model).generate_counterfactuals(queries[:1], 2)


def test_budgets_end_a_search_and_keep_what_was_found(method, make, queries):
    ours = make(method)
    few = ours.generate_counterfactuals(queries[:4], 3, max_model_calls=2)
    alone = ours.generate_counterfactuals(queries[2:3], 3, max_model_calls=2)
    pd.testing.assert_frame_equal(
        few.cf_examples_list[2].final_cfs_df, alone.cf_examples_list[0].final_cfs_df
    )
    late = ours.generate_counterfactuals(queries[:4], 3, max_seconds=1e-6)
    assert all(
        "max_seconds" in r for r, s in zip(late.reason, late.status, strict=True) if s != "ok"
    )


def test_never_over_the_time_budget(method, make, queries, forest, monkeypatch):
    """By a clock that only the model moves: a second a call, and one for every 2000 rows."""
    from dice_extended_plugin import found

    real = found.time.monotonic

    class Clock:
        now = zero = 0.0

        @classmethod
        def start(cls):
            cls.now, cls.zero = 0.0, real()

        @classmethod
        def monotonic(cls):
            return cls.zero + cls.now

    class Slow:
        classes_ = forest.classes_

        def predict_proba(self, rows):
            Clock.now += 1.0 + len(rows) / 2000
            return forest.predict_proba(rows)

    ours = make(method, model=Slow())
    ours.generate_counterfactuals(queries[:1], 2)  # the training table, once
    monkeypatch.setattr(found.time, "monotonic", Clock.monotonic)
    for seconds in (10, 20, 40):
        Clock.start()
        found_ = ours.generate_counterfactuals(queries[:4], 4, max_seconds=seconds)
        assert Clock.now <= seconds
    assert len(found_.to_frame()) > 0
    Clock.start()
    new = make(method, model=Slow())  # no time to ask about the training table
    new.generate_counterfactuals(queries[:4], 4, max_seconds=1.5)
    assert Clock.now <= 1.5


def test_silence_and_progress(method, make, queries, capsys):
    ours = make(method)
    ours.generate_counterfactuals(queries[:2], 2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    ours.generate_counterfactuals(queries[:2], 2, verbose=True)
    assert "2/2" in capsys.readouterr().err


def test_private_data(method, make, fit, queries, table):
    """Random and genetic work without a table; kd-tree says what it lacks."""
    features_ = {
        "age": [int(table["age"].min()), int(table["age"].max())],
        "sex": ["female", "male"],
        "bmi": [float(table["bmi"].min()), float(table["bmi"].max())],
        "glucose": ["high", "low", "mid"],
        "bp": [float(table["bp"].min()), float(table["bp"].max())],
        "cholesterol": ["a", "b", "c"],
        "s5": [float(table["s5"].min()), float(table["s5"].max())],
    }
    private = dice_ml.Data(
        features=features_,
        outcome_name="progression",
        type_and_precision={"bmi": ["float", 1], "bp": ["float", 2], "s5": ["float", 3]},
        mad={"age": 10, "bmi": 3, "bp": 9, "s5": 0.4},
    )
    keywords = {"model": fit(1), "backend": "PYT", "func": "ohe-min-max", "data": private}
    if method == "kdtree":
        with pytest.raises(UserConfigValidationException, match="training rows"):
            make(method, **keywords)
        return
    ours = make(method, **keywords)
    extra = {"initialization": "random"} if method == "genetic" else {}
    found = ours.generate_counterfactuals(queries[:3], 3, **extra)
    assert found.status == ["ok"] * 3
    same = [
        example.final_cfs_df.equals(example.final_cfs_df_sparse)
        for example in found.cf_examples_list
    ]
    assert same == [True] * 3  # as dice-ml's, which has no sparsity without a table
    if method == "genetic":
        with pytest.raises(UserConfigValidationException, match="initialization='random'"):
            ours.generate_counterfactuals(queries[:1], 2, initialization="kdtree")


def test_the_class_makes_an_explainer_from_dice_mls_arguments(method, data, forest):
    model = dice_ml.Model(model=forest, backend="sklearn")
    ours = explainer_class(method)(data, model)
    assert ours.report_draws == 64
    with pytest.raises(UserConfigValidationException, match="not a continuous feature"):
        explainer_class(method)(data, model, noise=NoiseModel(scale={"sex": 0.1}))
