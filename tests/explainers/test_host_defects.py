"""Each defect and leak of dice-ml 0.12's gradient path, and that ours does not have it.

Numbers in the docstrings are those of the host page's lists (``hosts/dice_ml.md``, section 1).
Where it costs little, a test shows the defect in dice-ml as well; what dice-ml does is only looked
at (:func:`show_stock`), so that a repaired dice-ml does not fail these tests.
"""

from __future__ import annotations

import copy
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402
from raiutils.exceptions import UserConfigValidationException  # noqa: E402

from dice_extended_plugin import DiceExtendedPyTorch  # noqa: E402

#: Long enough to return something; long enough to find k counterfactuals of an easy model.
QUICK = {"min_iter": 25, "max_iter": 40}
ENOUGH = {"min_iter": 50, "max_iter": 200}


class Linear(torch.nn.Module):
    """sigmoid(rows @ weights + bias), on one row or many."""

    def __init__(self, weights, bias):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))
        self.bias = torch.nn.Parameter(torch.tensor(float(bias)))

    def forward(self, rows):
        return torch.sigmoid(rows @ self.weights + self.bias).unsqueeze(-1)


def make_data(frame, continuous, **keywords):
    frame = frame.assign(y=[0, 1] * (len(frame) // 2) + [0] * (len(frame) % 2))
    return dice_ml.Data(
        dataframe=frame, continuous_features=continuous, outcome_name="y", **keywords
    )


def make(frame, continuous, module=None, func="ohe-min-max", slope=None, **keywords):
    """Our explainer on a table; by default of a linear model that uses every column."""
    data = frame if not isinstance(frame, pd.DataFrame) else make_data(frame, continuous)
    if module is None:
        from dice_extended_plugin.host import feature_space

        d = feature_space(data).n_columns
        rng = np.random.default_rng(0)
        slope = 4 * rng.choice([-1, 1], size=d) if slope is None else slope
        module = Linear(slope, -sum(slope) / 2)
    model = dice_ml.Model(model=module, backend="PYT", func=func)
    return DiceExtendedPyTorch(data, model, **{"report_draws": 8, **keywords})


def own_labels(explainer, table):
    """Labels by dice-ml's transformation and the user's module, nothing of ours between."""
    features = table[explainer.data_interface.feature_names]
    rows = explainer.model.transformer.transform(features)
    with torch.no_grad():
        out = explainer.model.model(torch.tensor(rows.to_numpy(dtype=float)).float()).numpy()
    out = out.reshape(len(rows), -1)
    return (out[:, 0] > 0.5).astype(int) if out.shape[1] == 1 else out.argmax(1)


def show_stock(call, *errors) -> None:
    """Run dice-ml: 0.12 raises one of `errors`, a repaired one returns."""
    with suppress(*errors):
        call()


def same_rows(a, b) -> bool:
    # As objects: pandas 3 gives text from a dict its own type.
    return a.to_frame().astype(object).equals(b.to_frame().astype(object))


@pytest.fixture
def mixed() -> pd.DataFrame:
    """60 rows: two continuous, two categorical features."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "colour": rng.choice(["red", "green", "blue"], 60),
            "height": rng.uniform(1.4, 2.0, 60).round(2),
            "size": rng.choice(["L", "S"], 60),
            "years": rng.integers(18, 80, 60),
        }
    )


# -- leaks --------------------------------------------------------------------------------------


def test_permitted_range_is_not_written_into_the_data_object(explainer, queries, data, stock):
    """Leak 1: the data object keeps the range, and the next call stays restricted."""
    ours = explainer(data=data)
    before = copy.deepcopy(data.permitted_range)
    free = ours.generate_counterfactuals(queries[:3], 3, **QUICK)
    ours.generate_counterfactuals(
        queries[:3], 3, permitted_range={"age": [40, 45], "glucose": ["low"]}, **QUICK
    )
    assert data.permitted_range == before
    assert (ours.minx.min(), ours.maxx.max()) == (0, 1)
    assert same_rows(free, ours.generate_counterfactuals(queries[:3], 3, **QUICK))
    theirs = stock()
    wanted = {f: before[f] for f in data.continuous_feature_names}
    show_stock(
        lambda: theirs.generate_counterfactuals(
            queries[:1], 1, permitted_range=wanted, min_iter=2, max_iter=3
        ),
        UserConfigValidationException,
    )
    if theirs.data_interface.permitted_range != before:  # dice-ml 0.12
        assert set(theirs.data_interface.permitted_range) == set(wanted)


def test_weights_of_one_in_the_first_call(explainer, queries, stock):
    """Leak 3: [1, 1, 1] counts as already set, and dice-ml raises AttributeError."""
    weights = {"proximity_weight": 1, "diversity_weight": 1, "categorical_penalty": 1}
    first = explainer().generate_counterfactuals(queries[:2], 2, **weights, **QUICK)
    later = explainer()
    later.generate_counterfactuals(queries[:2], 2, **QUICK)
    assert same_rows(first, later.generate_counterfactuals(queries[:2], 2, **weights, **QUICK))
    assert (own_labels(later, first.to_frame()) == first.to_frame()["progression"]).all()
    theirs = stock()
    show_stock(
        lambda: theirs.generate_counterfactuals(queries[:1], 2, max_iter=2, **weights),
        AttributeError,
        UserConfigValidationException,
    )


def test_feature_weights_are_not_cached(explainer, queries):
    """Leak 4: dice-ml keys its cache by the input, so a changed dictionary goes unnoticed."""
    ours = explainer()
    weights = {"bmi": 1.0, "age": 1.0}
    first = ours.generate_counterfactuals(queries[:3], 2, feature_weights=weights, **QUICK)
    weights["bmi"] = 40.0  # the same object, another content
    second = ours.generate_counterfactuals(queries[:3], 2, feature_weights=weights, **QUICK)
    fresh = explainer().generate_counterfactuals(queries[:3], 2, feature_weights=weights, **QUICK)
    assert same_rows(second, fresh)
    assert not same_rows(first, second)


def test_no_gradients_left_on_parameters(explainer, queries, fit, stock):
    """Leak 5: dice-ml leaves ``.grad`` on the model's parameters."""
    module = copy.deepcopy(fit(1))
    explainer(model=module).generate_counterfactuals(queries[:2], 2, **QUICK)
    assert all(p.grad is None for p in module.parameters())
    theirs = stock()
    theirs.model.model = copy.deepcopy(theirs.model.model)
    show_stock(
        lambda: theirs.generate_counterfactuals(queries[:1], 1, max_iter=3),
        UserConfigValidationException,
    )
    if any(p.grad is not None for p in theirs.model.model.parameters()):  # dice-ml 0.12
        assert all(p.grad is None for p in fit(1).parameters())


def test_a_users_own_gradients_survive(explainer, queries, fit):
    """Leak 5: neither added to nor zeroed, in the middle of somebody's training step."""
    module = copy.deepcopy(fit(1))
    for p in module.parameters():
        p.grad = torch.full_like(p, 3.0)
    explainer(model=module).generate_counterfactuals(queries[:2], 2, **QUICK)
    assert all((p.grad == 3.0).all() for p in module.parameters())


def test_dropout_is_off(explainer, queries, fit):
    """Leak 5: dice-ml never calls ``eval()``, so dropout moves the answer."""
    module = copy.deepcopy(torch.nn.Sequential(fit(1)[:2], torch.nn.Dropout(0.8), fit(1)[2:]))
    module.train()
    noisy = explainer(model=module).generate_counterfactuals(queries[:3], 2, **QUICK)
    plain = explainer().generate_counterfactuals(queries[:3], 2, **QUICK)
    assert module.training and module[1].training
    assert same_rows(noisy, plain)
    rows = torch.rand(4, 12)
    assert not torch.equal(module(rows), module(rows))  # it is on again


def test_batch_norm_works_and_its_statistics_stay(explainer, queries, fit, data):
    """Defect 12: dice-ml calls models with a 1-D row, which BatchNorm refuses."""
    torch.manual_seed(0)
    first = fit(1)
    norm = torch.nn.BatchNorm1d(8)
    norm.running_mean += 0.3
    module = torch.nn.Sequential(copy.deepcopy(first[:2]), norm, copy.deepcopy(first[2:])).train()
    before = copy.deepcopy(module.state_dict())
    ours = explainer(model=module)
    found = ours.generate_counterfactuals(queries[:3], 2, **ENOUGH)
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert found.status == ["ok"] * 3
    module.eval()
    table = found.to_frame()
    assert (own_labels(ours, table) == table["progression"]).all()
    model = dice_ml.Model(model=module, backend="PYT", func="ohe-min-max")
    theirs = dice_ml.Dice(data, model, method="gradient")
    show_stock(
        lambda: theirs.generate_counterfactuals(queries[:1], 1, max_iter=2),
        ValueError,
        UserConfigValidationException,
    )


def test_global_generators_are_left_alone(explainer, queries, stock):
    """Leak 6: no seeds at all (TypeError) in dice-ml, and it draws from the global generators."""
    ours = explainer()
    keywords = {"algorithm": "RandomInitCF", "tie_random": True, **QUICK}
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    first = ours.generate_counterfactuals(queries[:3], 3, random_state=7, **keywords)
    drawn = random.random(), np.random.rand(), float(torch.rand(()))
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    assert drawn == (random.random(), np.random.rand(), float(torch.rand(())))
    random.seed(4), np.random.seed(4), torch.manual_seed(4)
    assert same_rows(
        first, ours.generate_counterfactuals(queries[:3], 3, random_state=7, **keywords)
    )
    assert not same_rows(
        first, ours.generate_counterfactuals(queries[:3], 3, random_state=8, **keywords)
    )
    theirs = stock()
    show_stock(
        lambda: theirs.generate_counterfactuals(queries[:1], 1, random_state=7, max_iter=2),
        TypeError,
        UserConfigValidationException,
    )


def test_making_an_explainer_draws_nothing_either(explainer):
    """Leak 6: dice-ml's constructor asks the model about random rows."""
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    explainer()
    drawn = random.random(), np.random.rand(), float(torch.rand(()))
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    assert drawn == (random.random(), np.random.rand(), float(torch.rand(())))


def test_two_threads_share_one_explainer(explainer, queries):
    """Leak 7: dice-ml keeps the state of the query on the instance."""
    ours = explainer()
    calls = [
        {"query_instances": queries[i : i + 2], "total_CFs": 2 + i % 2, **extra, **QUICK}
        for i, extra in enumerate(
            [
                {"desired_class": 1},
                {"desired_class": 0, "stopping_threshold": 0.3},
                {"permitted_range": {"bmi": [20, 30]}},
                {"features_to_vary": ["bmi", "bp", "s5"]},
                {"random_state": 5, "algorithm": "RandomInitCF"},
                {"proximity_weight": 2.0, "robustness": None},
            ]
        )
    ]
    serial = [ours.generate_counterfactuals(**call) for call in calls]
    with ThreadPoolExecutor(2) as pool:
        threaded = list(pool.map(lambda call: ours.generate_counterfactuals(**call), calls))
    for a, b in zip(serial, threaded, strict=True):
        assert same_rows(a, b)
        assert a.status == b.status


# -- defects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_opposite_needs_no_array_to_scalar_conversion(explainer, queries, n_outputs):
    """Defect 1: on numpy >= 2.4 int(array of one) is a TypeError; ours converts none.

    Deprecated since numpy 1.25, so that a warning turned into an error shows it on any version.
    """
    import warnings

    ours = explainer(n_outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        found = ours.generate_counterfactuals(queries[:3], 2, **QUICK)
        ours.local_feature_importance(queries[:1], total_CFs=10, **QUICK)
    wanted = [example.desired_class for example in found.cf_examples_list]
    assert wanted == [1 - label for label in own_labels(ours, queries[:3])]
    assert all(type(label) is int for label in wanted)


def test_json_can_be_read_again(explainer, queries):
    """Defect 2: with pandas 3 dice-ml's reader of the first form takes the text for a file name."""
    found = explainer().generate_counterfactuals(queries[:2], 2, **QUICK)
    text = found.to_json()
    again = type(found).from_json(text)
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame(), check_dtype=False)
    assert again.to_json() == text


@pytest.mark.parametrize("desired", [0, 1, 2])
def test_three_classes(explainer, queries, desired):
    """Defect 4: dice-ml always raises the last column; asked for class 1 it returned class 2."""
    ours = explainer(3)
    found = ours.generate_counterfactuals(queries[:4], 3, desired_class=desired, **ENOUGH)
    table = found.to_frame()
    assert len(table) >= 9
    assert (own_labels(ours, table) == desired).all()
    assert (table["progression"] == desired).all()


def test_permitted_range_of_one_feature_is_enough(explainer, queries, stock):
    """Defect 5: KeyError unless every continuous feature is listed."""
    only = {"bmi": [21.05, 26.5]}
    found = explainer().generate_counterfactuals(queries[:3], 3, permitted_range=only, **QUICK)
    for example in found.cf_examples_list:
        for table in (example.final_cfs_df, example.final_cfs_df_sparse):
            assert table["bmi"].between(21.05, 26.5).all()
    theirs = stock()
    assert len(found.to_frame()) > 0
    show_stock(
        lambda: theirs.generate_counterfactuals(queries[:1], 1, permitted_range=only, max_iter=2),
        KeyError,
        UserConfigValidationException,
    )


def test_permitted_levels_are_respected(explainer, queries):
    """Defect 5: dice-ml's gradient method ignores levels."""
    ours = explainer(robustness=None)
    free = ours.generate_counterfactuals(queries[:6], 4, **QUICK).to_frame()
    gone = free["cholesterol"].mode()[0]
    keep = [level for level in "abc" if level != gone]
    found = ours.generate_counterfactuals(
        queries[:6], 4, permitted_range={"cholesterol": keep}, **QUICK
    ).to_frame()
    assert len(found) > 0
    assert found["cholesterol"].isin(keep).all()


@pytest.mark.parametrize("ends", [(40, 60), (33, 34), (41.3, 59.7), (50, 50)])
def test_rounding_stays_inside_the_permitted_range(explainer, queries, ends):
    """Defect 5: dice-ml rescales with the permitted range when it rounds: asked 40-60, got 39."""
    found = explainer().generate_counterfactuals(
        queries[:6], 4, permitted_range={"age": list(ends)}, **QUICK
    )
    for example in found.cf_examples_list:
        for table in (example.final_cfs_df, example.final_cfs_df_sparse):
            assert table["age"].between(*ends).all()
            assert (table["age"] == table["age"].round()).all()
    assert len(found.to_frame()) > 0


def test_permitted_range_of_the_data_object(table, explainer, queries):
    """Defect 5: ``dice_ml.Data(permitted_range=...)`` has the same faults."""
    data = dice_ml.Data(
        dataframe=table,
        continuous_features=["age", "bmi", "bp", "s5"],
        outcome_name="progression",
        permitted_range={"age": [35, 55], "glucose": ["mid", "high"]},
    )
    ours = explainer(data=data)
    found = ours.generate_counterfactuals(queries[:6], 3, **QUICK).to_frame()
    assert len(found) > 6
    assert found["age"].between(35, 55).all()
    assert found["glucose"].isin(["mid", "high"]).all()
    narrower = ours.generate_counterfactuals(
        queries[:6], 3, permitted_range={"age": [40, 50]}, **QUICK
    ).to_frame()
    assert narrower["age"].between(40, 50).all()
    assert narrower["glucose"].isin(["mid", "high"]).all()


def test_a_tie_is_not_a_counterfactual(mixed):
    """Defect 6: dice-ml counts probability 0.5 (>=) as valid for either class."""

    class Undecided(torch.nn.Module):
        def forward(self, rows):
            steep = 30 * (rows[:, :1] - 0.7)
            return torch.sigmoid(torch.relu(steep))  # exactly 0.5 up to 0.7

    ours = make(mixed, ["height", "years"], module=Undecided())
    query = mixed.assign(height=1.5)[:2]
    found = ours.generate_counterfactuals(query, 3, desired_class=1, **ENOUGH)
    table = found.to_frame()
    assert set(table["query"]) == {0, 1}
    assert (table["probability"] > 0.5).all()
    assert (own_labels(ours, table) == 1).all()
    nothing = ours.generate_counterfactuals(
        query, 2, desired_class=1, features_to_vary=["years", "size"], **QUICK
    )
    assert nothing.status == ["none", "none"]
    down = ours.generate_counterfactuals(query, 2, desired_class=0, **QUICK)
    assert down.status == ["none", "none"]


@pytest.mark.parametrize("wanted", [False, True])
def test_boolean_features_come_back_as_they_are(mixed, wanted):
    """Defect 7: dice-ml's ``astype(bool)`` makes True of the text "False"."""
    frame = mixed.assign(member=[True, False] * 30)[["member", "height", "colour"]]
    # columns: height, member_False, member_True, colour_*: only membership counts
    slope = [0, -5, 5, 0, 0, 0] if wanted else [0, 5, -5, 0, 0, 0]
    ours = make(frame, ["height"], slope=slope)
    query = frame[frame["member"] != wanted][:3]
    found = ours.generate_counterfactuals(query, 2, desired_class=1, **ENOUGH).to_frame()
    assert len(found) >= 3
    assert found["member"].dtype == bool
    assert (found["member"] == wanted).all()
    assert (own_labels(ours, found) == 1).all()
    kept = ours.generate_counterfactuals(
        query, 2, desired_class=0, features_to_vary=["height", "colour"], **QUICK
    ).to_frame()
    assert (kept["member"] == (not wanted)).all()


def test_queries_of_category_dtype(mixed):
    """Defect 7: levels that the query's dtype does not list come back as NaN in dice-ml."""
    query = mixed[:3].astype({"colour": "category", "size": "category"})
    query["colour"] = query["colour"].cat.remove_unused_categories()
    slope = [0, 0] + [-6 if f"colour_{c}" in query["colour"].map("colour_{}".format).values else 6
                      for c in ("blue", "green", "red")] + [0, 0]  # fmt: skip
    if all(s < 0 for s in slope[2:5]):
        query, slope = query[:1], None
    ours = make(mixed, ["height", "years"], slope=slope)
    found = ours.generate_counterfactuals(query, 3, **ENOUGH).to_frame()
    assert len(found) > 0
    assert not found.isna().any().any()
    assert found["colour"].isin(["red", "green", "blue"]).all()
    plain = ours.generate_counterfactuals(
        query.astype({"colour": object, "size": object}), 3, **ENOUGH
    )
    assert (plain.to_frame()["colour"] == found["colour"].astype(object)).all()
    assert (own_labels(ours, found.astype({"colour": object, "size": object})) == found["y"]).all()


@pytest.mark.parametrize("kind", ["int64", "int8", "float64", object, str])
def test_integer_coded_categorical_features(mixed, kind):
    """Defect 13: dice-ml hands them on as text; ours keep the query's type."""
    frame = mixed.assign(code=np.arange(60) % 4)[["height", "code"]]
    ours = make(frame, ["height"], slope=[0, 6, -6, -6, -6])
    query = frame[frame["code"] > 0][:3].astype({"code": kind})
    found = ours.generate_counterfactuals(query, 2, desired_class=1, **ENOUGH)
    table = found.to_frame()
    assert found.status == ["ok"] * 3
    assert (table["code"].astype(float) == 0).all()
    assert table["code"].dtype == query["code"].dtype
    kept = ours.generate_counterfactuals(query, 2, desired_class=0, **QUICK).to_frame()
    assert (kept["code"].astype(float) > 0).all()
    permitted = ours.generate_counterfactuals(
        query, 2, desired_class=0, permitted_range={"code": [1, 2]}, **QUICK
    ).to_frame()
    assert permitted["code"].astype(float).isin([1, 2]).all()


@pytest.mark.parametrize(("desired", "threshold"), [(1, 0.4), (0, 0.6)])
def test_the_stopping_threshold_is_not_replaced(explainer, queries, stock, desired, threshold):
    """Defect 10: below 0.5 for class 1 dice-ml takes 0.75, above for class 0 it takes 0.25."""
    found = explainer(robustness=None).generate_counterfactuals(
        queries[:6], 3, desired_class=desired, stopping_threshold=threshold,
        posthoc_sparsity_param=1.0, proximity_weight=3.0, **ENOUGH,
    )  # fmt: skip
    p = found.to_frame()["probability"]
    assert (p > 0.5).all()
    assert p.min() < 0.75
    theirs = stock()
    show_stock(
        lambda: theirs.generate_counterfactuals(
            queries[:1], 1, desired_class=desired, stopping_threshold=threshold, max_iter=3
        ),
        UserConfigValidationException,
    )
    if theirs.stopping_threshold != threshold:  # dice-ml 0.12
        assert theirs.stopping_threshold in (0.75, 0.25)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8, np.float64, float])
