"""Algorithm 2 as a trainer: selection by hand, choice under floors, what ART cannot clone."""

from __future__ import annotations

import numpy as np
import pytest
from art.defences.trainer import Trainer
from art.estimators.classification import BlackBoxClassifier, SklearnClassifier
from art.exceptions import EstimatorError
from closed_form import Projection, linear_classifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from art_bridge.robustness import counterfactual_robustness
from art_bridge.strategies import (
    Recipe,
    Situation,
    Smooth,
    _class_weights,
    algorithm_2,
    boundary_points,
)
from art_bridge.trainer import CounterfactualMarginTrainer
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.repeat import repeatable


def project(classifier, x, y):
    return Projection(classifier)


@pytest.fixture
def blobs():
    """A wide class 0 and a narrow, rarer class 1: class 1 is near the boundary."""
    rng = np.random.default_rng(0)
    wide = rng.normal((0.0, 0.0), 1.0, size=(300, 2))
    narrow = rng.normal((2.0, 2.0), 0.5, size=(80, 2))
    labels = np.repeat([0, 1], [300, 80])
    return np.concatenate([wide, narrow]).astype(np.float32), labels


def logistic(x, y):
    return SklearnClassifier(LogisticRegression().fit(x, y))


def trainer(classifier, **keywords):
    options = {"attack": project, "analysis_attack": project, **keywords}
    return CounterfactualMarginTrainer(classifier, **options)


class TestSelection:
    @pytest.fixture
    def situation(self):
        """Class 1 right of x0 = 0; the third row of class 1 is predicted wrongly."""
        classifier = linear_classifier([[0, 0], [6, 0]], [0, 0])
        x = [[1.0, 0.0], [2.0, 5.0], [-1.0, 9.0], [-1.0, 0.0], [-3.0, 0.0], [-2.0, 5.0], [4.0, 0.0]]
        return lambda **keywords: Situation(
            classifier,
            np.array(x, dtype=np.float32),
            np.array([1, 1, 1, 0, 0, 0, 0]),
            2,
            1,
            lambda: Projection(classifier),
            n_neighbors=2,
            **keywords,
        )

    def test_points_and_eta_by_hand(self, situation):
        points, eta = boundary_points(situation())
        # Rows 0 and 1; the nearest right rows of class 0 are at (-1, 0), (-3, 0), (-2, 5).
        assert points == pytest.approx(np.array([[0, 0], [0, 5]]), abs=1e-3)
        assert eta == pytest.approx([1 / 2, 2 / ((2 + np.sqrt(26)) / 2)], rel=1e-3)

    def test_expansion_chooses(self, situation):
        recipes = list(algorithm_2(situation(expansion=[0.4, 0.51, 0.55, 0.9])))
        assert [r.settings["added"] for r in recipes] == [1, 2]  # 0.4 none, 0.55 as 0.51
        assert [r.settings["expansion"] for r in recipes] == [0.51, 0.9]
        assert len(recipes[1].x) == 9 and recipes[1].y[-2:].tolist() == [1, 1]
        assert recipes[0].x[-1] == pytest.approx([0, 0], abs=1e-3)

    def test_auto_is_spaced_by_the_points_added(self, blobs):
        x, y = blobs
        classifier = logistic(x, y)
        made = Situation(classifier, x, y, 2, 1, lambda: Projection(classifier))
        _, eta = boundary_points(made)
        recipes = list(algorithm_2(made))
        within = (eta <= 1).sum()
        assert [r.settings["added"] for r in recipes] == pytest.approx(
            within * np.arange(1, 8) / 7, abs=1
        )
        assert recipes[-1].settings["expansion"] <= 1

    def test_a_probability_cap_leaves_out_sure_rows(self, situation):
        # P(class 1) is 0.998 at x0 = 1 and 0.999994 at x0 = 2
        assert len(boundary_points(situation(probability_cap=0.999))[0]) == 1
        assert list(algorithm_2(situation(probability_cap=0.65))) == []

    def test_points_that_were_not_found_are_left_out(self, situation):
        made = situation()
        made = Situation(
            made.classifier,
            made.x,
            made.y,
            2,
            1,
            lambda: Projection(made.classifier, fail=lambda x: x[:, 0] > 1.5),
            n_neighbors=2,
        )
        assert len(boundary_points(made)[0]) == 1

    def test_every_other_class_gets_its_point(self):
        from closed_form import STAR

        classifier = linear_classifier(5 * STAR, np.zeros(3))
        rows = np.concatenate([STAR, 2 * STAR]).astype(np.float32)
        made = Situation(
            classifier, rows, np.tile(np.arange(3), 2), 3, 0, lambda: Projection(classifier)
        )
        points, eta = boundary_points(made)
        assert len(points) == 4 and np.isfinite(eta).all()
        assert set(classifier.predict(points).argmax(axis=1)) == {1, 2}


