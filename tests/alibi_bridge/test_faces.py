"""The procedural faces: what is drawn, the planted bias, and its twin."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from alibi_bridge import faces as module
from alibi_bridge.faces import FACE_ATTRIBUTES, draw_faces, procedural_faces
from dice_extended_plugin.errors import InvalidInputError


@pytest.fixture(scope="module")
def many():
    return procedural_faces(4000, 16, random_state=3)


def test_what_is_returned():
    faces = procedural_faces(10)
    assert faces.images.shape == (10, 32, 32, 3) and faces.images.dtype == np.uint8
    assert faces.attributes.shape == (10, 8) and faces.attributes.dtype == np.uint8
    assert faces.labels.shape == (10,) and set(faces.labels) <= {0, 1}
    assert faces.names == FACE_ATTRIBUTES and faces.names[0] == "light_hair"
    assert len(faces) == 10


@pytest.mark.parametrize("size", [16, 32, 64])
def test_any_size_shows_the_same_persons(size):
    small, large = procedural_faces(5, size).images, procedural_faces(5, 2 * size).images
    halved = large.reshape(5, size, 2, size, 2, 3).mean(axis=(2, 4))
    assert small.shape == (5, size, size, 3)
    assert np.abs(halved - small).mean() < 6  # of 255


def test_a_seed_is_a_set():
    one, again, other = (procedural_faces(20, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.images, again.images)
    assert (one.images != other.images).any() and (one.attributes != other.attributes).any()


def test_chunks_change_nothing(monkeypatch):
    whole = procedural_faces(20).images
    monkeypatch.setattr(module, "_CHUNK", 7)
    np.testing.assert_array_equal(procedural_faces(20).images, whole)


def test_the_bias_is_as_planted(many):
    light = many.attributes[:, 0]
    # Standard errors at 2,000 faces a class: 0.011 and 0.005.
    assert light[many.labels == 0].mean() == pytest.approx(0.45, abs=0.04)
    assert light[many.labels == 1].mean() == pytest.approx(0.05, abs=0.02)
    assert many.labels.mean() == pytest.approx(0.5, abs=0.03)


def test_nothing_else_goes_with_the_jaw(many):
    for place, name in enumerate(FACE_ATTRIBUTES[1:], start=1):
        on = many.attributes[:, place]
        gap = on[many.labels == 0].mean() - on[many.labels == 1].mean()
        assert abs(gap) < 0.065, name  # four standard errors
    light = many.attributes[many.labels == 0]
    table = np.corrcoef(light.T) - np.eye(8)
    assert np.abs(table).max() < 0.09


def test_the_twin_differs_in_hair_colour_only(many):
    twin = procedural_faces(4000, 16, biased=False, random_state=3)
    for label in (0, 1):
        assert twin.attributes[twin.labels == label, 0].mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_array_equal(twin.labels, many.labels)
    np.testing.assert_array_equal(twin.attributes[:, 1:], many.attributes[:, 1:])
    same = twin.attributes[:, 0] == many.attributes[:, 0]
    assert 0.5 < same.mean() < 0.95
    np.testing.assert_array_equal(twin.images[same], many.images[same])
    assert (twin.images[~same] != many.images[~same]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("place", range(8))
def test_an_attribute_changes_its_place_and_no_other(place):
    plain = np.zeros((12, 8), int)
    turned = plain.copy()
    turned[:, place] = 1
    labels = np.arange(12) % 2
    before = draw_faces(plain, labels, random_state=5).images.astype(int)
    after = draw_faces(turned, labels, random_state=5).images.astype(int)
    changed = np.abs(after - before).max(axis=-1) > 20
    share = changed.mean(axis=(1, 2))
    assert (share > 0.008).all(), "the attribute must be visible"
    assert (share < 0.4).all(), "the rest of the face must stay"
    centre = changed.any(axis=0)
    assert not centre[:, 0].any() or FACE_ATTRIBUTES[place] == "hat"


def test_attributes_do_what_they_say():
    plain = np.zeros((12, 8), int)

    def brightness(name, rows, columns):
        turned = plain.copy()
        turned[:, FACE_ATTRIBUTES.index(name)] = 1
        pictures = [
            draw_faces(table, [0] * 12, random_state=5).images[:, rows, columns].mean()
            for table in (plain, turned)
        ]
        return pictures[1] - pictures[0]

    hair, cheeks, mouth = (
        (slice(5, 8), slice(14, 18)),
        (slice(18, 20), slice(12, 20)),
        slice(21, 25),
    )
    assert brightness("light_hair", *hair) > 60
    assert brightness("pale", *cheeks) > 40
    assert brightness("open_mouth", mouth, slice(14, 18)) < -20
    assert brightness("long_hair", slice(16, 24), slice(5, 9)) < -20


def test_square_jaws_are_wider_below():
    table = np.zeros((200, 8), int)
    round_, square = (
        draw_faces(table, [label] * 200, random_state=5).images.astype(float) for label in (0, 1)
    )
    difference = np.abs(square - round_).mean(axis=(0, 3))
    assert difference[:14].max() < 1e-9, "nothing above the jaw"
    assert difference[18:28].max() > 5


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: procedural_faces(0), "n must"),
        (lambda: procedural_faces(3, 8), "size must"),
        (lambda: procedural_faces(3, random_state=-1), "random_state"),
        (lambda: draw_faces([[0] * 7], [0]), "shape"),
        (lambda: draw_faces([[0] * 8, [1]], [0, 1]), "must be arrays"),
        (lambda: draw_faces([[0] * 8], [0, 1]), "labels must have shape"),
        (lambda: draw_faces([[2] * 8], [0]), "attributes must hold"),
        (lambda: draw_faces([[0] * 8], [-1]), "labels must hold"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(InvalidInputError, match=text):
        call()


def test_drawing_needs_no_torch():
    code = "import sys, alibi_bridge.faces, alibi_bridge.image_files; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
