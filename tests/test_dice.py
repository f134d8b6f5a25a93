"""The factory, enable() and upgrade(): ours where asked for, dice-ml unchanged everywhere else."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402
import dice_ml.dice  # noqa: E402
from dice_ml import Dice as DiceBoundBefore  # noqa: E402  (what other packages do at import)
from dice_ml.explainer_interfaces.dice_genetic import DiceGenetic  # noqa: E402
from dice_ml.explainer_interfaces.dice_KD import DiceKD  # noqa: E402
from dice_ml.explainer_interfaces.dice_pytorch import DicePyTorch  # noqa: E402
from dice_ml.explainer_interfaces.dice_random import DiceRandom  # noqa: E402
from raiutils.exceptions import UserConfigValidationException  # noqa: E402

from dice_extended_plugin import (  # noqa: E402
    Dice,
    DiceExtendedGenetic,
    DiceExtendedKD,
    DiceExtendedPyTorch,
    DiceExtendedRandom,
    disable,
    enable,
    upgrade,
)
from dice_extended_plugin.host import DiceInputError  # noqa: E402

QUICK = {"min_iter": 20, "max_iter": 30}
HOST_DICE, HOST_DECIDE = dice_ml.Dice, dice_ml.dice.decide


@pytest.fixture(autouse=True)
def dice_ml_as_it_was():
    """Every test leaves dice-ml unpatched, and never rebinds its factory class."""
    yield
    disable()
    assert dice_ml.dice.decide is HOST_DECIDE
    assert dice_ml.Dice is dice_ml.dice.Dice is HOST_DICE is DiceBoundBefore


@pytest.fixture
def model(fit):
    return dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")


@pytest.fixture(scope="module")
def sklearn_model(table):
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encode = ColumnTransformer(
        [("levels", OneHotEncoder(handle_unknown="ignore"), ["sex", "glucose", "cholesterol"])],
        remainder="passthrough",
    )
    pipeline = make_pipeline(encode, LogisticRegression(max_iter=2000))
    pipeline.fit(table.drop(columns="progression"), table["progression"])
    return dice_ml.Model(model=pipeline, backend="sklearn")


# -- the factory ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [(), ("auto",), ("gradient",), ("extended-gradient",)])
def test_differentiable_models_get_ours(data, model, method):
    ours = Dice(data, model, *method)
    assert type(ours) is DiceExtendedPyTorch
    assert isinstance(ours, DicePyTorch)


def test_keywords_reach_ours(data, model):
    ours = Dice(data, model, method="gradient", robustness=None, random_state=9, report_draws=3)
    assert (ours.defaults["robustness"], ours.defaults["random_state"]) == (None, 9)
    assert ours.report_draws == 3
    with pytest.raises(TypeError, match="robustnes"):
        Dice(data, model, method="gradient", robustnes="dice")


WITHOUT_GRADIENT = [
    ("random", DiceRandom, DiceExtendedRandom),
    ("genetic", DiceGenetic, DiceExtendedGenetic),
    ("kdtree", DiceKD, DiceExtendedKD),
]


@pytest.mark.parametrize(("method", "theirs", "ours"), WITHOUT_GRADIENT)
def test_methods_without_gradient_are_ours_and_dice_mls(data, sklearn_model, method, theirs, ours):
    made = Dice(data, sklearn_model, method, robustness=None)
    assert type(made) is ours and isinstance(made, theirs)
    assert type(dice_ml.Dice(data, sklearn_model, method=method)) is theirs


def test_blocked_methods_are_dice_mls_own(data, sklearn_model, monkeypatch):
    from dice_extended_plugin import plugins

    monkeypatch.setenv(plugins.BLOCK_VARIABLE, "dice_extended_plugin")
    plugins.reset()
    try:
        for method, theirs, _ in WITHOUT_GRADIENT:
            assert type(Dice(data, sklearn_model, method=method)) is theirs
            with pytest.raises(DiceInputError, match=r"robustness.*leave them out"):
                Dice(data, sklearn_model, method=method, robustness="dice")
    finally:
        monkeypatch.undo()
        plugins.reset()


def test_sklearn_models_get_dice_mls_default_method(data, sklearn_model):
    assert type(Dice(data, sklearn_model)) is DiceExtendedRandom
    assert type(dice_ml.Dice(data, sklearn_model)) is DiceRandom


def test_gradient_for_sklearn_is_refused_as_in_dice_ml(data, sklearn_model):
    with pytest.raises(UserConfigValidationException, match="differentiable"):
        Dice(data, sklearn_model, method="gradient")


def test_a_kd_tree_needs_a_table(sklearn_model):
    private = dice_ml.Data(features={"age": [1, 9], "sex": ["a", "b"]}, outcome_name="y")
    with pytest.raises(UserConfigValidationException, match=r"^Private data.*: .*training rows"):
        Dice(private, sklearn_model, method="kdtree")


@pytest.mark.parametrize(
    ("method", "near"), [("gradeint", "gradient"), ("gradients", "gradient"), ("nope", "gradient")]
)
def test_an_unknown_method_is_named_with_those_that_exist(data, model, method, near):
    with pytest.raises(DiceInputError) as caught:
        Dice(data, model, method=method)
    text = str(caught.value)
    assert isinstance(caught.value, UserConfigValidationException)
    assert repr(method) in text and near in text
    assert all(name in text for name in ("random", "genetic", "kdtree"))
    assert ("did you mean 'gradient'" in text) == (method != "nope")


def test_none_is_dice_mls_way_to_custom_back_ends(data, fit):
    custom = {
        "model": "pytorch_model.PyTorchModel",
        "explainer": "dice_pytorch.DicePyTorch",
    }
    model = dice_ml.Model(model=fit(1), backend=custom, func="ohe-min-max")
    assert type(Dice(data, model, method=None)) is DicePyTorch
    with pytest.raises(DiceInputError, match="noise"):
        Dice(data, model, method=None, noise=None)
    assert type(dice_ml.Dice(data, model)) is DiceRandom
    assert type(Dice(data, model)) is DiceExtendedRandom


# -- enable and disable ---------------------------------------------------------------------------


def unknown(data, model) -> bool:
    """Whether dice-ml refuses our name."""
    try:
        DiceBoundBefore(data, model, method="extended-gradient")
    except UserConfigValidationException:
        return True
    return False


def test_enable_answers_new_names_only(data, model, sklearn_model):
    assert unknown(data, model)
    enable()
    assert type(DiceBoundBefore(data, model, method="extended-gradient")) is DiceExtendedPyTorch
    assert type(DiceBoundBefore(data, model, method="gradient")) is DicePyTorch
    for method, kind in (("random", DiceRandom), ("genetic", DiceGenetic), ("kdtree", DiceKD)):
        assert type(DiceBoundBefore(data, sklearn_model, method=method)) is kind
    assert type(DiceBoundBefore(data, sklearn_model)) is DiceRandom
    for method, _, ours in WITHOUT_GRADIENT:
        assert type(DiceBoundBefore(data, sklearn_model, method=f"extended-{method}")) is ours
    for method in ("nope", "extended-nope", "extended-"):
        with pytest.raises(UserConfigValidationException, match="Unsupported"):
            DiceBoundBefore(data, model, method=method)
    with pytest.raises(UserConfigValidationException):
        DiceBoundBefore(data, sklearn_model, method="extended-gradient")
    disable()
    assert unknown(data, model)


def test_enabled_explainers_work_without_keywords(data, model, queries):
    """What a dashboard can do: a method string, and dice-ml's own arguments."""
    with enable():
        theirs = DiceBoundBefore(data, model, method="extended-gradient")
    found = theirs.generate_counterfactuals(queries[:2], 2, desired_class="opposite")
    assert found.status == ["ok", "ok"]
    assert theirs.defaults["robustness"] == "dice"


