"""The attacks as ART's users meet them: contract, bad input, every kind of classifier."""

from __future__ import annotations

import importlib
import logging

import numpy as np
import pytest
from art.attacks.evasion import AutoAttack
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from art.exceptions import EstimatorError
from art.metrics import adversarial_accuracy, empirical_robustness
from art.metrics.metrics import SUPPORTED_METHODS
from art.utils import to_categorical
from attack_models import cancer, classifier, wine

import art_bridge
from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
from art_bridge.register import register_with_art, unregister_from_art

ATTACKS = (UnconstrainedCounterfactual, BoundaryCounterfactual)
QUICK = {"population": 16, "generations": 6, "max_rows": 600}


def rows(n=12, data="cancer"):
    """Return rows the models were not trained on."""
    x, y = cancer() if data == "cancer" else wine()
    return x[1 : 2 * n : 2].copy(), y[1 : 2 * n : 2]


def train(data="cancer"):
    x, y = cancer() if data == "cancer" else wine()
    return x[::2], y[::2]


def attack(kind="gb", data="cancer", make=UnconstrainedCounterfactual, clip_values=(0, 1), **more):
    return make(classifier(kind, data, clip_values), *train(data), **{**QUICK, **more})


def labels(made, x):
    """Return strict labels, -1 for a tie."""
    scores = made.estimator.predict(x)
    ordered = np.sort(scores, axis=1)
    return np.where(ordered[:, -1] > ordered[:, -2], scores.argmax(axis=1), -1)


# -- ART's contract ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", ATTACKS)
@pytest.mark.parametrize("kind", ["gb", "rf", "tree", "lr", "svc", "nn", "pipeline"])
def test_every_row_is_fooled(make, kind):
    x, _ = rows()
    before = x.copy()
    made = attack(kind, make=make)
    out = made.generate(x)
    assert np.array_equal(x, before)
    assert out.dtype == np.float32 and out.shape == x.shape
    assert not np.shares_memory(out, x)
    assert (out >= 0).all() and (out <= 1).all()
    result = made.result_
    assert result.success.all()
    own = labels(made, x)
    assert (labels(made, out) == result.target).all() and (result.target != own).all()
    assert np.allclose(result.distance, np.linalg.norm(out.astype(float) - x, axis=1))
    assert (result.rows > 0).all() and (result.rows <= 600).all()
    assert sum(result.reason_counts.values()) == len(x)


@pytest.mark.parametrize("mode", ["fast", "faithful"])
def test_modes_and_default_budgets(mode):
    x, _ = rows(4)
    made = UnconstrainedCounterfactual(classifier("gb"), *train(), mode=mode)
    out = made.generate(x)
    assert (labels(made, out) != labels(made, x)).all()
    assert (made.result_.rows <= (3000 if mode == "fast" else 5000)).all()
    assert (made.result_.rows >= (1500 if mode == "fast" else 5000)).all()


def test_only_the_fast_mode_sweeps_the_model_and_tells_what_it_took():
    x, _ = rows(2)
    size = len(train()[0])
    taken = {}
    for name, extra in {
        "fast": {},
        "first": {"minimal": False},
        "faithful": {"mode": "faithful", "population": 8, "generations": 2},
    }.items():
        made = UnconstrainedCounterfactual(classifier("gb"), *train(), **extra)
        made.generate(x)
        taken[name] = made.result_.reference_rows
    assert size < taken["fast"] <= size + 4000
    assert taken["first"] == taken["faithful"] == size


def test_labels_in_all_of_arts_forms_are_the_same():
    x, _ = rows(data="wine")
    made = attack("gb", "wine", targeted=True)
    y = (labels(made, x) + 1) % 3
    outs = [made.generate(x, form) for form in (y, y[:, None], to_categorical(y, 3), y.tolist())]
    assert all(np.array_equal(outs[0], out) for out in outs)
    assert (labels(made, outs[0]) == y).all()


