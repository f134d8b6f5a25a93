"""What holds for every array, constraint and model: the ART bridge's attacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("art")

from art.estimators.classification import BlackBoxClassifier

from art_bridge import Constraints
from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
from dice_extended_plugin.errors import InvalidInputError

QUICK = settings(
    derandomize=True,
    deadline=None,
    max_examples=15,
    suppress_health_check=list(HealthCheck),
    # Making a failing case smaller takes minutes: remove this line to see a smaller one.
    phases=[Phase.explicit, Phase.generate],
)
SMALL = {"population": 8, "generations": 3, "max_rows": 60}
ATTACKS = (UnconstrainedCounterfactual, BoundaryCounterfactual)
pytestmark = pytest.mark.filterwarnings("ignore")


class Model:
    """Class 1 above a cut of a weighted sum; fails, if it is to, from call `fail_at` on."""

    def __init__(self, weights, cut, kind, n_classes):
        self.weights, self.cut, self.kind, self.n_classes = weights, cut, kind, n_classes
        self.calls = self.rows = 0
        self.failure, self.fail_at = None, 0

    def scores(self, x):
        value = np.asarray(x, dtype=np.float64) @ self.weights - self.cut
        if self.kind == "constant":
            value = np.full(len(x), -1.0)
        if self.kind == "step":
            value = np.sign(value)
        middle = np.linspace(-1, 1, self.n_classes)
        share = np.exp(-4 * (value[:, None] - middle) ** 2) + 1e-6
        return share / share.sum(axis=1, keepdims=True)

    def __call__(self, x):
        self.calls += 1
        self.rows += len(x)
        found = self.scores(x)
        if self.failure and self.calls >= self.fail_at:
            if self.failure == "raises":
                raise RuntimeError("the model broke")
            found[::3] = np.nan
        return found

    def labels(self, x):
        scores = self.scores(x)
        top = np.sort(scores, axis=1)
        return np.where(top[:, -1] > top[:, -2], scores.argmax(axis=1), -1)


@st.composite
def problems(draw):
    """A model, training rows, queries and constraints."""
    d, n_classes = draw(st.integers(1, 5)), draw(st.integers(2, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    train = random.uniform(0, 1, (draw(st.integers(2, 30)), d))
    if draw(st.booleans()):
        train[:, 0] = train[0, 0]  # a column with one value
    if draw(st.booleans()):
        train = np.concatenate([train, train[:2]])  # rows that are there twice
    whole = [j for j in range(d) if draw(st.integers(0, 3)) == 0]
    train[:, whole] = np.round(train[:, whole])
    model = Model(
        random.normal(0, 1, d),
        0.0,
        draw(st.sampled_from(["linear", "step", "constant"])),
        n_classes,
    )
    model.cut = float(np.median(train @ model.weights))
    x = train[random.integers(0, len(train), draw(st.integers(1, 5)))]
    rules = {"integer": tuple(whole)}
    free = [j for j in range(d) if j not in whole]
    if d > 1 and draw(st.booleans()):
        rules["immutable"] = (d - 1,)
    if free and draw(st.booleans()):
        rules[draw(st.sampled_from(["increasing", "decreasing"]))] = (free[0],)
    return model, x.astype(np.float32), train.astype(np.float32), rules


def attack(make, model, train, rules, **more):
    classifier = BlackBoxClassifier(
        model, (train.shape[1],), model.n_classes, clip_values=(0.0, 1.0)
    )
    keywords = {"x_train": train, "constraints": Constraints(**rules), **SMALL, **more}
    return make(classifier, **keywords)


def check_attack(make, problem):
    model, x, train, rules = problem
    before, kept = x.copy(), train.copy()
    made = attack(make, model, train, rules)
    out = made.generate(x)
    assert np.array_equal(x, before) and np.array_equal(train, kept)
    assert out.dtype == np.float32 and out.shape == x.shape and not np.shares_memory(out, x)
    assert (out >= 0).all() and (out <= 1).all()
    result = made.result_
    own, new = model.labels(x), model.labels(out)
    assert (new[result.success] != own[result.success]).all()
    assert (new[result.success] == result.target[result.success]).all()
    assert np.array_equal(out[~result.success], x[~result.success])
    assert (result.rows <= SMALL["max_rows"] * (model.n_classes - 1)).all()
    assert sum(result.reason_counts.values()) == len(x)
    for column in rules.get("immutable", ()):
        assert np.array_equal(out[:, column], x[:, column])
    for column in rules["integer"]:
        assert (out[:, column] == np.round(out[:, column])).all()
    for column in rules.get("increasing", ()):
        assert (out[:, column] >= x[:, column] - 1e-6).all()
    for column in rules.get("decreasing", ()):
        assert (out[:, column] <= x[:, column] + 1e-6).all()
    alone = np.concatenate([made.generate(row[None]) for row in x])
    assert np.array_equal(alone, out)
    assert np.array_equal(attack(make, model, train, rules).generate(x), out)


@pytest.mark.parametrize("make", ATTACKS)
@QUICK
@given(problem=problems())
def test_what_is_returned_holds(make, problem):
    check_attack(make, problem)


@pytest.mark.slow
@pytest.mark.parametrize("make", ATTACKS)
@settings(QUICK, max_examples=250)
@given(problem=problems())
def test_what_is_returned_holds_in_many_cases(make, problem):
    check_attack(make, problem)


@pytest.mark.parametrize("make", ATTACKS)
@QUICK
@given(
    problem=problems(),
    failure=st.sampled_from(["raises", "nan"]),
    fail_at=st.integers(1, 8),
)
def test_a_model_that_fails_leaves_no_trace(make, problem, failure, fail_at):
    model, x, train, rules = problem
    made = attack(make, model, train, rules)
    model.failure, model.fail_at, model.calls = failure, fail_at, 0
    try:
        out = made.generate(x)
    except RuntimeError as error:
        assert failure == "raises" and "the model broke" in str(error)
    except InvalidInputError:
        pass
    else:
        done = made.result_.success
        assert np.isfinite(out).all() and np.array_equal(out[~done], x[~done])
        assert (model.labels(out)[done] == made.result_.target[done]).all()
    model.failure = None
    assert np.array_equal(made.generate(x), attack(make, model, train, rules).generate(x))


@pytest.mark.parametrize("make", ATTACKS)
@QUICK
@given(problem=problems(), most=st.integers(1, 50))
def test_budgets_are_kept(make, problem, most):
    model, x, train, rules = problem
    made = attack(make, model, train, rules, max_rows=most)
    model.rows = 0
    made.generate(x)
    searches = len(x) * (model.n_classes - 1)
    assert (made.result_.rows <= most * (model.n_classes - 1)).all()
    # Calls are filled up to round sizes, in single precision to twelves, of which rows may take
    # every other six; training rows and queries are asked about besides.
    others = len(train) + 2 * len(x) + searches + 2 * (12 + len(x) + searches)
    assert model.rows <= 2 * most * searches + 16 * most + others
    made = attack(make, model, train, rules, max_seconds=0.0)
    model.calls = 0
    out = made.generate(x)
    assert out.shape == x.shape and model.calls <= 12
