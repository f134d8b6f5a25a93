"""The attacks on every kind of ART classifier: labels, mask, targets, starts, splits, rules."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from art.attacks.evasion import AutoAttack
from art.defences.trainer import AdversarialTrainer
from art.metrics import adversarial_accuracy, empirical_robustness
from art.utils import to_categorical
from attack_models import classifier, wine

from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
from art_bridge.register import register_with_art, unregister_from_art
from art_bridge.robustness import counterfactual_robustness

KINDS = ("svc", "pipeline", "xgboost", "lightgbm", "catboost", "black_box", "torch", "tensorflow")
QUICK = {"population": 16, "generations": 5, "max_rows": 500}
WIDTH, CLASSES = 13, 3


def data():
    """Return training rows and labels, and rows to attack."""
    x, y = wine()
    return x[::2], y[::2], x[1:24:2].copy()


def make_estimator(kind):
    """Return a trained classifier of three classes, or skip where its library is missing."""
    x, y, _ = data()
    clip = {"clip_values": (0.0, 1.0)}
    if kind in ("svc", "pipeline"):
        return classifier(kind, "wine")
    if kind == "black_box":
        from art.estimators.classification import BlackBoxClassifier

        return BlackBoxClassifier(classifier("gb", "wine").predict, (WIDTH,), CLASSES, **clip)
    if kind == "torch":
        return _torch(x, y)
    library = pytest.importorskip(kind)
    if kind == "tensorflow":
        return _tensorflow(library, x, y)
    estimators = importlib.import_module("art.estimators.classification")
    if kind == "xgboost":
        model = library.XGBClassifier(n_estimators=15, n_jobs=1).fit(x, y)
        return estimators.XGBoostClassifier(model, nb_features=WIDTH, nb_classes=CLASSES, **clip)
    if kind == "lightgbm":
        options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
        booster = library.train(options, library.Dataset(x, label=y), num_boost_round=15)
        return estimators.LightGBMClassifier(booster, **clip)
    model = library.CatBoostClassifier(
        iterations=15, verbose=0, thread_count=1, allow_writing_files=False
    )
    return estimators.CatBoostARTClassifier(model.fit(x, y), nb_features=WIDTH, **clip)


def _torch(x, y):
    torch = pytest.importorskip("torch")
    from art.estimators.classification import PyTorchClassifier

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(WIDTH, 16), torch.nn.ReLU(), torch.nn.Linear(16, CLASSES)
    )
    made = PyTorchClassifier(
        network,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(network.parameters(), lr=0.02),
        input_shape=(WIDTH,),
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    made.fit(x, y, nb_epochs=25, batch_size=32)
    return made


def _tensorflow(tensorflow, x, y):
    from art.estimators.classification import TensorFlowV2Classifier

    keras = tensorflow.keras
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((WIDTH,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=25, batch_size=32, verbose=0)
    return TensorFlowV2Classifier(
        model, nb_classes=CLASSES, input_shape=(WIDTH,), clip_values=(0.0, 1.0)
    )


@pytest.fixture(scope="module", params=KINDS)
def estimator(request):
    return make_estimator(request.param)


def labels(estimator, x):
    return estimator.predict(x.astype(np.float32)).argmax(axis=1)


def test_untargeted(estimator):
    xt, yt, x = data()
    own, before = labels(estimator, x), x.copy()
    for make in (UnconstrainedCounterfactual, BoundaryCounterfactual):
        made = make(estimator, xt, yt, **QUICK)
        out = made.generate(x)
        assert out.dtype == np.float32 and out.shape == x.shape and np.array_equal(x, before)
        good = made.result_.success
        assert good.all() and (labels(estimator, out) != own).all()
        assert (labels(estimator, out) == made.result_.target).all()
        assert out.min() >= 0 and out.max() <= 1


def test_a_target_for_each_row_a_mask_and_starts(estimator):
    xt, yt, x = data()
    rng = np.random.default_rng(0)
    target = (labels(estimator, x) + rng.integers(1, CLASSES, len(x))) % CLASSES
    mask = rng.random(x.shape) < 0.8
    made = UnconstrainedCounterfactual(estimator, xt, yt, targeted=True, p=0, **QUICK)
    out = made.generate(x, to_categorical(target, CLASSES), mask=mask)
    good = made.result_.success
    assert good.mean() > 0.5 and (labels(estimator, out)[good] == target[good]).all()
    assert np.array_equal(out[~mask], x[~mask]) and np.array_equal(out[~good], x[~good])
    again = made.generate(x, target, mask=mask, x_adv_init=out)
    assert made.result_.success[good].all()
    near = np.linalg.norm(again - x, axis=1)[good], np.linalg.norm(out - x, axis=1)[good]
    assert (near[0] <= near[1] + 1e-6).all()


def test_a_split_changes_nothing(estimator):
    xt, yt, x = data()
    made = UnconstrainedCounterfactual(estimator, xt, yt, random_state=4, **QUICK)
    whole = made.generate(x)
    parts = [made.generate(part) for part in (x[:1], x[1:4], x[4:])]
    assert np.array_equal(whole, np.concatenate(parts))


def test_constraints(estimator):
    xt, yt, x = data()
    made = UnconstrainedCounterfactual(
        estimator,
        xt,
        yt,
        constraints={
            **{"immutable": [0], "increasing": [1], "decreasing": [2], "steps": {3: 0.125}},
            **{"ordinal": {4: [0.0, 0.5, 1.0]}, "ranges": {5: (0.0, 0.9)}},
        },
        **QUICK,
    )
    out = made.generate(x).astype(float)
    assert made.result_.success.mean() > 0.5
    assert np.array_equal(out[:, 0], x[:, 0])
    assert (out[:, 1] >= x[:, 1]).all() and (out[:, 2] <= x[:, 2]).all()
    steps = (out[:, 3] - xt[:, 3].min()) / 0.125
    assert ((np.abs(steps - np.rint(steps)) < 1e-5) | (out[:, 3] == x[:, 3])).all()
    assert (np.isin(out[:, 4], [0, 0.5, 1]) | (out[:, 4] == x[:, 4])).all()
    good = made.result_.success
    assert (out[good, 5] <= 0.9).all()


def test_metrics_by_name(estimator):
    xt, yt, x = data()
    try:
        names = register_with_art(xt, yt, **QUICK)
        for name in names:
            assert 0 < empirical_robustness(estimator, x, name) < 2
            assert adversarial_accuracy(estimator, x, attack_name=name) == 0
    finally:
        unregister_from_art()


def test_the_analysis(estimator):
    xt, yt, x = data()
    report = counterfactual_robustness(estimator, x, x_train=xt, y_train=yt, attack_params=QUICK)
    assert report.N.sum() >= 0.9 * report.attempts.sum()


@pytest.mark.parametrize("kind", ["torch", "xgboost", "pipeline"])
def test_auto_attack_with_both_attacks(kind):
    pytest.importorskip("multiprocess", reason="ART's AutoAttack imports it")
    made = make_estimator(kind)
    xt, yt, x = data()
    attacks = [
        UnconstrainedCounterfactual(made, xt, yt, **QUICK),
        BoundaryCounterfactual(made, xt, yt, **QUICK),
    ]
    own = labels(made, x)
    out = AutoAttack(made, norm=2, eps=10.0, attacks=attacks).generate(x, own)
    assert (labels(made, out) != own).all()
    short = AutoAttack(made, norm=2, eps=1e-6, attacks=attacks).generate(x, own)
    assert np.array_equal(short, x)  # nothing is as near as that


def test_arts_adversarial_trainer_with_two_attacks():
    made = make_estimator("torch")
    xt, yt, x = data()
    attacks = [
        make(made, xt, yt, **{**QUICK, "max_rows": 60})
        for make in (UnconstrainedCounterfactual, BoundaryCounterfactual)
    ]
    trainer = AdversarialTrainer(made, attacks=attacks, ratio=0.5)
    trainer.fit(xt[:64], to_categorical(yt[:64], CLASSES), nb_epochs=2, batch_size=32)
    assert trainer.predict(x).shape == (len(x), CLASSES)
    assert attacks[0].result_ is not None and attacks[1].result_ is not None
