"""The quick way through a pipeline: the pipeline's own answers, or none."""

from __future__ import annotations

import dice_ml
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from dice_extended_plugin import quick_pipeline
from dice_extended_plugin.host import feature_space
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.noise import NoiseModel

NUMBERS, LEVELS = ["age", "bmi", "bp", "s5"], ["sex", "glucose", "cholesterol"]


def columns(*parts, **keywords):
    return ColumnTransformer(list(parts), **keywords)


USUAL = ("n", StandardScaler(), NUMBERS), ("c", OneHotEncoder(handle_unknown="ignore"), LEVELS)
FIRST = {
    "usual": columns(*USUAL),
    "sparse": columns(*USUAL, sparse_threshold=1.0),
    "several": columns(
        ("a", MinMaxScaler(), ["s5", "age"]),
        ("b", make_pipeline(SimpleImputer(), StandardScaler()), ["bmi"]),
        ("c", OneHotEncoder(drop="first"), ["cholesterol"]),
        ("d", OrdinalEncoder(), ["glucose", "sex"]),
        remainder="drop",
    ),
    "rest": columns(
        ("c", OneHotEncoder(sparse_output=False), LEVELS), remainder="passthrough"
    ),
    "places": columns(("n", StandardScaler(), [0, 2, 4, 6]), ("c", OneHotEncoder(), [1, 3, 5])),
    "masks": columns(
        ("n", StandardScaler(), [True, False, True, False, True, False, True]),
        ("c", OneHotEncoder(), [False, True, False, True, False, True, False]),
    ),
    "levels alone": columns(("c", OneHotEncoder(), LEVELS)),
    "numbers alone": columns(("n", "passthrough", NUMBERS)),
    "no rest": columns(*USUAL, remainder="passthrough"),
}  # fmt: skip
LAST = {
    "forest": RandomForestClassifier(7, random_state=0),
    "extra trees": ExtraTreesClassifier(5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "linear": LogisticRegression(),
    "parallel forest": RandomForestClassifier(4, n_jobs=2, random_state=0),
}


@pytest.fixture
def asked(table, space, queries):
    """Return asked(pipeline, ...): the scores object after its check of the queries."""

    def make(pipeline, kind="classifier", frame=queries, fitted=True):
        rows = table.drop(columns="progression")
        if fitted:
            target = table["bmi"] * 2.5 if kind == "regressor" else table["progression"]
            pipeline.fit(rows, target)
        model = dice_ml.Model(model=pipeline, backend="sklearn", model_type=kind)
        model.transformer.initialize_transform_func()
        scores = NativeScores(model, space, frame, space.encode(frame), max_rows=300)
        scores.check()
        return scores

    return make


def many_rows(space, x):
    """Rows as a search asks about them: off the grid, every level."""
    bank = NoiseModel(scale=0.3, flip=0.9, scope="all").held_out(space, 60, 3)
    return (
        NoiseModel(scope="all", flip=0.9, scale=0.3)
        .perturb(x, x, space, bank)
        .reshape(-1, x.shape[1])
    )


def own_answers(scores, rows, query):
    """The pipeline's own, through the table."""
    table = scores.writer.table(rows, query)
    model = scores.model.model
    if scores.regression:
        return model.predict(table).reshape(len(rows), -1)
    return model.predict_proba(table)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("first", FIRST)
def test_the_answers_are_the_pipelines_own(first, last, asked, space, queries):
    scores = asked(Pipeline([("first", FIRST[first]), ("last", LAST[last])]))
    assert scores._quick is not None
    rows = many_rows(space, scores.x)
    query = np.tile(np.arange(len(queries)), 60)
    got, own = scores(rows, query), own_answers(scores, rows, query)
    # A matrix product's last digit depends on its shape, a parallel sum's on who comes first.
    if last in ("linear", "parallel forest"):
        np.testing.assert_allclose(got, own, rtol=0, atol=1e-12)
    else:
        assert np.array_equal(got, own)


def test_a_regression_forest(asked, space, queries):
    last = RandomForestRegressor(6, random_state=0)
    scores = asked(Pipeline([("first", FIRST["usual"]), ("last", last)]), kind="regressor")
    assert scores._quick is not None
    rows = many_rows(space, scores.x)
    query = np.tile(np.arange(len(queries)), 60)
    assert np.array_equal(scores(rows, query), own_answers(scores, rows, query))


class Louder(Pipeline):
    """A pipeline of someone's own."""


def rounded(frame):
    return frame.round(0)


@pytest.mark.parametrize(
    "pipeline",
    [
        Louder([("first", columns(*USUAL)), ("last", DecisionTreeClassifier())]),
        make_pipeline(columns(*USUAL), FunctionTransformer(), DecisionTreeClassifier()),
        make_pipeline(
            columns(("n", FunctionTransformer(rounded), NUMBERS), USUAL[1]),
            DecisionTreeClassifier(),
        ),
        make_pipeline(columns(("all", OrdinalEncoder(), NUMBERS + LEVELS)), LogisticRegression()),
    ],
    ids=["a subclass", "three steps", "a function", "both kinds in one part"],
)
def test_other_pipelines_are_asked_as_they_are(pipeline, asked):
    assert asked(pipeline)._quick is None


def test_pandas_output_is_asked_as_it_is(asked):
    dense = columns(USUAL[0], ("c", OneHotEncoder(sparse_output=False), LEVELS))
    pipeline = Pipeline([("first", dense.set_output(transform="pandas")), ("last", LAST["forest"])])
    assert asked(pipeline)._quick is None


@pytest.mark.parametrize("change", ["float32", "object"])
def test_queries_of_other_types_are_asked_as_they_are(change, asked, queries, space):
    pipeline = Pipeline([("first", FIRST["usual"]), ("last", LAST["forest"])])
    frame = {
        "float32": queries.astype({"bp": "float32"}),
        "object": queries.astype({"age": object}),
    }[change]
    scores = asked(pipeline, frame=frame)
    assert scores._quick is None
    rows, query = scores.x, np.arange(len(queries))
    assert np.array_equal(scores(rows, query), own_answers(scores, rows, query))


def test_whoever_listens_to_the_model_hears_every_call(asked, queries):
    pipeline = Pipeline([("first", FIRST["usual"]), ("last", LAST["forest"])])
    asked(pipeline)
    own, heard = pipeline.predict_proba, []

    def listen(rows):
        heard.append(len(rows))
        return own(rows)

    pipeline.predict_proba = listen
    scores = asked(pipeline, fitted=False)
    assert scores._quick is None
    scores(scores.x[:3], np.arange(3))
    assert heard == [len(queries), 3]


def test_another_answer_is_not_trusted(asked, monkeypatch):
    monkeypatch.setattr(
        quick_pipeline, "_ask_trees", lambda forest, rows, _: np.full((len(rows), 2), 0.5)
    )
    assert asked(Pipeline([("first", FIRST["usual"]), ("last", LAST["forest"])]))._quick is None

    def fails(*_):
        raise RuntimeError("trees changed")

    monkeypatch.setattr(quick_pipeline, "_ask_trees", fails)
    assert asked(Pipeline([("first", FIRST["usual"]), ("last", LAST["forest"])]))._quick is None


def test_levels_that_queries_spell_in_their_own_way(table, queries):
    """1 and 1.0 are one level; the model gets each query's own."""
    frame = table.assign(sex=np.where(table["sex"] == "male", 1, 0))
    own = dice_ml.Data(dataframe=frame, continuous_features=NUMBERS, outcome_name="progression")
    space = feature_space(own)
    pipeline = Pipeline([("first", FIRST["usual"]), ("last", LAST["forest"])])
    pipeline.fit(frame.drop(columns="progression"), frame["progression"])
    model = dice_ml.Model(model=pipeline, backend="sklearn")
    model.transformer.initialize_transform_func()
    odd = queries.assign(sex=np.array([1, 1.0, True, 0, 0.0, False] * 2, dtype=object))
    for rows, quick in ((frame[list(space.names)][:12], True), (odd, False)):
        scores = NativeScores(model, space, rows, space.encode(rows))
        scores.check()
        assert (scores._quick is not None) == quick
        got = scores(scores.x, np.arange(12))
        assert np.array_equal(got, own_answers(scores, scores.x, np.arange(12)))