def test_desired_class_of_any_integer_type(explainer, queries, kind):
    """Defect 10: np.int64 is refused by all methods but gradient."""
    ours = explainer()
    found = ours.generate_counterfactuals(queries[:2], 2, desired_class=kind(1), **QUICK)
    assert (found.to_frame()["progression"] == 1).all()
    assert type(found.cf_examples_list[0].desired_class) is int
    assert type(found).from_json(found.to_json()).cf_examples_list[0].desired_class == 1


def test_dict_queries(explainer, queries, stock):
    """Defect 10: documented, but AttributeError in dice-ml."""
    record = queries.iloc[0].to_dict()
    ours = explainer()
    from_dict = ours.generate_counterfactuals(record, 2, **QUICK)
    assert same_rows(from_dict, ours.generate_counterfactuals(queries[:1], 2, **QUICK))
    assert record == queries.iloc[0].to_dict()
    theirs = stock()
    show_stock(
        lambda: theirs.generate_counterfactuals(record, 1, max_iter=2),
        AttributeError,
        UserConfigValidationException,
    )


def test_private_data_with_torch(table, fit, queries):
    """Defect 10: dice-ml's gradient method needs ``data_df`` and raises."""
    ages, bmis = table["age"], table["bmi"]
    data = dice_ml.Data(
        features={
            "age": [int(ages.min()), int(ages.max())],
            "bmi": [float(bmis.min()), float(bmis.max())],
            "glucose": ["low", "mid", "high"],
            "sex": ["male", "female"],
        },
        type_and_precision={"age": "int", "bmi": ["float", 1]},
        mad={"age": 10.0, "bmi": 3.0},
        outcome_name="progression",
    )
    names = ["age", "bmi", "glucose", "sex"]
    ours = make(data, None, slope=[1.0, 8.0, -2.0, 0.0, 2.0, 1.0, -1.0])
    found = ours.generate_counterfactuals(queries[names], 3, **ENOUGH)
    assert found.status == ["ok"] * len(queries)
    assert all(e.final_cfs_df_sparse is None for e in found.cf_examples_list)
    rows = found.to_frame()
    assert rows["glucose"].isin(["low", "mid", "high"]).all()
    assert (rows["age"] == rows["age"].round()).all()
    assert (rows["bmi"].round(1) == rows["bmi"]).all()
    assert (own_labels(ours, rows) == rows["progression"]).all()
    model = dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")
    show_stock(lambda: dice_ml.Dice(data, model, method="gradient"), AttributeError)
    found.to_json()


