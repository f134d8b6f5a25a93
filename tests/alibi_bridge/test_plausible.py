"""The explainer keeps Alibi's contract."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("pymoo")
pytest.importorskip("alibi", reason="alibi is not installed", exc_type=ImportError)

from alibi.api.interfaces import Explanation
from alibi.saving import load_explainer
from fake_attgan import NAMES, SIDE, FakeAttGAN, LightPredictor, faces

from alibi_bridge.attgan import AttGAN
from alibi_bridge.engines import RandomSearch
from alibi_bridge.formats import ImageFormat
from alibi_bridge.plausible import PlausibleCounterfactual
from dice_extended_plugin.errors import InvalidInputError

SMALL = {"budget": 200, "pop_size": 20, "target": "sex"}


def explainer(**options):
    return PlausibleCounterfactual(LightPredictor(), networks=FakeAttGAN(), **{**SMALL, **options})


def brightness(X):
    mean = X.mean((1, 2, 3))
    return np.column_stack([1 - mean, mean])


@pytest.fixture(scope="module")
def trained():
    """Return an explainer around a real, hardly trained AttGAN, with images and attributes."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (40, 32, 32, 3)).astype(np.float32)
    A = rng.integers(0, 2, (40, 2))
    options = {"allow_dead": True, "skip_misread_reconstructions": False}
    made = PlausibleCounterfactual(
        brightness,
        networks=AttGAN.small(["a", "b"], 32, width=4),
        budget=60,
        pop_size=10,
        return_images="uint8",
        **options,
    )
    with pytest.warns(UserWarning, match="dead"):
        assert made.fit(X, A, steps=1) is made
    return made, X[:3], A[:3]


def test_meta():
    made = explainer(random_state=3)
    assert made.meta["name"] == "PlausibleCounterfactual"
    assert (made.meta["type"], made.meta["explanations"]) == (["blackbox"], ["local"])
    params = made.meta["params"]
    assert (params["engine"], params["budget"], params["random_state"]) == ("smpso", 200, 3)
    assert params["attributes"] == list(NAMES)
    json.dumps(made.meta)


def test_explain():
    X, A = faces(3)
    found = explainer().explain(X, Y=[0, 1, 0], attributes=A)
    assert isinstance(found, Explanation)
    assert found.success.tolist() == [True, False, True]
    assert found.status == ["ok", "misread", "ok"]
    assert found.orig["X"].shape == found.cf["X"].shape == X.shape
    assert found.orig["class"].tolist() == [[0]] * 3
    assert found.cf["class"].tolist() == [[1], [0], [1]]
    assert found.cf["proba"].shape == (3, 2)
    assert found.cf["attributes"].shape == (3, 5)
    np.testing.assert_array_equal(LightPredictor()(found.cf["X"]).argmax(1), [1, 0, 1])
    # Without a counterfactual the row is the original.
    np.testing.assert_array_equal(found.cf["X"][1], X[1])
    assert found.delta[1] is None and found.f_gan[1] is None and found.needed[1] is None
    assert found.all[1] == [] and found.predictor_calls[1] == 1
    assert list(found.delta[0]) == list(NAMES) and found.delta[0]["sex"] == 0
    assert "light" in found.needed[0]
    assert (found.predictor_calls <= 200).all()
    for i in (0, 2):
        point = found.all[i][found.chosen[i]]
        assert point["class"] == 1 and point["success"]
        assert point["f_adv"] == found.f_adv[i] and point["f_att"] == found.f_att[i]
        assert set(point) >= {"X", "delta", "attributes", "class", "proba", "f_gan"}
        np.testing.assert_allclose(point["delta"], list(found.delta[i].values()))
        np.testing.assert_allclose(point["X"], found.cf["X"][i], atol=1e-5)
        np.testing.assert_allclose(A[i] + point["delta"], point["attributes"])


