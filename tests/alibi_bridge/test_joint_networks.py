"""Generators and discriminators of the joint GAN: what every one of them must do."""

import numpy as np
import pytest

from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("vector_quantize_pytorch")

from alibi_bridge.counterfactual_gan.names import (  # noqa: E402
    make_discriminator,
    make_generator,
)
from alibi_bridge.counterfactual_gan.parts import (  # noqa: E402
    NoiseInjection,
    PooledHead,
    standardise,
)
from alibi_bridge.counterfactual_gan.windows import WindowBlocks  # noqa: E402
from alibi_bridge.seeds import seeded  # noqa: E402
from dice_extended_plugin.plugins import get_registry  # noqa: E402

GENERATORS, DISCRIMINATORS = (
    [one.name for one in get_registry().components(kind)]
    for kind in ("gan_generator", "gan_discriminator")
)
SMALL_SWIN = {"embed": 8, "depths": (1, 1), "heads": (2, 4)}
G_OPTIONS = {"unet": {"width": 4}, "swin_unet": {**SMALL_SWIN, "codes": 16, "width": 8}}
D_OPTIONS = {
    "cnn": {"width": 4},
    "resnet3": {"width": 0.25},
    "resnet18": {"width": 0.125},
    "resnet50": {"width": 0.03125},
    "swin": SMALL_SWIN,
    "hybrid": {**SMALL_SWIN, "width": 0.25},
}


def images(n=3, channels=3, size=(32, 32), seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, *size, generator=stream) * 1.6 - 0.8


def generator(name, channels=3, size=(32, 32), **options):
    with seeded(0, "test"):
        return make_generator(name, channels, size, {**G_OPTIONS[name], **options})


def discriminator(name, channels=3, size=(32, 32), **options):
    with seeded(0, "test"):
        return make_discriminator(name, channels, size, {**D_OPTIONS[name], **options})


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_before_training_the_counterfactual_is_the_image(name, channels, size):
    g = generator(name, channels, size)
    x = images(2, channels, size)
    for training in (True, False):
        x_hat, logits = g.train(training)(x)
        assert torch.equal(x_hat, x)
        assert logits.shape == (2, 2)


@pytest.mark.parametrize("name", GENERATORS)
def test_gradients_reach_every_weight_of_a_generator(name):
    g = generator(name).train()
    torch.nn.init.normal_(g.leave.weight)
    x_hat, logits = g(images(4))
    loss = (x_hat - images(4)).square().sum() + logits.square().sum()
    if g.extra_loss is not None:
        loss = loss + g.extra_loss
    loss.backward()
    # Norms that transformers' own forward pass does not use (the second: from version 5 on).
    unused = ("hidden_states_norms", "swin.layernorm")
    without = [n for n, p in g.named_parameters() if p.grad is None]
    assert not [n for n in without if not any(part in n for part in unused)]
    assert all(torch.isfinite(p.grad).all() for p in g.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", GENERATORS)
def test_noise_changes_the_counterfactual_and_can_be_fixed(name):
    g = generator(name).eval()
    torch.nn.init.normal_(g.leave.weight)
    x = images(2)
    draw = [g(x, generator=torch.Generator().manual_seed(s))[0] for s in (1, 1, 2)]
    assert torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])
    zero = torch.zeros(2, g.noise_dim)
    assert torch.equal(g(x, zero)[0], g(x, zero)[0])


@pytest.mark.parametrize("name", GENERATORS)
def test_there_is_noise_at_every_upsampling_step(name):
    g = generator(name)
    injected = [m for m in g.modules() if isinstance(m, NoiseInjection)]
    steps = 3 if name == "unet" else 2  # halvings of the U-Net; one between stages, and the last
    assert len(injected) == steps
    assert any(isinstance(m, torch.nn.Dropout2d) and m.p > 0 for m in g.modules())


@pytest.mark.parametrize("name", GENERATORS)
def test_counterfactuals_stay_in_range(name):
    g = generator(name).eval()
    torch.nn.init.constant_(g.leave.bias, 50.0)
    assert g(images(1))[0].abs().max() <= 1