def test_names_that_begin_alike(mixed):
    """Defect 10: dice-ml finds groups by startswith, so that "size" swallows "size_x"."""
    frame = mixed.assign(size_x=np.resize(["p", "q", "r"], 60), size_x_p=np.resize(["u", "v"], 60))[
        ["size", "size_x", "size_x_p", "height"]
    ]
    # height | size L S | size_x p q r | size_x_p u v
    ours = make(frame, ["height"], slope=[1, 8, -8, 9, -9, 9, -4, 4], robustness=None)
    assert [len(b) for b in ours.encoded_categorical_feature_indexes] == [2, 3, 2]
    assert sorted(chain(*ours.encoded_categorical_feature_indexes)) == list(range(1, 8))
    for vary in (["size"], ["size_x"], ["size", "height"]):
        found = ours.generate_counterfactuals(frame[:6], 2, features_to_vary=vary, **ENOUGH)
        for i, example in enumerate(found.cf_examples_list):
            for f in set(frame.columns) - set(vary):
                assert (example.final_cfs_df[f] == frame[f].iloc[i]).all()
        changed = found.to_frame()
        assert len(changed) > 0
        assert (own_labels(ours, changed) == changed["y"]).all()
    everything = ours.generate_counterfactuals(frame[:6], 2, **ENOUGH)
    assert everything.status == ["ok"] * 6


