"""The search: what it finds, what it may spend, what it must never do."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from attack_models import cancer, linear, problem, trained

from art_bridge.box import ArrayBox, SpaceBox
from art_bridge.constraints import Constraints
from art_bridge.nsga3 import Aim, Options, Problem, Reference, search
from dice_extended_plugin.errors import InvalidInputError

RNG = np.random.default_rng(0)
TRAIN = RNG.random((200, 4)).astype(np.float32).astype(float)
SCORE = linear([4.0, -3.0, 1.0, 0.0], -0.5)
LOW = TRAIN[SCORE(TRAIN)[:, 0] > 0.6][:12]
MODES = ("fast", "faithful")


def quick(mode):
    """Return a smaller search for tests that look at rules, not at quality."""
    return {"mode": mode, "population": 20, "generations": 8, "max_rows": 900}


@pytest.mark.parametrize("mode", MODES)
def test_every_row_found_is_strictly_of_the_class(mode):
    found = search(problem(SCORE, LOW, 1, TRAIN, mode=mode))
    scores = SCORE(found.u)
    assert found.success.all() and found.reached.all()
    assert (scores[:, 1] > scores[:, 0]).all()
    assert np.array_equal(found.u, found.u.astype(np.float32))
    assert np.allclose(found.distance, np.linalg.norm(found.u - LOW, axis=1))
    assert np.allclose(found.probability, scores[:, 1], atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_norms(mode, norm):
    aim = Aim(np.full(len(LOW), 0.5), norm=norm)
    found = search(problem(SCORE, LOW, 1, TRAIN, aim=aim, **quick(mode)))
    assert np.allclose(found.distance, np.linalg.norm(found.u - LOW, ord=norm, axis=1))


def test_the_scale_of_the_distance():
    scale = np.array([0.1, 1.0, 1.0, 1.0])  # the first column is ten times as dear
    plain = search(problem(SCORE, LOW, 1, TRAIN))
    dear = search(problem(SCORE, LOW, 1, TRAIN, aim=Aim(np.full(len(LOW), 0.5), scale=scale)))
    assert np.allclose(dear.distance, np.linalg.norm((dear.u - LOW) / scale, axis=1))
    moved = [np.abs(found.u - LOW)[:, 0].mean() for found in (plain, dear)]
    assert moved[1] < 0.3 * moved[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_higher_probability_is_farther(mode):
    near, far = (
        search(problem(SCORE, LOW, 1, TRAIN, aim=Aim(np.full(len(LOW), p)), mode=mode))
        for p in (0.5, 0.7)
    )
    assert far.reached.all() and (far.probability >= 0.7 - 1e-6).all()
    assert (far.distance > near.distance).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_probability_out_of_reach(mode):
    for pick in ("lexicographic", "closest"):
        aim = Aim(np.full(len(LOW), 0.9999), pick=pick)
        found = search(problem(SCORE, LOW, 1, TRAIN, aim=aim, **quick(mode)))
        assert found.success.all() and not found.reached.any()
        if pick == "lexicographic":  # as probable as can be, at any distance
            best = found.probability
        else:
            assert (found.probability < best).mean() > 0.8


@pytest.mark.parametrize("mode", MODES)
def test_the_border(mode):
    aim = Aim(np.full(len(LOW), 0.5), boundary=True, pick="lexicographic")
    found = search(problem(SCORE, LOW, 1, TRAIN, aim=aim, mode=mode))
    assert (np.abs(found.probability - 0.5) < 1e-3).all()
    close = Aim(np.full(len(LOW), 0.5), boundary=True, tolerance=0.05)
    near = search(problem(SCORE, LOW, 1, TRAIN, aim=close, mode=mode))
    assert near.reached.all()
    # The paper's pick takes the border at any distance; fast mode reaches it near by anyway.
    assert near.distance.mean() < (1.01 if mode == "fast" else 0.97) * found.distance.mean()


@pytest.mark.parametrize("mode", MODES)
def test_no_batch_changes_a_row(mode):
    whole = problem(SCORE, LOW, 1, TRAIN, seed=3, **quick(mode))
    together = search(whole)
    for split in ([[0], [1, 2], range(3, 12)], [range(12)], [reversed(range(12))]):
        for part in split:
            index = np.array(list(part))
            alone = search(whole.take(index))
            assert np.array_equal(alone.u, together.u[index])
            assert np.array_equal(alone.rows, together.rows[index])
    small = replace(whole, options=replace(whole.options, batch_rows=37))
    assert np.array_equal(search(small).u, together.u)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, "fast") for kind in ("gb", "rf", "svc", "nn", "pipeline")] + [("nn", "faithful")],
)
def test_no_batch_changes_a_row_of_a_real_model(kind, mode):
    model, (x, _) = trained(kind), cancer()

    def score(rows):
        return model.predict_proba(rows.astype(np.float32))

    x = x.astype(float)
    queries = x[1:14:2]
    target = 1 - score(queries).argmax(axis=1)
    options = {"mode": mode, "population": 20, "generations": 6}
    whole = problem(score, queries, target, x[::2], **options)
    together = search(whole)
    assert together.success.all()
    for index in (np.array([4]), np.array([6, 0, 3])):
        assert np.array_equal(search(whole.take(index)).u, together.u[index])


@pytest.mark.parametrize("mode", MODES)
def test_seeds(mode):
    model, (x, _) = trained("gb"), cancer()
    x = x.astype(float)
    queries = x[1:20:2]
    target = 1 - model.predict(queries)
    first, same, other = (
        search(problem(model.predict_proba, queries, target, x[::2], seed=seed, mode=mode))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.u, same.u)
    assert not np.array_equal(first.u, other.u)


def test_a_row_stands_for_itself_wherever_it_is():
    twice = np.concatenate([LOW[:2], LOW[:2]])
    found = search(problem(SCORE, twice, 1, TRAIN, **quick("fast")))
    assert np.array_equal(found.u[:2], found.u[2:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 7, 60, 333])
def test_the_row_budget_holds(mode, limit):
    asked = []

    def counting(rows, _):
        asked.append(len(rows))
        return SCORE(rows)

    whole = problem(SCORE, LOW, 1, TRAIN, mode=mode, population=20, max_rows=limit)
    found = search(replace(whole, score=counting))
    assert (found.rows <= limit).all()
    assert found.rows.sum() <= sum(asked) <= found.rows.sum() + 15 * len(asked)


@pytest.mark.parametrize("mode", MODES)
def test_time_runs_out(mode):
    def slow(rows, _):
        time.sleep(0.02)
        return SCORE(rows)

    options = {"mode": mode, "max_seconds": 0.15, "batch_rows": 100}
    whole = problem(SCORE, LOW, 1, TRAIN, **options)
    found = search(replace(whole, score=slow))
    assert found.begun[0] and not found.begun[-1]
    assert np.array_equal(found.u[~found.begun], LOW[~found.begun])


@pytest.mark.parametrize("mode", MODES)
def test_a_class_that_is_never_answered(mode):
    def two(rows):
        return np.column_stack([SCORE(rows), np.zeros(len(rows))])

    found = search(problem(two, LOW, 2, TRAIN, **quick(mode)))
    assert found.begun.all() and not found.success.any()
    assert np.array_equal(found.u, LOW) and np.isnan(found.distance).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_model_that_answers_nan(mode):
    def holes(rows):
        scores = SCORE(rows)
        scores[rows[:, 2] > 0.5] = np.nan
        return scores

    start = LOW[LOW[:, 2] < 0.5]
    rows = TRAIN[TRAIN[:, 2] < 0.5]
    found = search(problem(holes, start, 1, rows, **quick(mode)))
    assert found.success.all() and (found.u[:, 2] <= 0.5).all()
    nothing = search(problem(lambda u: np.full((len(u), 2), np.nan), LOW, 1, TRAIN[:0]))
    assert not nothing.success.any() and nothing.begun.all()


@pytest.mark.parametrize("mode", MODES)
def test_without_training_rows(mode):
    found = search(problem(SCORE, LOW, 1, TRAIN[:0], mode=mode))
    assert found.success.all()
    assert (found.distance < 1.2 * -(LOW @ [4, -3, 1, 0] - 0.5) / np.sqrt(26)).all()


@pytest.mark.parametrize("mode", MODES)
def test_given_starts_are_used(mode):
    def needle(rows):  # a class that only the start shows
        p = (np.abs(rows - 0.123).max(axis=1) < 0.01).astype(float)
        return np.column_stack([1 - p, p])

    given = np.full((len(LOW), 1, 4), 0.123)
    given[0] = np.nan
    found = search(problem(needle, LOW, 1, TRAIN, starts=given, **quick(mode)))
    assert found.success[1:].all() and not found.success[0]


def test_ties_are_no_counterfactuals():
    def tie(rows):
        return np.full((len(rows), 2), 0.5)

    assert not search(problem(tie, LOW, 1, TRAIN, **quick("fast"))).success.any()


# -- constraints ------------------------------------------------------------------------------


def mixed(n=150):
    """Rows: number, whole number, three levels, an ordinal, two levels, a number."""
    rng = np.random.default_rng(1)
    rows = np.column_stack(
        [
            rng.random(n),
            rng.integers(0, 20, n),
            np.eye(3)[rng.integers(0, 3, n)],
            rng.choice([0.0, 0.3, 1.0], n),
            np.eye(2)[rng.integers(0, 2, n)],
            rng.random(n),
        ]
    )
    return rows.astype(np.float32).astype(float)


RULES = Constraints(
    immutable=[0],
    integer=[1],
    ordinal={5: [0.0, 0.3, 1.0]},
    one_hot=[[2, 3, 4], [6, 7]],
    increasing=[8],
)


def mixed_score(rows):
    odds = 2 * rows[:, 0] + 0.2 * rows[:, 1] + 2 * rows[:, 4] + rows[:, 5] + rows[:, 7] + rows[:, 8]
    p = 1 / (1 + np.exp(5 - odds))
    return np.column_stack([1 - p, p])


@pytest.mark.parametrize("mode", MODES)
def test_constraints_hold(mode):
    rows = mixed()
    own = mixed_score(rows).argmax(axis=1)
    x, target = rows[:40], 1 - own[:40]
    mask = np.ones(x.shape, bool)
    mask[:10, 2] = False  # one column of a group: the group stays
    box = ArrayBox.build(x, rows.min(axis=0), rows.max(axis=0), RULES, mask, rows)
    found = search(problem(mixed_score, x, target, rows, box=box, mode=mode))
    u = found.u
    assert found.success.mean() > 0.8
    assert (u[:, 0] == x[:, 0]).all()
    assert (u[:, 1] == np.rint(u[:, 1])).all()
    assert np.isin(u[:, 5], rows[:, 5]).all()
    for group in ([2, 3, 4], [6, 7]):
        assert np.isin(u[:, group], [0, 1]).all() and (u[:, group].sum(axis=1) == 1).all()
    assert (u[:10, 2:5] == x[:10, 2:5]).all()
    assert (u[:, 8] >= x[:, 8]).all()
    assert (u >= rows.min(axis=0)).all() and (u <= rows.max(axis=0)).all()
    # Levels are really switched.
    assert (u[10:, 2:5] != x[10:, 2:5]).any() and (u[:, 6:8] != x[:, 6:8]).any()


def test_a_box_keeps_what_a_query_has():
    rows = mixed()
    x = rows[:3].copy()
    x[0, 1], x[1, 5], x[2, 2:5], x[0, 8] = 3.5, 0.7, [0.4, 0.4, 0.2], 5.0
    box = ArrayBox.build(x, rows.min(axis=0), rows.max(axis=0), RULES, reference=rows)
    x = box.x
    assert np.allclose(box.project(x, np.arange(3)), x)


def test_projection_is_idempotent_and_exact_in_float32():
    rows = mixed()
    x = rows[:30]
    box = ArrayBox.build(x, rows.min(axis=0), rows.max(axis=0), RULES, reference=rows)
    u = RNG.normal(scale=10, size=(30, rows.shape[1]))
    once = box.project(u, np.arange(30))
    assert np.array_equal(once, once.astype(np.float32))
    assert np.array_equal(box.project(once, np.arange(30)), once)


def test_bounds_are_rounded_inwards():
    low, high = np.array([0.1]), np.array([0.3])
    box = ArrayBox.build(np.array([[0.2]]), low, high)
    ends = box.project(np.array([[-1.0], [1.0]]), np.zeros(2, int))
    assert ends[0, 0] >= 0.1 and ends[1, 0] <= 0.3


def test_ranges_bind_also_for_a_query_outside():
    rules = Constraints(ranges={0: (0.4, 0.6)})
    x = np.array([[0.1, 0.5], [0.9, 0.5], [0.5, 0.5]])
    box = ArrayBox.build(x, np.zeros(2), np.ones(2), rules)
    assert np.allclose(box.lower[:, 0], 0.4) and np.allclose(box.upper[:, 0], 0.6)
    out = box.project(x, np.arange(3))
    assert np.allclose(out[:, 0], [0.4, 0.6, 0.5])


@pytest.mark.parametrize(
    "other",
    [{"immutable": [0]}, {"decreasing": [0]}, {}],
)
def test_a_row_that_cannot_obey_stays_whole(other):
    x = np.array([[0.1, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]])
    rules = Constraints(ranges={0: (0.4, 0.6)}, **other)
    mask = None if other else np.array([[0, 1, 1, 1], [1, 1, 1, 1]], dtype=bool)
    box = ArrayBox.build(x, np.zeros(4), np.ones(4), rules, mask)
    found = search(problem(SCORE, x, 1, TRAIN, box=box, **quick("fast")))
    assert np.array_equal(found.u[0], box.x[0]) and not found.success[0]
    assert found.success[1] and 0.4 <= found.u[1, 0] <= 0.6


@pytest.mark.parametrize(
    ("rules", "obeys"),
    [
        ({"ordinal": {0: [0.0, 0.1, 1.0]}}, False),
        ({"steps": {0: 0.35}}, False),
        ({"ordinal": {0: [0.0, 0.1, 0.6, 1.0]}}, True),  # 0.4 is nearer to 0.1 than to 0.6
        ({"steps": {0: 0.25}}, True),
    ],
)
def test_a_range_binds_levels_and_steps(rules, obeys):
    x = np.array([[0.1, 0.5, 0.5, 0.5], [0.9, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]])
    rules = Constraints(ranges={0: (0.4, 0.6)}, **rules)
    train = np.concatenate([TRAIN, np.zeros((1, 4))])  # steps begin at 0
    box = ArrayBox.build(x, np.zeros(4), np.ones(4), rules, reference=train)
    found = search(problem(SCORE, x, 1, TRAIN, box=box, **quick("fast")))
    assert found.success.tolist() == [obeys, obeys, True]
    moved = found.success
    assert ((found.u[moved, 0] >= 0.4 - 1e-6) & (found.u[moved, 0] <= 0.6 + 1e-6)).all()
    assert np.array_equal(found.u[~moved], box.x[~moved])


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"increasing": [1], "decreasing": [1]}, "increasing and decreasing"),
        ({"integer": [1], "steps": {1: 0.5}}, "integer and steps"),
        ({"integer": [1], "ordinal": {1: [0, 1]}}, "integer and ordinal"),
        ({"one_hot": [[0, 1], [1, 2]]}, "more than one group"),
        ({"one_hot": [[0, 2]]}, "neighbouring"),
        ({"one_hot": [[0]]}, "two or more"),
        ({"one_hot": [[0, 1]], "integer": [1]}, "one_hot and integer"),
        ({"steps": {0: 0.0}}, "positive"),
        ({"ordinal": {0: []}}, "finite values"),
        ({"ranges": {0: (1, 0)}}, "empty"),
        ({"ranges": {0: (2, 3)}}, "outside"),
        ({"immutable": [4]}, "columns are numbered 0 to 3"),
        ({"immutable": [True]}, r"column\(s\) \[True\]"),
        ({"immutable": ["age", 0]}, r"column\(s\) \['age'\]"),
        ({"immutable": 3}, "immutable must be a list of columns, not 3"),
        ({"one_hot": [3]}, "one_hot must be a list of groups"),
        ({"ordinal": [1, 2]}, "ordinal must map columns to values"),
        ({"ordinal": {0: ["a"]}}, "finite values"),
        ({"ordinal": {0: 1.0}}, "finite values"),
        ({"steps": {0: "a"}}, "positive"),
        ({"ranges": [0]}, "ranges must map columns to values"),
        ({"ranges": {0: 5}}, r"must be \(low, high\), not 5"),
        ({"ranges": {0: (0, "b")}}, r"must be \(low, high\)"),
        ({"immutable": [-1]}, "columns are numbered"),
        ({"immutable": [0, 1, 2, 3]}, "every column immutable"),
        ({"one_hot": [[0, 1]]}, "more than one column on"),
    ],
)
def test_contradictions(rules, text):
    rows = np.ones((3, 4))
    rows[0] = 0
    with pytest.raises(InvalidInputError, match=text):
        ArrayBox.build(rows, np.zeros(4), np.ones(4), Constraints(**rules), reference=rows)


def test_nothing_can_change():
    x = LOW[:3]
    mask = np.ones(x.shape, bool)
    mask[1] = False
    box = ArrayBox.build(x, np.zeros(4), np.ones(4), mask=mask)
    for mode in MODES:
        found = search(problem(SCORE, x, 1, TRAIN, box=box, **quick(mode)))
        assert found.success.tolist() == [True, False, True]
        assert found.rows[1] == 0 and np.array_equal(found.u[1], x[1])


def test_a_constant_column_stays():
    rows = TRAIN.copy()
    rows[:, 3] = 0.25
    x = rows[SCORE(rows)[:, 0] > 0.6][:5]
    box = ArrayBox.build(x, rows.min(axis=0), rows.max(axis=0), reference=rows)
    found = search(problem(SCORE, x, 1, rows, box=box))
    assert found.success.all() and (found.u[:, 3] == 0.25).all()


# -- the dice-ml side -------------------------------------------------------------------------


def test_a_feature_space_is_a_box(space, table, queries):
    space = space.constrain(["bmi", "glucose", "bp", "s5"], {"glucose": ["low", "mid"]})
    rows = space.encode(table)
    weights = np.random.default_rng(0).normal(size=space.n_columns)
    score = linear(weights * 3, -3 * np.median(rows @ weights))
    x = space.encode(queries)
    found = search(
        Problem(
            box=SpaceBox.build(x, space),
            target=1 - score(x).argmax(axis=1),
            score=lambda u, _: score(u),
            aim=Aim(np.full(len(x), 0.5)),
            reference=Reference(rows, score(rows).argmax(axis=1)),
            options=Options(),
        )
    )
    assert found.success.mean() > 0.8
    lower, upper = space.bounds(x)
    projected = space.project(found.u, x, lower, upper)
    good = found.success
    assert np.allclose(projected[good], found.u[good])
    changed = space.changed(found.u, x)
    names = np.array(space.continuous + space.categorical)
    assert set(names[changed.any(axis=0)]) <= {"bmi", "glucose", "bp", "s5"}
    decoded = space.decode(found.u, x, queries)
    assert (
        decoded["glucose"].isin(["low", "mid"]) | ~changed[:, list(names).index("glucose")]
    ).all()


# -- quality ----------------------------------------------------------------------------------


def pymoo_distance(model, x, target, near, seed, generations=20, size=100):
    """Lexicographic best of pymoo's NSGA-III, one query, the same operators."""
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.optimize import minimize

    from art_bridge.survival import das_dennis

    class Counterfactual(PymooProblem):
        def _evaluate(self, u, out, *args, **kwargs):
            p = model.predict_proba(u.astype(np.float32))
            wrong = (p.argmax(axis=1) != target).astype(float)
            cost = np.maximum(0, 0.5 - p[:, target])
            out["F"] = np.column_stack([wrong, cost, np.linalg.norm(u - x, axis=1)])

    rng = np.random.default_rng(seed)
    kind, first = rng.random(size), rng.random((size, len(x)))
    first[kind < 0.125] = x
    is_near = (kind >= 0.125) & (kind < 0.75)
    first[is_near] = near[rng.integers(0, len(near), is_near.sum())]
    algorithm = NSGA3(
        das_dennis(3, 10).copy(),
        pop_size=size,
        sampling=first,
        crossover=SBX(prob=0.6, eta=20),
        mutation=PM(prob=0.4, eta=20),
    )
    task = Counterfactual(n_var=len(x), n_obj=3, xl=0.0, xu=1.0)
    costs = minimize(task, algorithm, ("n_gen", generations), seed=seed).pop.get("F")
    best = np.lexsort((costs[:, 2], costs[:, 1], costs[:, 0]))[0]
    return costs[best, 2]


@pytest.mark.slow
def test_quality_against_pymoo():
    model, (x, _) = trained("gb"), cancer()
    x = x.astype(float)
    queries = x[1:41:2]
    target = 1 - model.predict(queries)
    options = {"mode": "faithful", "population": 100, "generations": 20, "max_rows": None}
    near = Reference(x[::2], model.predict(x[::2])).nearest(queries, target, 100)
    theirs = [
        pymoo_distance(model, q, t, rows[np.isfinite(rows[:, 0])], seed)
        for seed in range(2)
        for q, t, rows in zip(queries, target, near, strict=True)
    ]
    ours = np.mean(
        [
            search(
                problem(model.predict_proba, queries, target, x[::2], seed=seed, **options)
            ).distance.mean()
            for seed in range(3)
        ]
    )
    assert ours <= 1.06 * np.mean(theirs)  # one run varies by some per cent
    fast = search(problem(model.predict_proba, queries, target, x[::2])).distance.mean()
    assert fast <= 1.02 * np.mean(theirs)
