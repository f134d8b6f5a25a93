"""The suite on a stranger's networks for the joint GAN: each fault is found and named."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

from alibi_bridge.counterfactual_gan.discriminator import CNNDiscriminator  # noqa: E402
from alibi_bridge.counterfactual_gan.generator import UNetGenerator  # noqa: E402
from alibi_bridge.counterfactual_gan.model import JointGAN  # noqa: E402
from alibi_bridge.cracks import draw_cracks  # noqa: E402
from dice_extended_plugin.checks import check_component  # noqa: E402
from dice_extended_plugin.plugins import get_registry  # noqa: E402
from dice_extended_plugin.registry import Component  # noqa: E402


class Generator(UNetGenerator):
    """A sound one, narrow."""

    def __init__(self, channels, size, **options):
        super().__init__(channels, size, **{"width": 4, **options})


class Tinting(Generator):
    def forward(self, x, noise=None, generator=None):
        x_hat, logits = super().forward(x, noise, generator)
        return (x_hat + 0.01).clamp(-1, 1), logits


class Bright(Generator):
    def forward(self, x, noise=None, generator=None):
        x_hat, logits = super().forward(x, noise, generator)
        return x + 3 * (x_hat - x), logits


class InPlace(Generator):
    def forward(self, x, noise=None, generator=None):
        found = super().forward(x, noise, generator)
        x += 0.1
        return found


class Sociable(Generator):
    def forward(self, x, noise=None, generator=None):
        x_hat, logits = super().forward(x, noise, generator)
        return x + (x_hat - x).mean(dim=0, keepdim=True), logits


class Deaf(Generator):
    def forward(self, x, noise=None, generator=None):
        return super().forward(x, torch.zeros_like(noise), generator)


class Forgetful(Generator):
    def __init__(self, channels, size, **options):
        super().__init__(channels, size, **options)
        self.tint = float(torch.rand(()))

    def forward(self, x, noise=None, generator=None):
        x_hat, logits = super().forward(x, noise, generator)
        return x + (x_hat - x) * self.tint, logits


class Discriminator(CNNDiscriminator):
    """A sound one, narrow."""

    def __init__(self, channels, size, **options):
        super().__init__(channels, size, **{"width": 8, **options})


class Two(Discriminator):
    def forward(self, x, like=None):
        return super().forward(x, like)[:, :2]


class Stubborn(Discriminator):
    def __init__(self, channels, size, outputs=3, **options):
        super().__init__(channels, size, **options)


class Relative(Discriminator):
    def forward(self, x, like=None):
        logits = super().forward(x, like)
        return logits - logits.mean(dim=0, keepdim=True)


class Hard(Discriminator):
    def forward(self, x, like=None):
        return super().forward(x, like).round().detach() + 0 * x.sum()


@pytest.mark.parametrize("sound", [Generator, Discriminator])
def test_a_sound_network_passes(sound):
    report = check_component(sound)  # its kind is told from its base
    assert report.ok, report
    assert {outcome.status for outcome in report.outcomes} == {"ok"}


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Tinting, "check_begins_as_the_identity"),
        (Bright, "check_range_kept"),
        (InPlace, "check_input_untouched"),
        (Sociable, "check_batch_splits"),
        (Deaf, "check_noise"),
        (Forgetful, "check_saving"),
        (Two, "check_result_type"),
        (Stubborn, "check_outputs"),
        (Relative, "check_batch_splits"),
        (Hard, "check_gradients"),
    ],
)
def test_a_fault_is_named(broken, check):
    report = check_component(broken)
    assert not report.ok
    failed = [outcome for outcome in report.outcomes if outcome.status == "failed"]
    assert check in {outcome.check for outcome in failed}
    assert all(outcome.reason for outcome in failed)


def test_a_registered_network_is_trained_by_its_name(monkeypatch):
    registry = get_registry()
    entries = list(registry._entries)
    monkeypatch.setattr(registry, "_entries", entries)  # put back afterwards
    registry.add(Component("gan_generator", "narrow", f"{__name__}:Generator"))
    registry.add(Component("gan_discriminator", "narrow", f"{__name__}:Discriminator"))
    drawn = draw_cracks(40, size=32)
    joint = JointGAN(generator="narrow", discriminator="narrow", device="cpu")
    joint.fit(drawn.images, drawn.labels, steps=2)
    assert type(joint.generator) is Generator and type(joint.discriminator) is Discriminator
    again = JointGAN.rebuilt(joint.config(), joint.tensors(), device="cpu")
    assert type(again.generator) is Generator
