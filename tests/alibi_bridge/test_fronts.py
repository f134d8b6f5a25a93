"""Fronts against their definitions, written out slowly."""

import numpy as np
import pytest

from alibi_bridge.fronts import (
    crossing_point,
    crowding_distance,
    front_order,
    hypervolume,
    knee_point,
    non_dominated,
    normalise,
    reference_point,
    thin_out,
)
from alibi_bridge.objectives import f_adv, f_att, f_gan
from dice_extended_plugin.errors import InvalidInputError


def points(n, k=3, seed=0, digits=None):
    F = np.random.default_rng(seed).normal(size=(n, k))
    return F if digits is None else F.round(digits)


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_non_dominated_is_its_definition(k, seed, digits):
    F = points(60, k, seed, digits)
    expected = [
        not any(
            (np.all(F[i] >= G) and np.any(F[i] > G)) or (np.array_equal(G, F[i]) and j < i)
            for j, G in enumerate(F)
        )
        for i in range(len(F))
    ]
    np.testing.assert_array_equal(non_dominated(F), expected)


def test_crowding_is_pymoos():
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

    F = points(30)
    F = F[non_dominated(F)]
    # pymoo takes the mean over the objectives, NSGA-II's paper the sum.
    np.testing.assert_allclose(crowding_distance(F), 3 * calc_crowding_distance(F))
    assert np.isinf(crowding_distance(points(2))).all()


@pytest.mark.parametrize("seed", range(4))
def test_thin_out_takes_the_most_crowded_one_by_one(seed):
    F = points(40, 3, seed)
    kept = list(range(40))
    while len(kept) > 12:
        kept.pop(int(crowding_distance(F[kept]).argmin()))
    np.testing.assert_array_equal(thin_out(F, 12), kept)
    np.testing.assert_array_equal(thin_out(F, 40), np.arange(40))


def test_thin_out_of_nothing_but_extremes_and_equals():
    assert len(thin_out(np.eye(3), 2)) == 2
    assert len(thin_out(np.ones((5, 3)), 2)) == 2


def test_hypervolume():
    assert hypervolume(np.array([[0.0, 0.0, 0.0]]), np.array([1.0, 2.0, 3.0])) == pytest.approx(6)
    two = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert hypervolume(two, np.array([2.0, 2.0])) == pytest.approx(3)
    assert hypervolume(np.vstack([two, [[5, 5]]]), np.array([2.0, 2.0])) == pytest.approx(3)
    assert hypervolume(np.empty((0, 2)), np.array([2.0, 2.0])) == 0
    with pytest.raises(InvalidInputError, match="reference"):
        hypervolume(two, np.array([2.0, np.inf]))
    with pytest.raises(InvalidInputError, match="reference"):
        hypervolume(two, np.ones(3))


def test_the_reference_point_lies_above_the_points():
    F = points(20)
    reference = reference_point(F, 0.1, 1.0, 0.5)
    assert (reference >= F.max(axis=0)).all() and (reference >= [0.1, 1.0, 0.5]).all()
    np.testing.assert_array_equal(reference_point(None, 0.1, 1.0, 0.5), [0.1, 1.0, 0.5])


def test_the_knee_lies_farthest_below_the_plane():
    line = np.linspace(0, 1, 21)
    F = np.stack([10 * line, 3 * (1 - line) ** 4], axis=1)
    scaled = normalise(F)
    assert knee_point(F) == np.argmin(scaled @ np.ones(2))
    assert 0 < knee_point(F) < 20
    among = np.arange(21) > 15
    assert knee_point(F, among) >= 16
    with pytest.raises(InvalidInputError, match="no point"):
        knee_point(F, np.zeros(21, dtype=bool))


def test_the_crossing_lies_where_the_curves_meet():
    share, gan = np.linspace(1, 0, 11), np.linspace(-5, -3, 11)
    assert crossing_point(share, gan) == 5
    assert crossing_point(share, gan, share < 0.35) == 7
    assert crossing_point(np.array([0.9]), np.array([-1.0])) == 0


def test_order_goes_to_the_other_class():
    F = np.array([[0, 0.2, 1], [0, 0.9, 0], [-1, 0.2, 3], [0, 0.5, 0.0]])
    np.testing.assert_array_equal(front_order(F), [1, 3, 2, 0])


def test_points_must_be_numbers():
    with pytest.raises(InvalidInputError, match="finite"):
        non_dominated(np.array([[0.0, np.nan]]))
    with pytest.raises(InvalidInputError, match="shape"):
        non_dominated(np.zeros(3))


def test_objectives():
    np.testing.assert_allclose(f_gan(1.0, np.array([0.5, 3.0])), [0.5, -2.0])
    proba = np.array([[0.2, 0.8], [1.0, 0.0]])
    np.testing.assert_allclose(f_adv(proba, 1), [0.8, 0.0])
    log = f_adv(proba, 1, "log")
    assert log[0] == pytest.approx(np.log(0.8)) and np.isfinite(log[1])
    with pytest.raises(InvalidInputError, match="adversarial"):
        f_adv(proba, 1, "cross")
    np.testing.assert_allclose(f_att(np.array([[3.0, -4.0], [0, 0]])), [5, 0])
