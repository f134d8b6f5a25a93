"""Training of the joint GAN on drawn cracks with tiny networks."""

import json
import warnings

import numpy as np
import pytest

from alibi_bridge.cracks import draw_cracks
from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")

from alibi_bridge.counterfactual_gan.batches import Batches, augment  # noqa: E402
from alibi_bridge.counterfactual_gan.model import JointGAN  # noqa: E402
from alibi_bridge.counterfactual_gan.multiclass import OneAgainstBackground  # noqa: E402
from alibi_bridge.counterfactual_gan.settings import Settings  # noqa: E402
from alibi_bridge.counterfactual_gan.training import Trainer  # noqa: E402
from alibi_bridge.counterfactual_gan.watch import (  # noqa: E402
    Look,
    ModeCollapseError,
    ModeCollapseWarning,
    find_collapse,
    look,
)

SMALL = {"generator_options": {"width": 4}, "discriminator_options": {"width": 8}}
PLAIN = {"noise_weight": 0.0, "attack_weight": 0.0}
QUICK = {"batch_size": 8, "warmup": 4, "validate_every": 4, **PLAIN}


@pytest.fixture(scope="module")
def cracks():
    return draw_cracks(60, 32, channels=1, random_state=5)


def model(**settings):
    return JointGAN(**SMALL, settings=Settings(**{**QUICK, **settings}), random_state=3)


def fitted(cracks, steps=12, settings=None, **keywords):
    return model(**(settings or {})).fit(cracks.images, cracks.labels, steps=steps, **keywords)


