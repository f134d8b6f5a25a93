"""Attack and noise curves on networks whose margin is known; twins."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from alibi_bridge.attacks import (
    ATTACKS,
    attack_curve,
    masking_report,
    noise_curve,
    paper_curve,
)
from alibi_bridge.probing import ClassView, outputs, probabilities
from alibi_bridge.twins import train_twin
from dice_extended_plugin.errors import InvalidInputError

pytest.importorskip("art")


class Mean(nn.Module):
    """Class 1 above a mean of 0; the third logit grows with the spread of the pixels."""

    def __init__(self, steep=1.0, wide=False):
        super().__init__()
        self.steep = nn.Parameter(torch.tensor(steep))
        self.drop = nn.Dropout(0.5)
        self.wide = wide

    def forward(self, x):
        flat = self.drop(x.flatten(1))
        score = self.steep * flat.mean(dim=1)
        columns = [-score, score] + ([flat.std(dim=1)] if self.wide else [])
        return torch.stack(columns, dim=1)


class Masked(Mean):
    """The same decision behind a step: its gradient is 0."""

    def forward(self, x):
        return super().forward(x).sign()


def images(n=40, level=0.1, seed=0):
    """Class 1 lies `level` above a mean of 0, class 0 below, exactly."""
    y = np.arange(n) % 2
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, (n, 1, 8, 8))
    x += np.where(y == 1, level, -level)[:, None, None, None] - x.mean((1, 2, 3), keepdims=True)
    return x.astype(np.float32), y


@pytest.mark.parametrize("attack", ["pgd", "autopgd", "square"])
def test_an_attack_succeeds_where_it_can_and_only_there(attack):
    x, y = images(level=0.1)  # needs 0.1 on [-1, 1], that is 0.05 of the range
    curve = attack_curve(Mean(), x, y, [0, 0.04, 0.08], attack, queries=200)
    assert curve.accuracy[0] == curve.accuracy[1] == 1 and curve.f1[1] == 1
    assert curve.accuracy[2] < (0.05 if attack != "square" else 0.5)
    assert curve.p_fake is None


def test_a_transferred_attack_is_made_on_the_source():
    x, y = images()
    same = attack_curve(Mean(), x, y, [0.08], "transfer", source=Mean(steep=3.0))
    assert same.accuracy[0] == 0
    reverse = attack_curve(Mean(), x, y, [0.08], "transfer", source=Mean(steep=-1.0))
    assert reverse.accuracy[0] == 1


def test_hidden_gradients_are_noticed():
    x, y = images(level=0.02)
    sizes = [0.02, 0.05]
    for network, suspicious in ((Mean(), False), (Masked(), True)):
        pgd = attack_curve(network, x, y, sizes)
        others = {
            "square": attack_curve(network, x, y, sizes, "square", queries=100),
            "transfer": attack_curve(network, x, y, sizes, "transfer", source=Mean()),
        }
        found = masking_report(pgd, others)
        assert ("transfer" in found["suspect"]) is suspicious
        assert np.all(found["fooled by any"] >= np.max(list(found["fooled"].values()), axis=0))
    with pytest.raises(InvalidInputError, match="other strengths"):
        masking_report(pgd, {"short": attack_curve(Mean(), x, y, [0.02])})


def test_the_papers_curve_moves_by_ten_steps_at_most():
    x, y = images(level=0.1)
    curve = paper_curve(Mean(), x, y, [0.002, 0.02])
    # 10 x 0.002 = 0.02 of the range is too little; 10 x 0.02 is held at 0.1, which is enough.
    assert curve.accuracy.tolist() == [1, 0] and curve.details["epsilon"] == 0.1
    assert curve.strengths.tolist() == [0.002, 0.02]
    wide = x * 0 + np.where(y == 1, 0.25, -0.25).astype(np.float32)[:, None, None, None]
    assert paper_curve(Mean(), wide, y, [0.5]).accuracy[0] == 1  # 0.25 is beyond 0.2 on [-1, 1]


def test_noise_raises_a_fake_output_that_knows_it():
    x, y = images()
    curve = noise_curve(Mean(wide=True), x, y, [0, 0.1, 0.3])
    means = curve.p_fake.mean(axis=1)
    assert means[0] < means[1] < means[2] and curve.accuracy[0] == 1
    frame, stored = curve.to_frame(), curve.to_dict()
    assert list(frame.columns) == ["strength", "F1", "accuracy", "p_fake"]
    assert stored["p_fake"] == pytest.approx(means.tolist())
    again = noise_curve(Mean(steep=5.0), x, y, [0.3])
    np.testing.assert_array_equal(again.predicted[0], curve.predicted[2])  # the same noise


def test_the_same_again_and_nothing_left_behind():
    x, y = images()
    before = x.copy()
    network = Mean(wide=True).train()
    np.random.seed(1)
    random.seed(1)
    torch.manual_seed(1)
    state = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
    for attack in ("pgd", "autopgd", "square"):
        one, two = (attack_curve(network, x, y, [0.05], attack, queries=20) for _ in range(2))
        np.testing.assert_array_equal(one.p_fake, two.p_fake)
    assert (np.random.get_state()[1] == state[0]).all()
    assert random.getstate() == state[1] and torch.equal(torch.get_rng_state(), state[2])
    assert network.training and network.drop.training
    assert network.steep.requires_grad and network.steep.grad is None
    np.testing.assert_array_equal(x, before)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = Mean()

    def forward(self, x):
        return x, self.head(x)


def test_a_generators_head_is_attacked_too():
    x, y = images()
    np.testing.assert_allclose(outputs(Generator(), x), outputs(Mean(), x))
    curve = attack_curve(Generator(), x, y, [0.08])
    assert curve.accuracy[0] == 0
    assert ClassView(Mean(wide=True))(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
    np.testing.assert_allclose(probabilities(Mean(wide=True), x).sum(1), 1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"attack": "pdg"}, "did you mean 'pgd'"),
        ({"epsilons": [-1]}, "epsilons"),
        ({"epsilons": []}, "epsilons"),
        ({"step_sizes": [0.1, 0.2]}, "as many step_sizes"),
        ({"attack": "transfer"}, "source"),
        ({"source": Mean()}, "source"),
        ({"y": np.ones(3)}, "label per image"),
        ({"y": np.arange(40)}, "0 and 1"),
        ({"X": np.zeros((40, 8, 8, 1), np.float32)}, "height, width"),
        ({"X": np.full((40, 1, 8, 8), np.nan, np.float32)}, "NaN"),
        ({"X": np.full((40, 1, 8, 8), 200.0, np.float32)}, r"\[-1, 1\]"),
        ({"X": np.zeros((40, 1, 8, 8), np.uint8)}, "uint8"),
    ],
)
def test_bad_input(change, text):
    x, y = images()
    arguments = {"network": Mean(), "X": x, "y": y, "epsilons": [0.1]} | change
    with pytest.raises(InvalidInputError, match=text):
        attack_curve(**arguments)
    assert "pgd" in ATTACKS


def test_a_network_with_one_output_is_refused():
    x, _ = images()
    with pytest.raises(InvalidInputError, match="logits"):
        outputs(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), x)


# -- twins ----------------------------------------------------------------------------------------


def small():
    torch.manual_seed(0)  # weights of a test's own network
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))


def test_a_twin_learns_and_is_a_function_of_its_seed():
    x, y = images(200, level=0.05)
    calls = []

    def look(**event):
        calls.append(event["step"])

    options = {"steps": 60, "batch_size": 32, "learning_rate": 3e-3, "check_every": 20}
    options |= {"augment": lambda t: t.flip(3), "instance_noise": 0.05, "device": "cpu"}
    one = train_twin(small(), x, y, images(80, 0.05, 1), callback=look, **options)
    two = train_twin(small(), x, y, images(80, 0.05, 1), **options)
    other = train_twin(small(), x, y, images(80, 0.05, 1), random_state=1, **options)
    assert one.accuracy > 0.9 and calls == list(range(60)) and not one.network.training
    pairs = zip(one.network.parameters(), two.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.network[0].weight, other.network[0].weight)
    assert one.accuracy == max(check["accuracy"] for check in one.history)
    found = outputs(one.network, images(80, 0.05, 1)[0]).argmax(1)
    assert (found == images(80, 0.05, 1)[1]).mean() == one.accuracy  # the best step's weights


def test_twins_refuse_bad_input():
    x, y = images()
    for arguments, text in (
        ((x, y * 0), "one class only"),
        ((x, y + 1), "0 and 1"),
        ((x * np.nan, y), "NaN"),
    ):
        with pytest.raises(InvalidInputError, match=text):
            train_twin(small(), *arguments, steps=1)
    with pytest.raises(InvalidInputError, match="steps"):
        train_twin(small(), x, y, steps=0)
    with pytest.raises(InvalidInputError, match="not finite"):
        train_twin(small(), x, y, steps=50, learning_rate=1e30)