def test_untargeted_is_the_nearest_of_all_other_classes():
    x, _ = rows(data="wine")
    made = attack("gb", "wine", p=0.0)
    made.generate(x)
    nearest, target = made.result_.distance, made.result_.target
    own = labels(made, x)
    each = attack("gb", "wine", targeted=True, p=0.0)
    distances = np.full((len(x), 3), np.inf)
    for label in range(3):
        some = own != label
        each.generate(x[some], np.full(some.sum(), label))
        distances[some, label] = np.where(each.result_.success, each.result_.distance, np.inf)
    assert np.array_equal(distances.argmin(axis=1), target)
    assert np.allclose(distances.min(axis=1), nearest)


def test_untargeted_with_true_labels_leaves_what_is_wrong_already():
    x, _ = rows()
    made = attack()
    own = labels(made, x)
    y = own.copy()
    y[:3] = 1 - y[:3]
    out = made.generate(x, y)
    assert np.array_equal(out[:3], x[:3])
    assert made.result_.reason[:3].tolist() == ["already"] * 3
    assert made.result_.success.all() and (made.result_.distance[:3] == 0).all()
    assert (labels(made, out)[3:] != own[3:]).all()


def test_targeted_rows_that_are_there_already():
    x, _ = rows()
    made = attack(targeted=True)
    out = made.generate(x, labels(made, x))
    assert np.array_equal(out, x)
    assert made.result_.reason_counts == {"already": len(x)}


def test_a_row_at_the_border_is_there_only_where_it_is_so_in_any_batch():
    # The lead of class 1 is a last digit, and another one in another call.
    def predict(x):
        lead = 1e-7 if len(x) % 2 else -1e-7
        high = np.where(x[:, 0] == 0.5, 0.5 + lead, x[:, 0])
        return np.column_stack([1 - high, high]).astype(np.float32)

    x = np.full((3, 8), 0.5, dtype=np.float32)
    for target in (0, 1):
        made = UnconstrainedCounterfactual(black_box(predict), *train(), targeted=True, **QUICK)
        out = made.generate(x, np.full(3, target))
        assert made.result_.success.all() and "already" not in made.result_.reason
        for n in (1, 2, 3):
            assert (predict(out[:n]).argmax(axis=1) == target).all()


def test_split_and_seed():
    x, _ = rows(data="wine")
    made = attack("nn", "wine")
    whole = made.generate(x)
    parts = np.concatenate([made.generate(part) for part in (x[:1], x[1:5], x[5:])])
    assert np.array_equal(whole, parts)
    assert np.array_equal(attack("nn", "wine", batch_size=50).generate(x), whole)
    trees = [attack("gb", "wine", random_state=seed).generate(x) for seed in (0, 0, 7)]
    assert np.array_equal(*trees[:2]) and not np.array_equal(*trees[1:])


def test_p_and_what_cannot_be_reached():
    x, _ = rows()
    made = attack("lr", p=0.9)
    out = made.generate(x)
    good = made.result_.reason == "found"
    assert good.any()
    scores = made.estimator.predict(out)
    assert (scores.max(axis=1)[good] >= 0.9 - 1e-5).all()
    made = attack("gb", p=1.0)
    made.generate(x)
    assert made.result_.success.all()
    assert made.result_.reason_counts == {"p_not_reached": len(x)}


def test_the_border_has_probability_p():
    x, _ = rows()
    for p in (0.5, 0.8):
        made = attack("lr", make=BoundaryCounterfactual, p=p, pick="lexicographic")
        out = made.generate(x)
        assert np.allclose(made.estimator.predict(out).max(axis=1), p, atol=0.01)
    near = attack("lr", make=BoundaryCounterfactual)
    near.generate(x)
    assert (np.abs(near.result_.probability - 0.5) <= 0.05 + 1e-6).all()


