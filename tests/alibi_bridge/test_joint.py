"""The joint counterfactual GAN as an Alibi explainer and as an ART classifier."""

import json

import numpy as np
import pytest

from alibi_bridge.cracks import draw_cracks
from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")
pytest.importorskip("alibi", reason="alibi is not installed", exc_type=ImportError)

from alibi.api.interfaces import Explanation  # noqa: E402
from alibi.saving import load_explainer  # noqa: E402

from alibi_bridge.counterfactual_gan.settings import Settings  # noqa: E402
from alibi_bridge.joint import CounterfactualGAN  # noqa: E402

SMALL = {"generator_options": {"width": 4}, "discriminator_options": {"width": 8}}
QUICK = Settings.paper(batch_size=8, warmup=4, validate_every=4, cycles=1)


@pytest.fixture(scope="module")
def cracks():
    return draw_cracks(50, 32, channels=1, random_state=5)


@pytest.fixture(scope="module")
def explainer(cracks):
    made = CounterfactualGAN(**SMALL, settings=QUICK, random_state=1)
    assert made.fit(cracks.images, cracks.labels, steps=16) is made
    return made


def same_answers(a, b, images):
    one, other = a.explain(images), b.explain(images)
    np.testing.assert_array_equal(one.cf["X"], other.cf["X"])
    np.testing.assert_array_equal(one.p_fake, other.p_fake)
    return True


def test_metadata(explainer):
    meta = explainer.meta
    assert meta["name"] == "CounterfactualGAN"
    assert meta["type"] == ["whitebox"] and meta["explanations"] == ["local"]
    assert meta["params"]["generator"] == "unet"
    assert meta["params"]["settings"]["batch_size"] == 8
    assert meta["params"]["image_format"]["height"] == 32
    json.dumps(meta)


def test_an_explanation(explainer, cracks):
    x = cracks.images[:6]
    found = explainer.explain(x)
    assert isinstance(found, Explanation)
    assert found.orig["X"].shape == found.cf["X"].shape == x.shape
    assert found.orig["class"].shape == found.cf["class"].shape == found.target.shape == (6, 1)
    assert found.orig["proba"].shape == found.cf["proba"].shape == (6, 2)
    np.testing.assert_allclose(found.cf["proba"].sum(1), 1, atol=1e-5)
    assert (found.target[:, 0] == 1 - found.d_class).all()
    assert (found.success == (found.orig["class"] != found.cf["class"])[:, 0]).all()
    assert set(found.saliency) == {"raw", "blurred", "normalised", "removed"}
    assert found.p_fake.shape == found.g_class.shape == found.real.shape == (6,)
    assert found.cycles["X"].shape == (6, 2, 32, 32, 1)
    assert found.cycles["class"].shape == (6, 2)
    np.testing.assert_array_equal(found.cycles["X"][:, 0], found.cf["X"])


def test_json_round_trip(explainer, cracks):
    found = explainer.explain(cracks.images[:2])
    text = found.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = Explanation.from_json(text)
    np.testing.assert_allclose(again.cf["X"], found.cf["X"])
    assert again.meta == found.meta and again.success == found.success.tolist()
    small = explainer.explain(cracks.images[:2], return_images=False)
    assert small.cf["X"] is None and len(small.to_json()) < 0.7 * len(text)


def test_arguments_of_explain(explainer, cracks):
    x = cracks.images[:4]
    assert explainer.explain(x, cycles=0).cycles["X"].shape[1] == 1
    first, second = (explainer.explain(x, noise_state=s).cf["X"] for s in (1, 1))
    np.testing.assert_array_equal(first, second)
    raw = explainer.explain(x, sigma=0.0).saliency
    np.testing.assert_array_equal(raw["raw"], raw["blurred"])
    with pytest.raises(InvalidInputError, match="views"):
        explainer.explain(x, views=3)
    with pytest.raises(InvalidInputError, match="shape"):
        explainer.explain(cracks.images[0])
    with pytest.raises(InvalidInputError, match="no images"):
        explainer.explain(x[:0])
    with pytest.raises(TypeError):
        explainer.explain(x, cycels=1)


