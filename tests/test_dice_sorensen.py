"""The literal coefficient against the paper's formula, its exact expectation, its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dice_extended_plugin.dice_sorensen import (
    ceiling,
    chance,
    codes,
    coefficient,
    literal_robustness,
    noise_validity,
    reference_values,
    wilson_interval,
)
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace


def encoded(space, n=30, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.uniform(size=(n, space.n_columns))
    return space.project(u, np.roll(u, 1, 0), np.zeros_like(u), np.ones_like(u))


def bits(u, space):
    """The paper's binary vector: ten bins per continuous feature, one bit per level."""
    code = codes(u, space)
    sizes = [10] * space.n_continuous + [len(block) for block in space.levels]
    return np.concatenate(
        [np.eye(size)[code[:, j]] for j, size in enumerate(sizes)], axis=1
    ).astype(bool)


def test_coefficient_is_the_set_formula(space):
    a, b = encoded(space, seed=1), encoded(space, seed=2)
    left, right = bits(a, space), bits(b, space)
    formula = 2 * (left & right).sum(1) / (left.sum(1) + right.sum(1))
    ours = coefficient(codes(a, space), codes(b, space))
    np.testing.assert_allclose(ours, formula)
    assert (coefficient(codes(a, space), codes(a, space)) == 1).all()


def test_permuting_features_changes_nothing():
    one = FeatureSpace.build(["a", "b", "c"], {"a": (0, 1), "b": (0, 1)}, {"c": list("xy")})
    two = FeatureSpace.build(["b", "a", "c"], {"b": (0, 1), "a": (0, 1)}, {"c": list("xy")})
    u, v = encoded(one, seed=3), encoded(one, seed=4)
    order = [1, 0, 2, 3]
    np.testing.assert_allclose(
        coefficient(codes(u, one), codes(v, one)),
        coefficient(codes(u[:, order], two), codes(v[:, order], two)),
    )


@pytest.mark.parametrize("family", ["gaussian", "uniform", "heavy-tailed"])
@pytest.mark.parametrize("sides", [{}, {"age": "up", "bmi": "down"}])
def test_expectation_is_what_many_draws_tend_to(space, family, sides):
    noise = NoiseModel(scale=0.08, flip=0.2, family=family, sides=sides, scope="all")
    u = encoded(space, n=12)
    exact = literal_robustness(u, space, noise)["rho_lit"]
    drawn = noise.perturb(u, u, space, noise.held_out(space, 20_000))
    sampled = coefficient(codes(drawn, space), codes(u, space)).mean(axis=0)
    np.testing.assert_allclose(exact, sampled, atol=0.01)


def test_open_bins_give_nothing_for_sitting_at_the_end():
    space = FeatureSpace.build(["a"], {"a": (0, 1)}, {}, {"a": 3})
    noise = NoiseModel(scale=0.1)
    found = literal_robustness(np.array([[0.0], [0.45], [0.55], [1.0]]), space, noise)
    assert found["rho_lit"][0] > 0.8 > found["rho_lit"][1]
    assert found["rho_open"][0] < found["rho_open"][1] + 1e-12
    assert found["rho_lit"][1] == pytest.approx(ceiling(1.0))
    np.testing.assert_array_equal(found["end_bins"], [1, 0, 0, 1])


@pytest.mark.parametrize("r", [0.2, 0.5, 1.0, 2.0])
def test_chance_is_the_mean_over_uniform_values(r):
    space = FeatureSpace.build(["a"], {"a": (0, 1)}, {}, {"a": 6})
    values = (np.arange(20_000) + 0.5)[:, None] / 20_000
    noise = NoiseModel(scale=r / 10)
    mean = literal_robustness(values, space, noise)["rho_open"].mean()
    assert chance(r) == pytest.approx(mean, abs=1e-4)
    assert chance(r) < ceiling(r)


def test_no_noise_is_perfectly_stable(space):
    found = literal_robustness(encoded(space), space, NoiseModel(scale=0.0, flip=0.0))
    assert (found["rho_lit"] == 1).all()
    assert chance(0.0) == ceiling(0.0) == 1.0


def test_a_single_permitted_level_cannot_flip(space):
    tight = space.constrain("all", {"sex": ["male"]})
    noise = NoiseModel(scale=0.0, flip=1.0)
    free = literal_robustness(encoded(space), space, noise)["rho_lit"]
    held = literal_robustness(encoded(space), tight, noise)["rho_lit"]
    np.testing.assert_allclose(held - free, 1 / space.n_features)
    assert reference_values(tight, noise)["chance"] > reference_values(space, noise)["chance"]


def test_noise_validity_of_a_linear_model_is_phi_of_margin():
    from scipy.stats import norm

    space = FeatureSpace.build(["a", "b"], {"a": (0, 1), "b": (0, 1)}, {}, {"a": 4, "b": 4})
    weight, sigma = np.array([1.0, -2.0]), 0.02
    u = np.array([[0.5, 0.24], [0.6, 0.28], [0.45, 0.22]])
    noise = NoiseModel(scale=sigma, scope="all")
    share = noise_validity(
        u, u, space, noise, noise.held_out(space, 100_000), lambda rows, _: rows @ weight > 0
    )
    expected = norm.cdf((u @ weight) / (sigma * np.linalg.norm(weight)))
    np.testing.assert_allclose(share, expected, atol=0.005)


def test_noise_validity_does_not_depend_on_the_chunk(space, queries):
    u = encoded(space)
    noise = replace(NoiseModel(), scope="all")
    bank = noise.held_out(space, 50)

    def is_target(rows, index):
        return rows[:, 0] > 0.1 * index

    whole = noise_validity(u, u, space, noise, bank, is_target)
    parts = noise_validity(u, u, space, noise, bank, is_target, max_rows=60)
    np.testing.assert_array_equal(whole, parts)


def test_wilson_interval_holds_the_share_and_stays_in_range():
    for share in (0.0, 0.3, 1.0):
        low, high = wilson_interval(share, 40)
        assert 0 <= low <= share + 1e-12
        assert share - 1e-12 <= high <= 1
    assert wilson_interval(1.0, 40)[0] == pytest.approx(0.9124, abs=1e-3)