def weights(joint):
    return {name: value.clone() for name, value in joint.tensors().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def trained(cracks):
    return fitted(cracks, 40, {"warmup": 20, "batch_size": 16})


def test_before_training_the_counterfactual_is_the_image(cracks):
    from alibi_bridge.formats import ImageFormat

    joint = JointGAN(ImageFormat.of(cracks.images), **SMALL)
    found = joint.generate(cracks.images, cycles=2, random_state=1)
    for image in found.cycles:
        np.testing.assert_allclose(image, cracks.images, atol=1e-6)
    x = joint.image_format.to_tensor(cracks.images)
    with torch.no_grad():
        assert torch.equal(joint.generator(x)[0], x)


def test_the_result_is_a_function_of_the_seed(cracks):
    one, other = fitted(cracks), fitted(cracks)
    assert same(weights(one), weights(other)) and one.history == other.history
    assert fitted(cracks, settings={"batch_size": 10}).history != one.history


def test_the_global_generators_are_left_alone(cracks):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fitted(cracks, 5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("generator", "settings"),
    [
        ("unet", {"cycles": 1, "noise_weight": 0.5, "attack_weight": 0.5}),
        ("swin_unet", {"average": 0.9}),
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(cracks, tmp_path, generator, settings):
    class StopError(Exception):
        pass

    def stop(step, **_):
        if step == 8:
            raise StopError

    def make():
        options = {"embed": 8, "depths": (1, 1), "heads": (2, 4), "codes": 8, "width": 8}
        return JointGAN(
            generator=generator,
            generator_options=options if generator == "swin_unet" else {"width": 4},
            discriminator_options={"width": 8, "spectral": True},
            settings=Settings(**{**QUICK, **settings}),
            random_state=3,
        )

    whole = make().fit(cracks.images, cracks.labels, steps=14)
    place = {"checkpoint": tmp_path / "state", "checkpoint_every": 3}
    with pytest.raises(StopError):
        make().fit(cracks.images, cracks.labels, steps=14, callbacks=[stop], **place)
    resumed = make().fit(cracks.images, cracks.labels, steps=14, **place)
    assert same(weights(resumed), weights(whole))
    assert resumed.history == whole.history and resumed.chosen == whole.chosen
    again = make().fit(cracks.images, cracks.labels, steps=14, **place)  # nothing left to do
    assert same(weights(again), weights(whole))


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(cracks, tmp_path):
    place = tmp_path / "state"
    fitted(cracks, 6, checkpoint=place)
    with pytest.raises(InvalidInputError, match=r"another l1_weight: 1.6, not 1.5;"):
        fitted(cracks, 6, {"l1_weight": 1.5}, checkpoint=place)
    with pytest.raises(InvalidInputError, match="steps"):
        fitted(cracks, 9, checkpoint=place)
    other = draw_cracks(60, 32, channels=1, random_state=6)
    with pytest.raises(InvalidInputError, match="data"):
        fitted(other, 6, checkpoint=place)
    fitted(other, 6, checkpoint=place, resume=False)
    held = bytearray((place / "weights.safetensors").read_bytes())
    held[-1] ^= 1
    (place / "weights.safetensors").write_bytes(held)
    with pytest.raises(InvalidInputError, match="damaged"):
        fitted(other, 6, checkpoint=place)


def test_callbacks_hear_of_every_step_and_can_use_the_model(cracks):
    heard = []

    def listen(step, update, model, sample, losses):
        heard.append((step, model.predict(cracks.images[:2]).shape, sorted(losses)))
        assert sample["X"].shape == (8, 1, 32, 32) and update == 0

    fitted(cracks, 8, callbacks=[listen])
    assert [step for step, *_ in heard] == list(range(8))
    assert all(shape == (2, 3) for _, shape, _ in heard)
    assert heard[0][2] == ["D", "G class"]
    assert heard[-1][2] == ["D", "G", "G L1", "G class", "G roughness"]


def test_listening_does_not_change_the_training(cracks):
    listened = fitted(cracks, callbacks=[lambda model, **_: model.generate(cracks.images[:2])])
    assert same(weights(listened), weights(fitted(cracks)))


def test_update_frequencies(cracks):
    seen = []
    fitted(
        cracks,
        12,
        {"g_every": 2, "d_every": 3},
        callbacks=[lambda losses, **_: seen.append(("D" in losses, "G" in losses))],
    )
    turns = [(k % 3 == 0, k % 2 == 0) for k in range(8)]
    assert [g for _, g in seen[4:]] == [g for _, g in turns]
    assert [d for d, g in seen[4:] if g] == [d for d, g in turns if g]


@pytest.mark.parametrize(("least", "falls"), [(0.9, True), (0.0, False)])
def test_penalties_fall_while_too_few_images_are_turned(cracks, least, falls):
    from alibi_bridge.formats import ImageFormat

    joint = model()
    form = ImageFormat.of(cracks.images)
    networks = joint._new_networks(form)
    settings = Settings(**{**QUICK, "warmup": 0, "least_flips": least})
    trainer = Trainer(*networks, settings, 40, cracks.labels, joint.device, 3)
    labels, seen = torch.as_tensor(cracks.labels), []
    for _ in range(12):
        rows = trainer.batches.rows(trainer.step)
        trainer.advance(form.to_tensor(cracks.images[rows], joint.device), labels[rows])
        seen.append(float(trainer.pressure))
    assert all(0.0 <= value <= 1.0 for value in seen)
    assert (seen[-1] < 1.0) == falls


def test_the_warm_up_teaches_both_the_classes_and_changes_no_image(cracks):
    joint = model(warmup=200, batch_size=16)
    joint.fit(cracks.images, cracks.labels, steps=80)
    found = joint.generate(cracks.images)
    np.testing.assert_allclose(found.counterfactual, cracks.images, atol=1e-6)
    for read in (found.d_class, found.g_class):
        assert (read == cracks.labels).mean() > 0.65


def test_training_learns_the_classes_and_keeps_the_best_checkpoint(cracks, trained):
    assert trained.chosen in trained.history
    settings = trained.settings
    assert trained.chosen.score(settings) == max(e.score(settings) for e in trained.history)
    assert not np.allclose(trained.generate(cracks.images).counterfactual, cracks.images)


def test_results_do_not_depend_on_the_batch_size(cracks, trained):
    for keywords in ({}, {"random_state": 4}, {"views": 8}):
        one = trained.generate(cracks.images[:11], batch_size=3, **keywords)
        other = trained.generate(cracks.images[:11], batch_size=64, **keywords)
        np.testing.assert_allclose(one.counterfactual, other.counterfactual, atol=1e-5)
        alone = trained.generate(cracks.images[7:8], **keywords)
        np.testing.assert_allclose(alone.counterfactual[0], other.counterfactual[7], atol=1e-5)
    np.testing.assert_allclose(
        trained.predict(cracks.images, 7), trained.predict(cracks.images, 60), atol=1e-5
    )


def test_what_generate_returns_agrees_with_itself(cracks, trained):
    x = cracks.images[:9]
    found = trained.generate(x, cycles=1)
    np.testing.assert_allclose(found.probabilities, trained.predict(x), atol=1e-5)
    np.testing.assert_allclose(
        found.cf_probabilities, trained.predict(found.counterfactual), atol=1e-4
    )
    np.testing.assert_allclose(
        found.saliency.raw, np.abs(x - found.counterfactual).mean(axis=3), atol=1e-6
    )
    assert found.saliency.normalised.min() >= 0 and found.saliency.normalised.max() <= 1
    assert (found.p_fake == found.probabilities[:, 2]).all()
    assert (found.success == (found.cf_class != found.d_class)).all()
    assert len(found.cycles) == 2 and found.cycle_class.shape == (9, 2)
    np.testing.assert_allclose(
        found.cycles[1], trained.generate(found.counterfactual).counterfactual, atol=1e-4
    )
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_what_generate_returns_shows_itself(cracks, trained):
    found = trained.generate(cracks.images[:3])
    assert "images: 3" in found._repr_html_()
    np.testing.assert_array_equal(found.to_frame()["success"], found.success)


def test_empty_input(cracks, trained):
    assert trained.predict(cracks.images[:0]).shape == (0, 3)


def test_saving_and_loading(cracks, trained, tmp_path):
    trained.save(tmp_path / "joint")
    loaded = JointGAN.load(tmp_path / "joint")
    np.testing.assert_array_equal(loaded.predict(cracks.images), trained.predict(cracks.images))
    assert loaded.history == trained.history and loaded.settings == trained.settings
    head = json.loads((tmp_path / "joint" / "config.json").read_text())
    assert head["kind"] == "joint_gan"


def test_weights_of_another_architecture_are_refused(trained):
    config = {**trained.config(), "generator_options": {"width": 8}}
    with pytest.raises(InvalidInputError):
        JointGAN.rebuilt(config, trained.tensors())
    with pytest.raises(InvalidInputError, match="settings of a joint GAN"):
        JointGAN.rebuilt({"generator": "unet"}, trained.tensors())


def test_rare_classes_are_drawn_as_often():
    y = np.r_[np.zeros(90, int), np.ones(10, int)]
    batches = Batches(y, 16, True, 0)
    drawn = np.concatenate([batches.rows(k) for k in range(50)])
    assert y[drawn].mean() == pytest.approx(0.5)
    rare = np.bincount(drawn, minlength=100)[90:]
    assert rare.max() - rare.min() <= 1  # 400 draws over ten rows, in shuffled epochs
    np.testing.assert_array_equal(Batches(y, 16, True, 0).rows(37), batches.rows(37))
    odd = Batches(y, 5, True, 0)
    assert y[np.concatenate([odd.rows(k) for k in range(10)])].mean() == 0.5
    plain = Batches(y, 16, False, 0)
    assert y[np.concatenate([plain.rows(k) for k in range(50)])].mean() == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["full", "flips", "none"])
def test_augmentation_keeps_shape_and_range(kind):
    x = torch.rand(20, 3, 32, 32) * 2 - 1
    changed = augment(x, kind)
    assert changed.shape == x.shape and changed.abs().max() <= 1
    if kind == "flips":
        torch.testing.assert_close(changed.mean((1, 2, 3)), x.mean((1, 2, 3)))
        assert not torch.equal(changed, x)
    if kind == "none":
        assert torch.equal(changed, x)
    assert augment(torch.rand(4, 1, 32, 48), kind).shape == (4, 1, 32, 48)


@pytest.mark.parametrize(
    "remedy", [{"balance": True}, {"class_weights": "balanced", "balance": False}]
)
def test_imbalance_trains_without_collapse(remedy):
    cracks = draw_cracks(240, 32, channels=1, crack_share=0.1, random_state=2)
    settings = {"warmup": 100, "batch_size": 16, "validate_every": 10, **remedy}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModeCollapseWarning)
        joint = fitted(cracks, 160, settings, validation=0.3)
    assert joint.collapse is None
    read = joint.predict(cracks.images)[:, :2].argmax(axis=1)
    recall = [float((read[cracks.labels == c] == c).mean()) for c in (0, 1)]
    assert min(recall) > 0.2 and sum(recall) > 1.1, recall  # one class only: 0 and 1


class Shift(torch.nn.Module):
    """Adds to every pixel; scores of class 0 and 1 by the mean."""

    noise_dim = 1

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x, z=None):
        return x + self.by, torch.zeros(len(x), 2)