def test_the_papers_border():
    x, _ = rows()
    kinds = {"pick": "lexicographic", "boundary_target": "paper"}
    made = attack("lr", make=BoundaryCounterfactual, **kinds)
    out = made.generate(x)
    before, after = (made.estimator.predict(r).max(axis=1) for r in (x, out))
    assert np.corrcoef(before, after)[0, 1] > 0.95


def test_minimal():
    x, _ = rows()
    first, best = attack(minimal=False), attack()
    first.generate(x)
    best.generate(x)
    assert first.result_.success.all()
    assert (first.result_.rows < best.result_.rows).all()
    assert (first.result_.distance >= best.result_.distance).all()


@pytest.mark.parametrize("norm", [1, 2, np.inf, "inf"])
def test_norms(norm):
    x, _ = rows(4)
    made = attack(norm=norm)
    out = made.generate(x)
    order = np.inf if norm == "inf" else norm
    length = np.linalg.norm(out.astype(float) - x, ord=order, axis=1)
    assert np.allclose(made.result_.distance, length)


@pytest.mark.parametrize("form", ["whole", "column", "integer"])
def test_a_mask_holds(form):
    x, _ = rows()
    mask = np.ones(x.shape[1])
    mask[[0, 2, 3]] = 0
    whole = {"whole": np.tile(mask, (len(x), 1)), "column": mask, "integer": mask.astype(int)}
    made = attack()
    out = made.generate(x, mask=whole[form])
    assert np.array_equal(out[:, [0, 2, 3]], x[:, [0, 2, 3]])
    assert made.result_.success.any()
    failed = ~made.result_.success
    assert np.array_equal(out[failed], x[failed])


def test_starts():
    x, _ = rows()
    first = attack()
    out = first.generate(x)
    again = attack(random_state=9)
    again.generate(x, x_adv_init=out)
    assert (again.result_.distance <= first.result_.distance + 1e-6).all()
    holes = out.copy()
    holes[0] = np.nan
    again.generate(x, x_adv_init=holes)
    assert again.result_.success.all()


def test_no_rows():
    made = attack()
    out = made.generate(np.empty((0, 8), np.float32))
    assert out.shape == (0, 8) and out.dtype == np.float32
    assert made.result_.reason_counts == {}


def test_constraints_as_a_mapping():
    x, _ = rows()
    made = attack(constraints={"immutable": [1], "increasing": [0], "steps": {2: 0.05}})
    out = made.generate(x).astype(float)
    assert np.array_equal(out[:, 1], x[:, 1]) and (out[:, 0] >= x[:, 0]).all()
    low = train()[0][:, 2].min()
    steps = (out[:, 2] - low) / 0.05
    assert (np.abs(steps - np.rint(steps)) < 1e-4)[out[:, 2] != x[:, 2]].all()


def test_set_params_and_repr():
    made = attack()
    made.set_params(p=0.7, minimal=True, targeted=True, norm=1)
    assert made.p == 0.7 and made.targeted and "p=0.7" in repr(made)
    with pytest.raises(ValueError, match="cannot be set"):
        made.set_params(eps=1)
    with pytest.raises(ValueError, match="p must be"):
        made.set_params(p=2)


def test_progress_only_where_asked(capsys):
    x, _ = rows(2)
    attack().generate(x)
    assert capsys.readouterr() == ("", "")
    attack(verbose=True).generate(x)
    assert "UnconstrainedCounterfactual" in capsys.readouterr().err


# -- inside ART -------------------------------------------------------------------------------


def test_metrics_by_name():
    x, _ = rows()
    known = dict(SUPPORTED_METHODS)
    try:
        names = register_with_art(*train(), **QUICK)
        model = classifier("gb")
        near = [empirical_robustness(model, x, name) for name in names]
        assert all(0 < value < 1 for value in near) and near[0] <= near[1] + 1e-6
        assert adversarial_accuracy(model, x, attack_name=names[0]) == 0
        far = empirical_robustness(model, x, names[0], attack_params={"p": 0.6})
        assert far > near[0]
        with pytest.raises(ValueError, match=r"no parameter \['eps'\]"):
            register_with_art(eps=1)
    finally:
        unregister_from_art()
    assert dict(SUPPORTED_METHODS) == known


