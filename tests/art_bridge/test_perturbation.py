"""Perturbation metrics in closed form, and ART's attacks as baselines."""

from __future__ import annotations

import numpy as np
import pytest
from art.attacks.evasion import DeepFool, HopSkipJump, LowProFool
from closed_form import Projection, linear_classifier

from art_bridge.baselines import LogitDeepFool, RowwiseLowProFool, SeededHopSkipJump
from art_bridge.perturbation import compare_attacks, perturbation_metrics
from dice_extended_plugin.errors import InvalidInputError


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def classifier():
    """Class 1 above x0 + x1 = 1."""
    return linear_classifier([[0, 0], [4, 4]], [0, -4], clip_values=(0, 1))


@pytest.fixture
def train(rng):
    rows = rng.uniform(size=(300, 2)).astype(np.float32)
    return {"x_train": rows, "y_train": (rows.sum(axis=1) > 1).astype(int)}


@pytest.fixture
def rows(rng):
    """Rows from which the boundary's nearest point lies inside the unit square."""
    along, across = rng.uniform(-0.2, 0.2, size=(2, 30))
    return (0.5 + np.stack([along + across, along - across], axis=1)).astype(np.float32)


def other(classifier, rows):
    return 1 - classifier.predict(rows).argmax(axis=1)


class TestMetrics:
    def test_by_hand(self, classifier):
        x = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
        x_adv = np.array([[0.6, 0.8], [0.3, 0.4], [0.0, 0.5]])
        x_train = np.array([[1.0, 0.8], [0.6, 0.2], [0.6, 0.8], [0.0, 0.0], [0.0, 0.9]])
        found = perturbation_metrics(
            classifier, x, x_adv, [1, 1, 0], x_train=x_train, y_train=[1, 1, 1, 0, 0], k=2
        )
        assert found.success.tolist() == [True, False, True]  # the second stays class 0
        assert found.rho == pytest.approx([1.0, np.nan, np.sqrt(1.25)], nan_ok=True)
        assert found.d_knn == pytest.approx([0.2, np.nan, 0.45], nan_ok=True)
        assert found.probability[0] == pytest.approx(1 / (1 + np.exp(-1.6)), abs=1e-6)
        summary = found.summary()
        assert summary["success"] == pytest.approx(2 / 3)
        assert summary["rho"] == pytest.approx((1 + np.sqrt(1.25)) / 2)

    @pytest.mark.parametrize(("norm", "size"), [(1, 1.4), (2, 1.0), (np.inf, 0.8), ("inf", 0.8)])
    def test_norms(self, classifier, train, norm, size):
        found = perturbation_metrics(classifier, [[0, 0]], [[0.6, 0.8]], [1], norm=norm, **train)
        assert found.rho[0] == pytest.approx(size)

    def test_neighbours_are_of_the_true_class(self, classifier, train):
        far = {"x_train": train["x_train"], "y_train": 1 - train["y_train"]}
        near, away = (
            perturbation_metrics(classifier, [[0, 0]], [[0.9, 0.9]], [1], **t).d_knn[0]
            for t in (train, far)
        )
        assert away > 3 * near

    def test_a_class_with_few_or_no_training_rows(self, classifier):
        x, x_adv = [[0, 0]], [[0.6, 0.8]]
        one = {"x_train": [[0.6, 0.7], [0, 0]], "y_train": [1, 0]}
        assert perturbation_metrics(classifier, x, x_adv, [1], **one).d_knn == pytest.approx([0.1])
        none = {"x_train": [[0.6, 0.7]], "y_train": [0]}
        assert np.isnan(perturbation_metrics(classifier, x, x_adv, [1], **none).d_knn[0])

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"x_adv": [[0.0, 0.0], [1.0, 1.0]]}, "x has 1 rows, x_adv 2"),
            ({"x_adv": [[np.nan, 0.0]]}, "NaN"),
            ({"x_adv": [[0.0, 0.0, 0.0]]}, "x_adv"),
            ({"target": [2]}, "target"),
            ({"k": 0}, "k must be"),
            ({"k": True}, "k must be"),
            ({"norm": 0}, "norm"),
            ({"y_train": [0]}, "y_train"),
        ],
    )
    def test_bad_input(self, classifier, train, change, text):
        arguments = {"x": [[0.0, 0.0]], "x_adv": [[1.0, 1.0]], "target": [1], **train, **change}
        with pytest.raises(InvalidInputError, match=text):
            perturbation_metrics(classifier, **arguments)


