"""Drawn cracks hold what their description says; the real ones are read as they are."""

from pathlib import Path

import numpy as np
import pytest

from alibi_bridge.cracks import draw_cracks, load_cracks
from dice_extended_plugin.datasets import data_folder
from dice_extended_plugin.errors import InvalidInputError

REAL = (data_folder() or Path("no data folder")) / "images"


@pytest.fixture(scope="module")
def dark():
    return draw_cracks(60, 32, random_state=1)


@pytest.fixture(scope="module")
def bright():
    return draw_cracks(60, 32, bright=True, random_state=1)


def test_shapes_and_ranges(dark):
    assert dark.images.shape == (60, 32, 32, 3) and dark.images.dtype == np.float32
    assert dark.images.min() >= 0 and dark.images.max() <= 1
    assert dark.masks.shape == (60, 32, 32) and dark.masks.dtype == bool
    assert dark.labels.sum() == 30


def test_a_mask_is_there_exactly_where_a_crack_is(dark):
    assert ((dark.masks.sum(axis=(1, 2)) > 0) == (dark.labels == 1)).all()
    share = dark.masks[dark.labels == 1].mean()
    assert 0.02 < share < 0.2


def contrast(cracks):
    """Mean of crack pixels over the mean of the pixels around them."""
    return np.array(
        [
            image[mask].mean() / image[~mask].mean()
            for image, mask, label in zip(cracks.images, cracks.masks, cracks.labels, strict=True)
            if label
        ]
    )


def test_dark_cracks_are_darker_and_bright_ones_brighter(dark, bright):
    assert (contrast(dark) < 0.97).mean() > 0.9
    assert (contrast(bright) > 1.03).mean() > 0.9


def test_darkness_finds_dark_cracks_only(dark, bright):
    def best_iou(cracks):
        rows = cracks.labels == 1
        grey, masks = cracks.images[rows].mean(axis=3), cracks.masks[rows]
        score = -(grey - grey.mean((1, 2), keepdims=True)) / grey.std((1, 2), keepdims=True)
        cuts = np.quantile(score, np.linspace(0.5, 0.99, 40))
        return max(((score > c) & masks).sum() / ((score > c) | masks).sum() for c in cuts)

    assert best_iou(dark) > 0.3
    assert best_iou(bright) < 0.15


def test_both_versions_share_everything_but_the_crack(dark, bright):
    np.testing.assert_array_equal(dark.masks, bright.masks)
    none = dark.labels == 0
    np.testing.assert_array_equal(dark.images[none], bright.images[none])


def test_an_image_depends_on_its_number_alone(dark):
    fewer = draw_cracks(8, 32, random_state=1)
    np.testing.assert_array_equal(fewer.images, dark.images[:8])
    assert not np.array_equal(draw_cracks(8, 32, random_state=2).images, fewer.images)


def test_the_global_generator_is_left_alone():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    draw_cracks(2, 32)
    assert np.random.random() == expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_cracks(share):
    assert draw_cracks(20, 16, crack_share=share).labels.mean() == pytest.approx(share)


def test_parts_hold_both_classes(dark):
    for name in ("train", "validation", "test"):
        assert set(dark.part(name).labels) == {0, 1}
    assert sum(len(dark.part(n).labels) for n in ("train", "validation", "test")) == 60


def test_grey_images():
    assert draw_cracks(3, 48, channels=1).images.shape == (3, 48, 48, 1)


def test_halving(dark):
    half = dark.halved()
    assert half.images.shape == (60, 16, 16, 3)
    np.testing.assert_allclose(half.images[0, 0, 0], dark.images[0, :2, :2].mean((0, 1)), rtol=1e-5)
    assert half.masks[5, 3, 4] == dark.masks[5, 6:8, 8:10].any()


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"n": 0}, "n must"),
        ({"n": 2, "size": 8}, "size"),
        ({"n": 2, "channels": 2}, "channels"),
        ({"n": 2, "crack_share": 1.5}, "crack_share"),
        ({"n": 2, "random_state": -1}, "random_state"),
    ],
)
def test_bad_parameters(keywords, text):
    with pytest.raises(InvalidInputError, match=text):
        draw_cracks(**keywords)


def test_bad_parts(dark):
    with pytest.raises(InvalidInputError, match="parts are"):
        dark.part("all")
    with pytest.raises(InvalidInputError, match="halved"):
        draw_cracks(1, 17).halved()


def test_a_missing_or_foreign_file(tmp_path):
    with pytest.raises(InvalidInputError, match="crack crops"):
        load_cracks(tmp_path)
    np.savez(tmp_path / "cracks64.npz", images=np.zeros(3))
    with pytest.raises(InvalidInputError, match="crack crops"):
        load_cracks(tmp_path)
    with pytest.raises(InvalidInputError, match="32 or 64"):
        load_cracks(tmp_path, size=16)


@pytest.mark.skipif(not (REAL / "cracks64.npz").is_file(), reason="the real crops are not here")
def test_the_real_crops():
    cracks = load_cracks(REAL)
    assert cracks.images.shape == (2104, 64, 64, 3) and cracks.images.dtype == np.uint8
    assert np.bincount(cracks.split).tolist() == [1456, 216, 432]
    assert cracks.labels.mean() == 0.5
    assert ((cracks.masks.sum((1, 2)) > 0) == (cracks.labels == 1)).all()
    assert not set(cracks.part("train").groups) & set(cracks.part("test").groups)
    assert load_cracks(REAL, 32).images.shape == (2104, 32, 32, 3)
