"""The joint GAN's objective against its equations, by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alibi_bridge.counterfactual_gan.hardening import (  # noqa: E402
    attacked,
    extra_terms,
    noisy,
    original_class_loss,
)
from alibi_bridge.counterfactual_gan.losses import (  # noqa: E402
    FAKE,
    balanced_weights,
    class_margin,
    cycle_weights,
    discriminator_loss,
    flipped,
    generator_loss,
    margin_penalty,
    roughness,
    sparsity,
)
from alibi_bridge.counterfactual_gan.parts import standardise  # noqa: E402
from alibi_bridge.counterfactual_gan.settings import Settings  # noqa: E402
from dice_extended_plugin.errors import InvalidInputError  # noqa: E402

Y = torch.tensor([0, 1, 1])


def logits(*probabilities):
    return torch.tensor(probabilities).log()


def test_equation_1():
    real = logits([0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25])
    fake = logits([0.2, 0.2, 0.6], [0.1, 0.0001, 0.8999], [0.3, 0.4, 0.3])
    by_hand = -np.log([0.5, 0.8, 0.5]).mean() - np.log([0.6, 0.8999, 0.3]).mean()
    assert discriminator_loss(real, Y, fake).item() == pytest.approx(by_hand, rel=1e-5)
    only = -np.log([0.5, 0.8, 0.5]).mean()
    assert discriminator_loss(real, Y, None).item() == pytest.approx(only, rel=1e-5)


def test_class_weights_are_a_weighted_mean():
    real = logits([0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25])
    found = discriminator_loss(real, Y, None, torch.tensor([4.0, 1.0])).item()
    by_hand = -(4 * math.log(0.5) + math.log(0.8) + math.log(0.5)) / 6
    assert found == pytest.approx(by_hand, rel=1e-5)
    assert balanced_weights([0] * 9 + [1]) == pytest.approx([10 / 18, 5.0])


@pytest.mark.parametrize("passes", [1, 2, 3, 4])
def test_no_pass_rewards_looking_fake(passes):
    """The gradient on the fake logit is never one that gradient descent follows upwards."""
    for start in torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(0)):
        scores = start.clone().requires_grad_(True)
        generator_loss(scores, Y, passes).backward()
        assert (scores.grad[:, FAKE] >= 0).all()
        aim = flipped(Y, passes)
        assert (scores.grad.gather(1, aim[:, None]) < 0).all()


def test_the_printed_form_does_reward_it_in_even_passes():
    scores = torch.zeros(3, 3, requires_grad=True)
    generator_loss(scores, Y, 2, "printed").backward()
    assert (scores.grad[:, FAKE] < 0).all()


def test_the_printed_form_is_equation_2():
    fake = logits([0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25])
    by_hand = (np.log([0.5, 0.8, 0.5]) + np.log([0.2, 0.1, 0.25])).mean()
    assert generator_loss(fake, Y, 1, "printed").item() == pytest.approx(by_hand, rel=1e-5)


def test_where_d_is_sure_the_printed_form_asks_for_more_fakeness():
    for objective, sign in (("corrected", 1), ("printed", -1)):
        scores = torch.tensor([[0.0, 0.0, 30.0]], requires_grad=True)
        generator_loss(scores, torch.tensor([0]), 1, objective).backward()
        assert sign * scores.grad[0, FAKE] > 0.9


def test_the_corrected_form_is_bounded():
    best = torch.tensor([[-50.0, 50.0, -50.0]])
    assert generator_loss(best, torch.tensor([0])).item() == pytest.approx(0, abs=1e-6)


def test_labels_flip_with_each_pass():
    assert flipped(Y, 1).tolist() == [1, 0, 0] and flipped(Y, 2).tolist() == Y.tolist()
    assert cycle_weights(0, 0.5, 1.0) == [1.0]
    assert cycle_weights(2, 0.5, 0.1) == pytest.approx([1.0, 0.05, 0.025])


def test_sparsity_is_in_units_of_each_image():
    x = 0.2 * torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    change = torch.zeros_like(x)
    change[:, :, :8] = 0.1
    one = sparsity(x, x + change).item()
    assert one == pytest.approx((0.1 * 0.25 / x.std((1, 2, 3))).mean().item(), rel=5e-2)
    assert sparsity(0.5 * x, 0.5 * (x + change)).item() == pytest.approx(one, rel=1e-2)
    assert sparsity(x, x).item() == 0


def test_a_line_is_less_rough_than_as_many_dots():
    x = 0.2 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    line, dots = torch.zeros_like(x), torch.zeros_like(x)
    line[..., 10:12, :] = 0.1
    dots[..., 1:32:4, 1:32:4] = 0.1  # 64 pixels too, each alone
    assert sparsity(x, x + line).item() == pytest.approx(sparsity(x, x + dots).item(), rel=1e-5)
    by_hand = 0.1 * 2 * 32 / (31 * 32) / standardise(x)[2].item()
    assert roughness(x, x + line).item() == pytest.approx(by_hand, rel=1e-4)
    assert roughness(x, x + dots).item() == pytest.approx(4 * by_hand, rel=1e-4)
    assert roughness(x, x).item() == 0
    assert roughness(0.5 * x, 0.5 * (x + line)).item() == pytest.approx(by_hand, rel=1e-2)


class Linear(torch.nn.Module):
    """The margin of class 1 over class 0 is 3 × the sum of the pixels."""

    def forward(self, x):
        total = 3 * x.sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(total), total, 0 * total - 2], dim=1)


def test_margin_and_its_penalty():
    x = torch.zeros(2, 1, 4, 4, requires_grad=True)
    scores = Linear()(x + 0.1)
    assert class_margin(scores, torch.tensor([1, 0])).tolist() == pytest.approx([4.8, -4.8])
    assert margin_penalty(x, Linear()(x)).item() == pytest.approx(48)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_attack_stays_in_its_ball_and_lowers_the_margin(steps):
    x, y = torch.rand(16, 1, 4, 4) * 1.9 - 0.95, torch.tensor([0, 1] * 8)
    moved = attacked(Linear(), x, y, 0.2, steps)
    assert (moved - x).abs().max() <= 0.2 + 1e-6 and moved.abs().max() <= 1
    before, after = (class_margin(Linear()(image), y) for image in (x, moved))
    assert (after < before).all()


def test_noise_grows_with_its_share():
    x = torch.zeros(400, 1, 16, 16)
    changed, share = noisy(x, 0.3)
    assert share.min() >= 0 and share.max() <= 1
    spread = changed.std(dim=(1, 2, 3))
    torch.testing.assert_close(spread, 0.3 * share, atol=0.03, rtol=0.1)


@pytest.mark.parametrize("preset", [Settings.paper, Settings.hardened, Settings.fine])
def test_presets_take_changes_and_come_back_from_json(preset):
    assert Settings.from_dict(json.loads(json.dumps(preset().to_dict()))) == preset()
    assert preset() != Settings()
    assert preset(warmup=7, l1_weight=3.5) == replace(preset(), warmup=7, l1_weight=3.5)


def test_the_original_class_leaves_p_fake_alone():
    scores = torch.randn(3, 3, requires_grad=True)
    original_class_loss(scores, Y).backward()
    assert (scores.grad[:, FAKE] == 0).all()
    assert (scores.grad.gather(1, Y[:, None]) < 0).all()


def test_extra_terms_are_those_asked_for():
    x, y = torch.rand(4, 1, 4, 4), torch.tensor([0, 1, 0, 1])
    fake = torch.zeros(4, 3)
    assert extra_terms(Linear(), x, y, fake, Settings.paper()) == {}
    assert set(extra_terms(Linear(), x, y, fake, Settings.hardened())) == {"noise", "attack"}
    every = Settings(noise_weight=1.0, attack_weight=1.0, original_weight=1.0, penalty_weight=1.0)
    assert set(extra_terms(Linear(), x, y, fake, Settings.fine())) == {"noise"}
    found = extra_terms(Linear(), x, y, fake, every)
    assert set(found) == {"noise", "attack", "original", "penalty"}
    assert set(extra_terms(Linear(), x, y, None, every)) == {"noise", "attack", "penalty"}
    assert found["original"].item() == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"batch_size": 1}, "batch_size must be an integer of at least 2, not 1"),
        ({"objective": "correct"}, "did you mean 'corrected'"),
        ({"l1_weight": -1.0}, "l1_weight"),
        ({"average": 1.0}, "average"),
        ({"betas": (0.5, 1.0)}, "betas"),
        ({"class_weights": (1.0,)}, "class_weights"),
        ({"class_weights": "even"}, "class_weights"),
        ({"g_every": 0}, "g_every"),
        ({"warmup": 2.5}, "warmup"),
        ({"learning_rate_d": 0.0}, "learning_rate_d"),
        ({"noise_level": float("nan")}, "noise_level"),
        ({"cycle_ramp": 2.0}, "cycle_ramp"),
        ({"attack_label": "real"}, "attack_label"),
    ],
)
def test_settings_refuse_what_has_no_meaning(keywords, text):
    with pytest.raises(InvalidInputError, match=text):
        Settings(**keywords)


def test_settings_survive_json():
    import json

    settings = Settings(class_weights=(1.0, 2.0), cycles=1)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(InvalidInputError, match="did you mean 'l1_weight'"):
        Settings.from_dict({"l1_wieght": 1.0})