class TestComparison:
    def test_the_closest_attack_has_the_least_rho(self, classifier, rows, train):
        attacks = {
            "projection": Projection(classifier),
            "beyond": Projection(classifier, beyond=0.5),
            "HopSkipJump": SeededHopSkipJump(
                classifier, train["x_train"], targeted=True, max_iter=5
            ),
        }
        table = compare_attacks(attacks, classifier, rows, other(classifier, rows), **train)
        assert (table["success"] == 1).all()
        assert table["rho"].idxmin() == "projection"
        assert table.loc["beyond", "rho"] == pytest.approx(
            1.5 * table.loc["projection", "rho"], rel=1e-3
        )
        assert table.loc["beyond", "P"] > table.loc["projection", "P"]
        assert (table["T_exe"] > 0).all()

    def test_rows_that_one_attack_fails_on_are_left_out_of_the_common_mean(
        self, classifier, rows, train
    ):
        away = np.abs(rows.sum(axis=1) - 1) / np.sqrt(2)
        near = away < np.median(away)
        attacks = {
            "all": Projection(classifier),
            "near": Projection(
                classifier, fail=lambda x: np.abs(x.sum(axis=1) - 1) >= np.median(away) * 2**0.5
            ),
        }
        table = compare_attacks(attacks, classifier, rows, other(classifier, rows), **train)
        assert table.loc["near", "rho"] < table.loc["all", "rho"]
        assert table["rho_common"].to_numpy() == pytest.approx(away[near].mean(), rel=1e-3)

    def test_a_row_that_has_the_class_already(self, classifier, rows, train):
        wanted = other(classifier, rows)
        wanted[4] = 1 - wanted[4]
        with pytest.raises(InvalidInputError, match="first row 4"):
            compare_attacks({"a": Projection(classifier)}, classifier, rows, wanted, **train)
        with pytest.raises(InvalidInputError, match="empty"):
            compare_attacks({}, classifier, rows, wanted, **train)


class TestHopSkipJump:
    def make(self, classifier, train, **keywords):
        options = {"targeted": True, "max_iter": 3, "init_eval": 20, **keywords}
        return SeededHopSkipJump(classifier, train["x_train"], **options)

    def test_a_row_does_not_depend_on_the_others_and_no_global_state_is_touched(
        self, classifier, rows, train
    ):
        wanted = other(classifier, rows)
        np.random.seed(0)
        before = np.random.get_state()[1].copy()
        attack = self.make(classifier, train)
        whole = attack.generate(rows, wanted)
        assert np.array_equal(np.random.get_state()[1], before)
        np.testing.assert_array_equal(attack.generate(rows[7:9], wanted[7:9]), whole[7:9])

    def test_it_finds_a_rare_class_where_arts_own_gives_up(self, train):
        # ART draws its starts without a seed; a class of 1 in 10^11 of the square it never meets.
        corner = linear_classifier([[0, 0], [2**20, 2**20]], [0, 8 - 2**21], clip_values=(0, 1))
        rows = np.array([[0.2, 0.2], [0.5, 0.4]], dtype=np.float32)
        x_train = np.concatenate([train["x_train"], [[0.999999, 0.999999]]])
        own = HopSkipJump(corner, targeted=True, max_iter=1, init_size=20, verbose=False)
        ours = SeededHopSkipJump(corner, x_train, targeted=True, max_iter=1)
        wanted = np.eye(2)[[1, 1]]
        assert corner.predict(own.generate(rows, wanted)).argmax(axis=1).tolist() == [0, 0]
        assert corner.predict(ours.generate(rows, wanted)).argmax(axis=1).tolist() == [1, 1]

    def test_it_ends_on_the_boundary(self, classifier, rows, train):
        found = self.make(classifier, train).generate(rows, other(classifier, rows))
        assert np.abs(found.sum(axis=1) - 1).max() < 1e-3

    def test_an_untargeted_one(self, classifier, rows, train):
        found = self.make(classifier, train, targeted=False).generate(rows)
        assert (classifier.predict(found).argmax(axis=1) == other(classifier, rows)).all()


