"""The target classifier: the described layers, and an ordinary predictor."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alibi_bridge.faces import procedural_faces  # noqa: E402
from alibi_bridge.target import TargetClassifier  # noqa: E402
from dice_extended_plugin.errors import InvalidInputError  # noqa: E402

FACES = procedural_faces(300, random_state=4)


@pytest.fixture(scope="module")
def fitted():
    target = TargetClassifier(width=8, epochs=8)
    assert target.fit(FACES.images, FACES.attributes[:, 6]) is target
    return target


def test_it_learns_what_is_easy(fitted):
    other = procedural_faces(200, random_state=5)
    share = fitted.predict(other.images)
    assert share.shape == (200,) and share.dtype == np.float32
    assert 0 <= share.min() < 0.3 and 0.7 < share.max() <= 1
    assert ((share > 0.5) == other.attributes[:, 6]).mean() > 0.9


def test_layers(fitted):
    kinds = [type(layer).__name__ for layer in fitted.network_]
    assert kinds == ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 5 + [
        "Flatten",
        "Linear",
        "ReLU",
        "Linear",
    ]
    assert fitted.network_[2].negative_slope == 0.1
    assert fitted.network_[-1].out_features == 1
    assert not fitted.network_.training


def test_batches_and_seeds(fitted):
    share = fitted(FACES.images)
    np.testing.assert_allclose(fitted.predict(FACES.images, batch_size=7), share, atol=1e-6)
    again = TargetClassifier(width=8, epochs=8).fit(FACES.images, FACES.attributes[:, 6])
    np.testing.assert_array_equal(again.predict(FACES.images), share)
    other = TargetClassifier(width=8, epochs=8, random_state=1)
    other.fit(FACES.images, FACES.attributes[:, 6])
    assert (other.predict(FACES.images) != share).any()
    assert fitted.predict(FACES.images[:0]).shape == (0,)


def test_global_generators_are_left_alone():
    state = torch.random.get_rng_state()
    TargetClassifier(width=4, epochs=1).fit(FACES.images, FACES.labels)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(20, 16, 24, 1), (20, 8, 8, 3)])
def test_other_shapes(shape):
    X = np.random.default_rng(0).random(shape)
    target = TargetClassifier(width=4, epochs=1).fit(X, np.arange(20) % 2)
    assert target.predict(X).shape == (20,)


@pytest.mark.parametrize(
    ("X", "y", "text"),
    [
        (FACES.images, FACES.labels[:5], "shape"),
        (FACES.images, np.zeros(300), "both labels"),
        (FACES.images, FACES.labels * 2, "both labels"),
        (FACES.images[:, :4, :4], FACES.labels, "8 x 8"),
        (FACES.images / 10.0, FACES.labels, "value_range"),
    ],
)
def test_bad_input(X, y, text):
    with pytest.raises(InvalidInputError, match=text):
        TargetClassifier(epochs=1).fit(X, y)


def test_not_fitted():
    with pytest.raises(InvalidInputError, match="not fitted"):
        TargetClassifier().predict(FACES.images)


def test_other_images_are_refused(fitted):
    with pytest.raises(InvalidInputError, match="expected"):
        fitted.predict(FACES.images[:, :16])
