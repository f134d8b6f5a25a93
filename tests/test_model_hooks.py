"""The hooks that a search calls: models that plugins adapt, columns that plugins add."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402

from dice_extended_plugin import DiceExtendedPyTorch, hookimpl  # noqa: E402
from dice_extended_plugin.host import DiceInputError  # noqa: E402
from dice_extended_plugin.plugins import get_manager  # noqa: E402

QUICK = {"min_iter": 30, "max_iter": 60}


@pytest.fixture
def register():
    """Return register(plugin); every plugin is taken off again."""
    manager, added = get_manager(), []

    def add(plugin):
        manager.register(plugin)
        added.append(plugin)
        return plugin

    yield add
    for plugin in added:
        manager.unregister(plugin)


class Foreign:
    """A model of a framework that dice-extended does not know."""

    def __init__(self, module):
        self.module = module


class Adapter:
    """Turns Foreign into a score function of two columns."""

    def __init__(self, differentiable=True):
        self.asked, self.rows, self.differentiable = [], [], differentiable

    @hookimpl
    def dice_extended_adapt_model(self, model, options):
        self.asked.append((type(model), dict(options)))
        if not isinstance(model, Foreign):
            return None

        def score(rows):
            self.rows.append(rows.shape)
            module = model.module.to(rows.dtype)
            p = module(rows if self.differentiable else rows.detach())
            module.float()
            return torch.cat([1 - p, p], 1)

        return score


def foreign(data, fit, **keywords):
    model = dice_ml.Model(model=Foreign(fit(1)), backend="PYT", func="ohe-min-max")
    return DiceExtendedPyTorch(data, model, **{"report_draws": 16, **keywords})


def test_an_adapted_model_gives_what_the_module_gives(data, fit, queries, register, explainer):
    adapter = register(Adapter())
    found = foreign(data, fit).generate_counterfactuals(queries[:4], 3)
    assert found.status == ["ok"] * 4
    table = found.to_frame()
    plain = explainer()
    rows = plain.model.transformer.transform(table[list(queries.columns)]).to_numpy(float)
    with torch.no_grad():
        own = fit(1)(torch.tensor(rows).float()).numpy()[:, 0]
    assert ((own > 0.5).astype(int) == table["progression"]).all()
    chosen = np.where(table["progression"] == 1, own, 1 - own)
    np.testing.assert_allclose(table["probability"], chosen, atol=1e-5)
    kind, options = adapter.asked[0]
    assert kind is Foreign
    assert options["differentiable"] is True
    assert options["n_features"] == 12
    assert isinstance(options["device"], str)
    assert {shape[1] for shape in adapter.rows} == {12}


def test_the_device_named_to_an_adapter_is_a_torch_device(data, fit, register):
    """The hook promises "torch device of the batch": "auto" is none."""
    adapter = register(Adapter())
    foreign(data, fit)
    for _, options in adapter.asked:
        torch.device(options["device"])


def test_modules_are_not_offered_to_adapters(explainer, queries, register):
    adapter = register(Adapter())
    explainer().generate_counterfactuals(queries[:1], 1, **QUICK)
    assert adapter.asked == []


def test_without_an_adapter_the_error_names_the_model(data, fit):
    with pytest.raises(DiceInputError, match=r"Foreign.*no plugin"):
        foreign(data, fit)


def test_the_first_adapter_with_an_answer_wins(data, fit, register):
    class Shy:
        @hookimpl
        def dice_extended_adapt_model(self, model):
            return None

    adapter = register(Adapter())
    register(Shy())  # asked first, being registered last
    foreign(data, fit)
    assert adapter.asked


def test_an_adapter_without_gradients_is_found_before_the_search(data, fit, queries, register):
    register(Adapter(differentiable=False))
    with pytest.raises(DiceInputError, match="gradient"):
        foreign(data, fit).generate_counterfactuals(queries[:2], 2, **QUICK)


def test_an_adapter_that_raises_in_a_call_is_reported(data, queries, register):
    class Broken:
        @hookimpl
        def dice_extended_adapt_model(self, model):
            def score(rows):
                raise RuntimeError("no such layer")

            return score

    register(Broken())
    model = dice_ml.Model(model=object(), backend="PYT", func="ohe-min-max")
    with pytest.raises(DiceInputError, match="no such layer"):
        DiceExtendedPyTorch(data, model).generate_counterfactuals(queries[:2], 2, **QUICK)


# -- scores ---------------------------------------------------------------------------------------


class Scorer:
    """Adds the columns it is given, and keeps what it was shown."""

    def __init__(self, make):
        self.make, self.batches = make, []

    @hookimpl
    def dice_extended_score(self, batch):
        self.batches.append(batch)
        return self.make(batch)


def test_columns_stand_beside_the_counterfactuals(explainer, queries, register):
    scorer = register(Scorer(lambda batch: {"theirs": np.arange(len(batch.counterfactuals)) / 100}))
    ours = explainer()
    found = ours.generate_counterfactuals(queries[:3], 2)
    table = found.to_frame()
    assert table["theirs"].tolist() == [i / 100 for i in range(len(table))]
    for example in found.cf_examples_list:
        assert "theirs" in example.robustness
    again = type(found).from_json(found.to_json()).to_frame()
    assert again["theirs"].tolist() == table["theirs"].tolist()
    (batch,) = scorer.batches
    features = list(queries.columns)
    assert list(batch.queries.columns) == list(batch.counterfactuals.columns) == features
    pd.testing.assert_frame_equal(batch.counterfactuals, table[features])
    pd.testing.assert_frame_equal(
        batch.queries.reset_index(drop=True),
        queries.iloc[table["query"]].reset_index(drop=True),
    )
    assert batch.desired_class.tolist() == table["progression"].tolist()


def test_predict_of_a_batch_is_the_model(explainer, queries, register):
    seen = {}

    def ask(batch):
        seen["own"] = batch.predict(batch.counterfactuals)
        seen["query"] = batch.predict(batch.queries)
        return None

    register(Scorer(ask))
    table = explainer().generate_counterfactuals(queries[:3], 2, **QUICK).to_frame()
    assert seen["own"].shape == (len(table), 2)
    np.testing.assert_allclose(seen["own"].sum(1), 1, atol=1e-6)
    assert (seen["own"].argmax(1) == table["progression"]).all()
    assert (seen["query"].argmax(1) != table["progression"]).all()


@pytest.mark.parametrize("answer", [None, {}])
def test_nothing_to_say_is_fine(explainer, queries, register, answer):
    plain = explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    register(Scorer(lambda batch: answer))
    pd.testing.assert_frame_equal(
        explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame(), plain
    )


def test_two_plugins_add_two_columns(explainer, queries, register):
    register(Scorer(lambda batch: {"a": np.zeros(len(batch.counterfactuals))}))
    register(Scorer(lambda batch: {"b": np.ones(len(batch.counterfactuals))}))
    table = explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    assert (table["a"] == 0).all() and (table["b"] == 1).all()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda n: {"short": np.zeros(n - 1)}, "short"),
        (lambda n: {"long": np.zeros(n + 3)}, "long"),
        (lambda n: {"number": 0.5}, "number"),
        (lambda n: {"table": np.zeros((n, 2))}, "table"),
        (lambda n: {"rho_lit": np.zeros(n)}, "rho_lit"),
        (lambda n: {"status": np.zeros(n)}, "status"),
        (lambda n: {"age": np.zeros(n)}, "age"),
        (lambda n: [1, 2], "list"),
        (lambda n: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_misbehaves_costs_its_columns_only(
    explainer, queries, register, caplog, make, word
):
    """A finished search is not thrown away for a column; the log names the culprit."""
    plain = explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    register(Scorer(lambda batch: make(len(batch.counterfactuals))))
    good = register(Scorer(lambda batch: {"good": np.ones(len(batch.counterfactuals))}))
    with caplog.at_level(logging.WARNING, "dice_extended_plugin"):
        table = explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    assert good.batches
    assert (table.pop("good") == 1).all()
    pd.testing.assert_frame_equal(table, plain)
    assert word in caplog.text


def test_a_plugin_that_writes_into_the_batch_changes_no_result(explainer, queries, register):
    plain = explainer().generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()

    def scribble(batch):
        batch.counterfactuals.loc[:, "age"] = -1
        batch.queries.loc[:, "age"] = -1
        batch.desired_class[:] = 5
        return None

    register(Scorer(scribble))
    found = explainer().generate_counterfactuals(queries[:2], 2, **QUICK)
    pd.testing.assert_frame_equal(found.to_frame(), plain)


def test_no_counterfactuals_no_scores(explainer, queries, register):
    """Plugins are not asked about nothing, and the columns are still in the table."""
    scorer = register(Scorer(lambda batch: {"theirs": np.zeros(len(batch.counterfactuals))}))
    one = queries[:1]
    pins = {f: [one[f].iloc[0]] * 2 for f in ("age", "bmi", "bp", "s5")}
    found = explainer().generate_counterfactuals(
        one, 2, permitted_range=pins, features_to_vary=["age", "bmi", "bp", "s5"], **QUICK
    )
    assert found.status == ["none"]
    assert scorer.batches == []