def test_enable_and_disable_are_idempotent(data, model):
    enable(), enable()
    first = dice_ml.dice.decide
    enable()
    assert dice_ml.dice.decide is first
    disable()
    assert dice_ml.dice.decide is HOST_DECIDE
    disable(), disable()
    assert dice_ml.dice.decide is HOST_DECIDE
    assert unknown(data, model)
    enable()
    assert not unknown(data, model)


def test_the_context_manager_limits_it_to_a_block(data, model):
    with enable():
        assert not unknown(data, model)
    assert unknown(data, model)
    with pytest.raises(RuntimeError, match="mine"), enable():
        raise RuntimeError("mine")
    assert dice_ml.dice.decide is HOST_DECIDE


def test_blocks_can_be_nested(data, model):
    with enable():
        with enable():
            assert not unknown(data, model)
        assert not unknown(data, model)
    assert unknown(data, model)
    enable()
    with enable():
        pass
    assert not unknown(data, model)


def test_chained_around_somebody_elses_wrapper(data, model, monkeypatch):
    seen = []

    def theirs(model_interface, method):
        seen.append(method)
        return HOST_DECIDE(model_interface, method)

    monkeypatch.setattr(dice_ml.dice, "decide", theirs)
    with enable():
        assert type(DiceBoundBefore(data, model, method="gradient")) is DicePyTorch
        assert seen == ["gradient"]
        assert not unknown(data, model)
        assert seen == ["gradient"]
    assert dice_ml.dice.decide is theirs
    monkeypatch.undo()


def test_somebody_elses_wrapper_around_ours_survives_disable(data, model, monkeypatch):
    enable()
    inner = dice_ml.dice.decide
    seen = []

    def theirs(model_interface, method):
        seen.append(method)
        return inner(model_interface, method)

    dice_ml.dice.decide = theirs
    try:
        assert not unknown(data, model)
        disable()
        assert dice_ml.dice.decide is theirs
        assert unknown(data, model)  # ours passes everything on
        assert type(DiceBoundBefore(data, model, method="gradient")) is DicePyTorch
        enable()
        assert not unknown(data, model)
        assert dice_ml.dice.decide is theirs
        assert len(seen) == 4
    finally:
        dice_ml.dice.decide = inner
    disable()
    assert dice_ml.dice.decide is HOST_DECIDE


