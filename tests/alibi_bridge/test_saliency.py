"""Saliency scores: closed forms, the threshold's choice, the baselines, Grad-CAM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from alibi_bridge.cracks import load_cracks
from alibi_bridge.gradcam import grad_cam, grad_cam_layers
from alibi_bridge.metrics import MEASURES, label_scores
from alibi_bridge.saliency import (
    BASELINES,
    MaskedImages,
    blurred,
    compare_saliency,
    darkness,
    standardised,
    threshold_curve,
)
from dice_extended_plugin.datasets import data_folder
from dice_extended_plugin.errors import InvalidInputError

CRACKS = (data_folder() or Path("no data folder")) / "images" / "cracks64.npz"


def part(n=20, seed=0, size=16, contrast=0.5):
    """Noise with a dark vertical line, which is the mask."""
    stream = np.random.default_rng(seed)
    masks = np.zeros((n, size, size), bool)
    for i, column in enumerate(stream.integers(1, size - 2, n)):
        masks[i, :, column : column + 2] = True
    images = stream.normal(0, 0.1, (n, 3, size, size)) - contrast * masks[:, None]
    return MaskedImages(images, masks, np.arange(n) // 2)


def plain_scores(called, truth):
    hit = (called & truth).sum()
    return {
        "iou": hit / (called | truth).sum(),
        "f1": 2 * hit / (called.sum() + truth.sum()),
        "precision": hit / called.sum() if called.any() else np.nan,
        "recall": hit / truth.sum(),
        "accuracy": (called == truth).mean(),
        "area": called.mean(),
    }


def test_the_curve_counts_as_one_would_by_hand():
    stream = np.random.default_rng(3)
    maps, masks = stream.normal(size=(5, 8, 8)), stream.random((5, 8, 8)) < 0.2
    cuts = np.array([1.5, -0.5, 0.0, 0.7, -9, 9])  # in no order
    curve = threshold_curve(maps, masks, cuts)
    values = standardised(maps)
    for place, cut in enumerate(cuts):
        for name, expected in plain_scores(values > cut, masks).items():
            np.testing.assert_allclose(getattr(curve, name)[place], expected, err_msg=name)


def test_a_pixel_at_the_threshold_is_not_called():
    maps = np.array([[[0.0, 1.0], [1.0, 2.0]]])
    values = standardised(maps)
    curve = threshold_curve(maps, maps > 1, [values[0, 0, 1]])
    assert curve.area[0] == 0.25 and curve.iou[0] == 1


def test_standardising_forgets_brightness_and_contrast():
    maps = np.random.default_rng(0).normal(size=(4, 6, 6))
    again = maps * np.array([1, 5, 0.1, 3])[:, None, None] + 7
    np.testing.assert_allclose(standardised(maps), standardised(again), atol=1e-9)
    assert (standardised(np.full((1, 4, 4), 0.3)) == 0).all()


def test_the_blur_is_a_mean_within_its_image():
    maps = np.random.default_rng(0).normal(size=(3, 9, 9))
    np.testing.assert_allclose(blurred(maps)[1, 4, 4], maps[1, 2:7, 2:7].mean())
    np.testing.assert_allclose(blurred(maps)[:1], blurred(maps[:1]))


def test_the_masks_as_a_map_score_one_and_noise_scores_like_chance():
    validation, test = part(seed=1), part(40, seed=2)
    stream = np.random.default_rng(5)
    maps = {
        "masks": tuple(p.masks.astype(float) for p in (validation, test)),
        "noise": tuple(stream.normal(size=p.masks.shape) for p in (validation, test)),
    }
    table = compare_saliency(maps, validation, test)
    assert set(BASELINES) <= set(table.rows)
    assert table.rows["masks"]["IoU"] == 1 and table.rows["masks"]["IoU_low"] == 1
    chance = table.rows["all pixels"]["IoU"]
    assert chance == pytest.approx(test.masks.mean())
    assert table.rows["noise"]["IoU"] == pytest.approx(chance, abs=0.03)
    assert table.beats("masks") and not table.beats("noise")
    assert table.rows["darkness"]["IoU"] > 0.8
    assert np.isnan(table.rows["Grad-CAM"]["IoU"])  # not given: shown as missing, not left out
    assert table.to_frame().shape[0] == len(BASELINES) + 2


def test_the_scaling_that_suits_a_map_is_found_on_validation():
    """One strength for all images, weak in some: what is 1 here is 1 there."""

    def faint(p, contrast):
        strength = np.where(np.arange(len(p.masks)) % 2, 1.0, 0.02)[:, None, None]
        noise = np.random.default_rng(len(p.masks)).random(p.masks.shape)
        return contrast * (strength * noise + p.masks * (strength == 1))

    validation, test = part(seed=1), part(40, seed=2)
    # Half of the images have nothing to be found.
    parts = [
        MaskedImages(p.images, p.masks & (np.arange(len(p.masks)) % 2)[:, None, None].astype(bool))
        for p in (validation, test)
    ]
    maps = {"absolute": tuple(faint(p, 1.0) for p in parts)}
    offset = [np.arange(len(p.masks))[:, None, None] * 3.0 for p in parts]
    maps["beside its mean"] = tuple(p.masks + o for p, o in zip(parts, offset, strict=True))
    table = compare_saliency(maps, *parts, n_bootstrap=0)
    assert table.scalings["absolute"] == "as given"
    assert table.rows["absolute"]["IoU"] > 0.95
    assert table.scalings["beside its mean"] == "centred"
    assert table.rows["beside its mean"]["IoU"] > 0.95
    low = threshold_curve(maps["absolute"][1], parts[1].masks, scaling="standardised")
    assert low.iou.max() < table.rows["absolute"]["IoU"]
    assert table.to_frame().loc["absolute", "scaling"] == "as given"
    with pytest.raises(InvalidInputError, match="as given"):
        threshold_curve(maps["absolute"][1], parts[1].masks, scaling="given")


def test_the_threshold_comes_from_validation_alone():
    validation, test = part(seed=1), part(seed=2)
    inverted = MaskedImages(test.images, ~test.masks, test.groups)
    maps = {"map": (darkness(validation.images), darkness(test.images))}
    one = compare_saliency(maps, validation, test).rows["map"]
    other = compare_saliency(maps, validation, inverted).rows["map"]
    assert one["threshold"] == other["threshold"] and one["area"] == other["area"]
    assert other["IoU_best_on_test"] > other["IoU"] + 0.3  # what peeking would have given
    for row in (one, other):
        assert row["IoU_low"] <= row["IoU"] <= row["IoU_high"]


def test_intervals_resample_groups():
    validation, test = part(seed=1, contrast=0.15), part(40, seed=2, contrast=0.15)
    single = MaskedImages(test.images, test.masks, np.zeros(40))
    maps = {"map": (darkness(validation.images), darkness(test.images))}
    row = compare_saliency(maps, validation, single).rows["map"]
    assert row["IoU_low"] == row["IoU_high"] == pytest.approx(row["IoU"])
    first, again = (compare_saliency(maps, validation, test, random_state=4) for _ in range(2))
    assert first.rows["map"] == again.rows["map"]
    assert first.rows["map"]["IoU_high"] - first.rows["map"]["IoU_low"] > 0.005


@pytest.mark.skipif(not CRACKS.exists(), reason="no real cracks here")
@pytest.mark.parametrize(("size", "dark", "blur"), [(64, 0.29, 0.38), (32, 0.35, 0.39)])
def test_the_stated_baselines_on_real_cracks(size, dark, blur):
    cracks = load_cracks(CRACKS, size)
    cracks = cracks.rows(cracks.labels == 1)
    parts = [
        MaskedImages(part.images.transpose(0, 3, 1, 2), part.masks, part.groups)
        for part in (cracks.part("validation"), cracks.part("test"))
    ]
    rows = compare_saliency({}, *parts, n_bootstrap=50).rows
    assert rows["darkness"]["IoU"] == pytest.approx(dark, abs=0.015)
    assert rows["darkness, blurred 5x5"]["IoU"] == pytest.approx(blur, abs=0.015)
    assert 0.05 < rows["all pixels"]["IoU"] < 0.09


# -- Grad-CAM -------------------------------------------------------------------------------------


class Corner(nn.Module):
    """Class 1 if the left half is bright; a network whose Grad-CAM is known."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1, bias=False)
        self.last = nn.Conv2d(2, 1, 1, bias=False)
        with torch.no_grad():
            self.first.weight.fill_(1 / 3)
            self.last.weight.fill_(0.5)

    def forward(self, x):
        score = self.last(self.first(x)).mean(dim=(1, 2, 3))
        return torch.stack([-score, score, torch.zeros_like(score)], dim=1)