class TestSmooth:
    def test_labels_are_those_of_the_averaged_scores(self, blobs):
        x, y = blobs
        classifier = logistic(x, y)
        made = Situation(classifier, x, y, 2, 1, lambda: None)
        recipe = next(iter(Smooth(noise=(0.05,), shares=(None,), n_draws=40)(made)))
        assert recipe.x.shape == (5 * len(x), 2) and recipe.x.dtype == np.float32
        np.testing.assert_array_equal(recipe.x[: len(x)], x)
        assert (recipe.x.min(axis=0) >= x.min(axis=0)).all()
        # A linear boundary stays where it is, so few labels differ from the model's own.
        own = classifier.predict(recipe.x).argmax(axis=1)
        assert (own != recipe.y).mean() < 0.03

    def test_it_removes_a_pocket(self):
        rng = np.random.default_rng(1)
        x = rng.uniform(size=(2000, 2)).astype(np.float32)
        y = (x[:, 0] > 0.5).astype(int)
        pocket = (np.abs(x - (0.2, 0.5)) < 0.02).all(axis=1)
        model = BlackBoxClassifier(
            lambda z: np.eye(2)[((z[:, 0] > 0.5) | (np.abs(z - (0.2, 0.5)) < 0.02).all(1)) * 1],
            (2,),
            2,
        )
        made = Situation(model, x, y, 2, 0, lambda: None)
        recipe = next(iter(Smooth(noise=(0.1,), shares=(None,))(made)))
        assert pocket.any() and (recipe.y[: len(x)][pocket] == 0).all()

    @pytest.mark.parametrize("factor", [1.0, 1.5])
    def test_shares_are_kept_or_multiplied(self, blobs, factor):
        x, y = blobs
        classifier = logistic(x, y)
        predicted = classifier.predict(x).argmax(axis=1)
        made = Situation(classifier, x, y, 2, 1, lambda: None)
        recipe = next(iter(Smooth(noise=(0.2,), shares=(factor,))(made)))
        share = recipe.y[: len(x)].mean()
        assert share == pytest.approx(factor * predicted.mean(), abs=0.01)

    def test_weights_reach_the_shares_of_many_classes(self):
        scores = np.random.default_rng(2).dirichlet(np.ones(5), size=4000)
        wanted = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
        labels = (scores * _class_weights(scores, wanted)).argmax(axis=1)
        assert np.bincount(labels) / 4000 == pytest.approx(wanted, abs=0.005)