def test_the_facade_works_while_enabled(data, model, sklearn_model):
    with enable():
        assert type(Dice(data, model)) is DiceExtendedPyTorch
        assert type(Dice(data, sklearn_model, "random")) is DiceExtendedRandom
        with pytest.raises(DiceInputError, match="dice-ml's own methods are"):
            Dice(data, model, method="nope")


def test_a_plugins_name_is_answered(data, model):
    from dice_extended_plugin import Component, plugins

    plugins.reset()
    plugins.get_registry().add(
        Component(
            "dice_method", "mine", "dice_extended_plugin.explainers.pytorch:DiceExtendedPyTorch"
        )
    )
    plugins.get_registry().add(
        Component(
            "dice_method",
            "brute",
            "dice_extended_plugin.explainers.pytorch:DiceExtendedPyTorch",
            backends=("PYT",),
        )
    )
    try:
        assert type(Dice(data, model, method="mine")) is DiceExtendedPyTorch
        assert type(Dice(data, model, method="brute")) is DiceExtendedPyTorch
        with enable():
            assert type(DiceBoundBefore(data, model, method="mine")) is DiceExtendedPyTorch
            assert type(DiceBoundBefore(data, model, method="random")) is DiceRandom
            ours = DiceBoundBefore(data, model, method="extended-brute")
            assert type(ours) is DiceExtendedPyTorch
    finally:
        plugins.reset()


def test_enabling_from_many_threads():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: enable() if i % 2 else disable(), range(200)))
    disable()
    assert dice_ml.dice.decide is HOST_DECIDE


# -- upgrade --------------------------------------------------------------------------------------


def test_upgrade_in_place(data, model, queries, stock):
    theirs = stock()
    theirs.leftover = 1
    again = upgrade(theirs, robustness="validity", random_state=2, report_draws=8)
    assert again is theirs
    assert type(theirs) is DiceExtendedPyTorch
    assert not hasattr(theirs, "leftover")
    fresh = DiceExtendedPyTorch(data, model, robustness="validity", random_state=2, report_draws=8)
    assert vars(theirs).keys() == vars(fresh).keys()
    a, b = (e.generate_counterfactuals(queries[:2], 2, **QUICK) for e in (theirs, fresh))
    pd.testing.assert_frame_equal(a.to_frame(), b.to_frame())


def test_upgrade_after_use_forgets_the_old_state(stock, queries, explainer):
    theirs = stock()
    with suppress(UserConfigValidationException):  # finds nothing, and sets its state all the same
        theirs.generate_counterfactuals(queries[:1], 1, min_iter=2, max_iter=3)
    ours = upgrade(theirs, report_draws=32)
    pd.testing.assert_frame_equal(
        ours.generate_counterfactuals(queries[:2], 2, **QUICK).to_frame(),
        explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame(),
    )


def test_upgrading_ours_makes_it_anew(explainer):
    ours = explainer(robustness=None)
    assert upgrade(ours) is ours
    assert ours.defaults["robustness"] == "dice"


@pytest.mark.parametrize(
    "keywords", [{"robustness": "yes"}, {"noise": 3}, {"unknown": 1}, {"report_draws": -1}]
)
def test_a_failed_upgrade_leaves_the_object_as_it_was(stock, keywords):
    theirs = stock()
    before = dict(vars(theirs))
    data_before = copy.deepcopy(vars(theirs.data_interface))
    with pytest.raises((DiceInputError, TypeError)):
        upgrade(theirs, **keywords)
    assert type(theirs) is DicePyTorch
    assert vars(theirs).keys() == before.keys()
    assert all(vars(theirs)[name] is before[name] for name in before)
    for name, value in data_before.items():
        now = getattr(theirs.data_interface, name)
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, now)
        else:
            assert np.all(value == now), name


def test_a_failed_upgrade_of_a_model_we_refuse(stock):
    theirs = stock()
    theirs.model.transformer.func = len
    with pytest.raises(DiceInputError, match="cannot be differentiated"):
        upgrade(theirs)
    assert type(theirs) is DicePyTorch


@pytest.mark.parametrize(("method", "theirs", "ours"), WITHOUT_GRADIENT)
def test_upgrade_of_methods_without_gradient(data, sklearn_model, method, theirs, ours):
    made = dice_ml.Dice(data, sklearn_model, method=method)
    assert type(made) is theirs
    assert upgrade(made, robustness=None) is made and type(made) is ours
    assert made.defaults["robustness"] is None
    assert type(upgrade(made)) is ours


@pytest.mark.parametrize("thing", [None, "gradient", object()])
def test_there_is_nothing_to_upgrade_other_things_to(thing):
    with pytest.raises(DiceInputError, match=type(thing).__name__):
        upgrade(thing)