@pytest.mark.parametrize("images", [True, "uint8", "cf", False])
def test_json_round_trip(images):
    X, A = faces(2)
    found = explainer(return_images=images).explain(X, Y=[0, 1], attributes=A)
    text = found.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = Explanation.from_json(text)
    assert again.meta == json.loads(json.dumps(found.meta))
    assert again.success == [True, False] and again.cf["class"] == [[1], [0]]
    assert again.delta == found.delta and again.reason == found.reason
    has_front = images in (True, "uint8")
    assert (again.all[0][0]["X"] is not None) == has_front
    assert (again.cf["X"] is not None) == (images is not False)
    if images == "uint8":
        assert found.cf["X"].dtype == np.uint8
        assert np.abs(found.orig["X"] / 255.0 - X).max() <= 0.5 / 255 + 1e-6


def test_json_sizes():
    X, A = faces(1)
    made = explainer()
    sizes = {
        images: len(made.explain(X, attributes=A, return_images=images).to_json())
        for images in (True, "uint8", "cf", False)
    }
    assert sizes[True] > 3 * sizes["uint8"] > 3 * sizes["cf"] > 3 * sizes[False]


def test_same_result_alone_or_in_a_batch():
    X, A = faces(3)
    together = explainer().explain(X, attributes=A, return_images=False)
    alone = explainer().explain(X[1:2], attributes=A[1:2], return_images=False)
    assert alone.delta[0] == together.delta[1]
    assert len(alone.all[0]) == len(together.all[1])
    for one, two in zip(alone.all[0], together.all[1], strict=True):
        np.testing.assert_array_equal(one["delta"], two["delta"])
        assert one["f_gan"] == two["f_gan"]


def test_alibis_own_saving(trained, tmp_path):
    made, X, A = trained
    made.save(tmp_path / "one")
    again = load_explainer(tmp_path / "one", brightness)
    assert isinstance(again, PlausibleCounterfactual) and made.predictor is brightness
    first, second = (e.explain(X, attributes=A) for e in (made, again))
    assert first.to_json() == second.to_json()
    other = PlausibleCounterfactual.load(tmp_path / "one", brightness)
    assert other.settings.to_dict() == made.settings.to_dict()


def test_safe_saving(trained, tmp_path):
    made, X, A = trained
    made.save_safe(tmp_path / "safe")
    again = PlausibleCounterfactual.load_safe(tmp_path / "safe", brightness)
    assert again.explain(X, attributes=A).to_json() == made.explain(X, attributes=A).to_json()
    assert again.networks.report_ == made.networks.report_
    weights = next((tmp_path / "safe").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-5] + b"12345")
    with pytest.raises(InvalidInputError):
        PlausibleCounterfactual.load_safe(tmp_path / "safe")
    made.networks.save(tmp_path / "gan")
    with pytest.raises(InvalidInputError):
        PlausibleCounterfactual.load_safe(tmp_path / "gan")


def test_an_unfitted_explainer_can_be_saved(tmp_path):
    PlausibleCounterfactual(None, ["a", "b"], budget=500).save_safe(tmp_path / "x")
    again = PlausibleCounterfactual.load_safe(tmp_path / "x")
    assert again.attributes == ("a", "b") and again.settings.budget == 500


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(InvalidInputError, match="FakeAttGAN cannot be saved"):
        explainer().save_safe(tmp_path / "x")
    made = PlausibleCounterfactual(None, ["a"], engine=RandomSearch)
    with pytest.raises(InvalidInputError, match="register it"):
        made.save_safe(tmp_path / "x")


def test_no_images():
    X, A = faces(1)
    found = explainer().explain(X[:0], [], A[:0])
    assert found.reference.shape == (0, 3) and found.orig["attributes"].shape == (0, len(NAMES))
    again = Explanation.from_json(found.to_json())
    assert again.success == [] and again.cf["X"] == [] and again.all == []


def test_reset_predictor():
    X, A = faces(2)
    made = explainer()
    before = made.explain(X, attributes=A, return_images=False)
    made.reset_predictor(LightPredictor(column=1))
    after = made.explain(X, attributes=A, return_images=False)
    assert "light" in before.needed[0]
    assert all(needed is None or needed == ["stripe"] for needed in after.needed)
    made.reset_predictor(None)
    with pytest.raises(InvalidInputError, match="reset_predictor"):
        made.explain(X)


