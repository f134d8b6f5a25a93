"""Algorithm 1 against closed forms, and its behaviour at the edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from art.estimators.classification import BlackBoxClassifier
from art.exceptions import EstimatorError
from closed_form import STAR, Projection, linear_classifier
from matplotlib.axes import Axes

from art_bridge.curves import success_rate_curve
from art_bridge.report import class_figures
from art_bridge.robustness import counterfactual_robustness
from dice_extended_plugin.errors import InvalidInputError


@pytest.fixture
def binary():
    """Class 1 above x0 + x1 = 1, scaled so that the boundary is at distance |x0 + x1 - 1| / √2."""
    return linear_classifier([[0, 0], [4, 4]], [0, -4], clip_values=(0, 1))


@pytest.fixture
def rows():
    return np.random.default_rng(3).uniform(size=(200, 2)).astype(np.float32)


def analyse(classifier, rows, **keywords):
    attack = keywords.pop("attack", None) or Projection(classifier)
    return counterfactual_robustness(classifier, rows, attack=attack, **keywords)


class TestFigures:
    def test_two_classes_in_closed_form(self, binary, rows):
        report = analyse(binary, rows)
        away = (rows.sum(axis=1) - 1) / np.sqrt(2)
        below, above = np.abs(away[away < 0]), np.abs(away[away > 0])
        assert pytest.approx(np.array([[0, below.sum()], [above.sum(), 0]]), rel=1e-3) == report.D
        assert report.N.tolist() == [[0, len(below)], [len(above), 0]]
        assert report.r_overall == pytest.approx(below.mean() + above.mean(), rel=1e-3)
        assert report.alpha == pytest.approx([below.mean(), above.mean()], rel=1e-3)
        assert report.beta == pytest.approx([above.mean(), below.mean()], rel=1e-3)
        assert report.r_class == pytest.approx(report.alpha / report.beta)
        assert report.vulnerable_class == int(above.mean() < below.mean())

    def test_three_classes_in_closed_form(self):
        classifier = linear_classifier(STAR, np.zeros(3))
        heights = np.array([0.2, 0.5, 0.7])  # on the axis of its sector: h sin 60° from each side
        rows = (heights[:, None] * STAR).astype(np.float32)
        report = analyse(classifier, rows)
        margin = heights * np.sin(np.pi / 3)
        expected = np.repeat(margin[:, None], 3, axis=1)
        off = ~np.eye(3, dtype=bool)
        assert report.margins[off] == pytest.approx(expected[off], rel=1e-3)
        assert np.isnan(np.diag(report.margins)).all()
        assert report.r_overall == pytest.approx(2 * margin.sum(), rel=1e-3)
        assert report.alpha == pytest.approx(2 * margin, rel=1e-3)
        assert report.beta == pytest.approx(margin.sum() - margin, rel=1e-3)
        assert report.vulnerable_class == 0

    def test_swapping_the_classes_swaps_the_figures(self, rows):
        one = analyse(linear_classifier([[0, 0], [4, 1]], [0, -2]), rows)
        other = analyse(linear_classifier([[4, 1], [0, 0]], [-2, 0]), rows)
        assert one.alpha == pytest.approx(other.alpha[::-1])
        assert one.r_overall == pytest.approx(other.r_overall)

    def test_ratios_of_two_classes_multiply_to_one(self, binary, rows):
        assert np.prod(analyse(binary, rows).r_class) == pytest.approx(1)

    def test_a_leading_dimension_is_kept(self):
        D, N = np.array([[[0, 2.0], [6, 0]]] * 5), np.array([[[0, 1], [2, 0]]] * 5)
        figures = class_figures(D, N)
        assert figures.margins.shape == (5, 2, 2)
        assert figures.r_overall == pytest.approx(np.full(5, 5.0))
        assert figures.r_class[0] == pytest.approx([2 / 3, 3 / 2])

    def test_failures_are_counted_and_left_out(self, binary, rows):
        attack = Projection(binary, fail=lambda x: x[:, 0] > 0.8)
        report = analyse(binary, rows, attack=attack)
        lost = rows[:, 0] > 0.8
        assert report.reasons == {"no counterfactual found": lost.sum()}
        assert report.N.sum() == (~lost).sum() and report.attempts.sum() == len(rows)
        away = (rows[~lost].sum(axis=1) - 1) / np.sqrt(2)
        assert report.alpha[1] == pytest.approx(away[away > 0].mean(), rel=1e-3)
        assert np.isnan(report.distance[lost]).all()

    def test_an_untargeted_attack_serves_for_two_classes(self, binary, rows):
        one = analyse(binary, rows, attack=Projection(binary, targeted=False))
        assert one.margins == pytest.approx(analyse(binary, rows).margins, nan_ok=True)

    def test_the_norm_is_the_one_asked_for(self, binary, rows):
        two, inf = analyse(binary, rows), analyse(binary, rows, norm="inf")
        assert inf.r_overall == pytest.approx(two.r_overall / np.sqrt(2), rel=1e-3)
        assert analyse(binary, rows, norm=1).r_overall == pytest.approx(
            two.r_overall * np.sqrt(2), rel=1e-3
        )

    def test_accuracy_needs_labels(self, binary, rows):
        labels = (rows.sum(axis=1) > 1).astype(int)
        labels[:50] = 1 - labels[:50]
        assert analyse(binary, rows).accuracy is None
        assert analyse(binary, rows, y=labels).accuracy == pytest.approx(0.75)
        assert analyse(binary, rows, y=np.eye(2)[labels]).accuracy == pytest.approx(0.75)


class TestDefaultAttack:
    def test_it_comes_near_the_closed_form(self, binary, rows):
        train = np.random.default_rng(9).uniform(size=(300, 2)).astype(np.float32)
        few = rows[:40]
        found = counterfactual_robustness(binary, few, x_train=train, attack_params={"p": 0})
        exact = analyse(binary, few)
        assert found.success.all() and (found.distance > exact.distance * 0.999).all()
        # The projection may leave the unit square, the search may not.
        assert found.r_overall == pytest.approx(exact.r_overall, rel=0.1)

    def test_a_constant_feature_and_labels_that_are_given(self, rows):
        classifier = linear_classifier([[0, 0, 0], [4, 4, 0]], [0, -4, 0][:2], clip_values=(0, 1))
        wide = np.column_stack([rows[:20], np.full(20, 0.5)])
        train = np.column_stack([rows, np.full(len(rows), 0.5)])
        report = counterfactual_robustness(
            classifier,
            wide,
            x_train=train,
            y_train=(rows.sum(axis=1) > 1).astype(int),
            attack_params={"max_rows": 500},
        )
        assert report.success.all()

    def test_one_class_to_start_from(self, binary, rows):
        below = rows[rows.sum(axis=1) < 0.9]
        report = counterfactual_robustness(binary, rows[:20], x_train=below)
        assert report.n_rows == 20 and report.attempts.sum() == 20


class TestIntervals:
    def test_they_hold_the_figure_and_shrink_with_rows(self, binary):
        draws = np.random.default_rng(0).uniform(size=(2000, 2)).astype(np.float32)
        few, many = analyse(binary, draws[:100]), analyse(binary, draws)
        for report in (few, many):
            low, high = report.intervals["r_overall"]
            assert low < report.r_overall < high
        width = [np.subtract(*reversed(r.intervals["r_overall"])) for r in (few, many)]
        assert width[1] < 0.4 * width[0]

    def test_they_agree_with_the_textbook_for_a_mean(self, binary):
        draws = np.random.default_rng(1).uniform(size=(400, 2)).astype(np.float32)
        report = analyse(binary, draws, n_bootstrap=4000)
        d = report.pair_distances(0, 1)
        half = 1.96 * d.std() / np.sqrt(len(d))
        low, high = report.intervals["alpha"]
        assert low[0] == pytest.approx(d.mean() - half, abs=0.15 * half)
        assert high[0] == pytest.approx(d.mean() + half, abs=0.15 * half)

    def test_same_seed_same_interval(self, binary, rows):
        one, same, other = (analyse(binary, rows, random_state=s) for s in (4, 4, 5))
        assert one.intervals["r_overall"] == same.intervals["r_overall"]
        assert one.intervals["r_overall"] != other.intervals["r_overall"]


class TestViews:
    def test_frames(self, binary, rows):
        report = analyse(binary, rows)
        pairs, classes, each = (report.to_frame(w) for w in ("pairs", "classes", "rows"))
        assert pairs[["source", "target"]].to_numpy().tolist() == [[0, 1], [1, 0]]
        assert pairs["margin"].tolist() == [report.margins[0, 1], report.margins[1, 0]]
        assert (pairs["low"] < pairs["margin"]).all() and (pairs["margin"] < pairs["high"]).all()
        assert classes["r_class"].tolist() == report.r_class.tolist()
        assert len(each) == len(rows) and isinstance(each, pd.DataFrame)
        with pytest.raises(InvalidInputError, match="pairs, classes, rows"):
            report.to_frame("cells")

    @pytest.mark.parametrize("kind", ["matrix", "distribution"])
    def test_plots_return_axes(self, binary, rows, kind):
        from matplotlib import pyplot

        report = analyse(binary, rows)
        assert isinstance(report.plot(kind), Axes)
        ax = pyplot.figure().add_subplot()
        assert report.plot(kind, ax=ax) is ax
        pyplot.close("all")

    def test_the_summary_is_json(self, binary, rows):
        import json

        text = json.dumps(analyse(binary, rows).summary())
        assert set(json.loads(text)) >= {"r_overall", "alpha", "beta", "r_class", "found"}


class TestBadInput:
    def test_not_an_art_classifier(self, binary, rows):
        with pytest.raises(EstimatorError):
            counterfactual_robustness(binary.model, rows, x_train=rows)

    @pytest.mark.parametrize(
        ("keywords", "text"),
        [
            ({"y": [0, 1]}, "y has shape"),
            ({"y": np.full(200, 2)}, "classes are 0 to 1"),
            ({"y": np.full(200, -1)}, "classes are 0 to 1"),
            ({"y": np.full(200, 0.5)}, "no class"),
            ({"y": np.full(200, "a")}, "must hold numbers"),
            ({"y": np.zeros((200, 3))}, "y has shape"),
            ({"norm": 3}, "norm must be"),
            ({"n_bootstrap": 0}, "n_bootstrap"),
            ({"attack_params": {"p": 0.6}}, "default attack"),
        ],
    )
    def test_an_argument(self, binary, rows, keywords, text):
        with pytest.raises(InvalidInputError, match=text):
            analyse(binary, rows, **keywords)

    @pytest.mark.parametrize(
        ("table", "text"),
        [
            (np.zeros(3), "shape"),
            (np.zeros((0, 2)), "at least one row"),
            ([["a", "b"]], "array of numbers"),
            (np.full((4, 2), np.nan), "every row"),
        ],
    )
    def test_a_table(self, binary, table, text):
        with pytest.raises(InvalidInputError, match=text):
            analyse(binary, table)

    def test_no_training_rows_and_no_attack(self, binary, rows):
        with pytest.raises(InvalidInputError, match="x_train"):
            counterfactual_robustness(binary, rows)

    def test_an_untargeted_attack_with_three_classes(self):
        classifier = linear_classifier(STAR, np.zeros(3))
        with pytest.raises(InvalidInputError, match="make it targeted"):
            analyse(classifier, STAR, attack=Projection(classifier, targeted=False))

    def test_rows_that_are_not_finite_are_counted(self, binary, rows):
        spoilt = rows.copy()
        spoilt[3, 1], spoilt[7, 0] = np.nan, np.inf
        before = spoilt.copy()
        report = analyse(binary, spoilt)
        assert report.reasons == {"row holds NaN or infinity": 2}
        assert not {3, 7} & set(report.row) and report.n_rows == 200
        np.testing.assert_array_equal(spoilt, before)
        kept = np.delete(rows, [3, 7], axis=0)
        assert pytest.approx(analyse(binary, kept).D) == report.D

    def test_a_model_that_returns_nan_for_some_rows(self, binary, rows):
        def scores(x):
            made = binary.predict(x)
            made[x[:, 0] > 0.9] = np.nan
            return made

        model = BlackBoxClassifier(scores, (2,), 2)
        report = analyse(model, rows, attack=Projection(binary))
        # A row may be fine itself while the point found for it is not.
        assert report.reasons["classifier's output for the row is not finite"] == int(
            (rows[:, 0] > 0.9).sum()
        )
        assert np.isfinite(report.distance[report.success]).all()

    def test_a_model_that_returns_nan_everywhere(self, binary, rows):
        model = BlackBoxClassifier(lambda x: np.full((len(x), 2), np.nan), (2,), 2)
        with pytest.raises(InvalidInputError, match="every row"):
            analyse(model, rows, attack=Projection(binary))

    def test_a_class_that_is_never_predicted(self, rows):
        classifier = linear_classifier([[0, 0], [1, 1]], [0, -9])
        report = analyse(classifier, rows)
        assert report.unmeasured == {(1, 0): "class 1 is never predicted"}
        assert np.isnan(report.r_overall) and np.isfinite(report.margins[0, 1])
        assert np.isnan(report.r_class).all()
        assert report.to_frame()["reason"].tolist() == ["", "class 1 is never predicted"]
        with pytest.raises(InvalidInputError, match="never predicted"):
            _ = report.vulnerable_class

    def test_one_output(self, binary, rows, monkeypatch):
        monkeypatch.setattr(binary, "predict", lambda x, **keywords: np.ones((len(x), 1)))
        with pytest.raises(InvalidInputError, match="one column per class"):
            analyse(binary, rows)


class TestSuccessRate:
    def test_closed_form(self, binary, rows):
        sizes = np.linspace(0, 0.8, 17)
        curve = success_rate_curve(Projection(binary, targeted=False), rows, sizes)
        away = np.abs(rows.sum(axis=1) - 1) / np.sqrt(2) * (1 + 1e-4)
        assert curve.rate == pytest.approx([(away <= size).mean() for size in sizes])
        assert (np.diff(curve.rate) >= 0).all() and curve.rate[0] == 0
        assert (curve.low <= curve.rate).all() and (curve.rate <= curve.high).all()
        assert curve.to_frame().shape == (17, 4) and curve.n_rows == 200

    def test_a_small_change_that_does_not_fool_does_not_count(self, binary, rows):
        attack = Projection(binary, targeted=False, beyond=-0.5)  # stops half way
        assert success_rate_curve(attack, rows, [0.1, 1.0]).rate.tolist() == [0, 0]

    def test_rows_that_are_wrong_already_are_left_out(self, binary, rows):
        labels = (rows.sum(axis=1) > 1).astype(int)
        labels[:30] = 1 - labels[:30]
        curve = success_rate_curve(Projection(binary, targeted=False), rows, [2.0], labels)
        assert (curve.left_out, curve.n_rows, curve.rate[0]) == (30, 170, 1.0)
        with pytest.raises(InvalidInputError, match="every row wrong"):
            wrong = 1 - (rows.sum(axis=1) > 1).astype(int)
            success_rate_curve(Projection(binary, targeted=False), rows, [2.0], wrong)

    def test_an_attack_with_a_budget_runs_once_per_epsilon(self, rows):
        from art.attacks.evasion import FastGradientMethod
        from art.estimators.classification import SklearnClassifier

        base = linear_classifier([[0, 0], [4, 4]], [0, -4])
        classifier = SklearnClassifier(base.model, clip_values=(-9, 9))
        attack = FastGradientMethod(classifier, norm=2, eps=0.123)
        sizes = [0.0, 0.1, 0.3, 1.0]
        curve = success_rate_curve(attack, rows, sizes)
        away = np.abs(rows.sum(axis=1) - 1) / np.sqrt(2)
        assert curve.rate == pytest.approx([(away < size).mean() for size in sizes], abs=0.02)
        assert attack.eps == 0.123

    @pytest.mark.parametrize("sizes", [[], [-0.1], [np.nan], [[0.1]]])
    def test_bad_epsilons(self, binary, rows, sizes):
        with pytest.raises(InvalidInputError, match="epsilons"):
            success_rate_curve(Projection(binary, targeted=False), rows, sizes)

    def test_a_targeted_attack(self, binary, rows):
        one = success_rate_curve(Projection(binary), rows, [0.1, 0.3])
        other = success_rate_curve(Projection(binary, targeted=False), rows, [0.1, 0.3])
        assert one.rate.tolist() == other.rate.tolist()
        star = linear_classifier(STAR, np.zeros(3))
        with pytest.raises(InvalidInputError, match="3 classes"):
            success_rate_curve(Projection(star), STAR, [0.1])

    def test_plot(self, binary, rows):
        from matplotlib import pyplot

        curve = success_rate_curve(Projection(binary, targeted=False), rows, [0, 0.5])
        ax = curve.plot(label="model")
        assert curve.plot(ax, label="again") is ax and len(ax.lines) == 2
        pyplot.close("all")