def test_two_features_with_the_same_encoded_names():
    """Defect 10: "a" with level "b_c" and "a_b" with level "c" give one column name twice."""
    frame = pd.DataFrame(
        {"a": np.resize(["b_c", "x"], 12), "a_b": np.resize(["c", "d", "e"], 12), "n": range(12)}
    )
    try:
        ours = make(frame, ["n"])
        found = ours.generate_counterfactuals(frame[:4], 2, **ENOUGH)
    except ValueError as error:  # as good: said, not silently wrong
        assert "a_b_c" in str(error)
    else:
        table = found.to_frame()
        assert (own_labels(ours, table) == table["y"]).all()


def test_modes_like_1e_06(mixed):
    """Defect 10: dice-ml splits "1e-06" at the point and raises IndexError."""
    frame = mixed.assign(height=np.resize([1e-06, 2.5e-05, 1e-06, 4e-05], 60))
    ours = make(frame, ["height", "years"])
    assert ours.cont_precisions[0] >= 6
    found = ours.generate_counterfactuals(
        frame[:4], 3, features_to_vary=["height", "years"], **ENOUGH
    )
    table = found.to_frame()
    assert len(table) > 0
    assert table["height"].between(1e-06, 4.0001e-05).all()
    assert table["height"].nunique() > 1
    data = make_data(frame, ["height", "years"])
    show_stock(data.get_decimal_precisions, IndexError)


