"""AttGAN: the published architecture, its losses and schedule, its report, and what is refused."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from alibi_bridge.attgan import AttGAN, DeadAttributesWarning, Schedule, Weights  # noqa: E402
from alibi_bridge.attgan.augment import mirrored, shifted  # noqa: E402
from alibi_bridge.attgan.exclusive import (  # noqa: E402
    flip_attribute,
    force_exclusive,
    group_indices,
)
from alibi_bridge.attgan.losses import attribute_loss, gradient_penalty  # noqa: E402
from alibi_bridge.attgan.networks import Architecture, Critic, Generator, repeat  # noqa: E402
from alibi_bridge.attgan.report import edit_report  # noqa: E402
from alibi_bridge.attgan.training import Trainer  # noqa: E402
from alibi_bridge.faces import procedural_faces  # noqa: E402
from alibi_bridge.images import ArraySource, Subset  # noqa: E402
from alibi_bridge.seeds import seeded  # noqa: E402
from dice_extended_plugin.errors import InvalidInputError  # noqa: E402

FACES = procedural_faces(60, random_state=7)
QUICK = {"batch_size": 4, "critic_steps": 1, "judge_steps": 1}


def tiny(**changes):
    given = {"width": 4, "schedule": Schedule(**QUICK), **changes}
    return AttGAN(FACES.names, 32, **given)


def fit(model, steps=2, faces=FACES, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadAttributesWarning)
        return model.fit(faces.images, faces.attributes, steps=steps, **settings)


@pytest.fixture(scope="module")
def fitted():
    return fit(tiny())


def same(one, other):
    first, second = one.tensors(), other.tensors()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


class TestNetworks:
    @pytest.mark.parametrize(("size", "depth"), [(32, 3), (64, 4), (128, 5)])
    def test_shapes(self, size, depth):
        plan = Architecture(size, 3, 5, width=4)
        assert plan.depth == depth
        generator, critic = Generator(plan), Critic(plan)
        x, b = torch.rand(2, 3, size, size) * 2 - 1, torch.ones(2, 5)
        z = generator.encode(x)
        assert [len(part) for part in z] == [2, 2] and z[0].shape[2:] == (4, 4)
        y = generator.decode(z, b)
        assert y.shape == x.shape and y.abs().max() <= 1
        value, logits = critic(x)
        assert value.shape == (2,) and logits.shape == (2, 5)
        assert torch.equal(value, critic.value(x))

    def test_published_sizes(self):
        plan = Architecture(128, 3, 13)
        with torch.device("meta"):
            generator, critic = Generator(plan), Critic(plan)
        encoder = [layer[0].weight.shape for layer in generator.encoder]
        assert [shape[0] for shape in encoder] == [64, 128, 256, 512, 1024]
        assert all(shape[2:] == (4, 4) for shape in encoder)
        decoder = [layer[0].weight.shape for layer in generator.decoder]
        assert [shape[1] for shape in decoder] == [1024, 512, 256, 128, 3]
        # Attributes join at the first layer, and with the shortcut once more at the second.
        assert [shape[0] for shape in decoder] == [1024 + 13, 1024 + 512 + 13, 512, 256, 128]
        assert critic.realness[0].weight.shape == (1024, 1024 * 4 * 4)
        assert critic.realness[2].weight.shape == (1, 1024)
        assert critic.attributes[2].weight.shape == (13, 1024)
        norms = [layer[1] for layer in critic.trunk[:5]]
        assert all(isinstance(norm, torch.nn.InstanceNorm2d) and norm.affine for norm in norms)
        assert all(isinstance(layer[1], torch.nn.BatchNorm2d) for layer in generator.encoder)
        assert [layer[2].negative_slope for layer in generator.encoder] == [0.2] * 5

    @pytest.mark.parametrize(("shortcuts", "injections"), [(0, 0), (2, 2), (1, 0)])
    def test_other_shortcuts(self, shortcuts, injections):
        plan = Architecture(32, 1, 2, width=4, shortcuts=shortcuts, injections=injections)
        generator = Generator(plan)
        z = generator.encode(torch.zeros(3, 1, 32, 32))
        assert len(z) == shortcuts + 1
        assert generator.decode(z, torch.zeros(3, 2)).shape == (3, 1, 32, 32)

    def test_repeat(self):
        z = (torch.arange(2.0)[:, None], torch.arange(10.0, 12.0)[:, None])
        assert [part.flatten().tolist() for part in repeat(z, 3)] == [
            [0, 0, 0, 1, 1, 1],
            [10, 10, 10, 11, 11, 11],
        ]

    @pytest.mark.parametrize(
        "changes", [{"size": 48}, {"width": 0}, {"depth": 6}, {"shortcuts": 3}, {"channels": 0}]
    )
    def test_bad_sizes(self, changes):
        with pytest.raises(InvalidInputError, match=next(iter(changes))):
            Architecture(**{"size": 32, "channels": 3, "attributes": 2, **changes})


class TestAugment:
    x = torch.arange(2 * 36.0).reshape(2, 1, 6, 6)

    def test_mirror(self):
        with seeded(0, "test"):
            seen = mirrored(self.x.repeat(40, 1, 1, 1))
        plain = [bool((one == self.x[i % 2]).all()) for i, one in enumerate(seen)]
        turned = [bool((one == self.x[i % 2].flip(2)).all()) for i, one in enumerate(seen)]
        assert all(a != b for a, b in zip(plain, turned, strict=True))
        assert 20 < sum(plain) < 60

    def test_shift(self):
        with seeded(0, "test"):
            seen = shifted(self.x.repeat(200, 1, 1, 1), 2)
        assert seen.shape == (400, 1, 6, 6)
        corners = (seen[::2, 0, 3, 3] - self.x[0, 0, 3, 3]).int()
        moves = {(int(c) // 6, int(c) % 6) for c in corners + 14}  # 14 = two rows and two columns
        assert moves == {(row, column) for row in range(5) for column in range(5)}

    def test_gradients_flow(self):
        x = self.x.clone().requires_grad_()
        shifted(mirrored(x), 1).sum().backward()
        assert x.grad.sum() == x.numel()

    def test_only_the_critic_sees_it(self):
        losses = []

        def note(**call):
            losses.append(call["losses"])

        for changes in ({}, {"shift": 3, "mirror": True}):
            fit(tiny(schedule=Schedule(**QUICK, **changes)), 1, callbacks=[note])
        assert losses[0]["reconstruction"] == losses[1]["reconstruction"]
        assert losses[0]["classifier"] != losses[1]["classifier"]


class TestLosses:
    def test_penalty_of_a_known_slope(self):
        class Linear:
            def value(self, x):
                return 3 * x.flatten(1)[:, 0]

        x = torch.rand(5, 3, 4, 4)
        assert gradient_penalty(Linear(), x, x.flip(0)).item() == pytest.approx((3 - 1) ** 2)

    def test_penalty_lies_between_real_and_fake(self):
        seen = []

        class Spy:
            def value(self, x):
                seen.append(x)
                return x.flatten(1).sum(1)

        gradient_penalty(Spy(), torch.zeros(64, 1, 2, 2), torch.ones(64, 1, 2, 2))
        points = seen[0].detach().flatten(1)
        assert (points == points[:, :1]).all(), "one share per image"
        assert 0 <= points.min() < 0.2 and 0.8 < points.max() <= 1

    def test_penalty_trains_the_critic_only_at_the_adversarial_head(self):
        critic = Critic(Architecture(32, 3, 2, width=4))
        x = torch.rand(2, 3, 32, 32)
        gradient_penalty(critic, x, x.flip(0)).backward()
        assert critic.realness[0].weight.grad.abs().sum() > 0
        assert critic.attributes[0].weight.grad is None

    def test_attribute_loss(self):
        logits, a = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
        expected = (np.log(2) + np.log1p(np.exp(2))) / 2
        assert attribute_loss(logits, a).item() == pytest.approx(expected, rel=1e-6)

    def test_published_weights(self):
        weights = Weights()
        assert (weights.reconstruction, weights.edit, weights.classifier) == (100, 10, 1)
        assert weights.penalty == 10


class TestTraining:
    def trainer(self, **changes):
        plan = Architecture(32, 3, 8, width=4)
        return Trainer(plan, Schedule(**{**QUICK, **changes}), (), torch.device("cpu"), 0)

    def drawer(self, seen):
        source = ArraySource(FACES.images, FACES.attributes, FACES.names)

        def draw(index):
            seen.append(index)
            X, A = source.batch(index)
            return source.format.to_tensor(X), A

        return draw

    def test_published_schedule(self):
        schedule = Schedule()
        assert schedule.critic_steps == 5 and schedule.batch_size == 32
        assert schedule.learning_rate == 2e-4 and schedule.betas == (0.5, 0.999)
        assert AttGAN(["a"])._steps(32 * 6 * 10, None, None) == 60 * 10, "60 epochs"

    def test_each_critic_update_has_a_batch_of_its_own(self):
        seen = []
        trainer = self.trainer(critic_steps=5)
        for _ in trainer.run(self.drawer(seen), len(FACES), 2):
            pass
        assert len(seen) == 2 * 6 and all(len(index) == 4 for index in seen)
        assert len(set(np.concatenate(seen))) == 48, "an epoch of 60 has no row twice"

    def test_critic_and_generator_updates(self):
        trainer = self.trainer(critic_steps=3)
        steps = {name: 0 for name in trainer.optimizers}
        for name, optimizer in trainer.optimizers.items():

            def counted(*args, name=name, real=optimizer.step):
                steps[name] += 1
                return real(*args)

            optimizer.step = counted
        for _ in trainer.run(self.drawer([]), len(FACES), 2):
            pass
        assert steps == {"critic": 6, "generator": 2}

    def test_learning_rate_falls_from_half_way(self):
        trainer = self.trainer()
        rates = []
        for _ in trainer.run(self.drawer([]), len(FACES), 6):
            rates.append(trainer.optimizers["critic"].param_groups[0]["lr"] / 2e-4)
        assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])

    def test_wanted_attributes_are_the_batch_shuffled(self):
        trainer = self.trainer()
        for _, sample, _ in trainer.run(self.drawer([]), len(FACES), 3):
            a, b = (sorted(map(tuple, sample[name].tolist())) for name in "ab")
            assert a == b

    def test_exclusive_groups_are_forced(self):
        trainer = self.trainer()
        trainer.groups = ((1, 2, 4),)
        for _, sample, _ in trainer.run(self.drawer([]), len(FACES), 4):
            assert sample["b"][:, [1, 2, 4]].sum(dim=1).max() <= 1
            assert sample["a"][:, [1, 2, 4]].sum(dim=1).max() > 1

    def test_average_of_the_weights(self):
        trainer = self.trainer(average=0.9)
        before = [p.clone() for p in trainer.generator.parameters()]
        next(trainer.run(self.drawer([]), len(FACES), 5))
        for old, now, mean in zip(
            before,
            trainer.generator.parameters(),
            trainer.average.network.parameters(),
            strict=True,
        ):
            torch.testing.assert_close(mean, 0.1 * old + 0.9 * now)

    def test_the_weights_count(self):
        heavy = Weights(reconstruction=0, edit=0, classifier=0, penalty=0)
        trainer = self.trainer(weights=heavy)
        _, _, losses = next(trainer.run(self.drawer([]), len(FACES), 5))
        assert losses["critic"] == pytest.approx(-losses["gap"])
        plain = self.trainer()
        _, _, losses = next(plain.run(self.drawer([]), len(FACES), 5))
        assert losses["critic"] == pytest.approx(
            10 * losses["penalty"] + losses["classifier"] - losses["gap"], rel=1e-4
        )

    def test_it_learns(self):
        seen = []

        def note(*, losses, **_):
            seen.append(losses["reconstruction"])

        schedule = Schedule(batch_size=8, critic_steps=1, learning_rate=2e-3, judge_steps=1)
        fit(tiny(width=8, schedule=schedule), 80, callbacks=[note])
        assert np.mean(seen[-10:]) < 0.6 * seen[0]

    def test_broken_training_is_said(self):
        trainer = self.trainer()
        with torch.no_grad():
            next(trainer.critic.parameters()).fill_(float("nan"))
        with pytest.raises(InvalidInputError, match="broke down at step 0"):
            next(trainer.run(self.drawer([]), len(FACES), 2))

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"batch_size": 1}, "batch_size"),
            ({"critic_steps": 0}, "critic_steps"),
            ({"shift": -1}, "shift"),
            ({"critic_steps": 1.5}, "critic_steps"),
            ({"learning_rate": 0}, "learning_rate"),
            ({"learning_rate": "a"}, "learning_rate"),
            ({"betas": (0.5,)}, "betas"),
            ({"betas": (2, 0.5)}, "betas"),
            ({"betas": 0.5}, "betas"),
            ({"mirror": "yes"}, "mirror"),
            ({"average": 1.0}, "average"),
            ({"weights": {}}, "weights"),
            ({"weights": Weights(edit=-1)}, "edit"),
            ({"weights": Weights(penalty=float("nan"))}, "penalty"),
        ],
    )
    def test_bad_schedules(self, changes, text):
        with pytest.raises(InvalidInputError, match=text):
            Schedule(**changes)


class TestExclusive:
    def test_force(self):
        A = np.array([[1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0.2, 0.9, 0.5, 0.1]])
        forced = force_exclusive(A, [(0, 1), (2, 3)])
        expected = [[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0.9, 0.5, 0]]
        np.testing.assert_array_equal(forced, expected)
        assert A[0, 1] == 1, "the input stays"

    def test_flip(self):
        A = np.array([[1, 0, 1], [0, 0, 1]])
        np.testing.assert_array_equal(flip_attribute(A, 1, [(0, 1)]), [[0, 1, 1], [0, 1, 1]])
        np.testing.assert_array_equal(flip_attribute(A, 0, [(0, 1)]), [[0, 0, 1], [1, 0, 1]])

    @pytest.mark.parametrize(
        ("groups", "text"),
        [
            ([["a"]], "group"),
            (["ab"], "got 'ab'"),
            ([["a", "c"]], "'c'"),
            ("ab", "list of groups"),
            (5, "list of groups"),
            ([5], "got 5"),
        ],
    )
    def test_bad_groups(self, groups, text):
        with pytest.raises(InvalidInputError, match=text):
            group_indices(groups, ["a", "b"])


class TestModel:
    def test_fit_returns_itself_in_evaluation_mode(self, fitted):
        x = fitted.format.to_tensor(FACES.images[:9])
        z, zs = fitted.encode(x), fitted.encode(x[:2])
        for whole, part in zip(z, zs, strict=True):
            assert len(whole) == 9
            torch.testing.assert_close(whole[:2], part, rtol=1e-5, atol=1e-6)
        a = torch.as_tensor(FACES.attributes[:9])
        images = fitted.decode(z, a)
        assert images.shape == x.shape and images.abs().max() <= 1
        assert not images.requires_grad
        torch.testing.assert_close(
            fitted.decode(fitted.rows(z, torch.tensor([4])), a[4:5]), images[4:5]
        )
        assert fitted.critic(x).shape == (9,) and fitted.classify(x).shape == (9, 8)
        assert not any(part.training for part in fitted.generator.modules())

    def test_attributes_reach_the_decoder_as_signs(self, fitted):
        z = fitted.encode(fitted.format.to_tensor(FACES.images[:3]))
        a = torch.rand(3, 8)
        with torch.no_grad():
            expected = fitted.generator.decode(z, 2 * a - 1)
        assert torch.equal(fitted.decode(z, a), expected)

    def test_edit_gives_the_users_images(self, fitted):
        edited = fitted.edit(FACES.images[:5], FACES.attributes[:5])
        assert edited.shape == (5, 32, 32, 3) and edited.dtype == np.float32
        assert edited.min() >= 0 and 1 < edited.max() <= 255
        again = fitted.edit(FACES.images[:5], FACES.attributes[:5], batch_size=2)
        np.testing.assert_allclose(again, edited, atol=1e-2)

    def test_seeds(self, fitted):
        assert same(fit(tiny()), fitted)
        assert not same(fit(tiny(random_state=1)), fitted)

    def test_global_generators_are_left_alone(self):
        torch.manual_seed(5)
        np.random.seed(5)
        expected = torch.rand(3), np.random.rand(3)
        torch.manual_seed(5)
        np.random.seed(5)
        fit(tiny())
        assert torch.equal(torch.rand(3), expected[0])
        np.testing.assert_array_equal(np.random.rand(3), expected[1])

    def test_layouts_and_sources_give_the_same(self, fitted):
        X = FACES.images.transpose(0, 3, 1, 2).astype(np.float64)
        other = tiny()
        with pytest.warns(DeadAttributesWarning):
            other.fit(
                X, 2 * FACES.attributes.astype(int) - 1, steps=2,
                channels_last=False, value_range=(0, 255),
            )  # fmt: skip
        assert same(other, fitted)
        source = ArraySource(FACES.images, FACES.attributes, FACES.names)
        with pytest.warns(DeadAttributesWarning):
            assert same(tiny().fit(source, steps=2), fitted)

    def test_mixed_precision_changes_nothing_on_a_cpu(self, fitted):
        schedule = Schedule(**QUICK, mixed_precision=True)
        assert same(fit(tiny(schedule=schedule, device="cpu")), fitted)

    def test_callbacks(self):
        calls = []
        model = tiny()

        def note(step, update, model, sample, losses):
            x = sample["X"]
            # Looking at the model in the middle must not disturb the training.
            model.decode(model.encode(x), sample["a"])
            calls.append((step, update, model, x.shape, losses))

        fit(model, 3, callbacks=[note])
        assert [call[0] for call in calls] == [0, 1, 2]
        assert calls[0][1] == 1 and calls[0][2] is model and calls[0][3] == (4, 3, 32, 32)
        for name in ("critic", "gap", "penalty", "generator", "reconstruction", "edit"):
            assert isinstance(calls[0][4][name], float)
        assert same(model, fit(tiny(), 3))

    def test_held_out_images_of_ones_own(self, fitted):
        other = procedural_faces(12, random_state=9)
        model = fit(tiny(), validation=(other.images, other.attributes))
        assert model.report_["images"] == 12
        source = ArraySource(other.images, other.attributes, other.names, constant=True)
        again = fit(tiny(), validation=source)
        assert again.report_ == model.report_

    def test_held_out_rows_are_not_trained_on(self):
        class Recorder(ArraySource):
            def batch(self, indices):
                self.seen.append((self.phase, np.array(indices)))
                return super().batch(indices)

        source = Recorder(FACES.images, FACES.attributes, FACES.names)
        source.seen, source.phase = [], "train"

        def callback(**_):
            source.phase = "train"

        with pytest.warns(DeadAttributesWarning):
            model = tiny().fit(source, steps=30, validation=0.2, callbacks=[callback])
        assert model.report_["images"] == 12
        last = np.sort(source.seen[-1][1])
        assert len(last) == 12
        before = np.concatenate([index for _, index in source.seen[:-1]])
        assert not set(last) & set(before)

    def test_progress_bar(self, capsys):
        fit(tiny(), verbose=True)
        shown = capsys.readouterr().err
        assert "AttGAN" in shown and "2/2" in shown and "reconstruction=" in shown
        fit(tiny())
        assert capsys.readouterr().err == ""

    def test_small(self):
        model = AttGAN.small(FACES.names, random_state=3, width=8)
        assert model.architecture.size == 32 and model.architecture.width == 8
        assert model.schedule.critic_steps == 1 and model.random_state == 3

    @pytest.mark.parametrize("changes", [{}, {"exclusive": [["hat", "bangs"]], "depth": 2}])
    def test_save_and_load(self, tmp_path, changes):
        model = fit(tiny(**changes))
        model.save(tmp_path / "model")
        loaded = AttGAN.load(tmp_path / "model")
        assert same(loaded, model) and loaded.config() == model.config()
        assert loaded.dead_ == model.dead_ and loaded.format == model.format
        np.testing.assert_array_equal(
            loaded.edit(FACES.images, FACES.attributes), model.edit(FACES.images, FACES.attributes)
        )
        json.dumps(model.config(), allow_nan=False)

    def test_foreign_and_damaged_files(self, tmp_path, fitted):
        fitted.save(tmp_path / "model")
        weights = tmp_path / "model" / "weights.safetensors"
        blob = bytearray(weights.read_bytes())
        blob[-1] ^= 1
        weights.write_bytes(blob)
        with pytest.raises(InvalidInputError, match="damaged"):
            AttGAN.load(tmp_path / "model")
        with pytest.raises(InvalidInputError, match="cannot be read"):
            AttGAN.load(tmp_path / "nothing")
        fit(tiny(), checkpoint=tmp_path / "checkpoint")
        with pytest.raises(InvalidInputError, match="holds a 'attgan checkpoint'"):
            AttGAN.load(tmp_path / "checkpoint")
        with pytest.raises(InvalidInputError, match="missing"):
            AttGAN.from_config(fitted.config(), {})
        with pytest.raises(InvalidInputError, match="not the settings"):
            AttGAN.from_config({"attributes": ["a"]}, fitted.tensors())

    @pytest.mark.parametrize(
        ("part", "changes", "text"),
        [
            ("format", {"height": 64}, "64 x 32 pixels.* for 32 x 32"),
            ("format", {"channels": 1}, "1 channels"),
            ("report", {"dead": 5}, "not the settings"),
            ("report", {"dead": {"beard": "why"}}, "beard"),
        ],
    )
    def test_settings_that_do_not_fit_each_other(self, fitted, part, changes, text):
        config = fitted.config()
        with pytest.raises(InvalidInputError, match=text):
            AttGAN.from_config({**config, part: {**config[part], **changes}}, fitted.tensors())


class TestReport:
    def report(self, generator, n=40, **changes):
        """Report on a generator by a judge that reads attribute k off pixel (0, k)."""

        class Pixels(torch.nn.Module):
            def forward(self, x):
                return x[:, 0, 0, :3]

        class Value(torch.nn.Module):
            def value(self, x):
                return x[:, 1, 0, 0]

        table = np.random.default_rng(0).integers(0, 2, (n, 3)).astype(np.uint8)

        def draw(index):
            x = torch.zeros(len(index), 3, 4, 4)
            x[:, 0, 0, :3] = torch.as_tensor(table[index]).float() * 2 - 1
            x[:, 1, 0, 0] = 2
            return x, table[index]

        given = {"attributes": ["a", "b", "c"], "groups": (), "random_state": 0, **changes}
        return edit_report(generator, Value(), Pixels(), draw, n, **given)

    class Painter(torch.nn.Module):
        """Writes the wanted attributes that it can, leaves the others as they were."""

        def __init__(self, can):
            super().__init__()
            self.can, self.anchor = can, torch.nn.Parameter(torch.zeros(1))

        def encode(self, x):
            return (x,)

        def decode(self, z, b):
            y = z[0].clone()
            y[:, 0, 0, self.can] = b[:, self.can]
            y[:, 2] += 0.3
            return y

    def test_figures(self):
        report = self.report(self.Painter([0, 2]))
        assert report["images"] == 40
        assert report["reconstruction_l1"] == pytest.approx(0.3 / 3, rel=1e-5)
        assert report["critic_gap"] == pytest.approx(0.0)
        shares = {name: f["edit_accuracy"] for name, f in report["attributes"].items()}
        assert shares == {"a": 1.0, "b": 0.0, "c": 1.0}
        assert report["attributes"]["b"]["on"] == 0 == report["attributes"]["b"]["off"]
        assert all(
            f["kept"] == 1 and f["judge_accuracy"] == 1 for f in report["attributes"].values()
        )
        assert list(report["dead"]) == ["b"] and "0.00 of its edits" in report["dead"]["b"]

    def test_one_picture_whatever_is_wanted_is_dead(self):
        class Same(self.Painter):
            def decode(self, z, b):
                return torch.full_like(z[0], 0.5)

        report = self.report(Same([]))
        assert set(report["dead"]) == {"a", "b", "c"}
        assert report["attributes"]["a"]["on"] == 1 and report["attributes"]["a"]["off"] == 0

    def test_exclusive_attributes_make_room(self):
        report = self.report(self.Painter([0, 1, 2]), groups=((0, 1),))
        assert report["attributes"]["a"]["kept"] == 1 and not report["dead"]

    def test_what_the_judge_cannot_see_is_dead(self):
        class Blind(self.Painter):
            pass

        generator = self.Painter([0, 1, 2])

        def blind(x):
            read = x[:, 0, 0, :3].clone()
            read[:, 1] = 1
            return read

        class Pixels(torch.nn.Module):
            forward = staticmethod(blind)

        table = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(np.uint8)

        def draw(index):
            x = torch.zeros(len(index), 3, 4, 4)
            x[:, 0, 0, :3] = torch.as_tensor(table[index]).float() * 2 - 1
            return x, table[index]

        class Value(torch.nn.Module):
            def value(self, x):
                return x[:, 1, 0, 0]

        report = edit_report(generator, Value(), Pixels(), draw, 40, ["a", "b", "c"], (), 0)
        assert "cannot be measured" in report["dead"]["b"] and len(report["dead"]) == 1

    def test_dead_attributes_are_named(self):
        model = tiny()
        with pytest.warns(DeadAttributesWarning, match="of 8 attributes are dead: "):
            model.fit(FACES.images, FACES.attributes, steps=1)
        assert model.dead_ and set(model.dead_) <= set(FACES.names)
        assert fit(tiny(dead_below=0.0)).dead_ == [] or all(
            "measured" in why for why in model.report_["dead"].values()
        )


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"X": FACES.images / 100}, "value_range"),
            ({"X": FACES.images.transpose(0, 3, 1, 2)}, "channels_last"),
            ({"X": FACES.images[:, :16, :16]}, "16 x 16 pixels.* 32 x 32"),
            ({"X": FACES.images[..., :1]}, "1 channels"),
            ({"X": FACES.images[:10]}, "60 rows, there are 10"),
            ({"A": FACES.attributes * 3}, "is 3 at row"),
            ({"A": np.zeros_like(FACES.attributes)}, "is 0 in all 60"),
            ({"A": FACES.attributes[:, :3]}, "shape"),
            ({"A": None}, "needs the attributes"),
            ({"steps": 0}, "steps"),
            ({"steps": 2, "epochs": 3}, "not both"),
            ({"validation": 0.0}, "validation"),
            ({"validation": 1.0}, "validation"),
            ({"validation": "some"}, "validation"),
            ({"validation": 0.99}, "training images"),
            ({"validation": (FACES.images[:0], FACES.attributes[:0])}, "validation has no images"),
            ({"checkpoint_every": 0}, "checkpoint_every"),
            ({"checkpoint_every": 1.5}, "checkpoint_every"),
            ({"callbacks": print}, "list of functions"),
            ({"callbacks": [None]}, "list of functions"),
            ({"steps": None, "epochs": 0}, "epochs"),
            ({"steps": None, "epochs": -1}, "epochs"),
            ({"steps": None, "epochs": "2"}, "epochs"),
            ({"value_range": 255}, "value_range"),
        ],
    )
    def test_fit(self, changes, text):
        model = tiny()
        given = {"X": FACES.images, "A": FACES.attributes, "steps": 1, **changes}
        with pytest.raises(InvalidInputError, match=text):
            model.fit(**given)
        with pytest.raises(InvalidInputError, match="not trained"):
            model.encode(torch.zeros(1, 3, 32, 32))

    def test_a_source_with_other_attributes(self):
        source = ArraySource(FACES.images, FACES.attributes[:, ::-1], FACES.names[::-1])
        with pytest.raises(InvalidInputError, match="has the attributes hat"):
            tiny().fit(source)
        with pytest.raises(InvalidInputError, match="part of the image source"):
            tiny().fit(source, FACES.attributes)
        with pytest.raises(InvalidInputError, match="training images"):
            part = ArraySource(FACES.images, FACES.attributes, FACES.names)
            tiny().fit(Subset(part, range(4)), validation=0.5)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"attributes": []}, "one or more"),
            ({"attributes": "hat"}, "list"),
            ({"attributes": ["hat", "hat"]}, "different"),
            ({"exclusive": [["hat", "had"]]}, "did you mean 'hat'"),
            ({"random_state": -1}, "random_state"),
            ({"dead_below": 2}, "dead_below"),
            ({"dead_below": "a"}, "dead_below"),
            ({"schedule": {}}, "schedule"),
            ({"attributes": None}, "one or more"),
            ({"attributes": [1, 2]}, "names"),
            ({"size": 33}, "size"),
        ],
    )
    def test_constructor(self, changes, text):
        given = {"attributes": ["hat", "smile"], **changes}
        with pytest.raises(InvalidInputError, match=text):
            AttGAN(**given)

    def test_no_such_device(self):
        with pytest.raises(InvalidInputError, match="device"):
            fit(tiny(device="nowhere"))

    @pytest.mark.parametrize(
        ("A", "text"), [(np.zeros((2, 3)), "shape"), (np.full((2, 8), 1.5), r"\[0, 1\]")]
    )
    def test_edit(self, fitted, A, text):
        with pytest.raises(InvalidInputError, match=text):
            fitted.edit(FACES.images[:2], A)


@pytest.mark.slow
def test_small_edits_the_procedural_faces():
    # Five CPU-minutes; the settings of examples/reproduce/plausible_counterfactuals.py.
    faces = procedural_faces(4000, random_state=0)
    other = procedural_faces(500, biased=False, random_state=1)
    model = fit(AttGAN.small(faces.names), 3000, faces, validation=(other.images, other.attributes))
    shares = {name: f["edit_accuracy"] for name, f in model.report_["attributes"].items()}
    assert model.report_["reconstruction_l1"] <= 0.06
    assert sum(share >= 0.8 for share in shares.values()) >= 6, shares
    assert shares["light_hair"] >= 0.8 and not model.dead_