class TestTraining:
    def test_the_papers_strategy_balances_the_classes(self, blobs):
        x, y = blobs
        classifier = logistic(x, y)
        weights = classifier.model.coef_.copy()
        made = trainer(classifier, accuracy_drop=0.1, keep_overall=False)
        assert isinstance(made, Trainer)
        assert made.fit(x, y) is None
        table = made.report()
        assert table.loc["r_class_1", "before"] < 1
        assert table.loc["r_class_1", "before"] + 0.05 < table.loc["r_class_1", "after"] <= 1
        assert table.loc["alpha_1", "change"] > 0
        assert table.loc["accuracy", "change"] >= -0.1
        np.testing.assert_array_equal(classifier.model.coef_, weights)
        assert made.get_classifier() is made.classifier is not classifier

    def test_the_report_agrees_with_a_fresh_analysis(self, blobs):
        x, y = blobs
        held = np.arange(len(x)) % 4 == 0
        made = trainer(logistic(x, y), accuracy_drop=0.1, keep_overall=False)
        made.fit(x[~held], y[~held], validation_data=(x[held], y[held]))
        hardened = made.get_classifier()
        report = counterfactual_robustness(hardened, x[held], y[held], attack=Projection(hardened))
        after = made.report()["after"]
        assert after["r_overall"] == pytest.approx(report.r_overall)
        assert after["alpha_1"] == pytest.approx(report.alpha[1])
        assert after["accuracy"] == pytest.approx(report.accuracy)

    def test_every_candidate_is_kept(self, blobs):
        made = trainer(logistic(*blobs), expansion=[0.2, 0.5, 1.0], max_rounds=1)
        made.fit(*blobs)
        table = made.candidates
        assert table["round"].tolist() == [0, 1, 1, 1]
        assert table["expansion"].tolist()[1:] == [0.2, 0.5, 1.0]
        assert table["added"].iloc[1:].is_monotonic_increasing
        assert table["chosen"].sum() == 1
        assert table[["accuracy", "r_overall", "alpha_0", "alpha_1", "recall_1"]].notna().all(None)

    def test_floors_refuse_and_the_model_before_stays(self, blobs):
        class Smaller:
            """Label everything near class 1 as class 0."""

            def __call__(self, situation):
                moved = situation.y.copy()
                moved[situation.x.sum(axis=1) < 4] = 0
                yield Recipe(situation.x, moved, {})

        made = trainer(logistic(*blobs), strategy=Smaller(), vulnerable_class=0)
        made.fit(*blobs)
        assert made.candidates["chosen"].tolist() == [True, False]
        assert made.candidates["refused"].iloc[1].startswith("accuracy")
        assert (made.report()["change"] == 0).all()

    def test_the_floor_on_r_overall(self, blobs):
        free = trainer(logistic(*blobs), accuracy_drop=0.2, keep_overall=False)
        held = trainer(logistic(*blobs), accuracy_drop=0.2)
        for made in (free, held):
            made.fit(*blobs)
        refused = held.candidates["refused"].str.startswith("R_overall")
        low = held.candidates["r_overall"] < held.candidates["r_overall"].iloc[0]
        assert (refused == low).all()
        assert held.report().loc["r_overall", "change"] >= 0

    def test_the_floor_on_recall(self, blobs):
        made = trainer(logistic(*blobs), accuracy_drop=0.2, keep_overall=False, recall_drop=0.0)
        made.fit(*blobs)
        after = made.report()["change"]
        assert after["recall_0"] >= 0 and after["recall_1"] >= 0

    def test_rounds_build_on_each_other(self, blobs):
        made = trainer(
            logistic(*blobs), expansion=0.4, accuracy_drop=0.2, keep_overall=False, max_rounds=4
        )
        made.fit(*blobs)
        table = made.candidates
        assert table["round"].max() >= 2
        assert (table["rows"].diff().iloc[1:] > 0).all()
        imbalance = np.abs(np.log(table["r_class_1"]))
        assert imbalance[table["chosen"]].item() == imbalance.min()

    def test_smoothing_again_does_not_make_the_table_grow(self, blobs):
        made = trainer(
            logistic(*blobs), strategy=Smooth(noise=(0.1,)), accuracy_drop=0.5, max_rounds=3
        )
        made.fit(*blobs)
        assert set(made.candidates["rows"].iloc[1:]) == {5 * made.candidates["rows"].iloc[0]}

    def test_a_balanced_classifier_is_left_alone(self, blobs):
        made = trainer(logistic(*blobs), balance_tolerance=10.0)
        made.fit(*blobs)
        assert len(made.candidates) == 1

    def test_three_classes(self):
        rng = np.random.default_rng(4)
        centres = np.array([[0, 0], [3, 0], [0, 3]])
        y = np.repeat([0, 1, 2], [150, 60, 100])
        x = (centres[y] + rng.normal(size=(len(y), 2)) * 0.7).astype(np.float32)
        made = trainer(logistic(x, y), accuracy_drop=0.05, keep_overall=False, max_rounds=1)
        made.fit(x, np.eye(3)[y])
        table = made.report()
        assert {"alpha_2", "beta_2", "r_class_2", "recall_2"} <= set(table.index)
        vulnerable = made.candidates["vulnerable"].iloc[1]
        assert table.loc[f"r_class_{int(vulnerable)}", "change"] >= 0

    def test_same_seed_same_candidates(self, blobs):
        one, other = trainer(logistic(*blobs)), trainer(logistic(*blobs))
        for made in (one, other):
            made.fit(*blobs)
        assert one.candidates.equals(other.candidates)

    def test_inputs_are_not_written_to(self, blobs):
        x, y = (part.copy() for part in blobs)
        trainer(logistic(x, y), strategy=Smooth(noise=(0.1,))).fit(x, y)
        np.testing.assert_array_equal(x, blobs[0])
        np.testing.assert_array_equal(y, blobs[1])

    def test_a_network_gets_its_epochs(self, blobs, torch):
        from art.estimators.classification import PyTorchClassifier

        x, y = blobs
        seen = []

        class Counting(PyTorchClassifier):
            def fit(self, x, y, **kwargs):
                seen.append(kwargs)
                super().fit(x, y, **kwargs)

            def clone_for_refitting(self):
                fresh = build()
                fresh.reset()  # draws new weights
                return fresh

        def loss(probability, labels):
            return torch.nn.functional.nll_loss(probability.clamp_min(1e-9).log(), labels.argmax(1))

        def build():
            network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softmax(dim=1))
            return Counting(
                network,
                loss=lambda p, t: torch.nn.functional.nll_loss(
                    p.clamp_min(1e-9).log(), t.argmax(1)
                ),
                optimizer=torch.optim.Adam(network.parameters(), lr=0.05),
                input_shape=(2,),
                nb_classes=2,
                device_type="cpu",
            )

        class Linear(Projection):
            """The closed form for the network's one layer."""

            def generate(self, x, y=None, **kwargs):
                layer = self.estimator.model[0]
                same = linear_classifier(layer.weight.detach().numpy(), layer.bias.detach().numpy())
                return Projection(same).generate(x, y)

        def attack(classifier, x, y):
            return Linear(classifier)

        made = trainer(build(), attack=attack, analysis_attack=attack, max_rounds=1)
        made.fit(x, y, nb_epochs=20, batch_size=32)
        assert len(seen) == len(made.candidates) >= 2
        assert all(kwargs == {"nb_epochs": 20, "batch_size": 32} for kwargs in seen)
        assert made.report().loc["accuracy", "before"] > 0.9

        again = trainer(build(), attack=attack, analysis_attack=attack, max_rounds=1)
        again.fit(x, y, nb_epochs=20, batch_size=32)
        assert again.candidates.equals(made.candidates)

    def test_what_art_cannot_clone_needs_refit(self, blobs):
        x, y = blobs
        model = LogisticRegression().fit(x, y)
        black = BlackBoxClassifier(model.predict_proba, (2,), 2)
        with pytest.raises(InvalidInputError, match="refit="):
            trainer(black).fit(x, y)

        def refit(x, y):
            assert x.dtype == np.float32 and y.dtype.kind == "i" and y.ndim == 1
            return logistic(x, y)

        made = trainer(black, refit=refit, accuracy_drop=0.1, keep_overall=False)
        made.fit(x, y)
        assert made.report().loc["r_class_1", "change"] > 0
        with pytest.raises(InvalidInputError, match="nb_epochs"):
            trainer(black, refit=refit).fit(x, y, nb_epochs=3)


