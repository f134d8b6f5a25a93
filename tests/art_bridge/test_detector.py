"""The fakeness detector on a network whose fake score is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.defences.detector.evasion import EvasionDetector

from art_bridge.detector import FakenessDetector
from dice_extended_plugin.errors import InvalidInputError


class Discriminator(torch.nn.Module):
    """Two class scores of 0 and a fake score equal to the first feature."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        first = self.drop(x.flatten(1)[:, :1])
        return torch.cat([torch.zeros(len(x), 2), first], dim=1)


@pytest.fixture
def module():
    return Discriminator()


def rows(n, seed=0, shift=0.0):
    return (np.random.default_rng(seed).normal(size=(n, 3)) + shift).astype(np.float32)


def test_fakeness_is_the_softmax_share(module):
    x = rows(50)
    share = np.exp(x[:, 0].astype(float)) / (2 + np.exp(x[:, 0].astype(float)))
    detector = FakenessDetector(module)
    assert isinstance(detector, EvasionDetector)
    assert detector.fakeness(x) == pytest.approx(share, abs=1e-7)
    np.testing.assert_array_equal(detector.fakeness(x, batch_size=7), detector.fakeness(x))


def test_probabilities_are_taken_as_they_are(module):
    whole = torch.nn.Sequential(module, torch.nn.Softmax(dim=1))
    one, other = FakenessDetector(whole, output="probabilities"), FakenessDetector(module)
    assert one.fakeness(rows(20)) == pytest.approx(other.fakeness(rows(20)), abs=1e-6)


def test_the_rate_holds_on_new_clean_rows(module):
    rates = []
    for seed in range(100):
        detector = FakenessDetector(module, false_positive_rate=0.1)
        detector.fit(rows(99, seed))
        rates.append(detector.detect(rows(500, seed + 1000))[1].mean())
    # With 99 rows the expected rate is 10 of 100; the mean of 100 such rates varies by 0.003.
    assert np.mean(rates) == pytest.approx(0.1, abs=0.012)


def test_it_finds_what_is_fake(module):
    detector = FakenessDetector(module)
    detector.fit(rows(400))
    report, found = detector.detect(rows(200, 1, shift=5.0))
    assert found.dtype == bool and found.mean() > 0.95
    assert report["threshold"] == detector.threshold and report["fakeness"].shape == (200,)


def test_images_are_taken(module):
    detector = FakenessDetector(module, threshold=0.5)
    x = rows(24).reshape(6, 3, 2, 2)
    assert detector.detect(x)[1].shape == (6,)


def test_the_module_is_left_as_it_was(module):
    module.train()
    module.drop.eval()
    x = rows(10)
    before = x.copy()
    FakenessDetector(module).fit(rows(100))
    FakenessDetector(module, threshold=0.5).detect(x)
    assert module.training and not module.drop.training
    assert module.anchor.grad is None
    np.testing.assert_array_equal(x, before)


def test_a_row_the_module_cannot_judge_is_adversarial(module):
    class Broken(Discriminator):
        def forward(self, x):
            return super().forward(x) * torch.where(x[:, :1] > 1, torch.nan, 1.0)

    x = rows(100)
    found = FakenessDetector(Broken(), threshold=0.99).detect(x)[1]
    assert (found == (x[:, 0] > 1)).all()


def test_parameters(module):
    detector = FakenessDetector(module, false_positive_rate=0.2)
    assert detector.get_params()["false_positive_rate"] == 0.2
    detector.set_params(false_positive_rate=0.3)
    with pytest.raises(InvalidInputError):
        detector.set_params(false_positive_rate=2.0, threshold=0.5)
    assert (detector.false_positive_rate, detector.threshold) == (0.3, None)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"module": object()}, "torch.nn.Module"),
        ({"fake_output": 1.5}, "fake_output"),
        ({"output": "scores"}, "output"),
        ({"false_positive_rate": 0.0}, "false_positive_rate"),
        ({"false_positive_rate": 1}, "false_positive_rate"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_bad_parameters(module, keywords, text):
    with pytest.raises(InvalidInputError, match=text):
        FakenessDetector(**{"module": module, **keywords})


def test_bad_input(module):
    detector = FakenessDetector(module)
    with pytest.raises(InvalidInputError, match="no threshold"):
        detector.detect(rows(3))
    with pytest.raises(InvalidInputError, match="19 clean rows"):
        detector.fit(rows(18))
    detector.fit(rows(19))
    with pytest.raises(InvalidInputError, match="NaN"):
        detector.detect(np.full((3, 3), np.nan))
    with pytest.raises(InvalidInputError, match="shape"):
        detector.detect(np.zeros(3))
    with pytest.raises(InvalidInputError, match="3 outputs"):
        FakenessDetector(module, fake_output=3).fakeness(rows(3))
