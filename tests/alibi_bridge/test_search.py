"""The search on a generator and a predictor whose workings are known."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("pymoo")

import torch
from fake_attgan import ENGINES, NAMES, SIDE, FakeAttGAN, LightPredictor, faces

from alibi_bridge.edit_problem import EditProblem
from alibi_bridge.edit_scores import EditScorer
from alibi_bridge.edit_space import EditSpace
from alibi_bridge.engines import RandomSearch
from alibi_bridge.formats import ImageFormat
from alibi_bridge.fronts import hypervolume, non_dominated
from alibi_bridge.predictors import as_predictor
from alibi_bridge.search import SearchSettings, search
from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError

SMALL = {"budget": 400, "pop_size": 30, "target": "sex"}


def run(n=3, seed=0, predictor=None, networks=None, **options):
    X, A = faces(n, seed)
    options = {**SMALL, "attributes": A, **options}
    return search(X, predictor or LightPredictor(), networks or FakeAttGAN(), **options)


def same(one, two):
    return (
        np.array_equal(one.F, two.F)
        and np.array_equal(one.delta, two.delta)
        and np.array_equal(one.proba, two.proba)
        and one.chosen == two.chosen
    )


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_invariants_of_every_engine(engine):
    predictor = LightPredictor()
    found = run(engine=engine, predictor=predictor)
    assert found.counts() == {"ok": 3}
    assert found.calls == sum(predictor.seen)
    for front in found.fronts:
        assert front.calls <= 400
        assert 1 <= len(front) <= 30
        assert non_dominated(front.F).all()
        b = front.attributes + front.delta
        assert (b >= -1e-12).all() and (b <= 1 + 1e-12).all()
        assert (front.delta[:, NAMES.index("sex")] == 0).all()
        assert front.successful[front.chosen] and front.successful[front.knee]
        assert (np.diff(front.F[:, 1]) <= 0).all()
        assert (front.reference + 1e-12 >= front.F).all()
        assert front.hypervolume == pytest.approx(hypervolume(front.F, front.reference))
        assert front.images.shape == (len(front), SIDE, SIDE, 3)


def test_the_front_tells_the_truth():
    found = run()
    networks, predictor = FakeAttGAN(), LightPredictor()
    for front, x in zip(found.fronts, faces(3)[0], strict=True):
        proba = predictor(front.images)
        np.testing.assert_allclose(front.proba, proba, atol=1e-5)
        np.testing.assert_allclose(front.F[:, 1], front.proba[:, 0])
        np.testing.assert_allclose(front.F[:, 2], np.linalg.norm(front.delta, axis=1))
        layout = networks.format
        critic = networks.critic(layout.to_tensor(np.concatenate([x[None], front.images]))).numpy()
        np.testing.assert_allclose(front.F[:, 0], critic[0] - critic[1:], atol=1e-4)
        np.testing.assert_allclose(front.image, front.images[front.chosen], atol=1e-5)


def test_the_attribute_that_flips_the_predictor_is_needed():
    for column in (0, 2):
        X, A = faces(4)
        start = A.copy()
        start[:, column] = 0
        X = FakeAttGAN().format.to_array(
            FakeAttGAN().decode(
                FakeAttGAN().encode(FakeAttGAN().format.to_tensor(X)),
                torch.from_numpy(start).float(),
            )
        )
        found = search(X, LightPredictor(column), FakeAttGAN(), attributes=start, **SMALL)
        assert found.success.all()
        for front in found.fronts:
            assert front.needed.tolist() == [j == column for j in range(len(NAMES))]
            assert front.delta[front.chosen, column] > 0.3


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_same_seed_same_front_alone_or_in_a_batch(engine):
    X, A = faces(5)
    options = {**SMALL, "engine": engine, "random_state": 7}

    def at(index, **more):
        return search(
            X[index], LightPredictor(), FakeAttGAN(), attributes=A[index], **options, **more
        )

    together = at(np.arange(5))
    again = at(np.arange(5))
    backwards = at(np.arange(5)[::-1])
    pieces = at(np.arange(5), batch_size=2)
    for i in range(5):
        alone = at(np.array([i])).fronts[0]
        for other in (together, again, pieces):
            assert same(alone, other.fronts[i])
        assert same(alone, backwards.fronts[4 - i])
    assert not same(together.fronts[0], at(np.arange(5), **{"immutable": ["dot"]}).fronts[0])
    other_seed = search(
        X, LightPredictor(), FakeAttGAN(), attributes=A, **{**options, "random_state": 8}
    )
    assert not same(together.fronts[0], other_seed.fronts[0])


def test_a_convolutional_gan_gives_the_same_front_alone_or_in_a_batch():
    from alibi_bridge.attgan import AttGAN

    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (40, 32, 32, 3)).astype(np.float32)
    A = rng.integers(0, 2, (40, 2))
    schedule_free = AttGAN.small(["a", "b"], 32, width=4)
    with pytest.warns(UserWarning):
        networks = schedule_free.fit(X, A, steps=1)

    def at(index):
        return search(
            X[index],
            lambda images: np.column_stack([1 - images.mean((1, 2, 3)), images.mean((1, 2, 3))]),
            networks,
            attributes=A[index],
            budget=150,
            pop_size=20,
            allow_dead=True,
            skip_misread_reconstructions=False,
            keep="none",
        )

    together = at(np.arange(4))
    for i in range(4):
        assert same(at(np.array([i])).fronts[0], together.fronts[i])


def test_one_call_per_generation():
    predictor = LightPredictor()
    run(2, predictor=predictor, exact=False, budget=330)
    # Both images, both reconstructions one by one, ten generations of both, the two checks.
    assert predictor.seen[0] == 2
    generations = [size for size in predictor.seen if size == 60]
    assert len(generations) == 10
    predictor = LightPredictor()
    run(2, predictor=predictor)
    assert max(predictor.seen) == 30


def test_shared_calls_find_as_much():
    one, two = run(exact=True), run(exact=False)
    for a, b in zip(one.fronts, two.fronts, strict=True):
        assert a.hypervolume == pytest.approx(b.hypervolume, rel=0.1)


def test_the_problem_is_pymoos_and_takes_one_call():
    from pymoo.optimize import minimize

    X, A = faces(1)
    predictor = LightPredictor()
    scorer = EditScorer(FakeAttGAN(), as_predictor(predictor, FakeAttGAN().format))
    (image,) = scorer.encode(X, A)
    problem = EditProblem(image, EditSpace(NAMES, fixed=["sex"]), scorer)
    predictor.seen.clear()
    found = minimize(problem, RandomSearch(pop_size=25), ("n_eval", 100), seed=1)
    assert predictor.seen == [25] * 4
    assert found.F.shape[1] == 3 and problem.n_var == 4


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"random"}))
def test_every_engine_beats_random_search(engine):
    X, A = faces(1, 3)

    def fronts(name):
        return [
            search(
                X,
                LightPredictor(),
                FakeAttGAN(),
                attributes=A,
                engine=name,
                random_state=seed,
                budget=1000,
                pop_size=50,
                keep="none",
            ).fronts[0]
            for seed in range(10)
        ]

    ours, baseline = fronts(engine), fronts("random")
    reference = np.max([front.reference for front in ours + baseline], axis=0)
    mean = [np.mean([hypervolume(f.F, reference) for f in group]) for group in (ours, baseline)]
    assert mean[0] > mean[1]


def test_bounds_groups_and_immutables():
    networks = FakeAttGAN(exclusive=[["light", "stripe"]])
    X, A = faces(4)
    found = search(
        X,
        LightPredictor(),
        networks,
        attributes=A,
        immutable=["dot"],
        bounds={"corner": (0.0, 0.4)},
        **SMALL,
    )
    for front in found.fronts:
        b = front.attributes + front.delta
        assert (front.delta[:, [3, 4]] == 0).all()
        assert b[:, 2].max() <= 0.4 + 1e-12
        assert (b[:, :2].sum(axis=1) <= 1 + 1e-9).all()
    free = run(4, exclude_target=False)
    assert any(np.abs(front.delta[:, 4]).max() > 0.1 for front in free.fronts)


def test_images_that_cannot_be_explained_are_counted():
    X, A = faces(3)
    found = search(X, LightPredictor(), FakeAttGAN(), Y=[0, 1, 0], attributes=A, **SMALL)
    assert [front.status for front in found.fronts] == ["ok", "misread", "ok"]
    assert found.fronts[1].calls == 1 and len(found.fronts[1]) == 0
    assert "true class 1, predicted 0" in found.fronts[1].reason
    # The other images are what they are without it.
    assert same(found.fronts[2], run().fronts[2])

    found = run(immutable=["light"])
    assert found.counts() == {"none": 3}
    assert all(front.chosen is None and len(front) for front in found.fronts)
    assert not found.success.any()

    class Contrary:
        """The original has noise, which decoding fades."""

        def __call__(self, images):
            rough = (np.diff(images, axis=2).std(axis=(1, 2, 3)) > 0.015).astype(float)
            return np.column_stack([1 - rough, rough])

    found = run(predictor=Contrary())
    assert found.counts() == {"reconstruction_misread": 3}
    assert all(front.calls == 2 for front in found.fronts)
    searched = run(predictor=Contrary(), skip_misread_reconstructions=False)
    assert "reconstruction_misread" not in searched.counts()


def test_a_predictor_that_changes_its_mind():
    class Moody(LightPredictor):
        def __call__(self, images):
            answer = super().__call__(images)
            # The last call of a search holds the chosen edit and its parts: few images.
            return np.tile([1.0, 0.0], (len(images), 1)) if 1 < len(images) < 10 else answer

    found = run(1, predictor=Moody(), budget=3 + 4 + 60)
    assert found.counts() == {"unstable": 1}


def test_attributes_are_guessed_when_not_given():
    X, A = faces(6)
    found = search(X, LightPredictor(), FakeAttGAN(), **SMALL)
    np.testing.assert_array_equal([front.attributes for front in found.fronts], A)


def test_other_outputs_and_forms():
    one = run(adversarial="log")
    assert (one.fronts[0].F[:, 1] <= 0).all() and one.fronts[0].reference[1] == 0
    labels = run(predictor=lambda X: LightPredictor()(X).argmax(1), outputs="labels")
    assert labels.success.all()
    assert run(choose="crossing").success.all()
    for front in run(choose="nearest").fronts:
        assert front.F[front.chosen, 2] == front.F[front.successful, 2].min()


def test_uint8_and_channels_first():
    X, A = faces(2)
    networks = FakeAttGAN()
    layout = ImageFormat(SIDE, SIDE, 3, (0.0, 255.0), channels_last=False)
    bytes_ = np.rint(255 * X).astype(np.uint8).transpose(0, 3, 1, 2)
    plain = LightPredictor()
    found = search(
        bytes_,
        lambda images: plain(images.transpose(0, 2, 3, 1) / 255.0),
        networks,
        attributes=A,
        format=layout,
        **SMALL,
    )
    assert found.success.all()
    assert found.fronts[0].image.shape == (3, SIDE, SIDE)
    assert found.fronts[0].image.max() > 2


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_predictor_that_writes_to_its_images(dtype):
    networks = FakeAttGAN()
    networks.format = ImageFormat(SIDE, SIDE, 3, (0.0, 255.0))
    X, A = faces(2)
    X = (255 * X).astype(dtype)
    before = X.copy()
    judge = LightPredictor()

    def in_place(X):
        X /= 255
        answer = judge(X)
        X[:] = 0
        return answer

    one = search(X, in_place, networks, attributes=A, **SMALL)
    two = search(X, lambda X: judge(X / 255), networks, attributes=A, **SMALL)
    np.testing.assert_array_equal(X, before)
    for first, second in zip(one.fronts, two.fronts, strict=True):
        assert first.ok and same(first, second)
        np.testing.assert_array_equal(first.image, second.image)


def test_keep():
    assert run(1, keep="none").fronts[0].image is None
    chosen = run(1, keep="chosen").fronts[0]
    assert chosen.image is not None and chosen.images is None


def test_frame():
    found = run(2)
    table = found.to_frame()
    assert len(table) == sum(len(front) for front in found.fronts)
    assert table.groupby("image")["chosen"].sum().tolist() == [1, 1]
    assert {"f_gan", "f_adv", "f_att", "delta_light"} <= set(table.columns)


def test_an_engine_of_ones_own():
    assert run(1, engine=RandomSearch).success.all()
    assert run(1, engine_options={"archive_size": 10, "mutated": 0.5}).success.all()


def test_settings_survive_json():
    import json

    bounds = {"light": np.array([0, 0.5], np.float32)}
    given = {"immutable": np.array(["dot"]), "bounds": bounds, "random_state": np.int64(3)}
    given["budget"] = np.int64(300)
    settings = SearchSettings(target="sex", **given)
    again = SearchSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again.to_dict() == settings.to_dict()
    foreign = {**settings.to_dict(), "engine": "os:system"}
    with pytest.raises(InvalidInputError, match="registered name"):
        SearchSettings.from_dict(foreign)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"engine": "smps"}, "did you mean 'smpso'"),
        ({"engine": 3}, "engine"),
        ({"budget": 20}, "does not pay for one generation"),
        ({"budget": 0}, "budget"),
        ({"pop_size": 2}, "pop_size"),
        ({"target": "age"}, "target.*age"),
        ({"immutable": "sex"}, "list of names"),
        ({"immutable": ["age"]}, "age"),
        ({"adversarial": "x"}, "adversarial"),
        ({"choose": "x"}, "choose"),
        ({"keep": "x"}, "keep"),
        ({"random_state": -1}, "random_state"),
        ({"bugdet": 5}, "did you mean 'budget'"),
        ({"settings": {"budget": 9}}, "SearchSettings"),
        ({"immutable": 5}, "list of names"),
        ({"bounds": [("dot", (0, 1))]}, "bounds must be a dict"),
        ({"bounds": {"dot": 1}}, "bounds of 'dot'"),
        ({"engine_options": 5}, "engine_options must be a dict"),
        ({"engine_options": {"pop_size": 5}}, "settings pop_size"),
        ({"engine_options": {"archive_sise": 5}}, "SMPSO takes no .*did you mean 'archive_size'"),
        ({"engine": "nsga2", "engine_options": {"archive_size": 5}}, "NSGA2 takes no"),
        ({"format": ImageFormat(8, 8, 3)}, "8 x 8 pixels.*trained on 16 x 16"),
        ({"attributes": [["a"] * 5] * 3}, "0 or 1"),
        ({"attributes": pd.DataFrame(faces(3)[1], columns=NAMES[::-1])}, "in this order"),
        ({"Y": [0, np.inf, 1]}, "class numbers"),
        ({"attributes": np.zeros((2, 5))}, r"shape \(2, 5\), expected \(3, 5\)"),
        ({"attributes": np.full((3, 5), 0.5)}, "0 or 1"),
        ({"Y": [0, 1]}, "Y must be"),
        ({"Y": [0, 0.5, 1]}, "class numbers"),
        ({"Y": [0, 1, 2]}, "class 2 at row 2"),
        ({"networks": FakeAttGAN(dead=["light"])}, "allow_dead"),
        ({"predictor": lambda X: np.full((len(X), 2), np.nan)}, "NaN"),
        ({"predictor": lambda X: np.full((1, 3, 2), 0.5)}, "shape"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(InvalidInputError, match=text):
        run(**options)


def test_dead_attributes_may_be_held_or_allowed():
    networks = FakeAttGAN(dead=["dot"])
    assert run(1, networks=networks, allow_dead=True).success.all()
    assert run(1, networks=networks, immutable=["dot"]).success.all()


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.zeros((2, 3, SIDE, SIDE)), "channels seem to be first"),
        (np.full((2, SIDE, SIDE, 3), 200.0), "value_range"),
        (np.full((2, SIDE, SIDE, 3), np.nan), "NaN"),
        (np.zeros((SIDE, SIDE, 3)), "first dimension of 1"),
    ],
)
def test_bad_images(X, text):
    with pytest.raises(InvalidInputError, match=text):
        search(X, LightPredictor(), FakeAttGAN(), **SMALL)


def test_a_critic_that_fails():
    networks = FakeAttGAN()
    networks.critic = lambda x: x.mean((1, 2, 3)) * float("nan")
    with pytest.raises(InvalidInputError, match="critic"):
        run(networks=networks)


def test_no_images():
    X, A = faces(0)
    assert len(search(X, LightPredictor(), FakeAttGAN(), attributes=A, **SMALL)) == 0


def test_nothing_global_is_drawn_from():
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    for engine in ENGINES:
        run(1, engine=engine)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert numpy_stream(0, "x").random() == numpy_stream(0, "x").random()


def test_search_needs_no_alibi():
    code = (
        "import sys; sys.modules['alibi'] = None\n"
        "import alibi_bridge.search, alibi_bridge.audit, alibi_bridge.pictures\n"
        "assert 'matplotlib' not in sys.modules\n"
        "try:\n    import alibi_bridge.plausible\n"
        "except ImportError as error:\n    assert 'dice-extended[alibi]' in str(error)\n"
        "else:\n    raise SystemExit('alibi was not needed')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