def test_a_model_without_sigmoid_is_named(explainer, queries, fit):
    """Defect 10: NaN in the optimiser surfaces as "list index out of range" in dice-ml."""
    ours = explainer(model=fit(1)[:3])
    with pytest.raises(ValueError, match="Sigmoid"):
        ours.generate_counterfactuals(queries, 2, **QUICK)
    two = torch.nn.Sequential(fit(2)[:3])
    with pytest.raises(ValueError, match="Softmax"):
        explainer(model=two).generate_counterfactuals(queries, 2, **QUICK)


def test_saturated_models_give_no_nan(mixed):
    """Defect 10: probabilities of exactly 0 and 1 have no finite log-odds."""
    ours = make(mixed, ["height", "years"], slope=[400, 400, 0, 0, 0, 0, 0])
    with torch.no_grad():
        ours.model.model.bias.fill_(-400.0)
    for loss in ("hinge_loss", "log_loss", "l2_loss"):
        found = ours.generate_counterfactuals(mixed[:4], 2, yloss_type=loss, **QUICK)
        table = found.to_frame()
        assert not table.isna().any().any()
        assert (own_labels(ours, table) == table["y"]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_search_runs_in_one_precision_on_one_device(explainer, queries, monkeypatch, dtype):
    """Defect 11: dice-ml's weights and query are float64, its candidates float32 and on the CPU."""
    from dice_extended_plugin.objective import Objective

    own, seen = Objective.terms, []

    def watched(self, u, x):
        terms, scores = own(self, u, x)
        seen.extend((value.dtype, value.device.type) for value in (u, scores, *terms.values()))
        return terms, scores

    monkeypatch.setattr(Objective, "terms", watched)
    ours = explainer(dtype=dtype, device="cpu")
    ours.generate_counterfactuals(queries[:2], 2, **QUICK)
    assert set(seen) == {(dtype, "cpu")}


def test_nothing_is_printed(explainer, queries, capsys):
    """Defect 12: dice-ml prints its verdict whatever ``verbose`` says."""
    ours = explainer()
    capsys.readouterr()
    ours.generate_counterfactuals(queries[:2], 2, verbose=False, **QUICK)
    assert capsys.readouterr() == ("", "")


def test_the_outcome_column_holds_labels_in_every_frame(explainer, queries, stock):
    """Defect 12: probabilities in ``final_cfs_df``, labels in ``final_cfs_df_sparse``."""
    found = explainer().generate_counterfactuals(queries[:4], 2, **ENOUGH)
    for example in found.cf_examples_list:
        frames = (example.final_cfs_df, example.final_cfs_df_sparse, example.test_instance_df)
        for frame in frames:
            assert frame["progression"].isin([0, 1]).all()
            assert frame["progression"].dtype.kind == "i"
            assert list(frame.columns) == [*queries.columns, "progression"]
        assert (frames[0]["progression"] == frames[1]["progression"]).all()
        assert (frames[0]["progression"] != frames[2]["progression"].iloc[0]).all()


# -- tables and models beyond the usual ---------------------------------------------------------


@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "a", "b"]])
@pytest.mark.parametrize("columns", [["a", "b", "c"], ["b", "c", "a"]])
def test_continuous_only_tables(order, columns):
    """The encoding follows continuous_features, not the table's order; ours must as well."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.integers(0, 10, 40),
            "b": rng.uniform(100, 200, 40).round(1),
            "c": rng.uniform(-1, 1, 40).round(3),
        }
    )[columns]
    # only "b" counts, wherever dice-ml's transformation puts it
    data = make_data(frame, order)
    place = list(data.get_ohe_min_max_normalized_data(frame[:1]).columns).index("b")
    slope = [0.0, 0.0, 0.0]
    slope[place] = 10.0
    ours = make(data, None, slope=slope)
    assert list(ours.space.columns)[place] == "b"
    found = ours.generate_counterfactuals(frame[:5], 3, **ENOUGH)
    table = found.to_frame()
    assert found.status == ["ok"] * 5
    assert (own_labels(ours, table) == table["y"]).all()
    for i, example in enumerate(found.cf_examples_list):
        assert (example.final_cfs_df_sparse["b"] != frame["b"].iloc[i]).all()
    kept = ours.generate_counterfactuals(
        frame[:5], 2, features_to_vary=["b"], permitted_range={"b": [120, 180]}, **QUICK
    ).to_frame()
    assert len(kept) > 0
    assert kept["b"].between(120, 180).all()
    own = frame[:5].iloc[kept["query"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[["a", "c"]], own[["a", "c"]])


@pytest.mark.parametrize("robustness", [None, "dice", "validity"])
def test_categorical_only_tables(mixed, robustness):
    frame = mixed[["colour", "size"]]
    ours = make(frame, [], slope=[4, 4, -4, 4, -4], robustness=robustness)
    for keywords in ({}, {"algorithm": "RandomInitCF"}, {"posthoc_sparsity_algorithm": "binary"}):
        found = ours.generate_counterfactuals(frame[:4], 2, **keywords, **ENOUGH)
        table = found.to_frame()
        assert len(table) >= 4
        assert (own_labels(ours, table) == table["y"]).all()
        assert table["colour"].isin(["red", "green", "blue"]).all()


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
@pytest.mark.parametrize("columns", [["a", "b"], ["b", "a"]])
def test_models_on_raw_continuous_features(order, columns):
    """func=None: the module sees the table's own units in the table's column order."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(0, 1000, 40).round(0), "b": rng.uniform(0, 1, 40)})
    frame = frame.round(2)[columns]

    class Raw(torch.nn.Module):
        seen = 0.0

        def forward(self, rows):
            a, b = rows[:, columns.index("a")], rows[:, columns.index("b")]
            return torch.sigmoid((a - 500) / 100 + 0 * b).unsqueeze(1)

    ours = make(frame, order, module=Raw(), func=None)
    found = ours.generate_counterfactuals(frame[:6], 3, **ENOUGH)
    table = found.to_frame()
    assert found.status == ["ok"] * 6
    label = (table["a"] > 500).astype(int)
    assert (label == table["y"]).all()
    assert (label != (frame["a"].iloc[table["query"]].to_numpy() > 500)).all()
    turned = ours.generate_counterfactuals(frame[:6].iloc[:, ::-1], 3, **ENOUGH)
    assert same_rows(found, turned)


