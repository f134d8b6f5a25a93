"""The audit names the attribute that a predictor was built on."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pymoo")

from fake_attgan import FakeAttGAN, LightPredictor, faces

from alibi_bridge.audit import Audit, audit, audit_result, compare_audits
from alibi_bridge.search import search
from dice_extended_plugin.errors import InvalidInputError


class Searcher:
    """What an audit asks of an explainer, without alibi."""

    def __init__(self, predictor=None, **options):
        self.predictor = predictor or LightPredictor()
        self.options = {"budget": 400, "pop_size": 30, "target": "sex", **options}

    def search(self, X, Y=None, attributes=None, *, keep="front", predictor=None):
        return search(
            X,
            predictor or self.predictor,
            FakeAttGAN(),
            Y=Y,
            attributes=attributes,
            keep=keep,
            **self.options,
        )


class TwoPatches:
    """Class 1 where light and half a corner are bright: it needs less light."""

    def __call__(self, X):
        part = X[:, 0:3].mean((1, 2, 3)) * 0.5 + X[:, 6:9].mean((1, 2, 3)) * 0.5
        one = 1 / (1 + np.exp(-30 * (part.astype(float) - 0.5)))
        return np.column_stack([1 - one, one])


@pytest.fixture(scope="module")
def biased():
    X, A = faces(24, 5)
    return audit(Searcher(), X, attributes=A)


def test_the_planted_attribute_is_found(biased):
    table = biased.to_frame()
    assert biased.strongest == table.index[0] == "light"
    assert "sex" not in table.index
    top = table.loc["light"]
    assert top["needed"] == 1.0 and top["moved"] > 0.8
    assert top["first"] > 0.95
    assert top["mean_delta"] == pytest.approx(top["mean_abs_delta"])
    assert (table["needed"].drop("light") == 0).all()
    assert biased.counts == {"ok": 24}


def test_the_table_adds_up(biased):
    table = biased.to_frame()
    strength = np.abs(biased.delta)
    for j, name in enumerate(biased.attributes):
        row = table.loc[name]
        assert row["mean_abs_delta"] == pytest.approx(strength[:, j].mean())
        assert row["low"] <= row["mean_abs_delta"] <= row["high"]
        assert row["moved_low"] <= row["moved"] <= row["moved_high"]
    assert table["leads"].sum() == pytest.approx(1) and table["first"].sum() == pytest.approx(1)
    json.dumps(biased.to_dict())


def made(delta, rows=None, n=None, **options):
    delta = np.asarray(delta, dtype=float)
    rows = np.arange(len(delta)) if rows is None else np.asarray(rows)
    n = len(delta) if n is None else n
    moved = np.abs(delta) > 0.5
    names = tuple("abcdef"[: delta.shape[1]])
    zeros = np.zeros(n, dtype=int)
    return Audit(names, rows, delta, delta, moved, moved, zeros, {"ok": len(rows)}, **options)


def test_intervals_cover():
    draw = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        table = made(draw.uniform(0, 1, (60, 1)), random_state=seed, n_bootstrap=400).to_frame()
        hits += table["low"].iloc[0] <= 0.5 <= table["high"].iloc[0]
    # Of 200 intervals at 95 %, 190 are expected; fewer than 178 has a chance of 1 in 1,000.
    assert 178 <= hits <= 199


def test_comparison_is_paired():
    draw = np.random.default_rng(1)
    base = draw.uniform(0.2, 1, (40, 2))
    noise = draw.normal(0, 0.01, (40, 2))
    first = made(base)
    second = made(base - [0.1, 0.0] + noise, rows=np.arange(40))
    table = compare_audits(first, second).to_frame()
    # Much less than the spread between images: only a paired comparison sees it.
    assert table.loc["a", "verdict"] == "less"
    assert table.loc["a", "difference"] == pytest.approx(-0.1, abs=0.01)
    assert table.loc["a", "high"] - table.loc["a", "low"] < 0.02
    assert table.loc["b", "low"] < 0 < table.loc["b", "high"]
    assert table.index[0] == "a"


def test_comparison_takes_images_that_both_have():
    first = made([[0.1], [0.2], [0.3]], rows=[0, 2, 5], n=6)
    second = made([[0.5], [0.7]], rows=[2, 5], n=6)
    compared = compare_audits(first, second)
    np.testing.assert_allclose(compared.first[:, 0], [0.2, 0.3])
    np.testing.assert_allclose(compared.second[:, 0], [0.5, 0.7])
    assert compared.left_out == 4
    assert compared.to_frame().loc["a", "verdict"] == "more"
    json.dumps(compared.to_dict())


def test_two_predictors():
    X, A = faces(16, 6)
    one, two, compared = audit(Searcher(), X, attributes=A, against=TwoPatches())
    assert one.strongest == "light"
    assert two.to_frame().loc["corner", "needed"] > 0
    table = compared.to_frame()
    assert table.loc["corner", "difference"] > 0
    assert len(compared.first) + compared.left_out == 16


def test_points_of_the_front():
    X, A = faces(8, 5)
    found = Searcher().search(X, attributes=A)
    chosen, front = audit_result(found), audit_result(found, points="front")
    assert front.strongest == chosen.strongest == "light"
    assert not np.array_equal(front.delta, chosen.delta)
    nearest = audit_result(found, points="nearest")
    length = [np.linalg.norm(one.delta, axis=1) for one in (nearest, chosen)]
    assert (length[0] <= length[1]).all() and (length[0] < length[1]).any()


def test_same_seed_same_table(biased):
    X, A = faces(24, 5)
    again = audit(Searcher(), X, attributes=A).to_frame()
    assert again.equals(biased.to_frame())


def test_empty_audits():
    X, A = faces(3)
    with pytest.raises(InvalidInputError, match="no images"):
        audit(Searcher(), X[:0])
    with pytest.raises(InvalidInputError, match=r"none of the 3 images.*3 misread"):
        audit(Searcher(), X, Y=[1, 1, 1], attributes=A)
    with pytest.raises(InvalidInputError, match="2 misread"):
        audit(Searcher(immutable=["light"]), X, Y=[1, 1, 0], attributes=A)
    with pytest.raises(InvalidInputError, match="0 images"):
        compare_audits(made([[0.1]], rows=[0], n=2), made([[0.1]], rows=[1], n=2))
    with pytest.raises(InvalidInputError, match="other"):
        compare_audits(made([[0.1]] * 3), made([[0.1, 0.2]] * 3))


@pytest.mark.parametrize(
    "options",
    [
        {"points": "x"},
        {"level": 1.0},
        {"level": "x"},
        {"n_bootstrap": 3},
        {"n_bootstrap": True},
        {"random_state": -1},
    ],
)
def test_bad_arguments(options):
    def never(*args, **keywords):
        raise AssertionError("searched before looking at the arguments")

    searcher = Searcher()
    searcher.search = never
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        audit(searcher, faces(2)[0], **options)


def test_a_second_predictor_that_is_none_is_met_before_the_search():
    seen = []

    def counted(X):
        seen.append(len(X))
        return LightPredictor()(X)

    X, A = faces(2)
    with pytest.raises(InvalidInputError, match="predictor must be a function"):
        audit(Searcher(counted), X, attributes=A, against=5)
    assert not seen
    with pytest.raises(InvalidInputError, match="under the second predictor there is nothing"):
        audit(Searcher(), X, attributes=A, against=lambda X: np.full((len(X), 2), [0.9, 0.1]))
    for explainer, images in (("explainer", X), (Searcher(), None)):
        with pytest.raises(InvalidInputError, match="must be"):
            audit(explainer, images)


def test_pictures(biased):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from alibi_bridge import pictures

    X, A = faces(2, 5)
    networks = FakeAttGAN()
    found = Searcher().search(X, attributes=A)
    front = found.fronts[0]
    try:
        strip = pictures.plot_strip(front, X[0], networks.format, n=6)
        assert 7 <= len(strip.images) <= 8
        axes = pictures.plot_front(front)
        assert axes.name == "3d"
        three = plt.subplots(1, 3)[1]
        assert pictures.plot_front_pairs(front, three) is three
        curves = plt.subplots()[1]
        assert pictures.plot_curves(front, curves) is curves
        labels = [line.get_label() for line in curves.get_lines()]
        assert {"P(original class)", "crossing", "chosen"} <= set(labels)
        np.testing.assert_allclose(curves.get_lines()[0].get_ydata(), front.F[:, 1])
        axes = biased.plot(label="biased")
        assert [text.get_text() for text in axes.get_yticklabels()][-1] == "light"
        assert biased.plot(axes, label="again") is axes
        compared = compare_audits(biased, biased)
        assert "b minus a" in compared.plot(labels=("a", "b")).get_xlabel()
        empty = Searcher().search(X, Y=[1, 1], attributes=A).fronts[0]
        with pytest.raises(InvalidInputError, match="misread"):
            pictures.plot_curves(empty)
        bare = Searcher().search(X, attributes=A, keep="none").fronts[0]
        with pytest.raises(InvalidInputError, match="keep='front'"):
            pictures.plot_strip(bare, X[0], networks.format)
    finally:
        plt.close("all")