def test_fit_takes_trained_networks():
    made = PlausibleCounterfactual(LightPredictor(), **SMALL)
    assert made.fit(networks=FakeAttGAN()) is made
    assert made.attributes == NAMES and made.meta["params"]["attributes"] == list(NAMES)
    X, A = faces(1)
    assert made.explain(X, attributes=A, return_images=False).success.all()


def test_fit_makes_networks_of_the_images_size(monkeypatch):
    seen = {}

    def fit(self, X, A, **options):
        seen.update(options, size=self.architecture.size, names=self.attributes)
        return FakeAttGAN()

    monkeypatch.setattr(AttGAN, "fit", fit)
    made = PlausibleCounterfactual(LightPredictor(), NAMES, **SMALL)
    made.fit(np.zeros((4, 64, 64, 3), np.uint8), np.zeros((4, 5)), steps=3)
    assert seen == {"verbose": False, "steps": 3, "size": 64, "names": NAMES}
    assert isinstance(made.networks, FakeAttGAN)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"outputs": "x"}, "outputs"),
        ({"n_classes": 1}, "n_classes"),
        ({"n_classes": "x"}, "n_classes"),
        ({"return_images": "x"}, "return_images"),
        ({"return_images": 1}, "return_images"),
        ({"attributes": "sex"}, "list of names"),
        ({"attributes": ["a"]}, "networks know"),
        ({"bugdet": 3}, "did you mean 'budget'"),
        ({"budget": "x"}, "budget"),
        ({"budget": 20}, "does not pay for one generation"),
        ({"target": "age"}, "target.*age"),
        ({"immutable": ["dott"]}, "did you mean 'dot'"),
        ({"bounds": {"dot": 5}}, "bounds of 'dot'"),
        ({"engine": None}, "engine"),
        ({"networks": "attgan"}, "networks must be an AttGAN"),
    ],
)
def test_bad_arguments(options, text):
    with pytest.raises(InvalidInputError, match=text):
        PlausibleCounterfactual(**{"networks": FakeAttGAN(), **SMALL, **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"engine": "smps"}, "did you mean 'smpso'"),
        ({"engine_options": {"archive": 5, "archive_sise": 5}}, "did you mean 'archive_size'"),
        ({"budget": 22}, "must be 24 or more"),
        ({"target": "sex"}, "target.*sex"),
    ],
)
def test_nothing_is_trained_that_could_not_be_searched(options, text):
    class Source:
        """Names that only fit tells."""

        attributes = NAMES[:4]
        format = ImageFormat(32, 32, 3)

    networks = FakeAttGAN()
    networks.attributes = Source.attributes
    made = PlausibleCounterfactual(LightPredictor(), **{"budget": 200, "pop_size": 17, **options})
    made._new_networks = lambda X, options: networks
    networks.fit = None  # would fail
    with pytest.raises(InvalidInputError, match=text):
        made.fit(Source())
    assert made.networks is None and made.attributes is None


def test_explaining_before_fitting():
    X, A = faces(1)
    with pytest.raises(InvalidInputError, match="fit"):
        PlausibleCounterfactual(LightPredictor(), NAMES).explain(X)
    with pytest.raises(InvalidInputError, match="fit"):
        PlausibleCounterfactual(LightPredictor(), networks=AttGAN.small(NAMES, 32)).explain(X)
    with pytest.raises(InvalidInputError, match="name the attributes"):
        PlausibleCounterfactual(LightPredictor()).fit(X, A)
    with pytest.raises(InvalidInputError, match="fit"):
        PlausibleCounterfactual(LightPredictor()).fit()
    with pytest.raises(InvalidInputError, match="not both"):
        PlausibleCounterfactual(LightPredictor()).fit(X, A, networks=FakeAttGAN())
    with pytest.raises(InvalidInputError, match="made for"):
        PlausibleCounterfactual(LightPredictor(), ["a"]).fit(networks=FakeAttGAN())
    with pytest.raises(InvalidInputError, match="first dimension of 1"):
        explainer().explain(X[0])
    assert X.shape[1] == SIDE