def test_another_predictor(explainer, cracks):
    def predictor(images):
        dark = (images.mean(axis=(1, 2, 3)) < 0.5).astype(float)
        return np.stack([1 - dark, dark], axis=1)

    x = cracks.images[:5]
    explainer.reset_predictor(predictor)
    try:
        found = explainer.explain(x)
    finally:
        explainer.reset_predictor(None)
    np.testing.assert_allclose(found.orig["proba"], predictor(x))
    np.testing.assert_allclose(found.cf["proba"], predictor(found.cf["X"]))
    own = explainer.explain(x)
    assert (found.d_class == own.d_class).all()


def test_alibis_own_save_and_load(explainer, cracks, tmp_path):
    explainer.save(tmp_path / "a")
    assert same_answers(load_explainer(tmp_path / "a", None), explainer, cracks.images[:3])
    loaded = CounterfactualGAN.load(tmp_path / "a", len)
    assert loaded.predictor is len and loaded.meta == explainer.meta


def test_safe_save_and_load(explainer, cracks, tmp_path):
    explainer.save_safe(tmp_path / "a")
    loaded = CounterfactualGAN.load_safe(tmp_path / "a")
    assert loaded.meta == explainer.meta
    assert same_answers(loaded, explainer, cracks.images[:3])
    (tmp_path / "a" / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(InvalidInputError, match="damaged"):
        CounterfactualGAN.load_safe(tmp_path / "a")


def test_images_first_and_bytes(cracks):
    first = np.round(cracks.images.transpose(0, 3, 1, 2) * 255).astype(np.uint8)
    from alibi_bridge.formats import ImageFormat

    form = ImageFormat.of(first, channels_last=False)
    made = CounterfactualGAN(image_format=form, **SMALL, settings=QUICK)
    made.fit(first, cracks.labels, steps=6)
    found = made.explain(first[:2])
    assert found.cf["X"].shape == (2, 1, 32, 32) and found.cf["X"].max() > 2


def test_more_classes(cracks, tmp_path):
    labels = np.where(cracks.labels == 1, np.where(np.arange(50) % 4 < 2, 5, 3), 0)
    made = CounterfactualGAN(**SMALL, settings=QUICK, background=0)
    made.fit(cracks.images, labels, steps=6)
    found = made.explain(cracks.images[:4])
    assert found.labels == [0, 3, 5] and found.orig["proba"].shape == (4, 3)
    Explanation.from_json(found.to_json())
    made.save_safe(tmp_path / "a")
    assert same_answers(CounterfactualGAN.load_safe(tmp_path / "a"), made, cracks.images[:3])
    with pytest.raises(InvalidInputError, match="models"):
        made.as_art_classifier()


def test_bad_input(cracks):
    made = CounterfactualGAN(**SMALL, settings=QUICK)
    with pytest.raises(InvalidInputError, match="labels"):
        made.fit(cracks.images)
    with pytest.raises(InvalidInputError, match="fit"):
        made.explain(cracks.images)
    with pytest.raises(InvalidInputError, match="fit"):
        made.as_art_classifier()
    with pytest.raises(InvalidInputError, match="background"):
        made.fit(cracks.images, cracks.labels + 1)


def test_as_an_art_classifier(explainer, cracks):
    evasion = pytest.importorskip("art.attacks.evasion")
    classifier = explainer.as_art_classifier()
    x = cracks.images[:8]
    logits = classifier.predict(x)
    assert logits.shape == (8, 2)
    read = explainer.model.predict(x)
    share = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    np.testing.assert_allclose(share, read[:, 1] / read[:, :2].sum(1), atol=1e-4)
    assert np.abs(classifier.loss_gradient(x, np.eye(2)[cracks.labels[:8]])).sum() > 0
    attack = evasion.ProjectedGradientDescent(
        classifier, eps=0.05, eps_step=0.01, max_iter=10, verbose=False
    )
    y = read[:, :2].argmax(1)
    changed = attack.generate(x, y=np.eye(2, dtype=np.float32)[y])
    assert np.abs(changed - x).max() <= 0.05 + 1e-6
    after = explainer.model.predict(changed)
    rows = np.arange(8)
    odds = [np.log(p[rows, y] / p[rows, 1 - y]) for p in (read, after)]
    assert (odds[1] < odds[0]).all()


def test_the_detector_module_has_three_outputs(explainer, cracks):
    module = explainer.model.detector_module()
    with torch.no_grad():
        share = module(torch.from_numpy(cracks.images[:5])).softmax(1)[:, 2].numpy()
    np.testing.assert_allclose(share, explainer.model.predict(cracks.images[:5])[:, 2], atol=1e-5)