def test_the_querys_column_order_does_not_matter(explainer, queries):
    ours = explainer()
    first = ours.generate_counterfactuals(queries[:3], 2, **QUICK)
    shuffled = queries[:3][["s5", "sex", "age", "cholesterol", "bp", "glucose", "bmi"]]
    second = ours.generate_counterfactuals(shuffled, 2, **QUICK)
    assert same_rows(first, second)
    assert list(second.cf_examples_list[0].final_cfs_df.columns[:-1]) == list(queries.columns)


def test_a_query_outside_the_data_range(explainer, queries):
    """Its own value may stay; what moves, moves to where the data is or stays where it was."""
    ours = explainer()
    odd = queries[:3].assign(bmi=[80.0, 5.0, 30.0], age=[120, 1, 50])
    found = ours.generate_counterfactuals(odd, 3, **ENOUGH)
    low, high = ours.space.low, ours.space.high
    for i, example in enumerate(found.cf_examples_list):
        for table in (example.final_cfs_df, example.final_cfs_df_sparse):
            for j, f in enumerate(ours.space.continuous):
                own = odd[f].iloc[i]
                eps = 1e-5 * (high[j] - low[j])
                assert table[f].between(min(low[j], own) - eps, max(high[j], own) + eps).all()
            assert (own_labels(ours, table) == example.desired_class).all()
    frozen = ours.generate_counterfactuals(odd, 2, features_to_vary=["bp", "s5"], **QUICK)
    table = frozen.to_frame()
    assert (table["bmi"] == odd["bmi"].to_numpy()[table["query"]]).all()
    inside = ours.generate_counterfactuals(
        odd, 2, permitted_range={"bmi": [20, 40], "age": [30, 60]}, **QUICK
    ).to_frame()
    assert inside["bmi"].between(20, 40).all()
    assert inside["age"].between(30, 60).all()