class Branch(Corner):
    """A convolution that the class does not come from, as a U-Net's last."""

    def __init__(self):
        super().__init__()
        self.side = nn.Conv2d(3, 1, 1)

    def forward(self, x):
        self.drawn = self.side(x)
        return super().forward(x)


def test_grad_cam_is_the_weighted_map():
    network = Corner().train()
    x = np.full((3, 3, 8, 8), -1, np.float32)
    x[:, :, :, :4] = 1
    maps = grad_cam(network, x, batch_size=2)
    # One channel, positive weight 1/64: the map is the rectified activation over 64.
    np.testing.assert_allclose(maps[:, :, 0], 1 / 64, rtol=1e-5)
    np.testing.assert_allclose(maps[:, :, 7], 0, atol=1e-7)
    assert (grad_cam(network, x, target=0)[:, :, 0] == 0).all()
    assert grad_cam(network, x, layer="first").shape == (3, 8, 8)
    assert grad_cam_layers(network) == ["first", "last"]
    assert network.training and all(w.requires_grad for w in network.parameters())
    assert all(w.grad is None for w in network.parameters())


# -- bad input ------------------------------------------------------------------------------------


def test_bad_input():
    good = part()
    with pytest.raises(InvalidInputError, match="no layer 'third'"):
        grad_cam(Corner(), np.zeros((1, 3, 8, 8), np.float32), layer="third")
    with pytest.raises(InvalidInputError, match="no convolution"):
        linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        grad_cam(linear, np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InvalidInputError, match="does not depend"):
        grad_cam(Branch(), np.zeros((1, 3, 8, 8), np.float32), layer="side")
    for bad, text in (
        ((good.images[0], good.masks), "images must be"),
        ((good.images, good.masks[:3]), "masks of shape"),
        ((good.images * np.nan, good.masks), "NaN"),
        ((good.images, good.masks * 0), "some 1"),
        ((good.images, good.masks * 2), "0 and 1"),
        ((good.images, good.masks, np.zeros(3)), "groups"),
    ):
        with pytest.raises(InvalidInputError, match=text):
            MaskedImages(*bad)
    dark = darkness(good.images)
    with pytest.raises(InvalidInputError, match="names of baselines"):
        compare_saliency({"darkness": (dark, dark)}, good, good)
    with pytest.raises(InvalidInputError, match="test maps of 'x'"):
        compare_saliency({"x": (dark, dark[:4])}, good, good)
    with pytest.raises(InvalidInputError, match="NaN"):
        threshold_curve(dark * np.nan, good.masks)


# -- labels ---------------------------------------------------------------------------------------


def test_label_scores():
    found = label_scores([1, 1, 0, 0], [1, 0, 0, 0])
    expected = {"accuracy": 0.75, "precision": 1, "recall": 0.5, "F1": 2 / 3}
    assert found == pytest.approx(expected)
    assert label_scores([1, 0], [0, 0])["F1"] == 0
    assert np.isnan(label_scores([1, 0], [0, 0])["precision"])
    assert np.isnan(label_scores([0, 0], [0, 1])["F1"])
    for bad in ([0, 2], [0.5, 0], [], [0]):
        with pytest.raises(InvalidInputError):
            label_scores([0, 1], bad)


def test_every_measure_says_how_to_read_it():
    for name, measure in MEASURES.items():
        assert name == measure.name and measure.low < measure.high
        assert measure.chance and measure.reference and measure.summary.endswith(".")
    assert MEASURES["IoU"].heading == "IoU ↑" and MEASURES["FID"].heading == "FID ↓"