def test_a_repeatable_block_leaves_the_global_generators_alone(torch):
    def draw():
        with repeatable(3, 5):
            return np.random.uniform(size=2).tolist() + torch.rand(2).tolist()

    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, same = draw(), draw()
    assert one == same
    with pytest.raises(KeyError), repeatable(4):
        np.random.uniform()
        raise KeyError
    assert np.array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


class TestBadInput:
    def test_not_an_art_classifier(self):
        with pytest.raises(EstimatorError):
            CounterfactualMarginTrainer(LogisticRegression())

    @pytest.mark.parametrize(
        ("keywords", "text"),
        [
            ({"vulnerable_class": -1}, "vulnerable_class"),
            ({"vulnerable_class": "worst"}, "vulnerable_class"),
            ({"strategy": "papper"}, "strategy"),
            ({"choose_by": "luck"}, "choose_by"),
            ({"expansion": "all"}, "expansion"),
            ({"expansion": []}, "expansion"),
            ({"expansion": [-1.0]}, "expansion"),
            ({"n_neighbors": 0}, "n_neighbors"),
            ({"probability_cap": 65}, "probability_cap"),
            ({"accuracy_drop": -0.1}, "accuracy_drop"),
            ({"recall_drop": 2}, "recall_drop"),
            ({"keep_overall": "yes"}, "keep_overall"),
            ({"max_rounds": 0}, "max_rounds"),
            ({"balance_tolerance": -1}, "balance_tolerance"),
            ({"validation_size": 1.0}, "validation_size"),
            ({"max_analysis_rows": 0}, "max_analysis_rows"),
            ({"norm": 3}, "norm"),
            ({"random_state": None}, "random_state"),
        ],
    )
    def test_parameters(self, blobs, keywords, text):
        with pytest.raises(InvalidInputError, match=text):
            CounterfactualMarginTrainer(logistic(*blobs), **keywords)

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"y": np.zeros(380, dtype=int)}, "class 0 only"),
            ({"y": np.full(380, 2)}, "classes are 0 to 1"),
            ({"y": np.zeros(3)}, "y has shape"),
            ({"x": np.full((380, 2), np.nan)}, "NaN"),
            ({"x": np.zeros((380, 2, 1))}, "shape"),
            ({"validation_data": (np.zeros((4, 3)), np.zeros(4))}, r"validation_data\[0\]"),
            ({"validation_data": (np.zeros((4, 2)), np.zeros(3))}, r"validation_data\[1\]"),
        ],
    )
    def test_data(self, blobs, change, text):
        x, y = blobs
        classifier = logistic(x, y)
        made = trainer(classifier)
        with pytest.raises(InvalidInputError, match=text):
            made.fit(**{"x": x, "y": y, **change})
        assert made.get_classifier() is classifier
        with pytest.raises(InvalidInputError, match="call fit"):
            made.report()

    def test_a_class_that_is_not_there(self, blobs):
        with pytest.raises(InvalidInputError, match="classes are 0 to 1"):
            trainer(logistic(*blobs), vulnerable_class=2).fit(*blobs)

    def test_a_class_that_is_never_predicted(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 2)).astype(np.float32)
        y = np.repeat([0, 1], [195, 5])
        with pytest.raises(InvalidInputError, match="never predicted"):
            trainer(logistic(x, y)).fit(x, y)

    def test_a_class_with_one_row(self, blobs):
        x, y = blobs
        with pytest.raises(InvalidInputError, match="one row"):
            trainer(logistic(x, y)).fit(x[:301], y[:301])

    def test_a_strategy_that_drops_a_class(self, blobs):
        def all_zero(situation):
            yield Recipe(situation.x, np.zeros_like(situation.y), {})

        made = trainer(logistic(*blobs), strategy=all_zero)
        made.fit(*blobs)
        assert made.candidates["refused"].tolist() == ["", "no row is labelled 1"]

    def test_a_model_that_turns_out_nan_is_refused(self, blobs):
        calls = []

        def refit(x, y):
            made = logistic(x, y)
            calls.append(made)
            if len(calls) > 1:
                made.predict = lambda x, **keywords: np.full((len(x), 2), np.nan)
            return made

        made = trainer(logistic(*blobs), refit=refit, max_rounds=1)
        made.fit(*blobs)
        assert set(made.candidates["refused"].iloc[1:]) == {"the model returns NaN"}


@pytest.mark.slow
class TestOnTrees:
    """The README's use: a boosted model, nothing but the defaults."""

    @pytest.mark.parametrize("strategy", ["paper", "smooth"])
    def test_breast_cancer(self, strategy):
        from sklearn.datasets import load_breast_cancer

        x, y = load_breast_cancer(return_X_y=True)
        x = ((x - x.min(axis=0)) / np.ptp(x, axis=0)).astype(np.float32)[:, :10]
        model = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(x, y)
        made = CounterfactualMarginTrainer(
            SklearnClassifier(model, clip_values=(0, 1)),
            strategy=strategy,
            max_rounds=1,
            max_analysis_rows=60,
            expansion=[0.3, 1.0],
        )
        made.fit(x, y)
        change = made.report()["change"]
        assert change["accuracy"] >= -0.01 - 1e-9 and change["r_overall"] >= 0
        if strategy == "smooth":
            assert change["r_overall"] > 0
