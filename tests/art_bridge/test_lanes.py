"""Rows of one query keep their places in a call, whatever goes with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_bridge.lanes import in_lanes


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_groups_begin_at_multiples_of_twelve(lengths):
    group = np.repeat(np.arange(len(lengths)) * 3, lengths)
    take, place = in_lanes(group)
    np.testing.assert_array_equal(take[place], np.arange(len(group)))
    assert len(take) % 12 == 0
    first = np.cumsum([0, *lengths[:-1]])
    assert (place[first] % 12 == 0).all()
    for lane in take.reshape(-1, 12):  # no lane is shared
        assert len(set(group[lane])) == 1


def test_no_rows():
    take, place = in_lanes(np.empty(0, dtype=int))
    assert len(take) == len(place) == 0


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