def test_metrics_without_training_rows():
    x, _ = rows(4)
    try:
        register_with_art(**QUICK)
        assert empirical_robustness(classifier("gb"), x, "unconstrained_counterfactual") > 0
    finally:
        unregister_from_art()


def test_adversarial_accuracy_with_an_object():
    x, y = rows()
    assert adversarial_accuracy(classifier("gb"), x, y, attack_crafter=attack()) == 0


def test_auto_attack():
    pytest.importorskip("multiprocess", reason="AutoAttack imports it")
    x, y = rows()
    made = attack("lr")
    auto = AutoAttack(made.estimator, norm=2, eps=10.0, attacks=[made])
    out = auto.generate(x, y)
    right = labels(made, x) == y
    assert (labels(made, out)[right] != y[right]).all()


@pytest.fixture
def network(torch):
    def make(outputs=2, activation=None, shape=(8,)):
        torch.manual_seed(0)
        layers = [torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), 16), torch.nn.ReLU()]
        layers += [torch.nn.Linear(16, outputs)] + ([activation] if activation else [])
        model = torch.nn.Sequential(*layers)
        made = PyTorchClassifier(
            model,
            loss=torch.nn.CrossEntropyLoss(),
            optimizer=torch.optim.Adam(model.parameters(), lr=0.05),
            input_shape=shape,
            nb_classes=outputs,
            clip_values=(0, 1),
            device_type="cpu",
        )
        x, y = train()
        made.fit(x.reshape(-1, *shape), y, nb_epochs=15, batch_size=64)
        return made

    return make


def test_pytorch_logits_are_read_as_probabilities(network):
    model = network()
    assert np.abs(model.predict(rows()[0])).max() > 1.5  # logits indeed
    x, _ = rows()
    made = UnconstrainedCounterfactual(model, *train(), p=0.6, **QUICK)
    out = made.generate(x)
    assert (labels(made, out) != labels(made, x)).all()
    assert ((made.result_.probability >= 0.6) & (made.result_.probability < 0.9)).all()
    parts = np.concatenate([made.generate(part) for part in (x[:5], x[5:])])
    assert np.array_equal(parts, out)


def test_two_sigmoids(network, torch):
    model = network(activation=torch.nn.Sigmoid())
    x, _ = rows()
    made = UnconstrainedCounterfactual(model, *train(), **QUICK)
    assert (labels(made, made.generate(x)) != labels(made, x)).all()


def test_rows_of_any_shape(network):
    model = network(shape=(1, 2, 4))
    x, _ = rows()
    x = x.reshape(-1, 1, 2, 4)
    xt, yt = train()
    made = UnconstrainedCounterfactual(model, xt.reshape(-1, 1, 2, 4), yt, **QUICK)
    mask = np.ones((2, 4))
    mask[0, 0] = 0
    out = made.generate(x, mask=mask)
    assert out.shape == x.shape and np.array_equal(out[:, :, 0, 0], x[:, :, 0, 0])
    assert made.result_.success.all()


def test_arts_adversarial_trainer(network):
    model = network()
    x, y = train()
    made = UnconstrainedCounterfactual(model, x, y, minimal=False, **QUICK)
    trainer = AdversarialTrainer(model, attacks=made, ratio=0.5)
    trainer.fit(x[:64], to_categorical(y[:64], 2), nb_epochs=1, batch_size=32)
    assert made.result_.success.any()


def test_black_box_is_asked_in_whole_batches():
    model, sizes = classifier("gb"), []

    def predict(x):
        sizes.append(len(x))
        return model.predict(x)

    box = BlackBoxClassifier(predict, (8,), 2, clip_values=(0, 1))
    made = UnconstrainedCounterfactual(box, *train(), **QUICK)
    x, _ = rows(40)
    assert made.generate(x).shape == x.shape and made.result_.success.all()
    assert max(sizes) > 200  # ART's own pieces have 128 rows


