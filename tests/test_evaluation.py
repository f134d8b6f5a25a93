"""Explainers side by side: ours, stock dice-ml and callables; failures, tests, tables, JSON."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import dice_ml
import numpy as np
import pandas as pd
import pytest

from dice_extended_plugin import host
from dice_extended_plugin.calls import counted
from dice_extended_plugin.comparison import Comparison
from dice_extended_plugin.confidence import match_proximity
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.evaluation import compare, held_out_noises, measure
from dice_extended_plugin.generation import generate
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.sets import Protocol

QUICK = Protocol(n_draws=50, n_neighbours=50, n_moves=2)
FEW = ["validity", "found", "proximity", "l1", "diversity", "noise_validity", "rho_lit", "seconds"]


@pytest.fixture(scope="module")
def pipeline(table):
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def fit(rows=None, model=None, outcome=None):
        part = table if rows is None else table.iloc[rows]
        encode = make_column_transformer(
            (OneHotEncoder(handle_unknown="error"), ["sex", "glucose", "cholesterol"]),
            (StandardScaler(), ["age", "bmi", "bp", "s5"]),
        )
        made = make_pipeline(encode, model or LogisticRegression())
        return made.fit(
            part.drop(columns="progression"), part["progression"] if outcome is None else outcome
        )

    return fit


@pytest.fixture
def model(pipeline):
    return dice_ml.Model(model=pipeline(), backend="sklearn")


def label(model, frame):
    return model.model.predict(frame)


@pytest.fixture
def nearest(table, model):
    """Return a callable explainer: rows of the other class, nearest in age and bmi."""

    def make(shift=0):
        rows = table.drop(columns="progression")
        labels = label(model, rows)

        def explain(queries, k, **keywords):
            tables = []
            for i, own in enumerate(label(model, queries)):
                other = rows[labels != own]
                away = (other[["age", "bmi"]] - queries.iloc[i][["age", "bmi"]].astype(float)).abs()
                order = away.sum(axis=1).sort_values(kind="stable").index
                tables.append(other.loc[order[shift : shift + k]])
            return tables

        return explain

    return make


@pytest.fixture
def run(data, model, queries):
    def go(explainers, k=3, **keywords):
        keywords = {"data": data, "model": model, "protocol": QUICK, "held_out": {}, **keywords}
        return compare(explainers, queries, k, **keywords)

    return go


def test_callables_are_measured_and_paired(run, nearest, queries, data):
    found = run({"near": nearest(), "far": nearest(60)}, held_out=None)
    assert found.explainers == ["near", "far"] and found.baseline == "near"
    assert (found.per_query("validity") == 1).all().all()
    table = found.to_frame()
    assert table.loc[("l1", "far"), "mean"] > table.loc[("l1", "near"), "mean"]
    assert table.loc[("l1", "near"), "n"] == len(queries)
    assert {"lof", "fidelity_one", "invalidation_rate", "noise_validity_all"} <= set(
        found.metrics.index
    )
    # by hand, from the tables themselves
    space = host.feature_space(data)
    weights = host.column_weights(data, space, "inverse_mad")
    parts = nearest()(queries, 3)
    away = [np.abs(space.encode(p) - space.encode(queries.iloc[[i]])) for i, p in enumerate(parts)]
    expected = [(a * weights).sum(1).mean() / space.n_columns for a in away]
    np.testing.assert_allclose(found.per_query("proximity")["near"], expected)
    kept = found.counterfactuals[found.counterfactuals["explainer"] == "near"]
    assert kept["valid"].all() and kept["bmi"].tolist() == pd.concat(parts)["bmi"].tolist()
    tests = found.tests(["l1", "noise_validity"])
    assert list(tests["metric"]) == ["l1", "noise_validity"] and (tests["a"] == "far").all()
    values = found.per_query("l1")
    assert tests["mean_difference"][0] == pytest.approx((values["far"] - values["near"]).mean())
    assert tests["p_t_holm"].ge(tests["p_t"]).all()
    both = found.tests(["l1"], pairs=[("near", "far"), ("far", "near")])
    assert both["dz"][0] == pytest.approx(-both["dz"][1])
    assert not {"seconds", "noise_validity_low"} & set(found.tests()["metric"])


def test_a_failing_explainer_or_query_is_not_valid_and_says_why(run, nearest, queries):
    good = nearest()

    def broken(queries, k):
        raise RuntimeError("out of luck")

    def some(queries, k):
        if len(queries) > 1:
            raise ValueError("one at a time")
        if queries["age"].iloc[0] > 50:
            raise ZeroDivisionError("too old")
        return good(queries, k)

    def odd(queries, k):
        tables = [table.copy() for table in good(queries, k)]
        tables[0].iloc[0, tables[0].columns.get_loc("glucose")] = "none such"
        tables[1] = tables[1].drop(columns="age")
        tables[2] = None
        tables[3] = tables[3].iloc[:1]
        tables[4] = tables[4].assign(extra=1, progression=0)
        return tables

    found = run({"good": good, "broken": broken, "some": some, "odd": odd}, metrics=FEW)
    validity = found.per_query("validity")
    old = queries["age"].to_numpy() > 50
    assert 0 < old.sum() < len(old)
    np.testing.assert_array_equal(validity["broken"], 0)
    np.testing.assert_array_equal(validity["some"], np.where(old, 0, 1))
    np.testing.assert_allclose(validity["odd"][:6], [2 / 3, 0, 0, 1 / 3, 1, 1])
    assert found.per_query("l1")["broken"].isna().all()
    said = found.outcomes.set_index(["explainer", "query"])["reason"]
    assert said["broken", 3] == "RuntimeError: out of luck"
    assert said["some", int(np.argmax(old))] == "ZeroDivisionError: too old"
    assert "none such" in said["odd", 0] and "lacks the column(s) ['age']" in said["odd", 1]
    assert said["odd", 2] == "no counterfactual was returned"
    assert said["odd", 3] == "1 of 3 counterfactuals were returned"
    assert found.outcomes["status"].value_counts()["partial"] == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = found.to_markdown()
    assert "broken 12 (first: RuntimeError: out of luck)" in text
    tests = found.tests(["l1", "validity"]).set_index(["metric", "a"])
    assert tests.loc[("l1", "broken"), "n"] == 0 and np.isnan(tests.loc[("l1", "broken"), "p_t"])
    assert tests.loc[("l1", "some"), "n"] == (~old).sum()
    assert tests.loc[("validity", "broken"), "mean_difference"] == -1


def test_held_out_noises_are_those_of_the_noise_searched_on(data):
    space = host.feature_space(data)
    noises = held_out_noises(NoiseModel(scale={"age": 0.2}, flip=0.3, family="uniform"), space)
    assert noises["noise_validity_half_scale"].scale == {
        "age": 0.1, "bmi": 0.025, "bp": 0.025, "s5": 0.025,
    }  # fmt: skip
    assert noises["noise_validity_double_scale"].scale["age"] == 0.4
    assert noises["noise_validity_all"].scope == "all"
    assert all(noise.flip == 0.3 for noise in noises.values())
    families = {"noise_validity_gaussian", "noise_validity_heavy_tailed"}
    assert families < set(noises) and "noise_validity_uniform" not in noises


def test_rows_in_other_types_than_the_model_knows(table, data, pipeline, queries):
    """Stock dice-ml returns levels as text and numbers as objects; the model wants its own."""
    coded = table.assign(sex=table["sex"].map({"female": 0, "male": 1}))
    own = dice_ml.Data(
        dataframe=coded, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    fitted = pipeline()
    fitted.fit(coded.drop(columns="progression"), coded["progression"])
    model = dice_ml.Model(model=fitted, backend="sklearn")
    asked = coded.drop(columns="progression").iloc[:4].reset_index(drop=True)

    def explain(frame, k):
        moved = frame.assign(bmi=40.0).astype(object).astype({"sex": str})
        return [moved.iloc[[i]] for i in range(len(frame))]

    found = compare({"one": explain}, asked, 1, data=own, model=model, protocol=QUICK, held_out={})
    expected = fitted.predict(asked.assign(bmi=40.0)) != fitted.predict(asked)
    np.testing.assert_array_equal(found.per_query("validity")["one"], expected)
    assert found.counterfactuals["sex"].tolist() == asked["sex"].tolist()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (pd.DataFrame({"age": [1]}), "one DataFrame per query, not DataFrame"),
        ([None, None], "2 sets for 1 queries"),
        (["rows"], "DataFrame or None per query, not str"),
        (7, "not int"),
    ],
)
def test_answers_of_the_wrong_kind_are_reasons(answer, text, queries, data):
    found = generate(lambda frame, k: answer, queries, 2, host.feature_space(data))
    assert found.status == ["none"] * 12
    assert text in found.reason[0]


def test_something_that_cannot_be_asked(queries, data):
    found = generate(object(), queries[:2], 2, host.feature_space(data))
    assert "generate_counterfactuals() or be callable" in found.reason[1]


def test_keywords_reach_the_explainer_in_groups(queries, data, nearest):
    asked = []

    def explain(frame, k, side):
        asked.append((side, len(frame)))
        return nearest()(frame, k)

    sides = [{"side": "left"}, {"side": "right"}] * 6
    found = generate(explain, queries, 2, host.feature_space(data), sides)
    assert asked == [("left", 6), ("right", 6)]
    expected = nearest()(queries, 2)
    for one, other in zip(found.tables, expected, strict=True):
        pd.testing.assert_frame_equal(one, other.reset_index(drop=True)[one.columns])


def test_stock_dice_ml_beside_ours(data, fit, explainer, queries):
    wrapped = dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")
    ours = explainer(robustness=None)
    stock = dice_ml.Dice(data, wrapped, method="random")
    quick = {"min_iter": 60, "max_iter": 60}
    found = compare(
        {"stock": stock, "ours": ours},
        queries[:3],
        2,
        protocol=replace(QUICK, n_moves=1),
        held_out={},
        keywords={"ours": quick, "stock": {"random_seed": 1}},
        metrics=[*FEW, "model_calls", "model_rows", "regeneration_stability", "regeneration_seeds"],
        regenerate=True,
    )
    values = found.to_frame()["mean"]
    assert values["validity", "ours"] == 1 and values["model_calls", "ours"] > 5
    assert values["regeneration_seeds", "ours"] == 1  # near starts: no chance in it
    assert not wrapped.model._forward_pre_hooks
    assert values["seconds", "stock"] > 0
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":  # dice-ml 0.12 does not know it
        reasons = found.outcomes.set_index("explainer").loc["stock", "reason"]
        assert reasons.str.startswith("TypeError").all() and values["validity", "stock"] == 0
        return
    assert values["found", "stock"] == 2
    assert values["model_rows", "stock"] > values["model_calls", "stock"] > 1
    assert 0 <= values["regeneration_stability", "stock"] <= 1


def test_the_judge_is_the_model_whatever_an_explainer_was_told(explainer, queries):
    found = compare(
        {"ours": explainer(robustness=None)},
        queries[:4],
        2,
        protocol=QUICK,
        metrics=["validity", "l1"],
        held_out={},
        desired_class=1,
        keywords={"ours": {"desired_class": 0, "min_iter": 60, "max_iter": 60}},
    )
    assert (found.per_query("validity")["ours"] == 0).all()


def test_confidence_baseline_reaches_the_proximity(explainer, queries):
    plain, robust = explainer(robustness=None), explainer(robustness="dice", robustness_weight=2.0)
    quick = {"min_iter": 75, "max_iter": 75}
    found = compare(
        {"plain": plain, "robust": robust},
        queries[:6],
        2,
        protocol=QUICK,
        held_out={},
        metrics=["validity", "proximity", "noise_validity"],
        confidence={"plain": "robust"},
        keywords={"plain": quick, "robust": quick},
    )
    assert found.explainers == ["plain", "robust", "plain + confidence"]
    mean = found.to_frame()["mean"]["proximity"]
    assert mean["plain"] < mean["robust"]
    gap = abs(mean["robust"] - mean["plain"])
    assert abs(mean["plain + confidence"] - mean["robust"]) < 0.5 * gap
    assert 0.5 < found.info["confidence"]["plain"]["threshold"] < 0.99
    held = found.to_frame()["mean"]["noise_validity"]
    assert held["plain + confidence"] > held["plain"]


def test_bisection_of_a_known_curve():
    asked = []

    def run(threshold):
        asked.append(threshold)
        return threshold

    threshold, result = match_proximity(run, 3.7, lambda t: (5 * t, 1.0), tolerance=1e-9)
    assert threshold == result == pytest.approx(0.74, abs=0.004) and len(asked) == 7
    early, _ = match_proximity(run, 0.745 * 5, lambda t: (5 * t, 1.0))
    assert early == 0.745 and len(asked) == 8
    # A curve that loses validity beyond 0.6 is not followed there.
    kept, _ = match_proximity(run, 4.5, lambda t: (5 * t, 1.0 if t <= 0.6 else 0.5))
    assert 0.58 < kept <= 0.6
    with pytest.raises(InvalidInputError, match="found nothing"):
        match_proximity(run, float("nan"), lambda t: (t, 1.0))


def test_model_change(run, nearest, pipeline, table):
    sizes = []

    def retrain(random_state, rows):
        sizes.append(len(rows))
        return pipeline(rows).predict_proba

    names = ["model_change_validity", "model_change_seed", "model_change_bootstrap"]
    found = run(
        {"near": nearest(), "far": nearest(80)}, retrain=retrain, n_retrained=2, metrics=names
    )
    assert len(sizes) == 6 and max(sizes) == len(table)
    mean = found.to_frame()["mean"]
    # Logistic regression has no seed: the same data gives the same model.
    assert mean["model_change_seed", "near"] == 1
    assert 0.5 < mean["model_change_validity", "near"] <= 1


def test_regression(table, pipeline, queries):
    from sklearn.linear_model import Ridge

    value = table["bmi"] * 2 + table["age"] * 0.1
    data = dice_ml.Data(
        dataframe=table.drop(columns="progression").assign(value=value),
        continuous_features=["age", "bmi", "bp", "s5"],
        outcome_name="value",
    )
    fitted = pipeline(model=Ridge(), outcome=value)
    model = dice_ml.Model(model=fitted, backend="sklearn", model_type="regressor")

    def explain(frame, k):
        return [
            pd.concat([frame.iloc[[i]].assign(bmi=float(b)) for b in (20, 30)])
            for i in range(len(frame))
        ]

    low, high = 62.0, 65.0
    found = compare(
        {"one": explain},
        queries,
        2,
        desired_range=[low, high],
        data=data,
        model=model,
        protocol=QUICK,
        held_out={},
    )
    predicted = [fitted.predict(rows) for rows in explain(queries, 2)]
    expected = [((low <= p) & (p <= high)).mean() for p in predicted]
    np.testing.assert_allclose(found.per_query("validity")["one"], expected)
    assert 0 < np.mean(expected) < 1
    with pytest.raises(InvalidInputError, match="desired_range"):
        compare({"one": explain}, queries, 2, data=data, model=model)


def test_valid_only(run, nearest):
    near = nearest()

    def half(frame, k):
        return [
            pd.concat([frame.iloc[[i]], table.iloc[1:]]) for i, table in enumerate(near(frame, k))
        ]

    everything = run({"half": half}, metrics=["validity", "found", "l1"])
    valid = run({"half": half}, metrics=["validity", "found", "l1"], valid_only=True)
    np.testing.assert_allclose(everything.per_query("validity"), 2 / 3)
    np.testing.assert_allclose(valid.per_query("validity"), 2 / 3)
    np.testing.assert_allclose(valid.per_query("l1"), everything.per_query("l1") * 1.5)


def test_json_round_trip(run, nearest):
    def broken(queries, k):
        raise RuntimeError('a "quoted" | reason')

    found = run({"near": nearest(), "broken": broken})
    text = found.to_json()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    read = Comparison.from_json(text)
    for part in ("values", "outcomes", "metrics"):
        pd.testing.assert_frame_equal(getattr(read, part), getattr(found, part))
    # pandas 3 has a type of its own for text
    same = {"check_dtype": False}
    pd.testing.assert_frame_equal(read.counterfactuals, found.counterfactuals, **same)
    assert read.to_markdown() == found.to_markdown() and read.info == found.info
    assert read.to_json() == text
    for bad in ("{", "[]", '{"format": "other"}'):
        with pytest.raises(InvalidInputError):
            Comparison.from_json(bad)


def test_markdown_has_a_row_per_metric(run, nearest):
    found = run({"a|b": nearest(), "far": nearest(9)}, metrics=["validity", "l1", "rho_lit"])
    lines = found.to_markdown(tests=False).splitlines()
    assert lines[0] == "| metric | a\\|b | far | chance |"
    assert lines[2].startswith("| validity ↑ | 1.000 ± 0.000 | 1.000 ± 0.000 | 0.")
    assert [line.split()[1] for line in lines[2:]] == ["validity", "l1", "rho_lit"]
    assert found.to_markdown(["l1"]).count("\n| l1") == 2


def test_plots(run, nearest):
    from matplotlib.figure import Figure

    found = run({"near": nearest(), "far": nearest(9)}, metrics=["l1", "noise_validity", "rho_lit"])
    ax = Figure().subplots()
    assert found.plot("rho_lit", ax=ax) is ax
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["near", "far"]
    assert ax.get_ylabel() == "rho_lit (higher is better)"
    line = [one for one in ax.lines if one.get_linestyle() == ":"]
    assert line[0].get_ydata()[0] == pytest.approx(found.chance["rho_lit"]["chance"])
    both = found.plot("noise_validity", against="l1")
    points = np.concatenate([np.asarray(c.get_offsets()) for c in both.collections])
    assert len(points) == 2 * 12 + 2  # a point per query, and a mean each
    np.testing.assert_allclose(points[:12, 0], found.per_query("l1")["near"])
    with pytest.raises(InvalidInputError, match="did you mean 'noise_validity'"):
        found.plot("noise_valdity")


def test_plots_of_explainers_that_found_nothing(run, nearest):
    found = run(
        {"near": nearest(), "none": lambda q, k: [None] * len(q)}, metrics=["l1", "rho_lit"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.plot("l1").figure.canvas.draw()
        found.plot("l1", against="rho_lit").figure.canvas.draw()
    assert "| l1 ↓ |" in found.to_markdown() and "–" in found.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"explainers": {}}, "not empty"),
        ({"baseline": "nears"}, "did you mean 'near'"),
        ({"confidence": {"near": "x"}}, "no explainer here"),
        ({"keywords": {"x": {}}}, "no explainer here"),
        ({"regenerate": ["x"]}, "no explainer here"),
        ({"metrics": ["rho"]}, "no metric 'rho'"),
        ({"desired_class": 2}, r"0 \.\.\. 1"),
        ({"desired_class": "other"}, "'opposite' or one of"),
        ({"model": None, "data": None}, "pass both data= and model="),
    ],
)
def test_mistakes_are_named_before_anything_runs(arguments, text, run):
    def explain(queries, k):
        pytest.fail("asked in spite of the mistake")

    arguments = {"explainers": {"near": explain}, **arguments}
    with pytest.raises(InvalidInputError, match=text):
        run(**arguments)


def test_counting_leaves_a_model_as_it_was(pipeline, table):
    fitted, rows = pipeline(), table.drop(columns="progression")
    wrapped = dice_ml.Model(model=fitted, backend="sklearn")
    before = dict(vars(fitted))
    with counted(wrapped) as counter:
        fitted.predict_proba(rows.iloc[:7])
        fitted.predict(rows.iloc[:5])
    assert (counter.calls, counter.rows) == (2, 12)
    assert vars(fitted) == before
    with pytest.raises(KeyError), counted(wrapped):
        raise KeyError
    assert vars(fitted) == before
    with counted(None) as nothing:
        assert nothing is None


def test_measure_keeps_its_columns(nearest, queries, data, model):
    space = host.feature_space(data)

    def scores(rows):
        return model.model.predict_proba(
            space.decode(rows, np.zeros_like(rows), queries.iloc[[0] * len(rows)])
        )

    tables = nearest()(queries, 2)
    tables[3] = tables[3].iloc[:0]
    wanted = 1 - label(model, queries)
    weights = np.ones(space.n_columns)
    found = measure(tables, queries, space, weights, scores, wanted, 2, NoiseModel(), n_draws=20)
    assert found.index.name == "query" and len(found) == 12
    names = ("validity", "proximity", "l1", "changed", "diversity", "duplicates", "rho_lit")
    names += ("rho_open", "end_bins", "noise_validity", "noise_validity_all")
    assert set(found.columns) == set(names)
    assert found["validity"][3] == 0 and np.isnan(found["proximity"][3])
    assert (found["validity"].drop(3) == 1).all()
