"""FID with named features: closed form, direction, reference values."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from alibi_bridge.fid import NamedFeatures, class_fid, fid
from dice_extended_plugin.errors import InvalidInputError

pytest.importorskip("torchmetrics")
SHAPE = (1, 8, 8)


def network():
    torch.manual_seed(0)  # weights of a test's own network
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2))


@pytest.fixture
def features():
    return NamedFeatures(network(), "tiny", SHAPE, layer="1")


def images(n, seed=0, shift=0.0):
    found = np.random.default_rng(seed).normal(shift, 0.3, (n, *SHAPE))
    return found.clip(-1, 1).astype(np.float32)


def test_it_is_the_frechet_distance(features):
    a, b = images(60), images(80, 1, 0.3)
    with torch.no_grad():
        u, v = (features(torch.from_numpy(x)).double().numpy() for x in (a, b))
    root = sqrtm(np.cov(u.T) @ np.cov(v.T)).real
    expected = ((u.mean(0) - v.mean(0)) ** 2).sum()
    expected += np.trace(np.cov(u.T)) + np.trace(np.cov(v.T)) - 2 * np.trace(root)
    assert fid(a, b, features) == pytest.approx(expected, rel=1e-3)
    assert fid(a, b, features, batch_size=7) == pytest.approx(fid(a, b, features), rel=1e-4)


def test_it_grows_with_the_change_and_is_zero_for_the_same(features):
    a = images(60)
    found = [fid(a, images(60, 1, shift), features) for shift in (0.0, 0.2, 0.5)]
    assert fid(a, a, features) == pytest.approx(0, abs=1e-5)
    assert found[0] < found[1] < found[2]


def test_features_are_a_frozen_copy_with_a_name(features):
    own = network()
    named = NamedFeatures(own, "tiny", SHAPE, layer="1")
    assert named.num_features == 4 and NamedFeatures(own, "head", SHAPE).num_features == 2
    assert named.label == features.label
    assert "tiny" in named.label and "4 features" in named.label
    assert not named.train().training and not any(w.requires_grad for w in named.parameters())
    with torch.no_grad():
        own[0].weight += 1
    assert named.label == features.label  # a copy
    assert NamedFeatures(own, "tiny", SHAPE, layer="1").label != features.label


def test_counterfactuals_stand_between_doing_nothing_and_real_images(features):
    y = np.arange(120) % 2
    X = np.where(y[:, None, None, None] == 1, images(120, 0, 0.4), images(120, 1, -0.1))
    other = np.where(y[:, None, None, None] == 1, images(120, 2, 0.4), images(120, 3, -0.1))
    half = X + np.where(y == 1, -0.25, 0.25).astype(np.float32)[:, None, None, None]
    found = class_fid(features, X, y, half.clip(-1, 1), other, y)
    for c in (0, 1):
        row = found[f"class {c}"]
        assert row["floor"] < row["counterfactual"] < row["unchanged"] and row["n"] == 60
    assert found["features"] == features.label
    nothing = class_fid(features, X, y, X, other, y)
    assert nothing["full"] == pytest.approx(0, abs=1e-5)  # the paper's sum rewards doing nothing
    for c in (0, 1):
        row = nothing[f"class {c}"]
        assert row["counterfactual"] == pytest.approx(row["unchanged"])


def test_a_broken_torch_fidelity_is_explained(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    with pytest.raises(ImportError, match="pip uninstall torch-fidelity"):
        fid(images(4), images(4), features)


def test_bad_input(features):
    with pytest.raises(InvalidInputError, match="two or more"):
        fid(images(1), images(4), features)
    with pytest.raises(InvalidInputError, match="two or more images of shape"):
        fid(images(4)[:, :, :4], images(4), features)
    with pytest.raises(InvalidInputError, match=r"\[-1, 1\]"):
        fid(images(4) * 9, images(4), features)
    with pytest.raises(InvalidInputError, match="no layer"):
        NamedFeatures(network(), "tiny", SHAPE, layer="nine")
    y = np.arange(6) % 2
    with pytest.raises(InvalidInputError, match="counterfactuals"):
        class_fid(features, images(6), y, images(5), images(6), y)
    with pytest.raises(InvalidInputError, match="class 0 needs"):
        class_fid(features, images(6), y * 0, images(6), images(6), y)