@pytest.mark.parametrize("make", ATTACKS)
def test_a_model_that_answers_labels_only(make):
    model = classifier("rf")
    labelled = black_box(lambda x: to_categorical(model.predict(x).argmax(axis=1), 2))
    x, _ = rows()
    made = make(labelled, *train(), **QUICK)
    assert (labels(made, made.generate(x)) != labels(made, x)).all()


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_boosting_libraries(name):
    pytest.importorskip(name)
    from art.estimators.classification import (
        CatBoostARTClassifier,
        LightGBMClassifier,
        XGBoostClassifier,
    )

    x, y = train("wine")
    if name == "xgboost":
        model = importlib.import_module("xgboost").XGBClassifier(n_estimators=20, n_jobs=1)
        made = XGBoostClassifier(model.fit(x, y), nb_features=13, nb_classes=3, clip_values=(0, 1))
    elif name == "lightgbm":
        lightgbm = importlib.import_module("lightgbm")
        options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
        booster = lightgbm.train(options, lightgbm.Dataset(x, label=y), num_boost_round=20)
        made = LightGBMClassifier(booster, clip_values=(0, 1))
    else:
        model = importlib.import_module("catboost").CatBoostClassifier(iterations=20, verbose=0)
        made = CatBoostARTClassifier(model.fit(x, y), nb_features=13, clip_values=(0, 1))
    crafter = UnconstrainedCounterfactual(made, x, y, **QUICK)
    queries, _ = rows(6, "wine")
    out = crafter.generate(queries)
    assert (labels(crafter, out) != labels(crafter, queries)).all()


# -- bounds -----------------------------------------------------------------------------------


def test_clip_values_per_feature_and_none():
    x, _ = rows()
    xt, _ = train()
    low, high = xt.min(axis=0), xt.max(axis=0)
    for clip in ((low, high), None):
        x_in = np.clip(x, low, high)
        made = attack("gb", clip_values=clip)
        out = made.generate(x_in)
        assert (out >= low).all() and (out <= high).all() and made.result_.success.all()


def test_a_row_beyond_the_training_data_keeps_its_values():
    x, _ = rows(4)
    x[:, 7] = 1.5
    made = attack("gb", clip_values=None)
    out = made.generate(x)
    assert (out[:, 7] <= 1.5).all() and made.result_.success.any()


