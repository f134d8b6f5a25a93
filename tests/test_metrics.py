"""Every metric against a value worked out by hand, in closed form, or by another library."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor

from dice_extended_plugin import metrics
from dice_extended_plugin.dice_sorensen import ceiling, chance
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.fidelity import local_fidelity, neighbours
from dice_extended_plugin.invalidation import (
    invalidation_rate,
    model_change_validity,
    retrain_models,
)
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.metric import Metric, metric
from dice_extended_plugin.metric_catalogue import chance_values, choose, describe, noise_metric
from dice_extended_plugin.metric_names import SUMMARIES
from dice_extended_plugin.metric_table import METRICS
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.plausibility import Plausibility
from dice_extended_plugin.registry import Component, Registry, import_target
from dice_extended_plugin.sets import CounterfactualSets, Protocol
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.stability import matching, regeneration_stability, tokens
from dice_extended_plugin.targets import ClassTarget, RangeTarget

MIXED = FeatureSpace.build(
    ["a", "b", "c", "d"],
    {"a": (0, 10), "b": (-1, 1)},
    {"c": ["x", "y", "z"], "d": ["no", "yes"]},
)
NUMBERS = FeatureSpace.build(["a", "b", "c"], {name: (0, 1) for name in "abc"}, {})


def mixed(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["a", "b", "c", "d"])


QUERY = mixed((5.0, 0.0, "x", "no"))
ROWS = mixed((5.0, 0.0, "x", "no"), (7.0, 0.0, "y", "no"), (0.0, 0.5, "z", "yes"))


def encoded(frame, space=MIXED):
    return space.encode(frame)


def random_rows(n, seed=0, space=MIXED):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(size=(n, space.n_columns))
    return space.project(rows, rows, np.zeros_like(rows), np.ones_like(rows))


# -- distance and sets --------------------------------------------------------------------------


def test_distances_by_hand():
    u, x = encoded(ROWS), encoded(QUERY).repeat(3, axis=0)
    weights = np.array([2.0, 3.0, 1, 1, 1, 1, 1])
    # rows: nothing; a +0.2 and c; a -0.5, b +0.25, c, d
    np.testing.assert_allclose(
        metrics.proximity(u, x, weights), np.array([0, 0.4 + 2, 1 + 0.75 + 4]) / 7
    )
    np.testing.assert_allclose(metrics.l1_distance(u, x, MIXED), [0, 1.2, 2.75])
    np.testing.assert_array_equal(metrics.changed_features(u, x, MIXED), [0, 2, 4])
    np.testing.assert_allclose(metrics.sparsity(u, x, MIXED), [1, 0.5, 0])
    np.testing.assert_allclose(metrics.categorical_distance(u, x, MIXED), [0, 0.5, 1])
    deviation = np.array([0.1, 0.5])
    np.testing.assert_allclose(
        metrics.continuous_distance(u, x, MIXED, deviation), [0, 1.0, (5 + 0.5) / 2]
    )


def test_the_two_mads_are_the_two_papers():
    frame = mixed(*[(a, 0.0, "x", "no") for a in (0.0, 1.0, 2.0, 3.0, 10.0)])
    rows = encoded(frame)
    # median 2, distances 2 1 0 1 8 -> 1; mean 3.2, distances 3.2 2.2 1.2 .2 6.8 -> 2.72
    np.testing.assert_allclose(metrics.median_absolute_deviation(rows, MIXED), [0.1, 1.0])
    np.testing.assert_allclose(metrics.mean_absolute_deviation(rows, MIXED), [0.272, 1.0])
    raw = frame["a"].to_numpy()
    assert stats.median_abs_deviation(raw) / 10 == pytest.approx(0.1)


def test_no_features_of_a_kind():
    u = random_rows(3, space=NUMBERS)
    assert np.isnan(metrics.categorical_distance(u, u, NUMBERS)).all()
    words = FeatureSpace.build(["c"], {}, {"c": ["x", "y"]})
    v = random_rows(3, space=words)
    assert np.isnan(metrics.continuous_distance(v, v, words, np.empty(0))).all()


def test_diversity_of_two_rows_in_closed_form():
    u = encoded(ROWS)[[0, 1]]
    weights = np.array([1.0, 1, 0.5, 0.5, 0.5, 0.5, 0.5])
    distance = 0.2 + 1.0
    assert metrics.diversity(u, weights) == pytest.approx(1 - 1 / (1 + distance) ** 2)
    spread = metrics.set_spread(u, np.zeros(2, int), 1, weights)
    assert spread[0] == pytest.approx(distance / 7)


def test_ragged_sets_are_their_queries_one_by_one(monkeypatch):
    u, query = random_rows(12), np.array([0, 0, 0, 0, 2, 2, 2, 3, 3, 3, 3, 4])
    u[1], u[6] = u[0], u[5]
    weights = np.linspace(0.5, 2, 7)
    for block in (metrics._BLOCK, 1):  # all at once, and a query at a time
        monkeypatch.setattr(metrics, "_BLOCK", block)
        diversity = metrics.set_diversity(u, query, 6, weights)
        spread = metrics.set_spread(u, query, 6, weights)
        repeated = metrics.set_duplicates(u, query, 6)
        for i in range(6):
            rows = u[query == i]
            if len(rows) > 1:
                assert diversity[i] == pytest.approx(metrics.diversity(rows, weights), abs=1e-12)
                away = np.abs((rows[:, None] - rows[None]) * weights).sum(-1)
                pairs = len(rows) * (len(rows) - 1)
                assert spread[i] == pytest.approx(away.sum() / pairs / 7)
                assert repeated[i] == metrics.duplicates(rows)
            else:
                assert np.isnan(diversity[i]) and np.isnan(spread[i])
        assert diversity[0] == pytest.approx(0, abs=1e-12)
        np.testing.assert_array_equal(repeated, [1, np.nan, 1, 0, 0, np.nan])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_rows_and_features_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    turned = FeatureSpace.build(
        ["b", "a", "d", "c"],
        {"b": (-1, 1), "a": (0, 10)},
        {"d": ["no", "yes"], "c": ["x", "y", "z"]},
    )
    columns = [1, 0, 5, 6, 2, 3, 4]
    u, x = random_rows(6, seed), random_rows(6, seed + 1)
    weights = rng.uniform(0.1, 3, size=7)
    rows = rng.permutation(6)
    query = np.zeros(6, int)
    v, y = u[:, columns], x[:, columns]
    for value, again in (
        (metrics.proximity(u, x, weights), metrics.proximity(v, y, weights[columns])),
        (metrics.l1_distance(u, x, MIXED), metrics.l1_distance(v, y, turned)),
        (metrics.sparsity(u, x, MIXED), metrics.sparsity(v, y, turned)),
    ):
        np.testing.assert_allclose(value, again)
        assert (value >= 0).all()
    for function in (metrics.set_diversity, metrics.set_spread):
        value = function(u, query, 1, weights)
        np.testing.assert_allclose(value, function(u[rows], query, 1, weights), atol=1e-9)
        np.testing.assert_allclose(
            value, function(u[:, columns], query, 1, weights[columns]), atol=1e-9
        )
    assert -1e-9 <= metrics.set_diversity(u, query, 1, weights)[0] <= 1


# -- fidelity -----------------------------------------------------------------------------------


def step_labels(threshold):
    return lambda rows: (rows[:, 0] > threshold).astype(int)


def test_fidelity_of_one_threshold_in_closed_form():
    line = FeatureSpace.build(["a"], {"a": (0, 1)}, {})
    x, u, threshold = np.array([[0.4]]), np.array([[0.64]]), 0.5
    deviation = np.array([0.2])
    for radius in (0.5, 1.0, 2.0):
        points = neighbours(x, line, deviation, radius, 20_000)
        reach = radius * 0.2
        assert np.abs(points - 0.4).max() <= reach
        found = local_fidelity(
            u, np.array([0]), x, np.ones(1), lambda _, points=points: points, step_labels(threshold)
        )
        # 1-NN changes its answer half-way, at 0.52; the model does at 0.5.
        wrong = max(0.0, min(0.52, 0.4 + reach) - 0.5) / (2 * reach)
        assert found.accuracy[0] == pytest.approx(1 - wrong, abs=0.01)
        assert found.baseline[0] == pytest.approx(
            1 - max(0.0, 0.4 + reach - 0.5) / (2 * reach), abs=0.01
        )


def test_fidelity_is_scikit_learns_nearest_neighbour():
    x, u = random_rows(3, 5), random_rows(7, 6)
    query, weights = np.array([0, 0, 0, 2, 2, 2, 2]), np.linspace(0.5, 2, 7)

    def labels(rows):
        return (rows @ np.array([1.0, -2, 0.5, 0, -0.5, 0.3, -0.3]) > -0.1).astype(int)

    points = neighbours(x, MIXED, np.array([0.2, 0.3]), 1.0, 400, random_state=3)

    def sample(part):
        return neighbours(part, MIXED, np.array([0.2, 0.3]), 1.0, 400, random_state=3)

    found = local_fidelity(u, query, x, weights, sample, labels)
    again = local_fidelity(u, query, x, weights, sample, labels, max_queries=1)
    np.testing.assert_array_equal(found.accuracy, again.accuracy)
    for i in (0, 2):
        sites = np.concatenate([x[[i]], u[query == i]])
        near = KNeighborsClassifier(1, metric="manhattan").fit(sites * weights, labels(sites))
        expected = (near.predict(points[i] * weights) == labels(points[i])).mean()
        assert found.accuracy[i] == pytest.approx(expected)
    assert np.isnan(found.accuracy[1])
    assert found.baseline[1] == (labels(points[1]) == labels(x)[1]).mean()


def test_neighbours_are_legal_and_do_not_depend_on_the_batch():
    x = encoded(mixed((0.0, 1.0, "x", "no"), (5.0, 0.0, "z", "yes")))
    points = neighbours(x, MIXED, np.array([0.3, 0.3]), 2.0, 500)
    assert points.min() >= 0 and points.max() <= 1
    assert (points[..., 2:5].sum(-1) == 1).all() and (points[..., 5:].sum(-1) == 1).all()
    np.testing.assert_allclose(points[0, :, 2:5].mean(0), 1 / 3, atol=0.08)
    np.testing.assert_array_equal(
        points[[1]], neighbours(x[[1]], MIXED, np.array([0.3, 0.3]), 2.0, 500)
    )
    kept = neighbours(x, MIXED, np.array([0.3, 0.3]), 2.0, 50, categories="keep")
    np.testing.assert_array_equal(kept[..., 2:], np.repeat(x[:, None, 2:], 50, axis=1))
    with pytest.raises(InvalidInputError, match="categories"):
        neighbours(x, MIXED, np.array([0.3, 0.3]), 1.0, categories="all")


# -- plausibility -------------------------------------------------------------------------------


def test_knn_distance_by_hand():
    rows = encoded(mixed((0.0, 0.0, "x", "no"), (1.0, 0.0, "x", "no"), (5.0, 0.0, "y", "no")))
    data = Plausibility(rows, MIXED, k=2)
    # from (0.2, x): 0.02 to the first, 0.08 to the second
    u = encoded(mixed((0.2, 0.0, "x", "no"), (5.0, 0.0, "y", "yes")))
    np.testing.assert_allclose(data.knn_distance(u)[0], (0.02 + 0.08) / 2)
    # the third row but for a level: 1; the second: 0.4 + two levels
    np.testing.assert_allclose(data.knn_distance(u)[1], (1 + 2.4) / 2)


def test_lof_is_scikit_learns_on_distinct_rows():
    rows, u = random_rows(60, 1), random_rows(9, 2)
    repeated = np.concatenate([rows, np.repeat(rows[:3], 40, axis=0)])
    scale = np.array([1, 1, 0.5, 0.5, 0.5, 0.5, 0.5])
    distinct = np.unique(np.round(rows, 9), axis=0)
    own = LocalOutlierFactor(20, metric="manhattan", novelty=True).fit(distinct * scale)
    ours = Plausibility(repeated, MIXED)
    np.testing.assert_allclose(ours.lof(u), -own.score_samples(u * scale))
    assert len(ours.lof(u[:0])) == 0 and len(ours.knn_distance(u[:0])) == 0
    with pytest.raises(InvalidInputError, match="two distinct rows"):
        Plausibility(np.repeat(rows[:1], 5, axis=0), MIXED)


def test_data_is_more_plausible_than_noise():
    rng = np.random.default_rng(0)
    a = rng.normal(0.5, 0.05, size=(400, 1))
    rows = np.clip(np.concatenate([a, a + rng.normal(0, 0.01, (400, 1)), a], axis=1), 0, 1)
    data = Plausibility(rows[:300], NUMBERS)
    odd = rng.permuted(rows[300:], axis=0)  # the features' ranges, without their dependence
    assert data.lof(rows[300:]).mean() < 1.3 < data.lof(odd).mean()
    assert data.knn_distance(rows[300:]).mean() < data.knn_distance(odd).mean()


# -- noise and model change ---------------------------------------------------------------------

W, B = np.array([1.0, -2.0, 0.5]), 0.1


def linear(rows):
    """P(class 1) of a linear classifier; the margin is W u + B."""
    p = 1 / (1 + np.exp(-(rows @ W + B)))
    return np.column_stack([1 - p, p])


def test_noise_and_invalidation_of_a_linear_model_in_closed_form():
    u = np.array([[0.5, 0.25, 0.5], [0.5, 0.4, 0.5], [0.6, 0.42, 0.4]])
    margin = u @ W + B

    def is_target(rows, index):
        return rows @ W + B > 0

    norm = np.linalg.norm(W)
    rate = invalidation_rate(u, np.zeros_like(u), NUMBERS, is_target, 0.1, 20_000, 5)
    expected = (margin > 0) - stats.norm.cdf(margin / (0.1 * norm))
    np.testing.assert_allclose(rate, expected, atol=0.012)
    sets = linear_sets([u], NoiseModel(scale=0.05, scope="all"), n_draws=20_000)
    held = METRICS["noise_validity"](sets)[0]
    assert held == pytest.approx(stats.norm.cdf(margin / (0.05 * norm)).mean(), abs=0.01)
    low, high = METRICS["noise_validity_low"](sets)[0], METRICS["noise_validity_high"](sets)[0]
    assert low < held < high and high - low < 0.02
    double = noise_metric("double", NoiseModel(scale=0.1, scope="all"))(sets)[0]
    assert double == pytest.approx(stats.norm.cdf(margin / (0.1 * norm)).mean(), abs=0.012)
    assert len(invalidation_rate(u[:0], u[:0], NUMBERS, is_target)) == 0


def linear_sets(parts, noise=None, n_draws=200, k=None, target=None, **rest):
    """Sets around a linear model: every query at (0.2, 0.6, 0.5), which is class 0."""
    queries = pd.DataFrame([[0.2, 0.6, 0.5]] * len(parts), columns=list("abc"))
    tables = [pd.DataFrame(part, columns=list("abc")) for part in parts]
    reference = np.random.default_rng(8).uniform(size=(300, 3))
    judge = Judge(
        NUMBERS, np.ones(3), linear, lambda table: linear(NUMBERS.encode(table)), reference
    )
    wanted = target or ClassTarget(np.ones(len(parts), int), np.zeros(len(parts)))
    protocol = Protocol(noise=noise or NoiseModel(), n_draws=n_draws, n_neighbours=100)
    k = k or max(len(part) for part in parts)
    return CounterfactualSets.collect(tables, queries, wanted, k, judge, protocol, **rest)


def test_retrained_models_differ_as_they_should():
    asked = []

    def retrain(seed, rows):
        asked.append((seed, rows))
        return lambda table: (table["a"].to_numpy() > len(asked) / 10).astype(int)

    models = retrain_models(retrain, 200, n_models=4, random_state=3)
    assert {name: len(found) for name, found in models.items()} == {
        "seed": 4, "bootstrap": 4, "drop": 4,
    }  # fmt: skip
    seeds, bootstraps, drops = asked[:4], asked[4:8], asked[8:]
    assert len({seed for seed, _ in seeds}) == 4
    assert all(np.array_equal(rows, np.arange(200)) for _, rows in seeds)
    assert all(seed == 3 for seed, _ in bootstraps + drops)
    assert all(len(rows) == 200 and len(set(rows)) < 150 for _, rows in bootstraps)
    assert [len(rows) for _, rows in drops] == [198, 192, 186, 180]
    assert all(len(set(rows)) == len(rows) for _, rows in drops)
    again = []
    retrain_models(lambda seed, rows: again.append((seed, rows)), 200, 4, random_state=3)
    assert all(
        p[0] == q[0] and np.array_equal(p[1], q[1]) for p, q in zip(asked, again, strict=True)
    )
    with pytest.raises(InvalidInputError, match="changes"):
        retrain_models(retrain, 10, changes=["luck"])
    with pytest.raises(InvalidInputError, match="drop"):
        retrain_models(retrain, 10, drop=(0.5, 1.0))


def test_model_change_validity_by_hand():
    frame = pd.DataFrame({"a": [0.1, 0.35, 0.9]})

    def is_target(scores):
        return scores[:, 1] > 0.5

    hard = [lambda t, c=c: (t["a"] > c).to_numpy().astype(int) for c in (0.2, 0.3, 0.4, 0.5)]
    soft = [lambda t, c=c: (t["a"] > c).to_numpy()[:, None] * 0.8 for c in (0.2, 0.3, 0.4, 0.5)]
    for models in (hard, soft):
        np.testing.assert_allclose(model_change_validity(frame, models, is_target, 2), [0, 0.5, 1])
    assert np.isnan(model_change_validity(frame, [], is_target, 2)).all()
    value = [lambda t: t["a"].to_numpy() * 10]
    inside = model_change_validity(frame, value, lambda s: s[:, 0] > 3, None)
    np.testing.assert_array_equal(inside, [0, 1, 1])
    for answer, text in ((np.zeros(2), "shape"), (np.full(3, 0.5), "labels must be 0 ... 1")):
        with pytest.raises(InvalidInputError, match=text):
            model_change_validity(frame, [lambda t, a=answer: a], is_target, 2)


# -- stability ----------------------------------------------------------------------------------


def test_tokens_and_matching_by_hand():
    x = encoded(QUERY)
    said = tokens(encoded(ROWS), x.repeat(3, axis=0), MIXED)
    # a up, b up, a down, b down, c=x, y, z, d=no, yes
    np.testing.assert_array_equal(said.astype(int), [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 1, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 1, 0, 1],
    ])  # fmt: skip
    assert matching(said, said) == 1.0
    assert matching(said[1:], said[[2, 1]]) == 1.0  # order does not matter
    one, other = said[[1]], np.array([[1, 0, 0, 0, 0, 0, 1, 0, 0]], dtype=bool)
    assert matching(one, other) == pytest.approx(2 * 1 / 4)
    assert matching(np.concatenate([one, one]), one) == 0.5  # one row has no partner
    assert matching(one, one[:0]) == 0.0
    assert np.isnan(matching(one[:0], one[:0]))


def test_regeneration_of_explainers_whose_stability_is_known():
    queries = pd.DataFrame({"a": [2.0, 5.0, 8.0], "b": 0.0, "c": "x", "d": "no"})

    def steady(frame, random_state):
        return [frame.iloc[[i]].assign(b=1.0, c="y") for i in range(len(frame))]

    def fickle(frame, random_state):
        level = "y" if random_state % 2 else "z"
        return [frame.iloc[[i]].assign(c=level) for i in range(len(frame))]

    def empty(frame, random_state):
        return [frame.iloc[:0]] * len(frame)

    noise = NoiseModel(scale=0.01, flip=0.0)

    def labels(rows):
        return (rows[:, 0] > 0.55).astype(int)

    found = regeneration_stability(steady, queries, MIXED, labels, noise, 4)
    np.testing.assert_array_equal(found.regeneration, [1, 1, 1])
    np.testing.assert_array_equal(found.seeds, [1, 1, 1])
    np.testing.assert_array_equal(found.compared, [4, 4, 4])
    changing = regeneration_stability(fickle, queries, MIXED, labels, noise, 4)
    np.testing.assert_array_equal(changing.regeneration, [1, 1, 1])  # the same seed
    np.testing.assert_array_equal(changing.seeds, [0.5, 0.5, 0.5])  # seeds 1 2 3 4: odd, even ...
    nothing = regeneration_stability(empty, queries, MIXED, labels, noise, 2)
    assert np.isnan(nothing.regeneration).all()
    far = regeneration_stability(steady, queries, MIXED, labels, NoiseModel(scale=0.5), 6)
    assert (far.compared < 6).any()  # moves that change the label are left out


# -- the table ----------------------------------------------------------------------------------


def test_every_metric_says_what_it_is():
    assert len(METRICS) >= 35
    assert list(describe().index) == list(METRICS) and describe().loc["l1", "direction"] == "lower"
    for name, one in METRICS.items():
        assert one.name == name and one.direction in ("higher", "lower", "")
        assert one.low < one.high and one.summary.endswith(".") and len(one.summary) < 100
        plain = ("found", "l1", "duplicates", "seconds", "model_calls", "model_rows")
        assert one.reference or name in plain


INSIDE, OUTSIDE = [0.9, 0.2, 0.6], [0.1, 0.9, 0.2]


def test_values_of_ragged_sets_by_hand():
    sets = linear_sets([[INSIDE, OUTSIDE], [], [INSIDE, INSIDE, INSIDE]], k=3)
    np.testing.assert_allclose(METRICS["validity"](sets), [1 / 3, 0, 1])
    np.testing.assert_allclose(METRICS["validity_returned"](sets), [0.5, np.nan, 1])
    np.testing.assert_array_equal(METRICS["found"](sets), [2, 0, 3])
    np.testing.assert_allclose(METRICS["l1"](sets), [(1.2 + 0.7) / 2, np.nan, 1.2])
    np.testing.assert_array_equal(METRICS["changed"](sets), [3, np.nan, 3])
    np.testing.assert_array_equal(METRICS["duplicates"](sets), [0, np.nan, 2])
    valid = sets.only(sets.valid)
    np.testing.assert_array_equal(METRICS["found"](valid), [1, 0, 3])
    np.testing.assert_allclose(METRICS["l1"](valid), [1.2, np.nan, 1.2])


def test_every_metric_stays_in_its_range_and_does_not_mind_its_batch():
    rng = np.random.default_rng(4)
    parts = [rng.uniform(size=(n, 3)).round(2) for n in (4, 0, 1, 4)]
    seconds = np.arange(4.0)
    cost = {"seconds": seconds, "model_calls": seconds, "model_rows": seconds}
    sets = linear_sets(parts, k=4, **cost)
    last = linear_sets(parts[3:], k=4, **{name: v[3:] for name, v in cost.items()})
    measured = 0
    for one in METRICS.values():
        if not one.can_measure(sets):
            assert set(one.needs) & {"models", "explain"}
            continue
        measured += 1
        values = one(sets)
        there = values[np.isfinite(values)]
        assert len(there) or one.name == "proximity_categorical"
        assert (there >= one.low - 1e-9).all() and (there <= one.high + 1e-9).all()
        np.testing.assert_allclose(one(last)[0], values[3], err_msg=one.name)
    assert measured >= 29


def test_no_counterfactuals_at_all():
    sets = linear_sets([[], []], k=2)
    for one in METRICS.values():
        if one.can_measure(sets):
            values = one(sets)
            zero = one.name in ("validity", "found")
            based = one.name.endswith("baseline")
            assert based or (values == 0).all() if zero or based else np.isnan(values).all()


def test_regression_target():
    scores = {"n": 0}

    def value(rows):
        scores["n"] += 1
        return rows[:, :1] * 10

    judge = Judge(
        NUMBERS, np.ones(3), value, lambda t: value(NUMBERS.encode(t)),
        np.random.default_rng(0).uniform(size=(200, 3)),
    )  # fmt: skip
    queries = pd.DataFrame([[0.1, 0.5, 0.5]] * 2, columns=list("abc"))
    tables = [pd.DataFrame([[0.5, 0.5, 0.5], [0.9, 0.5, 0.5]], columns=list("abc")), None]
    sets = CounterfactualSets.collect(tables, queries, RangeTarget(4, 6, 1.0), 2, judge)
    np.testing.assert_array_equal(METRICS["validity"](sets), [0.5, 0])
    assert METRICS["lof"](sets)[0] > 0
    baseline = METRICS["fidelity_half_baseline"](sets)
    np.testing.assert_array_equal(baseline, [1, 1])  # nothing within 0.5 MAD is in the range


def test_choosing_metrics():
    assert [one.name for one in choose(["rho_lit", METRICS["l1"]])] == ["rho_lit", "l1"]
    assert len(choose()) == len(METRICS)
    with pytest.raises(InvalidInputError, match="did you mean 'validity'"):
        choose(["validty"])

    @metric("higher", 0, 1, "here")
    def bad(sets):
        """Return too few values."""
        return np.zeros(1)

    with pytest.raises(InvalidInputError, match="one value per query"):
        bad(linear_sets([[], []], k=1))
    with pytest.raises(InvalidInputError, match="direction"):
        Metric("x", "up", 0, 1, "", "", "", lambda sets: sets.x)


def test_a_plugins_metric_is_found_by_name(monkeypatch):
    from dice_extended_plugin import plugins

    registry = Registry()
    registry.add(Component("metric", "mine", f"{__name__}:mine"))
    registry.add(Component("metric", "odd", f"{__name__}:MIXED"))
    monkeypatch.setattr(plugins, "get_registry", lambda: registry)
    assert choose(["mine"])[0].summary == "Count to one."
    with pytest.raises(InvalidInputError, match="not as a Metric"):
        choose(["odd"])


@metric("higher", 0, 1, "here")
def mine(sets):
    """Count to one."""
    return np.ones(sets.n_queries)


def test_chance_values():
    sets = linear_sets([[INSIDE], [INSIDE]])
    values = chance_values(sets, choose())
    share = (linear(sets.judge.reference)[:, 1] > 0.5).mean()
    assert values["validity"]["chance"] == pytest.approx(share)
    assert values["noise_validity"]["chance"] == pytest.approx(share)
    r = 0.05 * 10
    assert values["rho_lit"] == {
        "chance": pytest.approx(chance(r)), "ceiling": pytest.approx(ceiling(r)),
    }  # fmt: skip
    baseline = METRICS["fidelity_one_baseline"](sets).mean()
    assert values["fidelity_one"]["chance"] == pytest.approx(baseline)


def test_noise_validity_falls_with_the_scale():
    sets = linear_sets([[INSIDE, [0.8, 0.45, 0.5]]], n_draws=2000)
    scales = (0.02, 0.05, 0.1, 0.3)
    held = [noise_metric("n", NoiseModel(scale=s))(sets)[0] for s in scales]
    assert all(a >= b for a, b in pairwise(held)) and held[-1] < 0.9
    same = replace(sets, protocol=replace(sets.protocol, random_state=7))
    assert noise_metric("n", NoiseModel(scale=0.1))(same)[0] == pytest.approx(held[2], abs=0.03)


def test_listings_name_the_metrics_that_there_are():
    assert {name: one.summary for name, one in METRICS.items()} == SUMMARIES
    for name in SUMMARIES:
        component = Component("metric", name, f"dice_extended_plugin.metric_table:{name}")
        assert import_target(component.target, "a test") is METRICS[name]


def test_the_docs_table_is_the_table():
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    text = page.partition("<!-- begin metrics -->")[2].partition("<!-- end metrics -->")[0]
    lines = [[cell.strip() for cell in line.strip(" |").split(" | ")] for line in text.split("\n")]
    shown = {line[0].strip("`"): line for line in lines if line[0].startswith("`")}
    assert list(shown) == list(METRICS)
    for name, one in METRICS.items():
        assert shown[name][1] == one.summary and shown[name][2] == one.direction, name
        assert one.reference in " | ".join(shown[name]) and one.chance in " | ".join(shown[name])
