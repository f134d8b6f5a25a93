"""Regression models: a wanted range instead of a class."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402
from sklearn.datasets import load_diabetes  # noqa: E402

from dice_extended_plugin import Dice, RobustCounterfactualExplanations  # noqa: E402
from dice_extended_plugin.host import DiceInputError, feature_space  # noqa: E402

#: Enough steps for a small network.
QUICK = {"min_iter": 150, "max_iter": 400}
CONTINUOUS = ["age", "bmi", "bp", "s5"]


@pytest.fixture(scope="module")
def patients(table):
    """Progression of diabetes as the number it is."""
    return table.assign(progression=load_diabetes().target)


@pytest.fixture(scope="module")
def module(patients):
    data = dice_ml.Data(
        dataframe=patients, continuous_features=CONTINUOUS, outcome_name="progression"
    )
    rows = torch.tensor(feature_space(data).encode(patients)).float()
    label = torch.tensor(patients["progression"].to_numpy()).float()
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(rows.shape[1], 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    )
    for parameter in net.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    net[2].bias.data.fill_(150.0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        (net(rows)[:, 0] - label).square().mean().backward()
        optimizer.step()
    net.zero_grad(set_to_none=True)
    return net


@pytest.fixture
def make(patients, module):
    def build(model=module, **keywords):
        data = dice_ml.Data(
            dataframe=patients, continuous_features=CONTINUOUS, outcome_name="progression"
        )
        wrapped = dice_ml.Model(
            model=model, backend="PYT", func="ohe-min-max", model_type="regressor"
        )
        return Dice(data, wrapped, method="gradient", **{"report_draws": 64, **keywords})

    return build


@pytest.fixture
def high(patients, module, make):
    """Queries whose prediction lies above 200."""
    ours = make()
    rows = patients.drop(columns="progression")
    with torch.no_grad():
        value = module(torch.tensor(ours.space.encode(rows)).float())[:, 0].numpy()
    return rows[value > 200].iloc[:8].reset_index(drop=True)


def predictions(explainer, module, table):
    rows = torch.tensor(explainer.space.encode(table[list(explainer.space.names)])).float()
    with torch.no_grad():
        return module(rows)[:, 0].numpy()


@pytest.mark.parametrize("robustness", [None, "dice", "validity"])
def test_every_row_lies_in_the_range(make, module, high, robustness):
    ours = make(robustness=robustness)
    found = ours.generate_counterfactuals(high, 4, desired_range=[100, 150], **QUICK)
    table = found.to_frame()
    assert found.status == ["ok"] * len(high)
    value = predictions(ours, module, table)
    assert ((value >= 100) & (value <= 150)).all()
    np.testing.assert_allclose(table["progression"], value, rtol=1e-5)
    assert "probability" not in table and table["noise_validity"].between(0, 1).all()
    for example in found.cf_examples_list:
        assert example.desired_range == [100.0, 150.0] and example.model_type == "regressor"
        assert example.test_instance_df["progression"].iloc[0] > 200


def test_robust_rows_hold_better(make, high):
    held = {}
    for mode in (None, "dice", "validity"):
        found = make(robustness=mode, report_draws=500).generate_counterfactuals(
            high, 3, desired_range=[100, 150]
        )
        held[mode] = found.to_frame()["noise_validity"].mean()
    assert held["dice"] > held[None] + 0.02
    assert held["validity"] > held[None] + 0.02


def test_an_open_range_and_a_single_value(make, module, high):
    ours = make()
    below = ours.generate_counterfactuals(high, 2, desired_range=[-np.inf, 150], **QUICK).to_frame()
    assert (predictions(ours, module, below) <= 150).all() and len(below) == 2 * len(high)
    exact = ours.generate_counterfactuals(high[:2], 2, desired_range=[140, 140], **QUICK)
    assert (exact.to_frame()["progression"] == 140).all()
    assert [status == "ok" for status in exact.status] == [not text for text in exact.reason]
    assert all("from 140 to 140" in text for text in exact.reason if text)


def test_batches_do_not_matter(make, high):
    ours = make()
    together = ours.generate_counterfactuals(high, 3, desired_range=[100, 150], **QUICK).to_frame()
    for i in range(len(high)):
        alone = ours.generate_counterfactuals(high[i : i + 1], 3, desired_range=[100, 150], **QUICK)
        alone = alone.to_frame().drop(columns="query")
        mine = together[together["query"] == i].drop(columns="query").reset_index(drop=True)
        value = "progression"  # the user's own float32 model: its last digit knows the batch
        assert alone.drop(columns=value).equals(mine.drop(columns=value))
        np.testing.assert_allclose(alone[value], mine[value], rtol=1e-5)


def test_json_and_display(make, high, capsys):
    found = make().generate_counterfactuals(high[:2], 2, desired_range=[100, 150], **QUICK)
    again = RobustCounterfactualExplanations.from_json(found.to_json())
    assert json.loads(again.to_json()) == json.loads(found.to_json())
    found.visualize_as_list(show_only_changes=True)
    assert "[100.0, 150.0]" in capsys.readouterr().out


def test_importance(make, high):
    ours = make(robustness=None)
    found = ours.local_feature_importance(high[:1], total_CFs=10, desired_range=[100, 150], **QUICK)
    assert set(found.local_importance[0]) == set(ours.space.names)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (None, ["desired_range"]),
        ([150, 100], ["ascending"]),
        ([np.nan, 1], ["ascending"]),
        ([1, 2, 3], ["two numbers"]),
        ("high", ["two numbers"]),
        (5, ["two numbers"]),
    ],
)
def test_bad_ranges(make, high, wanted, words):
    with pytest.raises(DiceInputError) as error:
        make().generate_counterfactuals(high, 2, desired_range=wanted)
    assert all(word in str(error.value) for word in words), error.value


def test_a_model_of_two_numbers_is_refused(make, high):
    two = torch.nn.Linear(make().space.n_columns, 2)
    with pytest.raises(DiceInputError, match="one number"):
        make(model=two).generate_counterfactuals(high, 2, desired_range=[0, 1])


def test_a_classifier_takes_no_range(explainer, queries):
    with pytest.raises(DiceInputError, match="regression"):
        explainer().generate_counterfactuals(queries, 2, desired_range=[0, 1])