class Above(torch.nn.Module):
    """Calls images class 1 whose mean is above a threshold."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        over = 10 * (x.mean(dim=(1, 2, 3)) - self.threshold)
        return torch.stack([-over, over, torch.full_like(over, -20.0)], dim=1)


def test_flips_count_only_where_the_discriminator_was_right():
    x = torch.tensor([-0.5, -0.1, 0.1, 0.5]).view(-1, 1, 1, 1).expand(-1, 1, 32, 32)
    y = torch.tensor([0, 0, 1, 1])
    found = look(Shift(0.2), Above(0.0), x, y, 1, True)
    assert found.accuracy == 1.0 and found.turned == 0.25  # one of class 0, none of class 1
    one_class = look(Shift(0.2), Above(-2.0), x, y, 1, True)
    assert one_class.accuracy == 0.5 and one_class.turned == 0.0
    settings = Settings()
    assert found.score(settings) > one_class.score(settings)


def entry(step, **values):
    usual = {
        "accuracy": 0.9,
        "g_accuracy": 0.9,
        "flips": 0.8,
        "turned": 0.8,
        "l1": 0.1,
        "p_fake": 0.4,
        "sameness": 0.1,
        "trained_g": True,
    }
    return Look(step=step, **{**usual, **values})


@pytest.mark.parametrize(
    ("kind", "values", "advice"),
    [
        ("identity", {"l1": 0.0001, "turned": 0.1}, "l1_weight"),
        ("one pattern", {"sameness": 0.99}, "mode collapse"),
        ("all fake", {"p_fake": 0.99, "flips": 0.0}, "d_every"),
        ("one class", {"accuracy": 0.5}, "warmup"),
        ("not finite", {"l1": float("nan")}, "learning_rate_g"),
    ],
)
def test_collapse_is_named_with_its_step_and_a_remedy(kind, values, advice):
    looks = [entry(250), *(entry(300 + 50 * k, **values) for k in range(8))]
    found = find_collapse(looks, Settings())
    assert found is not None and found.kind == kind
    assert advice in found.text and f"step {found.step}" in found.text
    assert found.step >= 300
    assert find_collapse([*looks[:2]], Settings()) is None or kind == "not finite"
    assert find_collapse([*looks, *(entry(900 + k) for k in range(4))], Settings()) is None


@pytest.mark.parametrize("late", [False, True], ids=["seen in the loss", "seen on validation"])
def test_a_training_that_breaks_says_so(cracks, monkeypatch, late):
    wild = {"warmup": 0, "validate_every": 2}
    advance = Trainer.advance

    def spoiled(trainer, images, y):
        broken = trainer.averages["discriminator"].network if late else trainer.discriminator
        if trainer.step == 5:
            with torch.no_grad():
                broken.score.bias.fill_(float("nan"))
        return advance(trainer, images, y)

    monkeypatch.setattr(Trainer, "advance", spoiled)
    with pytest.warns(ModeCollapseWarning, match="step"):
        joint = fitted(cracks, 12, wild)
    assert joint.collapse is not None and joint.collapse.kind == "not finite"
    assert all(torch.isfinite(v).all() for v in joint.tensors().values())
    with pytest.raises(ModeCollapseError, match="learning_rate_d"):
        fitted(cracks, 12, {**wild, "on_collapse": "raise"})


def test_bad_input_is_refused_before_training(cracks):
    x, y = cracks.images, cracks.labels
    never = {"callbacks": [lambda **_: pytest.fail("it has begun")]}

    def refused(text, images=x, labels=y, joint=None, **keywords):
        with pytest.raises(InvalidInputError, match=text):
            (joint or model()).fit(images, labels, steps=5, **{**never, **keywords})

    refused("one class only", labels=np.zeros(60, int))
    refused("0 and 1", labels=y + 1)
    refused("it holds '0', '1'", labels=y.astype(str))
    refused("one label per image", labels=y[:-1])
    broken = x.copy()
    broken[7, 0, 0] = np.nan
    refused("row 7", images=broken)
    refused("value_range", images=x * 255)
    refused("multiples of 8", images=np.zeros((60, 36, 36, 1), np.float32))
    refused("four dimensions", images=x[..., 0])
    refused("batch_size", images=x[:6], labels=y[:6])
    refused("validation", validation=1.5)
    refused("validation", validation=(x[:0], y[:0]))
    refused("one class only", validation=(x[:3], np.ones(3, int)))
    refused("groups", groups=np.zeros(3))
    refused("share", groups=np.zeros(60))
    refused("is a file", checkpoint=__file__)
    refused("cannot be written", checkpoint="/proc/nowhere/run")
    refused("checkpoint_every", checkpoint_every=0)
    with pytest.raises(InvalidInputError, match="steps"):
        model().fit(x, y, steps=0)
    with pytest.raises(InvalidInputError, match="fit"):
        model().predict(x)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -1}, "batch_size"),
        ({"cycles": 1.5}, "cycles"),
        ({"cycles": -1}, "cycles"),
        ({"sigma": float("nan")}, "sigma"),
        ({"sigma": "wide"}, "sigma"),
        ({"views": True}, "views"),
        ({"views": 3}, "views"),
    ],
)
def test_generate_refuses_what_has_no_meaning(cracks, trained, keywords, text):
    with pytest.raises(InvalidInputError, match=text):
        trained.generate(cracks.images[:2], **keywords)


def test_predict_refuses_a_batch_size_without_meaning(cracks, trained):
    with pytest.raises(InvalidInputError, match="batch_size"):
        trained.predict(cracks.images[:2], batch_size=-1)  # used to return no rows


def test_numpy_integers_are_integers(cracks):
    joint = model(batch_size=np.int64(8), warmup=2)
    joint.fit(cracks.images, cracks.labels, steps=np.int64(4))
    json.dumps(joint.config())


def test_names_are_refused_before_there_are_images():
    with pytest.raises(InvalidInputError, match="did you mean 'unet'"):
        JointGAN(generator="unett")
    with pytest.raises(InvalidInputError, match="did you mean 'cnn'"):
        OneAgainstBackground(0, discriminator="cn")


def test_every_class_is_checked_before_one_is_trained(cracks):
    y = np.where(cracks.labels == 1, 1, 0)
    y[np.flatnonzero(y == 1)[:2]] = 2  # with half of them aside, one image
    never = [lambda **_: pytest.fail("it has begun")]
    options = {"settings": Settings(batch_size=40), "device": "cpu"}
    with pytest.raises(InvalidInputError, match="class 2 against the background: X has 32 images"):
        OneAgainstBackground(0, **options).fit(cracks.images, y, steps=4, callbacks=never)


def test_groups_are_set_aside_whole(cracks):
    from alibi_bridge.counterfactual_gan.inputs import holdout
    from alibi_bridge.formats import ImageFormat

    groups = np.arange(60) // 6
    rows, _ = holdout(ImageFormat.of(cracks.images), cracks.images, cracks.labels, 0.3, groups, 0)
    aside = np.setdiff1d(np.arange(60), rows)
    assert 18 <= len(aside) < 30
    assert not set(groups[rows]) & set(groups[aside])


def test_mixed_precision_and_cycles_run(cracks):
    joint = fitted(cracks, 8, {"mixed_precision": True, "cycles": 2, "cycle_ramp": 0.0})
    assert len(joint.generate(cracks.images[:2]).cycles) == 3


def test_more_classes_against_a_background(tmp_path):
    dark = draw_cracks(40, 32, channels=1, random_state=1)
    bright = draw_cracks(40, 32, channels=1, bright=True, random_state=2)
    x = np.concatenate([dark.images, bright.images])
    y = np.concatenate([np.where(dark.labels, 7, 2), np.where(bright.labels, 4, 2)])
    joint = OneAgainstBackground(2, **SMALL, settings=Settings(**QUICK))
    joint.fit(x, y, steps=8, checkpoint=tmp_path / "state")
    assert joint.labels == [2, 4, 7]
    read = joint.predict(x)
    assert read.shape == (80, 4)
    np.testing.assert_allclose(read.sum(1), 1, atol=1e-5)
    found = joint.generate(x, cycles=1)
    assert found.counterfactual.shape == x.shape and len(found.cycles) == 2
    assert set(found.cf_class) <= {0, 1, 2}
    wanted = joint.generate(x, target=np.full(80, 7))
    background = wanted.d_class == 0
    np.testing.assert_allclose(
        wanted.counterfactual[background],
        joint.models[7].generate(x[background]).counterfactual,
        atol=1e-5,
    )
    joint.save(tmp_path / "saved")
    loaded = OneAgainstBackground.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict(x), read)
    with pytest.raises(InvalidInputError, match="target"):
        joint.generate(x, target=np.full(80, 5))
    with pytest.raises(InvalidInputError, match="background"):
        OneAgainstBackground(9, **SMALL).fit(x, y)
