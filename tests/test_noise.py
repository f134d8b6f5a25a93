"""NoiseModel: seeded, legal, in scope, of the stated spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.noise import FAMILIES, NoiseModel
from dice_extended_plugin.space import FeatureSpace


@pytest.fixture(scope="module")
def small():
    return FeatureSpace.build(
        ["a", "b", "c", "d"], {"a": (0, 10), "b": (0, 1)}, {"c": list("xyz"), "d": list("uv")}
    )


def rows(space, n=40, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.uniform(size=(n, space.n_columns))
    wide = (np.zeros_like(u), np.ones_like(u))
    x = space.project(rng.uniform(size=u.shape), u, *wide)
    return space.project(u, x, *wide), x


@pytest.mark.parametrize("family", list(FAMILIES))
def test_families_have_unit_variance(small, family):
    noise = NoiseModel(family=family).held_out(small, 200_000).noise
    spread = noise.std() if family != "heavy-tailed" else np.sqrt(3) * np.median(np.abs(noise))
    expected = 1.0 if family != "heavy-tailed" else np.sqrt(3) * 0.7649 / np.sqrt(3)
    assert spread == pytest.approx(expected, rel=0.02)
    assert abs(np.median(noise)) < 0.02


def test_the_search_bank_is_antithetic_and_apart_from_the_held_out_one(small):
    model = NoiseModel(n_draws=16)
    bank, same = model.bank(small, 3), model.bank(small, 3)
    np.testing.assert_array_equal(bank.noise, same.noise)
    np.testing.assert_allclose(bank.noise[:8], -bank.noise[8:], atol=1e-9)
    assert not np.array_equal(bank.noise, model.bank(small, 4).noise)
    assert not np.array_equal(bank.noise, model.held_out(small, 16, 3).noise)


@settings(max_examples=25, deadline=None)
@given(
    scope=st.sampled_from(["changed", "kept", "all"]),
    scale=st.floats(0, 0.5),
    flip=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_disturbed_rows_are_legal_and_in_scope(small, scope, scale, flip, seed):
    model = NoiseModel(scale=scale, flip=flip, scope=scope)
    u, x = rows(small, seed=seed)
    out = model.perturb(u, x, small, model.held_out(small, 30, seed))
    assert out[..., :2].min() >= 0
    assert out[..., :2].max() <= 1
    for block in small.blocks:
        block = block[block >= 0]
        np.testing.assert_array_equal(out[..., block].sum(-1), 1.0)
    reached = model.in_scope(small.changed(u, x))
    moved = np.stack([small.changed(draw, u) for draw in out])
    assert not (moved & ~reached).any()


def test_flips_have_their_rate_and_go_to_every_other_permitted_level(small):
    space = small.constrain("all", {"c": ["x", "z"]})
    model = NoiseModel(flip={"c": 0.3, "d": 0.0}, scope="all")
    u, x = rows(space, n=1)
    u[0, 2:5] = [1, 0, 0]
    out = model.perturb(u, x, space, model.held_out(space, 20_000))[:, 0]
    assert out[:, 3].sum() == 0  # "y" is not permitted
    assert out[:, 4].mean() == pytest.approx(0.3, abs=0.015)
    assert (out[:, 5:] == u[:, 5:]).all()


def test_one_sided_and_relative_noise(small):
    model = NoiseModel(scale=0.1, sides={"a": "up"}, relative=["b"], scope="all")
    u = np.array([[0.5, 0.2, 1, 0, 0, 1, 0], [0.5, 0.8, 1, 0, 0, 1, 0]])
    out = model.perturb(u, u, small, model.held_out(small, 5000))
    assert (out[..., 0] >= 0.5).all()
    spread = (out[..., 1] - u[:, 1]).std(axis=0)
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"scale": -0.1}, "scale must be a number at least 0"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": {"a": "big"}}, r"scale\['a'\]"),
        ({"flip": 1.5}, "flip must be a number between 0 and 1"),
        ({"family": "gausian"}, "did you mean 'gaussian'"),
        ({"scope": "some"}, "scope must be one of"),
        ({"sides": {"a": "left"}}, r"sides\['a'\]"),
        ({"n_draws": 7}, "even"),
        ({"n_draws": 0}, "even"),
        ({"n_draws": 2.0}, "even integer"),
    ],
)
def test_bad_noise_is_refused(keywords, text):
    with pytest.raises(InvalidInputError, match=text):
        NoiseModel(**keywords)


def test_noise_on_unknown_features_is_refused(small):
    with pytest.raises(InvalidInputError, match="not a continuous feature"):
        NoiseModel(scale={"c": 0.1}).check_names(small)
    with pytest.raises(InvalidInputError, match="not a categorical feature"):
        NoiseModel(flip={"a": 0.1}).check_names(small)
