"""Bounds, fixed attributes and exclusive groups."""

import numpy as np
import pytest

from alibi_bridge.edit_space import EditSpace
from dice_extended_plugin.errors import InvalidInputError

NAMES = ["black", "blond", "brown", "bald", "bangs"]
GROUPS = [["black", "blond", "brown"], ["bald", "bangs"]]


def moves(space, a, n=500, seed=0):
    low, high = space.limits(a)
    draw = np.random.default_rng(seed)
    return draw.uniform(low - 0.3, high + 0.3, (n, len(low)))


@pytest.mark.parametrize("a", [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 1, 1]])
def test_repair_holds_bounds_and_groups(a):
    a = np.array(a, dtype=float)
    space = EditSpace(NAMES, GROUPS)
    found = space.repair(a, moves(space, a))
    b = a + space.embed(found)
    assert (b >= -1e-12).all() and (b <= 1 + 1e-12).all()
    for group in ([0, 1, 2], [3, 4]):
        assert (b[:, group].sum(axis=1) <= max(1, a[group].sum()) + 1e-9).all()
    np.testing.assert_array_equal(space.repair(a, found), found)


def test_one_fully_on_turns_the_others_off():
    space = EditSpace(NAMES, GROUPS)
    a = np.array([1.0, 0, 0, 0, 0])
    b = a + space.embed(space.repair(a, np.array([[-0.4, 1.0, 0.9, 0, 0]])))
    np.testing.assert_allclose(b[0], [0, 1, 0, 0, 0], atol=1e-12)
    b = a + space.embed(space.repair(a, np.array([[-0.9, 0.6, 0.3, 0.2, 0]])))
    np.testing.assert_allclose(b[0], [0.1, 0.6, 0.3, 0.2, 0])
    b = a + space.embed(space.repair(a, np.array([[-0.6, 0.6, 0.4, 0, 0]])))
    np.testing.assert_allclose(b[0], [0.2, 0.6, 0.2, 0, 0])


def test_allowed_moves_are_not_touched():
    space = EditSpace(NAMES, GROUPS)
    a = np.array([1.0, 0, 0, 0, 0])
    move = np.array([[-0.7, 0.3, 0.0, 0.123456789, 0.3]])
    np.testing.assert_array_equal(space.repair(a, move), move)


def test_a_fixed_member_leaves_no_room():
    space = EditSpace(NAMES, GROUPS, fixed=["black"])
    a = np.array([1.0, 0, 0, 0, 0])
    assert space.free.tolist() == [1, 2, 3, 4]
    b = a + space.embed(space.repair(a, moves(space, a)))
    assert (b[:, 0] == 1).all()
    np.testing.assert_allclose(b[:, 1:3], 0, atol=1e-12)


def test_bounds():
    space = EditSpace(NAMES, bounds={"blond": (0.2, 0.5)})
    a = np.zeros(5)
    b = a + space.embed(space.repair(a, moves(space, a)))
    assert b[:, 1].min() == 0.2 and b[:, 1].max() == 0.5
    assert space.widest(a) == pytest.approx(np.sqrt(4 + 0.25))


def test_starts_hold_no_edit_and_every_single_one():
    space = EditSpace(NAMES, GROUPS, fixed=["bald"])
    a = np.array([1.0, 0, 0, 0, 1])
    found = space.starts(a, 20, np.random.default_rng(0))
    assert found.shape == (20, 4)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_array_equal(found[1], [-1, 0, 0, 0])
    np.testing.assert_array_equal(found[4], [0, 0, 0, -1])
    assert space.starts(a, 3, np.random.default_rng(0)).shape == (3, 4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fixed": NAMES}, "nothing is left"),
        ({"fixed": ["blnd"]}, "did you mean 'blond'"),
        ({"fixed": "blond"}, "list of names"),
        ({"bounds": {"grey": (0, 1)}}, "grey"),
        ({"bounds": {"blond": (0.5, 0.5)}}, "immutable"),
        ({"bounds": {"blond": (-1, 0.5)}}, "low < high"),
        ({"bounds": {"blond": 3}}, "two numbers"),
        ({"exclusive": [["black", "grey"]]}, "grey"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(InvalidInputError, match=text):
        EditSpace(NAMES, **options)