def test_a_query_already_in_the_desired_class(explainer, queries):
    """Allowed, as in dice-ml: rows of that class, near the query; nothing raised."""
    ours = explainer()
    before = own_labels(ours, queries[:6])
    assert set(before) == {0, 1}
    found = ours.generate_counterfactuals(queries[:6], 2, desired_class=1, **ENOUGH)
    assert found.status == ["ok"] * 6
    assert (own_labels(ours, found.to_frame()) == 1).all()
    for example, label in zip(found.cf_examples_list, before, strict=True):
        assert example.test_instance_df["progression"].iloc[0] == label


def test_constant_and_mad_zero_features(mixed, caplog):
    """A width or a MAD of 0 divides nothing by zero; a constant is named in the log."""
    frame = mixed.assign(fixed=5, label="only", mostly=np.where(np.arange(60) % 7, 1.0, 9.5))
    with caplog.at_level(logging.WARNING):
        ours = make(frame, ["height", "years", "fixed", "mostly"])
    assert "'fixed'" in caplog.text
    found = ours.generate_counterfactuals(frame[:4], 3, **ENOUGH)
    table = found.to_frame()
    assert found.status == ["ok"] * 4
    assert (table["fixed"] == 5).all()
    assert (table["label"] == "only").all()
    assert not table.isna().any().any()
    assert (own_labels(ours, table) == table["y"]).all()
    for only in (["fixed"], ["label"], ["fixed", "label"]):
        with pytest.raises(ValueError, match="features_to_vary"):
            ours.generate_counterfactuals(frame[:1], 1, features_to_vary=only, **ENOUGH)
    found.to_json()


def test_integer_data_with_float_queries_and_the_other_way_round(mixed):
    """dice-ml writes results in the query's dtypes; decimals must not be cut off on the way."""
    ours = make(mixed, ["height", "years"])
    whole = mixed[:3].assign(height=[1, 2, 2])  # int64, though the feature has two decimals
    found = ours.generate_counterfactuals(whole, 3, **ENOUGH).to_frame()
    assert (own_labels(ours, found) == found["y"]).all()
    assert ((found["height"] * 100).round(6) % 1 == 0).all()
    floats = mixed[:3].astype({"years": float})
    again = ours.generate_counterfactuals(floats, 3, **ENOUGH).to_frame()
    assert again["years"].dtype == float
    assert (again["years"] % 1 == 0).all()