@pytest.fixture
def network(torch):
    """A saturated softmax network: class 1 above x0 + x1 = 1."""
    from art.estimators.classification import PyTorchClassifier

    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [40.0, 40.0]]))
        layer.bias.copy_(torch.tensor([0.0, -40.0]))

    def make(clip_values=(0.0, 1.0)):
        return PyTorchClassifier(
            torch.nn.Sequential(layer, torch.nn.Softmax(dim=1)),
            loss=lambda p, y: torch.nn.functional.nll_loss(p.clamp_min(1e-9).log(), y.argmax(1)),
            input_shape=(2,),
            nb_classes=2,
            clip_values=clip_values,
            device_type="cpu",
        )

    return make


class TestDeepFool:
    def test_it_is_nearest_on_a_linear_network_where_arts_own_is_not(self, network, rows):
        classifier = network()
        away = np.abs(rows.sum(axis=1) - 1) / np.sqrt(2)
        ours = LogitDeepFool(classifier).generate(rows)
        assert (classifier.predict(ours).argmax(axis=1) == other(classifier, rows)).all()
        assert np.linalg.norm(ours - rows, axis=1) == pytest.approx(away, rel=0.02, abs=1e-4)
        own = DeepFool(classifier, verbose=False).generate(rows)
        flipped = classifier.predict(own).argmax(axis=1) == other(classifier, rows)
        far = np.linalg.norm(own - rows, axis=1) > 1.5 * away
        assert (~flipped | far).mean() > 0.5
        assert classifier is LogitDeepFool(classifier).estimator

    def test_the_clip_range_does_not_change_the_step(self, network, rows):
        wide = LogitDeepFool(network((-50.0, 50.0))).generate(rows)
        np.testing.assert_allclose(wide, LogitDeepFool(network()).generate(rows), atol=1e-3)

    def test_clip_values_per_feature(self, network):
        with pytest.raises(InvalidInputError, match="clip_values"):
            LogitDeepFool(network((np.zeros(2), np.ones(2))))


class TestLowProFool:
    def test_rows_do_not_depend_on_each_other(self, network, rows, train):
        classifier = network()
        wanted = np.eye(2)[other(classifier, rows)]
        attack = RowwiseLowProFool(classifier, **train, n_steps=20, eta=0.05)
        whole = attack.generate(rows, wanted)
        assert whole.dtype == np.float32
        np.testing.assert_allclose(attack.generate(rows[:3], wanted[:3]), whole[:3], atol=1e-6)
        own = LowProFool(classifier, n_steps=20, eta=0.05)
        own.fit_importances(train["x_train"], train["y_train"])
        moved = np.abs(own.generate(rows[:3], wanted[:3]) - own.generate(rows, wanted)[:3])
        assert moved.max() > 1e-4

    def test_alone_it_is_arts_own(self, network, rows, train):
        classifier = network()
        wanted = np.eye(2)[other(classifier, rows)]
        ours = RowwiseLowProFool(classifier, **train, n_steps=15, eta=0.05)
        own = LowProFool(classifier, n_steps=15, eta=0.05)
        own.fit_importances(train["x_train"], train["y_train"])
        for i in range(4):
            one = slice(i, i + 1)
            np.testing.assert_allclose(
                ours.generate(rows[one], wanted[one]), own.generate(rows[one], wanted[one]),
                atol=1e-5,
            )  # fmt: skip

    def test_a_constant_feature(self, network, train):
        constant = {**train, "x_train": train["x_train"] * np.array([1, 0], dtype=np.float32)}
        attack = RowwiseLowProFool(network(), **constant)
        assert np.isfinite(attack.importance_vec).all()
        with pytest.raises(InvalidInputError, match="y is missing"):
            attack.generate(train["x_train"])
