"""What counts as reached, how far the rest is, and the same from torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dice_extended_plugin.targets import ClassTarget, RangeTarget

ROWS = np.arange(4)


def test_a_tie_is_not_reached_and_has_a_gap():
    target = ClassTarget.from_threshold(np.array([1]), 2, 0.5)
    scores = np.array([[0.5, 0.5], [0.4, 0.6], [0.6, 0.4], [np.nan, np.nan]])
    query = np.zeros(4, dtype=int)
    assert target.met(scores, query).tolist() == [False, True, False, False]
    gap = target.gap(scores, query)
    assert gap[1] == 0 and 0 < gap[0] < 1e-6
    assert gap[2] == pytest.approx(np.log(0.6 / 0.4), rel=1e-6)
    assert gap[3] == np.inf


def test_the_gap_counts_from_the_threshold():
    target = ClassTarget.from_threshold(np.array([1, 0]), 2, 0.8)
    scores = np.array([[0.4, 0.6], [0.4, 0.6]])
    gap = target.gap(scores, np.array([0, 1]))
    assert gap[0] == pytest.approx(np.log(4) - np.log(1.5), rel=1e-6)
    assert gap[1] == pytest.approx(np.log(1.5), rel=1e-6)  # P(class 1) <= 0.8, but not the label


@given(
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20),
    st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95]),
    st.integers(0, 1),
)
def test_the_gap_is_zero_exactly_where_met(values, threshold, wanted):
    scores = np.column_stack([1 - np.array(values), values])
    query = np.zeros(len(values), dtype=int)
    target = ClassTarget.from_threshold(np.array([wanted]), 2, threshold)
    np.testing.assert_array_equal(target.gap(scores, query) == 0, target.met(scores, query))


def test_a_range_includes_its_ends():
    target = RangeTarget(2.0, 4.0, 10.0)
    scores = np.array([[2.0], [4.0], [1.0], [9.0]])
    assert target.met(scores, ROWS).tolist() == [True, True, False, False]
    np.testing.assert_allclose(target.gap(scores, ROWS), [0, 0, 5, 25])  # units of 0.2
    assert target.outcome(scores).tolist() == [2.0, 4.0, 1.0, 9.0]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(0, 100))
def test_a_range_gate_is_half_at_the_ends_and_falls_outside(values, width):
    target = RangeTarget(0.0, width, 5.0)
    scores = np.array([[0.0], [width], *[[value] for value in values]])
    query = np.zeros(len(scores), dtype=int)
    gate = target.gate(scores, query)
    met, gap = target.met(scores, query), target.gap(scores, query)
    assert gate[:2] == pytest.approx(0.5)
    assert (gate[met] >= 0.5).all() and (gate[gap > 1e-6] < 0.5).all()
    np.testing.assert_array_equal(gap == 0, met)


def test_torch_asks_for_the_same_range():
    torch = pytest.importorskip("torch")
    from dice_extended_plugin.goals import goal_of

    target = RangeTarget(2.0, 4.0, 10.0)
    scores = np.array([[1.0], [2.5], [3.0], [14.0]])
    goal = goal_of(target, ROWS, torch.zeros((), dtype=torch.float64))
    tensor = torch.tensor(scores).view(4, 1, 1)
    np.testing.assert_allclose(goal.gate(tensor)[:, 0], target.gate(scores, ROWS))
    loss = goal.loss(tensor, "hinge_loss").numpy()
    assert (loss[1:3] == 0).all()  # as far inside as one unit of log-odds
    np.testing.assert_allclose(loss[[0, 3]], target.gap(scores, ROWS)[[0, 3]] + 1)
    gate = goal.gate(tensor).numpy()[:, 0]
    np.testing.assert_allclose(goal.loss(tensor, "l2_loss").numpy(), (1 - gate) ** 2)
    np.testing.assert_allclose(goal.loss(tensor, "log_loss").numpy()[1:3], -np.log(gate[1:3]))
    point = goal_of(RangeTarget(3.0, 3.0, 10.0), ROWS, torch.zeros(()))
    assert point.loss(tensor, "hinge_loss")[2] == 0  # nothing lies deeper inside a point
    open_ended = goal_of(RangeTarget(2.0, np.inf, 10.0), ROWS, torch.zeros(()))
    assert torch.isfinite(open_ended.loss(tensor, "hinge_loss")).all()
    assert open_ended.loss(tensor, "hinge_loss")[3] == 0
