"""What the benchmarks share: a data set, a trained network, queries, and how to measure sets."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dice_ml
import numpy as np
import pandas as pd
import torch

from dice_extended_plugin import __version__, evaluation, host
from dice_extended_plugin.datasets import load_dataset
from dice_extended_plugin.demo import train_network
from dice_extended_plugin.differentiable import TorchScores
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace

#: Measuring noise comes from this seed; no search uses it.
HELD_OUT = 2026


@dataclass
class Setting:
    """One data set with a trained network."""

    name: str
    data: Any
    model: Any
    network: Any
    space: FeatureSpace
    test: pd.DataFrame
    scores: Any
    accuracy: float

    def queries(self, n: int) -> pd.DataFrame:
        """Return the first n test rows, going round where there are fewer."""
        order = np.arange(n) % len(self.test)
        return self.test.iloc[order].reset_index(drop=True)

    def measure(self, tables: list, queries: pd.DataFrame, k: int, **keywords: Any) -> pd.DataFrame:
        """Measure one table of counterfactuals per query on held-out noise."""
        wanted = 1 - self.scores(self.space.encode(queries)).argmax(axis=1)
        weights = host.column_weights(self.data, self.space, "inverse_mad")
        keywords = {"noise": NoiseModel(), "random_state": HELD_OUT, **keywords}
        return evaluation.measure(
            tables, queries, self.space, weights, self.scores, wanted, k, **keywords
        )


def prepare(name: str, hidden: int = 20, seed: int = 0, backend: str = "torch") -> Setting:
    """Load a data set and train the paper's network on 80 % of it.

    With backend "tensorflow" the same network, weight for weight, is a Keras model.
    """
    data = load_dataset(name)
    train, test = data.split(test_size=0.2, random_state=seed)
    host_data = data.to_dice(train)
    space = host.feature_space(host_data)
    # The paper's ten epochs; small tables get as many updates as a thousand rows would need.
    epochs = max(10, 60_000 // len(train)) if len(train) < 6000 else 10
    labels = train[data.outcome].to_numpy()
    network = train_network(space.encode(train[data.features]), labels, hidden, epochs, seed=seed)
    scores = TorchScores(network, space.n_columns, "cpu").native
    rows = test[data.features].reset_index(drop=True)
    right = scores(space.encode(rows)).argmax(axis=1) == test[data.outcome].to_numpy()
    if backend == "tensorflow":
        model = dice_ml.Model(model=as_keras(network), backend="TF2", func="ohe-min-max")
    else:
        model = dice_ml.Model(model=network, backend="PYT", func="ohe-min-max")
    return Setting(name, host_data, model, network, space, rows, scores, float(right.mean()))


def as_keras(network: torch.nn.Sequential) -> Any:
    """Return the Keras twin of a torch network of linear layers, ReLU and a sigmoid output."""
    import keras

    linear = [part for part in network if isinstance(part, torch.nn.Linear)]
    model = keras.Sequential([keras.Input((linear[0].in_features,))])
    for part in linear:
        kind = "sigmoid" if part is linear[-1] else "relu"
        model.add(keras.layers.Dense(part.out_features, activation=kind))
    weights = [(part.weight.detach().numpy().T, part.bias.detach().numpy()) for part in linear]
    model.set_weights([array for pair in weights for array in pair])
    return model


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    packages = ["dice-ml", "torch", "numpy", "pandas"]
    packages += ["tensorflow"] if "tensorflow" in sys.modules else []
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {"dice-extended": __version__, **{name: version(name) for name in packages}},
    }


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--out", type=Path, help="write the JSON there as well")
    return made


def emit(result: dict[str, Any], out: Path | None) -> None:
    """Print the result as JSON, and write it where asked to."""
    text = json.dumps({**result, "machine": machine()}, indent=1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
    sys.stdout.write(text + "\n")


def rounded(table: pd.DataFrame) -> dict[str, float]:
    """Return the columns' means, to four digits."""
    return {name: round(float(value), 4) for name, value in table.mean().items()}
