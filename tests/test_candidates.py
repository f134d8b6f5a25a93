"""Robust choice among candidates, equal rows, rows written for the model, and the model's pace."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from dice_extended_plugin.candidates import Preference, Problem, choose, cost, robustness, select
from dice_extended_plugin.dice_sorensen import noise_validity
from dice_extended_plugin.distinct import distinct, first_of_each, row_codes
from dice_extended_plugin.found import Budget
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.pace import Pace
from dice_extended_plugin.row_writer import RowWriter
from dice_extended_plugin.streams import query_streams
from dice_extended_plugin.targets import ClassTarget


def linear(space, slope=12.0):
    """P(class 1) rises with the first feature alone."""

    def scores(rows, query):
        p = 1 / (1 + np.exp(-slope * (rows[:, 0] - 0.5)))
        return np.stack([1 - p, p], axis=1)

    return scores


def problem(space, x, k=3, scores=None, **preference):
    noise = NoiseModel(scale=0.1)
    return Problem(
        x=x,
        space=space,
        target=ClassTarget(np.ones(len(x), int), np.zeros(len(x))),
        scores=linear(space) if scores is None else scores,
        total_CFs=k,
        weights=np.ones(x.shape[1]),
        preference=Preference(**preference),
        noise=noise,
        bank=noise.bank(space, 0),
        budget=Budget(),
    )


def candidates(space, x, per_query, seed=0):
    """Projected rows on the right side of the step."""
    rng = np.random.default_rng(seed)
    query = np.repeat(np.arange(len(x)), per_query)
    u = x[query].copy()
    u[:, 0] = rng.uniform(0.55, 1.0, len(u))
    u[:, 1] = rng.uniform(0, 1, len(u))
    lower, upper = space.bounds(x[query])
    u = space.project(u, x[query], lower, upper)
    keep = first_of_each(np.concatenate([row_codes(u, space), query[:, None]], axis=1))
    return u[keep], query[keep]


@pytest.fixture
def x(space, queries):
    return space.encode(queries)


# -- choice -------------------------------------------------------------------------------------


def log_det(rows, weights):
    scaled = rows * weights
    distance = np.abs(scaled[:, None] - scaled[None]).sum(-1)
    return np.linalg.slogdet(1 / (1 + distance))[1]


def test_the_greedy_choice_is_the_log_determinants_best_step():
    """Against determinants worked out one by one."""
    rng = np.random.default_rng(0)
    u, value, weights = rng.random((2, 9, 4)), rng.random((2, 9)), np.array([1.0, 2.0, 0.5, 3.0])
    usable = np.ones((2, 9), bool)
    usable[1, 7:] = False
    k, weight = 4, 2.5
    picked = choose(u, value, usable, k, weights, weight)
    for i in range(2):
        have: list[int] = []
        for _ in range(k):
            best, most = -1, -np.inf
            for j in np.flatnonzero(usable[i]):
                if j in have:
                    continue
                gain = log_det(u[i, [*have, j]], weights) - (
                    log_det(u[i, have], weights) if have else 0
                )
                worth = value[i, j] + weight / k * gain
                if worth > most:
                    best, most = j, worth
            have.append(int(best))
        assert list(picked[i]) == have


def test_a_choice_without_diversity_is_the_best_values():
    value = np.array([[0.1, 0.9, 0.5, 0.7]])
    picked = choose(np.zeros((1, 4, 2)), value, np.ones((1, 4), bool), 3, np.ones(2), 0.0)
    assert picked.tolist() == [[1, 3, 2]]


def test_too_few_candidates_leave_places_empty():
    usable = np.array([[True, False, True], [False, False, False]])
    picked = choose(
        np.random.default_rng(0).random((2, 3, 2)), np.zeros((2, 3)), usable, 3, np.ones(2), 1.0
    )
    assert sorted(picked[0]) == [-1, 0, 2] and list(picked[0])[-1] == -1
    assert (picked[1] == -1).all()
    assert choose(
        np.zeros((2, 0, 3)), np.zeros((2, 0)), np.zeros((2, 0), bool), 2, np.ones(3), 1.0
    ).tolist() == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize(
    "kernel", ["dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist"]
)
def test_more_diversity_weight_spreads_the_set(space, x, kernel):
    u, query = candidates(space, x, 60)

    def spread(weight):
        rows, valid = select(
            problem(space, x, diversity=weight, kernel=kernel, mode=None), u, query
        )
        assert valid.all()
        return np.mean([log_det(r, np.ones(r.shape[1])) for r in rows])

    assert spread(0.0) < spread(0.05) < spread(20.0)


def test_weights_do_what_they_say(space, x):
    u, query = candidates(space, x, 60)

    def chosen(**preference):
        return select(problem(space, x, diversity=0.0, **preference), u, query)[0]

    away = lambda rows: np.abs(rows - x[:, None]).sum(-1).mean()  # noqa: E731
    moved = lambda rows: space.changed(rows, x[:, None]).mean()  # noqa: E731
    plain = chosen(mode=None, proximity=0.1, sparsity=0.0)
    assert away(plain) == away(chosen(mode=None, proximity=3.0, sparsity=0.0))  # one weight alone
    robust = chosen(mode="validity", proximity=0.1, robustness=2.0)
    assert away(robust) > away(plain)
    assert moved(chosen(mode=None, proximity=0.1, sparsity=5.0)) <= moved(plain)


def test_robustness_is_noise_validity_times_the_coefficient(space, x):
    u, query = candidates(space, x, 5)
    asked = problem(space, x, mode="validity")
    direct = noise_validity(
        u,
        x[query],
        space,
        asked.noise,
        asked.bank,
        lambda rows, index: asked.met(rows, query[index]),
    )
    np.testing.assert_allclose(robustness(u, query, asked), direct)
    np.testing.assert_allclose(robustness(u, query, asked, max_rows=20), direct)
    strict = robustness(u, query, problem(space, x, mode="dice"))
    assert (strict <= direct + 1e-12).all() and (strict < direct).any()
    # Far beyond the step nothing is lost but bins.
    safe = u.copy()
    safe[:, 0] = 1.0
    assert robustness(safe, query, asked).min() > 0.99


def test_more_robustness_weight_never_lowers_robustness(space, x):
    u, query = candidates(space, x, 60)
    means = []
    for weight in (0.0, 0.2, 1.0, 5.0):
        asked = problem(space, x, diversity=0.0, robustness=weight, mode="validity")
        rows, valid = select(asked, u, query)
        who, _ = np.nonzero(valid)
        means.append(robustness(rows[valid], who, asked).mean())
    assert all(a <= b + 1e-9 for a, b in pairwise(means))
    assert means[-1] > means[0] + 0.02


def test_a_query_gets_the_same_in_any_batch(space, x):
    u, query = candidates(space, x, 40)
    together, valid = select(problem(space, x), u, query)
    for i in (0, 5, 11):
        mine = query == i
        alone, alone_valid = select(
            problem(space, x[i : i + 1]), u[mine], np.zeros(mine.sum(), int)
        )
        np.testing.assert_array_equal(alone[0], together[i])
        np.testing.assert_array_equal(alone_valid[0], valid[i])


def test_select_without_candidates(space, x):
    rows, valid = select(problem(space, x), np.empty((0, x.shape[1])), np.empty(0, int))
    assert rows.shape == (len(x), 3, x.shape[1]) and not valid.any()


def test_cost_counts_a_changed_level_twice_as_dice_does(space, x):
    u = x[:1].copy()
    block = space.blocks[0][space.blocks[0] >= 0]
    u[0, block] = np.roll(u[0, block], 1)
    preference = Preference(proximity=1.0, sparsity=0.5)
    expected = 2 / space.n_features + 0.5 / space.n_features
    assert cost(u, x[:1], space, np.ones(x.shape[1]), preference)[0] == pytest.approx(expected)


# -- equal rows ---------------------------------------------------------------------------------


def test_distinct_rows_are_those_of_numpy():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (500, 5)).astype(float) / 2
    first, inverse = distinct(codes)
    np.testing.assert_array_equal(codes[first][inverse], codes)
    assert len(first) == len(np.unique(codes, axis=0))
    assert (np.diff(first) > 0).all()
    assert first_of_each(codes).sum() == len(first)


def test_a_collision_of_hashes_is_noticed(monkeypatch):
    from dice_extended_plugin import distinct as module

    monkeypatch.setattr(module, "_hashes", lambda codes: np.zeros(len(codes), np.uint64))
    codes = np.array([[2.0], [1.0], [2.0], [3.0]])
    first, inverse = distinct(codes)
    assert first.tolist() == [0, 1, 3] and inverse.tolist() == [0, 1, 0, 2]


def test_no_rows_and_no_columns():
    assert distinct(np.empty((0, 3)))[0].tolist() == []
    assert distinct(np.empty((4, 0)))[1].tolist() == [0, 0, 0, 0]


def test_streams_belong_to_their_query(x):
    one = [s.random() for s in query_streams(x, 3, 7)]
    other = [s.random() for s in query_streams(x[::-1], 3, 7)]
    assert one == other[::-1]
    assert one != [s.random() for s in query_streams(x, 4, 7)]
    assert one != [s.random() for s in query_streams(x, 3, 8)]
    assert (
        query_streams(np.zeros((1, 2)), 0)[0].random()
        == query_streams(-np.zeros((1, 2)), 0)[0].random()
    )


# -- rows for the model -------------------------------------------------------------------------


def test_written_rows_are_decoded_rows(space, queries, x):
    rng = np.random.default_rng(0)
    query = rng.integers(0, len(x), 200)
    lower, upper = space.bounds(x[query])
    rows = lower + rng.random((200, x.shape[1])) * (upper - lower)
    rows = np.where(
        rng.random((200, space.n_features))[:, space.column_feature] < 0.4, x[query], rows
    )
    rows = space.project(rows, x[query], lower, upper)
    writer = RowWriter(space, queries, x)
    expected = space.decode(rows, x[query], queries.iloc[query].reset_index(drop=True))
    pd.testing.assert_frame_equal(writer.table(rows, query), expected)


def test_odd_cells_reach_the_model_as_written(table, queries):
    """A level written 1.0 where the table says 1, a number outside the grid."""
    import dice_ml

    from dice_extended_plugin.host import feature_space

    frame = table.assign(sex=table["sex"].map({"female": 0, "male": 1}))
    data = dice_ml.Data(
        dataframe=frame, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    space = feature_space(data)
    asked = queries.assign(
        sex=queries["sex"].map({"female": 0.0, "male": 1.0}), bmi=queries["bmi"] + 0.0123
    )
    x = space.encode(asked)
    writer = RowWriter(space, asked, x)
    assert not writer.plain
    pd.testing.assert_frame_equal(writer.table(x, np.arange(len(x))), asked)
    noisy = x.copy()
    noisy[:, space.continuous.index("age")] += 0.013
    written = writer.table(noisy, np.arange(len(x)))
    assert (written["age"] > asked["age"]).all()
    assert (written["bmi"] == asked["bmi"]).all()


class Counting:
    """A model that counts the rows it is asked about."""

    classes_ = np.array([0, 1])

    def __init__(self):
        self.sizes = []

    def predict_proba(self, rows):
        self.sizes.append(len(rows))
        p = (rows["bmi"].to_numpy(float) > 26) * 0.6 + 0.2
        return np.stack([1 - p, p], axis=1)


def test_equal_rows_are_asked_about_once(data, space, queries, x):
    import dice_ml

    inner = Counting()
    model = dice_ml.Model(model=inner, backend="sklearn")
    model.transformer.feed_data_params(data)
    model.transformer.initialize_transform_func()
    scores = NativeScores(model, space, queries, x, max_rows=100)
    rows = np.repeat(x, 50, axis=0)
    out = scores(rows, np.repeat(np.arange(len(x)), 50))
    assert inner.sizes == [len(x)]
    np.testing.assert_array_equal(out, np.repeat(scores.native(queries), 50, axis=0))
    many = space.project(
        np.random.default_rng(0).random((250, x.shape[1])), x[:1], *space.bounds(x[:1])
    )
    inner.sizes.clear()
    scores(many, np.zeros(250, int))
    assert max(inner.sizes) <= 100 and sum(inner.sizes) <= 250


def test_an_own_backend_is_asked_in_its_own_way(data, space, queries, x):
    """dice-ml lets users name a model class of their own; its get_output is what counts."""

    class Own:
        backend: ClassVar = {"model": "mine.Model", "explainer": "mine.Explainer"}
        model_type = "classifier"
        model = None

        class transformer:
            func = None

        def get_output(self, table):
            return (table["bmi"].to_numpy(float) > 26).astype(float)[:, None]

    scores = NativeScores(Own(), space, queries, x)
    own, n_classes = scores.check()
    assert n_classes == 2
    assert (own.argmax(1) == (queries["bmi"] > 26)).all()


# -- pace ---------------------------------------------------------------------------------------


def test_a_pace_says_how_long_a_call_will_take():
    pace = Pace()
    assert pace.estimate(1000) == 0.0
    pace.add(10, 1.0)
    assert pace.estimate(5) == pytest.approx(1.3)
    assert pace.estimate(100) >= 10  # nothing is known yet about what a row costs
    pace.add(1010, 2.0)
    assert pace.estimate(500) == pytest.approx(1.3 * 2.0)
    assert pace.estimate(2010) == pytest.approx(1.3 * 3.0, rel=0.05)
    assert pace.estimate(5, 500) == pytest.approx(1.3 * 3.0)
    assert pace.estimate(0) == 0.0
    for _ in range(40):
        pace.add(1, 0.1)
    assert len(pace.calls) <= 16
