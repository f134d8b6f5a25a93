"""Real rows, small models: scikit-learn's diabetes table with two binned columns."""

from __future__ import annotations

import os

# Small networks on few cores: a second thread costs more than it brings. Before NumPy loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

CONTINUOUS = ["age", "bmi", "bp", "s5"]
CATEGORICAL = ["sex", "glucose", "cholesterol"]


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """442 patients, 4 continuous and 3 categorical features, outcome 0/1."""
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(as_frame=True, scaled=False).frame
    frame = pd.DataFrame(
        {
            "age": raw["age"].astype(int),
            "sex": raw["sex"].map({1: "female", 2: "male"}),
            "bmi": raw["bmi"].round(1),
            "glucose": np.select([raw["s6"] < 84, raw["s6"] < 98], ["low", "mid"], "high"),
            "bp": raw["bp"].round(2),
            "cholesterol": np.select([raw["s1"] < 165, raw["s1"] < 210], ["a", "b"], "c"),
            "s5": raw["s5"].round(3),
            "progression": (raw["target"] > raw["target"].median()).astype(int),
        }
    )
    return frame.astype({c: object for c in CATEGORICAL})


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def data(table):
    import dice_ml

    return dice_ml.Data(dataframe=table, continuous_features=CONTINUOUS, outcome_name="progression")


@pytest.fixture
def space(data):
    from dice_extended_plugin.host import feature_space

    return feature_space(data)


@pytest.fixture
def queries(table) -> pd.DataFrame:
    return table.drop(columns="progression").iloc[5:17].reset_index(drop=True)


@pytest.fixture(scope="session")
def fit(table):
    """Return fit(n_outputs, seed): a trained torch network on the encoded table."""
    torch = pytest.importorskip("torch")
    import dice_ml

    from dice_extended_plugin.host import feature_space

    data = dice_ml.Data(dataframe=table, continuous_features=CONTINUOUS, outcome_name="progression")
    rows = torch.tensor(feature_space(data).encode(table)).float()
    made = {}

    def train(n_outputs: int = 1, seed: int = 0):
        if (n_outputs, seed) in made:
            return made[n_outputs, seed]
        label = torch.tensor(table["progression"].to_numpy())
        if n_outputs == 3:  # a third class: the oldest patients
            label = torch.where(torch.tensor(table["age"].to_numpy()) > 60, 2, label)
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        last = torch.nn.Sigmoid() if n_outputs == 1 else torch.nn.Softmax(dim=-1)
        model = torch.nn.Sequential(
            torch.nn.Linear(rows.shape[1], 8), torch.nn.ReLU(), torch.nn.Linear(8, n_outputs), last
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            out = model(rows).clamp(1e-6, 1 - 1e-6)
            if n_outputs == 1:
                loss = torch.nn.functional.binary_cross_entropy(out[:, 0], label.float())
            else:
                loss = torch.nn.functional.nll_loss(out.log(), label)
            loss.backward()
            optimizer.step()
        torch.set_rng_state(state)
        model.zero_grad(set_to_none=True)
        made[n_outputs, seed] = model
        return model

    return train


@pytest.fixture
def explainer(data, fit):
    """Return explainer(n_outputs=1, **keywords): our explainer on a trained network."""
    import dice_ml

    from dice_extended_plugin import DiceExtendedPyTorch

    def make(n_outputs: int = 1, data=data, model=None, **keywords):
        module = fit(n_outputs) if model is None else model
        wrapped = dice_ml.Model(model=module, backend="PYT", func="ohe-min-max")
        return DiceExtendedPyTorch(data, wrapped, **{"report_draws": 32, **keywords})

    return make


@pytest.fixture
def stock(data, fit):
    """Return dice-ml's own gradient explainer on the same network."""
    import dice_ml

    def make(n_outputs: int = 1):
        model = dice_ml.Model(model=fit(n_outputs), backend="PYT", func="ohe-min-max")
        return dice_ml.Dice(data, model, method="gradient")

    return make


#: Tests that say the same under every NumPy: one environment runs them (see the marker "once").
ONCE = (
    "safety/",
    "examples/",
    "common/test_broken_components.py",
    "common/test_suite.py",
    "jobs/test_same_everywhere.py",
    "report/test_browser.py",
)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(ONCE):
            item.add_marker("once")
