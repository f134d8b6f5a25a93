"""The local moves, each where its answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from attack_models import linear, problem

from art_bridge import hybrid
from art_bridge.box import ArrayBox
from art_bridge.constraints import Constraints
from art_bridge.evaluation import Evaluator
from art_bridge.moves import Rows, ask_rows, bisect, bisect_features, revert, tangent
from art_bridge.nsga3 import Aim, search
from art_bridge.surrogate import additive_step

RNG = np.random.default_rng(0)
TRAIN = RNG.random((300, 5)).astype(np.float32).astype(float)
WEIGHTS = np.array([3.0, -2.0, 1.0, 0.5, 0.0])
SCORE = linear(WEIGHTS, -1.0)
LOW = TRAIN[SCORE(TRAIN)[:, 0] > 0.6][:20]  # rows of class 0
GAP = -(LOW @ WEIGHTS - 1.0)  # what the linear score lacks
EVERYONE = np.arange(len(LOW))


def evaluator(**keywords):
    return Evaluator(problem(SCORE, LOW, 1, TRAIN, **keywords))


def inside_rows(asker, k=3):
    near = asker.problem.reference.nearest(LOW, asker.problem.target, k)
    return ask_rows(asker, EVERYONE, near)


def test_bisect_goes_to_the_border_and_no_further():
    asker = evaluator()
    start = inside_rows(asker)
    assert start.inside.all()
    end = bisect(asker, start, 5)
    assert end.inside.all()
    assert (end.answer.margin < 0.01).all() and (end.answer.margin > 0).all()
    # On the line: the change keeps its direction.
    change, whole = end.u - LOW[:, None], start.u - LOW[:, None]
    cosine = (
        (change * whole).sum(2) / np.linalg.norm(change, axis=2) / np.linalg.norm(whole, axis=2)
    )
    assert (cosine > 0.9999).all()


def test_revert_takes_back_what_is_not_needed():
    asker = evaluator()
    u = np.clip(LOW + np.array([1.0, -1.0, 1.0, 1.0, 1.0]), 0, 1)[:, None]
    end = revert(asker, ask_rows(asker, EVERYONE, u))
    assert end.inside.all()
    assert (end.u[:, 0, 4] == LOW[:, 4]).all()  # a feature without any effect
    # Nothing more can be taken back.
    for j in range(5):
        one = end.u.copy()
        one[:, 0, j] = LOW[:, j]
        again = ask_rows(asker, EVERYONE, one)
        assert not (again.inside & (one != end.u).any(axis=2)).any()


def test_bisect_features_shortens_single_features():
    asker = evaluator()
    start = inside_rows(asker, 1)
    end = bisect_features(asker, start, 5, 3)
    assert end.inside.all()
    assert (end.answer.distance <= start.answer.distance).all()
    assert end.answer.distance.mean() < 0.8 * start.answer.distance.mean()


def optimum(norm):
    """Distance to the plane, were there no box."""
    if norm == 2:
        return GAP / np.linalg.norm(WEIGHTS)
    if norm == 1:
        return GAP / np.abs(WEIGHTS).max()
    return GAP / np.abs(WEIGHTS).sum()


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_the_tangent_plane_gives_the_nearest_row_of_a_linear_model(norm):
    aim = Aim(np.full(len(LOW), 0.5), norm=norm)
    asker = evaluator(aim=aim)
    rows = bisect(asker, inside_rows(asker), 4)
    for _ in range(2):
        rows, useful = tangent(asker, rows, 0.01, 8)
    assert useful.all()
    best = rows.best(1).answer.distance[:, 0]
    bound = optimum(norm)
    assert (best >= bound - 1e-5).all()
    assert np.median(best / bound) < 1.02


def test_a_step_function_has_no_tangent_plane():
    def steps(rows):
        p = np.clip(np.floor(rows[:, 0] * 5) / 5, 0, 1)
        return np.column_stack([1 - p, p])

    asker = Evaluator(problem(steps, LOW, 1, TRAIN))
    rows = bisect(asker, inside_rows(asker), 1)
    before = asker.rows.copy()
    _, useful = tangent(asker, rows, 1e-4, 4)
    assert not useful.all()
    assert (asker.rows - before <= 3 * 5 + 3 * 7).all()


def additive_steps(rows):
    """Return scores of an additive step function in log-odds: two stairs have to be taken."""
    odds = -1.5 + 1.0 * (rows[:, 0] > 0.6) + 1.0 * (rows[:, 1] < 0.3) + 1.0 * (rows[:, 2] > 0.9)
    p = 1 / (1 + np.exp(-odds))
    return np.column_stack([1 - p, p])


def test_an_additive_step_finds_the_cheapest_pair_of_features():
    x = np.full((1, 5), 0.5)
    asker = Evaluator(problem(additive_steps, x, 1, TRAIN))
    base = ask_rows(asker, np.array([0]), x[:, None] + [[[1e-3, 0, 0, 0, 0]]])
    found = additive_step(asker, base, np.array([0.6]), 30, np.array([0.5]))
    best = found.best(1)
    assert best.inside.all()
    changed = np.abs(best.u[0, 0] - x[0]) > 0.01
    assert changed.tolist() == [True, True, False, False, False]


def test_an_additive_step_switches_levels_of_a_group():
    rng = np.random.default_rng(1)
    level = rng.integers(0, 3, 200)
    rows = np.column_stack([rng.random(200), np.eye(3)[level]])

    def score(u):
        p = 1 / (1 + np.exp(-(u[:, 0] + 3 * u[:, 3] - 2)))
        return np.column_stack([1 - p, p])

    x = np.array([[0.2, 1.0, 0.0, 0.0]])
    box = ArrayBox.build(
        x, np.zeros(4), np.ones(4), Constraints(one_hot=[[1, 2, 3]]), reference=rows
    )
    aim = Aim(np.full(1, 0.5))
    asker = Evaluator(problem(score, x, 1, rows, aim=aim, box=box))
    base = asker.ask(x[:, None], np.array([0]))
    start = Rows(np.array([0]), x[:, None], base, np.array([[False]]))
    best = additive_step(asker, start, np.array([np.inf]), 10, np.array([0.5])).best(1)
    assert best.inside.all()
    assert best.u[0, 0, 1:].tolist() == [0, 0, 1]


def test_fast_mode_reaches_the_optimum_of_a_linear_model():
    found = search(problem(SCORE, LOW, 1, TRAIN))
    assert found.success.all()
    assert np.allclose(found.distance, optimum(2), rtol=0.02)


def test_fast_mode_is_better_than_each_part_of_it():
    asker = evaluator()
    near = bisect(asker, inside_rows(asker, 20), 4).best(1).answer.distance[:, 0]
    found = search(problem(SCORE, LOW, 1, TRAIN))
    assert (found.distance <= near + 1e-9).all()


def test_not_minimal_stops_early():
    quick = search(problem(SCORE, LOW, 1, TRAIN, minimal=False))
    assert quick.success.all()
    assert (quick.rows <= 20).all()


@pytest.fixture
def both_ways(monkeypatch):
    """Search a model of twelve columns with the last tangents and without."""

    def run(lead):
        rows = np.random.default_rng(1).random((400, 12)).astype(np.float32).astype(float)
        border = np.quantile(lead(rows), 0.6)

        def score(u):
            p = 1 / (1 + np.exp(border - lead(u)))
            return np.column_stack([1 - p, p])

        low = rows[score(rows)[:, 0] > 0.6][:20]
        asked = problem(score, low, 1, rows, mode="fast", population=16, max_rows=1500)
        found = search(asked)
        monkeypatch.setattr(hybrid, "_LAST_TANGENTS", 0)
        return found, search(asked)

    return run


@pytest.mark.parametrize("seed", range(3))
def test_the_last_tangents_bring_rows_nearer_on_networks(both_ways, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(12, 60)), rng.normal(size=60)
    found, without = both_ways(lambda u: np.maximum((u - 0.5) @ first, 0) @ second)
    assert found.success.all() and found.rows.max() <= 1500
    assert found.distance.mean() < 0.999 * without.distance.mean()


def test_the_last_tangents_leave_step_functions_alone(both_ways):
    found, without = both_ways(lambda u: (u > 0.3).sum(axis=1) + (u > 0.7).sum(axis=1) + 0.0)
    assert np.array_equal(found.u, without.u) and np.array_equal(found.rows, without.rows)
