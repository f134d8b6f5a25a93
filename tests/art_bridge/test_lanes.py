"""Rows of one query keep their places in a call, whatever goes with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_bridge.lanes import WHOLE, filled, in_lanes, sides


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1)), min_size=1, max_size=12))
def test_a_row_stands_on_the_same_six_whatever_goes_with_it(groups):
    lengths, first = np.array(groups).T
    group = np.repeat(np.arange(len(lengths)) * 3, lengths)
    take, place = in_lanes(group, np.repeat(first, lengths))
    np.testing.assert_array_equal(take[place], np.arange(len(group)))
    assert len(take) == filled(len(take)) and len(take) % 12 == 0
    begin = np.cumsum(lengths) - lengths
    for start, length, side in zip(begin, lengths, first, strict=True):
        alternating = (side + np.arange(length)) % 2
        np.testing.assert_array_equal(place[start : start + length] % 12 // 6, alternating)


def test_no_rows():
    take, place = in_lanes(np.empty(0, dtype=int), np.empty(0, dtype=int))
    assert len(take) == len(place) == 0


def test_sides_depend_on_the_values_alone_and_are_balanced():
    x = np.random.default_rng(0).random((400, 5))
    found = sides(x)
    np.testing.assert_array_equal(sides(x[7:90]), found[7:90])
    assert set(found) == {0, 1}
    assert 160 < found.sum() < 240


def test_few_rows_are_added():
    draw = np.random.default_rng(1)
    group = np.repeat(np.arange(200), draw.integers(1, 12, 200))
    take, _ = in_lanes(group, sides(draw.random((200, 3)))[group])
    assert len(take) <= len(group) + 50 + WHOLE


class Placed:
    """A model of single precision as OpenBLAS makes it: the answer tells the row's place."""

    def predict(self, x, **_):
        x = np.asarray(x, dtype=np.float64)
        odd = np.arange(len(x)) % 12 >= 6
        high = 1 / (1 + np.exp(-8 * (x.sum(axis=1) - x.shape[1] / 2)))
        high = high + np.where(odd, 4e-6, 0.0)
        return np.column_stack([1 - high, high]).astype(np.float32)


def test_the_attack_does_not_depend_on_places():
    art = pytest.importorskip("art", reason="needs art")
    del art
    from art.estimators.classification import BlackBoxClassifier

    from art_bridge import UnconstrainedCounterfactual

    draw = np.random.default_rng(0)
    x, x_train = (draw.random((n, 4)).astype(np.float32) for n in (9, 60))
    classifier = BlackBoxClassifier(
        Placed().predict, input_shape=(4,), nb_classes=2, clip_values=(0, 1)
    )
    attack = UnconstrainedCounterfactual(classifier, x_train)
    whole = attack.generate(x)
    assert attack.result_.success.all()
    parts = [attack.generate(part) for part in (x[:1], x[1:5], x[5:])]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    for size in (7, 64):
        other = UnconstrainedCounterfactual(classifier, x_train, batch_size=size)
        np.testing.assert_array_equal(whole, other.generate(x))