def test_clip_values_that_exclude_x():
    x, _ = rows(4)
    made = attack("gb", clip_values=(0, 0.1))
    with pytest.raises(ValueError, match=r"x\[\d+\] has .* outside the estimator's clip_values"):
        made.generate(x)


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ATTACKS)
def test_no_classifier(make):
    with pytest.raises(EstimatorError):
        make(lambda x: x, *train())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"p": 1.2}, "p must be a number from 0 to 1"),
        ({"p": True}, "p must be"),
        ({"p": float("nan")}, "p must be"),
        ({"targeted": 1}, "targeted must be True or False"),
        ({"minimal": "no"}, "minimal must be"),
        ({"verbose": 1}, "verbose must be"),
        ({"norm": 3}, "norm must be"),
        ({"norm": True}, "norm must be"),
        ({"mode": "slow"}, "mode must be"),
        ({"pick": "first"}, "pick must be"),
        ({"population": 3}, "population must be a whole number of at least 4"),
        ({"generations": 0}, "generations must be"),
        ({"generations": 2.5}, "generations must be"),
        ({"max_rows": 0}, "max_rows must be"),
        ({"max_seconds": -1}, "max_seconds must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"random_state": None}, "random_state must be"),
        ({"constraints": [1]}, "constraints must be"),
        ({"constraints": {"frozen": [1]}}, "constraints: .*frozen"),
        ({"constraints": {"immutable": [8]}}, "columns are numbered 0 to 7"),
        ({"constraints": {"increasing": [0], "decreasing": [0]}}, "increasing and decreasing"),
        ({"x_train": np.full((4, 8), np.nan)}, "x_train holds NaN"),
        ({"x_train": np.empty((0, 8))}, "x_train has no rows"),
        ({"x_train": np.zeros(8)}, r"x_train has shape \(8,\)"),
        ({"x_train": [["a"] * 8]}, "x_train must be an array of numbers"),
        ({"x_train": None}, "y_train is given without x_train"),
        ({"y_train": np.zeros(285)}, "y_train holds a single class"),
        ({"y_train": np.arange(285)}, "y_train holds 2, which is no class"),
        ({"y_train": np.zeros(3)}, r"y_train has shape \(3,\)"),
    ],
)
def test_bad_parameters(options, text):
    xt, yt = train()
    assert len(xt) == 285
    with pytest.raises(ValueError, match=text):
        UnconstrainedCounterfactual(classifier("gb"), **{"x_train": xt, "y_train": yt, **options})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"boundary_target": "0.5"}, "boundary_target must be"),
        ({"boundary_tolerance": -0.1}, "boundary_tolerance must be"),
    ],
)
def test_bad_parameters_of_the_border(options, text):
    with pytest.raises(ValueError, match=text):
        BoundaryCounterfactual(classifier("gb"), *train(), **options)
    with pytest.raises(TypeError, match="eps"):
        BoundaryCounterfactual(classifier("gb"), *train(), eps=1)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, "y is missing: a targeted attack needs"),
        (np.full(12, 2), "y holds 2, which is no class; classes are 0 to 1"),
        (np.full(12, -1), "y holds -1"),
        (np.full(12, 0.5), "y holds 0.5"),
        (np.full(12, np.nan), "y holds nan"),
        (np.zeros(5, int), r"y has shape \(5,\)"),
        (np.zeros((12, 3)), r"y has shape \(12, 3\)"),
        (np.zeros((12, 2)), "rows without a class"),
        (np.array(["a"] * 12), "y must hold numbers"),
    ],
)
def test_bad_labels(y, text):
    made = attack(targeted=True)
    with pytest.raises(ValueError, match=text):
        made.generate(rows()[0], y)
    assert made.result_ is None


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"mask": np.ones(5)}, r"mask has shape \(5,\)"),
        ({"mask": np.full(8, np.nan)}, "mask holds NaN"),
        ({"mask": np.array(["a"] * 8)}, "mask must hold numbers"),
        ({"x_adv_init": np.zeros((3, 8))}, "x_adv_init has 3 rows"),
        ({"x_adv_init": np.zeros((12, 7))}, "x_adv_init has rows of shape"),
    ],
)
def test_bad_keywords(keywords, text):
    with pytest.raises(ValueError, match=text):
        attack().generate(rows()[0], **keywords)