@pytest.mark.parametrize("name", GENERATORS)
def test_an_image_is_changed_alone(name):
    g = generator(name).eval()
    torch.nn.init.normal_(g.leave.weight)
    x, z = images(5), torch.randn(5, g.noise_dim)
    together = g(x, z)[0]
    alone = torch.cat([g(x[k : k + 1], z[k : k + 1])[0] for k in range(5)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spectral", [False, True])
def test_discriminators_have_three_outputs_and_gradients(name, channels, spectral):
    d = discriminator(name, channels, spectral=spectral)
    x = images(2, channels).requires_grad_(True)
    logits = d(x)
    assert logits.shape == (2, 3)
    logits[:, 0].sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in d.modules())


# Random weights in fifty layers turn the last digits round: there is nothing to compare.
@pytest.mark.parametrize("name", [name for name in DISCRIMINATORS if name != "resnet50"])
def test_light_and_contrast_do_not_matter(name):
    d = discriminator(name).eval()
    x = images(2) * 0.5
    torch.testing.assert_close(d(x), d(0.6 * x + 0.1), atol=2e-2, rtol=2e-2)


def test_a_counterfactual_can_be_read_in_the_units_of_its_original():
    d = discriminator("cnn").eval()
    x = images(2) * 0.5
    torch.testing.assert_close(d(x, x), d(x))
    speckled = x + 0.3 * (torch.rand_like(x) < 0.1)
    assert not torch.allclose(d(speckled, x), d(speckled))
    # In the units of the original a difference stays what it is, whatever else has changed.
    standard, mean, spread = standardise(x)
    torch.testing.assert_close((speckled - mean) / spread - standard, (speckled - x) / spread)


def test_other_sizes():
    assert discriminator("cnn", 1, (48, 224))(images(1, 1, (48, 224))).shape == (1, 3)
    assert generator("unet", 1, (224, 224))(images(1, 1, (224, 224)))[0].shape[2] == 224
    assert generator("swin_unet", 3, (96, 96), patch=4, window=7)(images(1, 3, (96, 96)))[1].shape


@pytest.mark.parametrize(
    ("size", "levels"),
    [((32, 32), 3), ((64, 48), 3), ((64, 64), 4), ((72, 72), 3), ((224, 224), 4)],
)
def test_a_unet_is_as_deep_as_its_images_are_large(size, levels):
    g = generator("unet", 1, size)
    assert len(g.down) == levels and g.resolved_options == {"levels": levels}
    assert len(generator("unet", 1, size, levels=2).down) == 2


@pytest.mark.parametrize(
    ("make", "name", "size", "text"),
    [
        (make_generator, "unet", (36, 36), "multiples of 8"),
        (make_generator, "swin_unet", (50, 64), "multiples of"),
        (make_discriminator, "cnn", (33, 33), "multiples of 8"),
        (make_discriminator, "swin", (34, 34), "multiples of"),
        (make_generator, "unet", (16, 16), "32 to 224"),
        (make_discriminator, "cnn", (256, 256), "32 to 224"),
    ],
)
def test_sizes_that_cannot_be_halved(make, name, size, text):
    with pytest.raises(InvalidInputError, match=text):
        make(name, 3, size)


def test_unknown_names_and_options():
    with pytest.raises(InvalidInputError, match="did you mean 'unet'"):
        make_generator("unett", 3, (32, 32))
    with pytest.raises(InvalidInputError, match="resnet18"):
        make_discriminator("vgg", 3, (32, 32))
    with pytest.raises(InvalidInputError, match="wide"):
        make_generator("unet", 3, (32, 32), {"wide": 3})
    with pytest.raises(InvalidInputError, match="depth"):
        make_discriminator("resnet3", 3, (32, 32), {"depth": 7})
    for options in ({"width": 0}, {"dropout": 7.0}, {"width": -1}, {"levels": 0.5}):
        with pytest.raises(InvalidInputError, match=r"options|pixels"):
            make_generator("unet", 3, (32, 32), options)


def test_standardise():
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.2
    standard, mean, spread = standardise(x)
    np.testing.assert_allclose(standard.mean((1, 2, 3)), 0, atol=0.05)
    np.testing.assert_allclose(standard.std((1, 2, 3)), 1, atol=0.05)
    torch.testing.assert_close(standard * spread + mean, x)
    # Light and contrast of a whole image change nothing.
    torch.testing.assert_close(standardise(0.5 * x - 0.3)[0], standard, atol=0.02, rtol=0.02)
    torch.testing.assert_close(standardise(x.flip(3).transpose(2, 3))[1:], (mean, spread))
    flat = torch.zeros(1, 1, 32, 32, requires_grad=True)
    standardise(flat)[0].sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_a_crack_does_not_set_the_scale_of_its_image():
    ground = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.05
    cracked = ground.clone()
    cracked[..., 14:17, :] -= 0.6
    _, mean, spread = standardise(ground)
    _, mean_of_it, spread_of_it = standardise(cracked)
    assert float(cracked.std() / ground.std()) > 3
    assert 0.9 < float(spread_of_it / spread) < 1.3
    assert abs(float(mean_of_it - mean)) < 0.02


def test_a_drawing_on_even_ground_keeps_finite_contrast():
    drawing = torch.zeros(1, 1, 32, 32)
    drawing[..., 10:13, 5:25] = 1.0  # six percent of the pixels
    assert float(standardise(drawing)[0].abs().max()) < 3 / float(drawing.std())


def test_the_head_pools_by_weights():
    head = PooledHead([2], 2, hidden=4)
    torch.nn.init.zeros_(head.weight[0].weight)
    maps = torch.randn(1, 2, 4, 4)
    maps[:, :, 1, 2] += 5
    moved = maps.flip(2)
    torch.testing.assert_close(head([maps]), head([moved]))  # equal weights: a plain mean
    torch.nn.init.constant_(head.weight[0].weight, 100.0)  # one pixel takes all the weight
    place = maps.sum(1).flatten().argmax()
    only = maps.flatten(2)[:, :, place][:, :, None, None].expand(1, 2, 4, 4)
    torch.testing.assert_close(head([maps]), head([only]), atol=1e-4, rtol=1e-3)


def test_windows_do_not_mix_what_the_shift_or_padding_joined():
    torch.manual_seed(0)
    blocks = WindowBlocks(4, (6, 10), heads=2, window=4).eval()
    torch.nn.init.normal_(blocks.blocks[1].bias)
    x = torch.randn(1, 4, 6, 10)
    changed = x.clone()
    changed[:, :, 0, 0] += 5  # the upper left corner
    difference = (blocks(x) - blocks(changed)).abs().sum(1)[0]
    # Two blocks reach at most one and a half windows; the far corner is not a neighbour.
    assert difference[0, 0] > 0 and difference[5, 9] == 0 and difference[0, 9] == 0


@pytest.mark.parametrize("name", ["swin_unet"])
def test_pretrained_weights_from_a_folder(name, tmp_path):
    first = generator(name)
    first.encoder.backbone.save_pretrained(tmp_path / "swin")
    second = make_generator(
        name, 3, (32, 32), {"pretrained": str(tmp_path / "swin"), "codes": 16, "width": 8}
    )
    weights = first.encoder.state_dict(), second.encoder.state_dict()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert second.resolved_options["pretrained"] is None
    assert second.resolved_options["embed"] == 8
    with pytest.raises(InvalidInputError, match="channels"):
        make_generator(name, 1, (32, 32), {"pretrained": str(tmp_path / "swin")})


def test_pretrained_weights_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidInputError, match="pretrained"):
        make_discriminator("swin", 3, (32, 32), {"pretrained": str(tmp_path / "nothing")})


@pytest.mark.parametrize("name", GENERATORS)
def test_changes_can_be_grey(name):
    g = generator(name, grey_changes=True).eval()
    x = images(2) * 0.2
    assert torch.equal(g(x)[0], x)
    torch.nn.init.normal_(g.leave.weight, std=0.1)
    change = g(x)[0] - x
    assert change.abs().max() > 0.01
    torch.testing.assert_close(change[:, 0], change[:, 2], atol=1e-6, rtol=0)
