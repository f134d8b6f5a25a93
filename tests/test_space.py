"""FeatureSpace: encoding as dice-ml's, constraints that hold, cells that come back unchanged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.rows import check_rows
from dice_extended_plugin.space import FeatureSpace


def test_encoding_is_dice_mls(data, space, queries):
    ours = space.encode(queries)
    theirs = data.get_ohe_min_max_normalized_data(queries)
    assert list(theirs.columns) == list(space.columns)
    np.testing.assert_allclose(ours, theirs.to_numpy(float), atol=1e-6)


def test_projecting_the_query_gives_the_query_back(space, queries):
    x = space.encode(queries)
    rows = space.project(x, x, *space.bounds(x))
    assert not space.changed(rows, x).any()
    pd.testing.assert_frame_equal(space.decode(rows, x, queries), queries)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_projected_rows_keep_every_constraint(seed):
    rng = np.random.default_rng(seed)
    n, c = int(rng.integers(0, 4)), int(rng.integers(0, 4))
    n = n or (1 if c == 0 else 0)
    ranges = {f"n{j}": (float(rng.uniform(-50, 0)), float(rng.uniform(1, 90))) for j in range(n)}
    levels = {f"c{j}": [f"v{i}" for i in range(rng.integers(2, 6))] for j in range(c)}
    digits = {f: int(rng.integers(0, 4)) for f in ranges}
    names = list(ranges) + list(levels)
    rng.shuffle(names)
    space = FeatureSpace.build(names, ranges, levels, digits)
    raw = {f: rng.uniform(*ranges[f], size=20) for f in ranges}
    raw |= {f: rng.choice(levels[f], size=20) for f in levels}
    frame = pd.DataFrame({f: raw[f] for f in names})
    permitted = {}
    for f in ranges:
        if rng.random() < 0.5:
            low, high = sorted(rng.uniform(*ranges[f], size=2))
            if high - low > 2:
                permitted[f] = [low, high]
    for f in levels:
        if rng.random() < 0.5:
            permitted[f] = list(rng.choice(levels[f], size=rng.integers(1, 3), replace=False))
    frozen = [f for f in names if f not in permitted and rng.random() < 0.3]
    vary = [f for f in names if f not in frozen]
    if not vary:
        return
    space = space.constrain(vary, permitted)
    x = space.encode(frame)
    wild = rng.normal(0.5, 1.0, size=(20, 5, space.n_columns))
    lower, upper = space.bounds(x)
    rows = space.project(wild, x[:, None], lower[:, None], upper[:, None]).reshape(-1, x.shape[1])
    owner = np.repeat(np.arange(20), 5)
    queries = frame.iloc[owner].reset_index(drop=True)
    out = space.decode(rows, x[owner], queries)
    for f in frozen:
        assert (out[f] == queries[f]).all()
    for f, wanted in permitted.items():
        if f in levels:
            assert set(out[f]) <= set(wanted)
        else:
            assert out[f].between(wanted[0], wanted[1]).all()
    for f in ranges:
        moved = out[f] != queries[f]
        assert np.allclose(out[f][moved], out[f][moved].round(digits[f]))
    again = space.project(rows, x[owner], lower[owner], upper[owner])
    np.testing.assert_allclose(again, rows, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", [40, 51]),
        ("float32", [40.0, 51.0]),
        ("float64", [40.0, 51.0]),
        ("Int64", [40, 51]),
    ],
)
def test_numbers_keep_their_type(space, queries, dtype, values):
    frame = queries.iloc[:2].copy()
    frame["age"] = pd.array(values, dtype=dtype)
    x = space.encode(frame)
    target = x.copy()
    target[:, 0] += 0.1
    out = space.decode(space.project(target, x, *space.bounds(x)), x, frame)
    assert out["age"].dtype == frame["age"].dtype
    assert (out["age"] != frame["age"]).all()


def test_a_whole_number_column_of_a_decimal_feature_does_not_cut_decimals(space, queries):
    frame = queries.iloc[:1].copy()
    frame["bmi"] = np.array([30], dtype=np.int64)
    x = space.encode(frame)
    target = x.copy()
    j = space.continuous.index("bmi")
    target[0, j] = (31.4 - space.low[j]) / space.scale[j]
    assert space.decode(target, x, frame)["bmi"].iloc[0] == pytest.approx(31.4)


@pytest.mark.parametrize("kind", ["bool", "int", "category", "str"])
def test_levels_keep_their_type(kind):
    values = {"bool": [True, False], "int": [1, 3]}.get(kind, ["x", "y"])
    space = FeatureSpace.build(["f"], {}, {"f": [str(v) for v in sorted(values)]})
    column = pd.Series(values, dtype={"bool": bool, "int": "int64", "str": object}.get(kind))
    if kind == "category":
        column = pd.Series(["x", "x"]).astype("category")  # "y" is no category of the query
        values = ["x", "x"]
    frame = column.to_frame("f")
    x = space.encode(frame)
    out = space.decode(x[:, ::-1].copy(), x, frame)["f"]
    assert list(out) == (["y", "y"] if kind == "category" else values[::-1])
    if kind != "category":
        assert out.dtype == column.dtype


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"features_to_vary": ["agee"]}, "did you mean 'age'"),
        ({"features_to_vary": "age"}, "not the string"),
        ({"features_to_vary": []}, "no feature that can change"),
        ({"permitted_range": {"age": [60, 40]}}, "ascending"),
        ({"permitted_range": {"age": [200, 300]}}, "outside the data"),
        ({"permitted_range": {"age": [40.2, 40.8]}}, "no value with 0 decimals"),
        ({"permitted_range": {"age": [40]}}, "two numbers"),
        ({"permitted_range": {"age": [float("nan"), 50]}}, "finite"),
        ({"permitted_range": {"sex": ["other"]}}, "no level 'other'"),
        ({"permitted_range": {"sex": []}}, "empty"),
        ({"permitted_range": {"sexx": ["male"]}}, "did you mean 'sex'"),
    ],
)
def test_bad_constraints_are_refused_and_change_nothing(space, keywords, text):
    before = (space.permitted_low.copy(), space.permitted_levels.copy(), space.vary.copy())
    with pytest.raises(InvalidInputError, match=text):
        space.constrain(**keywords)
    after = (space.permitted_low, space.permitted_levels, space.vary)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f.drop(columns="bmi"), r"lacks the column\(s\) \['bmi'\]"),
        (lambda f: f.assign(progression=1), r"\['progression'\]"),
        (lambda f: f.assign(bmi=np.nan), "'bmi'.*missing or infinite"),
        (lambda f: f.assign(bp=np.inf), "'bp'.*missing or infinite"),
        (lambda f: f.assign(age="old"), "'age'.*must hold numbers"),
        (lambda f: f.assign(sex="other"), "'other', a level outside the data"),
        (lambda f: f.assign(sex=None), "'sex'.*missing"),
    ],
)
def test_bad_rows_are_named(space, queries, change, text):
    with pytest.raises(InvalidInputError, match=text):
        check_rows(space, change(queries))


def test_a_frozen_feature_outside_its_range_is_refused(space, queries):
    tight = space.constrain([f for f in space.names if f != "age"], {"age": [70, 75]})
    with pytest.raises(InvalidInputError, match=r"'age'.*may not vary"):
        check_rows(tight, queries)


def test_a_query_outside_the_data_may_keep_its_value(space, queries):
    frame = queries.iloc[:1].assign(age=95)
    x = space.encode(frame)
    lower, upper = space.bounds(x)
    assert upper[0, 0] == x[0, 0] > 1
    assert lower[0, 0] == 0
    assert space.decode(space.project(x, x, lower, upper), x, frame)["age"].iloc[0] == 95