@pytest.mark.parametrize("shape", [(8,), (3, 7), (3, 0)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="x has"):
        attack().generate(np.zeros(shape))


def test_rows_with_nan_and_infinity_stay_and_are_counted():
    x, _ = rows()
    clean = attack().generate(x)
    x[1, 2], x[4, 0], x[5, 1] = np.nan, np.inf, -np.inf
    made = attack()
    out = made.generate(x)
    bad = [1, 4, 5]
    assert np.array_equal(out[bad], x[bad], equal_nan=True)
    assert made.result_.reason[bad].tolist() == ["not_finite"] * 3
    good = np.setdiff1d(np.arange(12), bad)
    assert np.array_equal(out[good], clean[good])


def black_box(predict, n_classes=2, clip_values=(0, 1)):
    return BlackBoxClassifier(predict, (8,), n_classes, clip_values=clip_values)


def test_a_model_that_returns_nan():
    x, _ = rows()
    made = UnconstrainedCounterfactual(
        black_box(lambda rows: np.full((len(rows), 2), np.nan)), train()[0], **QUICK
    )
    out = made.generate(x)
    assert np.array_equal(out, x)
    assert made.result_.reason_counts == {"model_nan": 12}


def test_a_class_that_is_never_predicted(caplog):
    def predict(rows):
        return np.tile([0.2, 0.8], (len(rows), 1))

    x, _ = rows()
    made = UnconstrainedCounterfactual(black_box(predict), *train(), **QUICK)
    with caplog.at_level(logging.INFO, "art_bridge.attack_base"):
        out = made.generate(x)
    assert np.array_equal(out, x) and made.result_.reason_counts == {"not_found": 12}
    assert "12 of 12 rows have no counterfactual" in caplog.text


def test_everything_masked():
    x, _ = rows()
    made = attack()
    assert np.array_equal(made.generate(x, mask=np.zeros(8)), x)
    assert made.result_.reason_counts == {"nothing_can_change": 12}
    mask = np.ones(x.shape)
    mask[3] = 0
    made.generate(x, mask=mask)
    assert made.result_.reason[3] == "nothing_can_change" and made.result_.success.sum() == 11


def test_constant_features():
    xt, yt = train()
    xt = xt.copy()
    xt[:, 4] = 0.5
    x, _ = rows()
    x[:, 4] = 0.5
    made = UnconstrainedCounterfactual(classifier("gb", clip_values=None), xt, yt, **QUICK)
    out = made.generate(x)
    assert (out[:, 4] == 0.5).all() and made.result_.success.any()


def test_a_single_class():
    one = black_box(lambda rows: np.ones((len(rows), 1)))
    one._nb_classes = 1  # ART's own check does not let it be set
    with pytest.raises(ValueError, match="single class"):
        UnconstrainedCounterfactual(one, train()[0]).generate(rows()[0])


def test_scores_of_another_shape():
    made = classifier("gb")
    made.nb_classes = 3
    with pytest.raises(ValueError, match="one score for each of its 3 classes"):
        UnconstrainedCounterfactual(made, train()[0]).generate(rows()[0])


def test_no_bounds_at_all():
    with pytest.raises(ValueError, match="the search has no bounds"):
        UnconstrainedCounterfactual(classifier("gb", clip_values=None)).generate(rows()[0])


def test_time_runs_out_for_a_call():
    made = attack(max_seconds=0, batch_size=32)
    x, _ = rows()
    out = made.generate(x)
    reasons = made.result_.reason_counts
    assert reasons.get("out_of_time", 0) > 0
    failed = ~made.result_.success
    assert np.array_equal(out[failed], x[failed])


def test_a_model_that_changes_its_mind(caplog):
    calls = []

    def predict(rows):
        calls.append(0)
        p = np.clip(rows[:, :1] * (1 if len(calls) < 40 else 0), 0, 1)
        return np.hstack([1 - p, p])

    x, _ = rows()
    x[:, 0] = 0.2
    made = UnconstrainedCounterfactual(black_box(predict), train()[0], **QUICK)
    out = made.generate(x)
    failed = ~made.result_.success
    assert np.array_equal(out[failed], x[failed])
    assert (made.result_.reason[failed] != "found").all()


def test_a_failed_call_changes_nothing():
    made = attack()
    x, _ = rows(3)
    made.generate(x)
    before = made.result_
    with pytest.raises(ValueError, match="mask"):
        made.generate(x, mask=np.ones(3))
    assert made.result_ is before


# -- the package ------------------------------------------------------------------------------


def test_lazy_names_and_registry():
    from dice_extended_plugin.plugins import get_registry

    assert art_bridge.UnconstrainedCounterfactual is UnconstrainedCounterfactual
    assert set(art_bridge.__all__) <= set(dir(art_bridge))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        art_bridge.nothing  # noqa: B018
    registry = get_registry()
    load = registry.load("art_attack", "unconstrained_counterfactual")
    assert load is UnconstrainedCounterfactual
    for name in art_bridge.__all__:
        assert getattr(art_bridge, name) is not None
