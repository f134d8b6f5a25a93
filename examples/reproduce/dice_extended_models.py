"""The models of DiCE-Extended's experiments: one data set, one back-end, trained as the paper says.

Random forest (100 trees) behind a one-hot encoder, or the network sigmoid(W2 relu(W1 x + b1) + b2)
with as many hidden units as inputs: Adam at 1e-3, batches of 16, binary cross-entropy, early
stopping on a tenth of the training part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dice_ml
import numpy as np
import pandas as pd

from dice_extended_plugin import host
from dice_extended_plugin.datasets import Dataset, load_dataset
from dice_extended_plugin.space import FeatureSpace

BACKENDS = ("sklearn", "torch", "tensorflow")
#: Command-line name -> name of the data set.
DATA = {"adult": "adult", "compas": "compas", "german": "german", "lending": "lending_club"}
#: The paper's epochs; a small table gets as many updates as 6,000 rows would.
EPOCHS, LEAST_ROWS = 10, 6000
PATIENCE = 3


@dataclass
class Setting:
    """A data set with a trained model, and how to train it again."""

    dataset: Dataset
    train: pd.DataFrame
    test: pd.DataFrame
    data: Any
    model: Any
    space: FeatureSpace
    retrain: Callable[[int, np.ndarray], Callable[[pd.DataFrame], np.ndarray]]

    def queries(self, n: int, random_state: int) -> pd.DataFrame:
        """Draw test rows."""
        rows = self.test.sample(n=min(n, len(self.test)), random_state=random_state)
        return rows[self.dataset.features].reset_index(drop=True)


def prepare(name: str, backend: str, random_state: int = 0) -> Setting:
    """Load a data set, split it 80 : 20 with the same shares of the classes, train the model."""
    dataset = load_dataset(DATA[name])
    train, test = dataset.split(test_size=0.2, random_state=random_state)
    train, test = train.reset_index(drop=True), test.reset_index(drop=True)
    data = dataset.to_dice(train)
    space = host.feature_space(data)
    if backend == "sklearn":
        fit = _forest(dataset, train)
        model = dice_ml.Model(model=fit(random_state, np.arange(len(train))), backend="sklearn")

        def retrain(seed: int, rows: np.ndarray) -> Callable[[pd.DataFrame], np.ndarray]:
            return fit(seed, rows).predict_proba

    else:
        fit_network = {"torch": _torch_network, "tensorflow": _keras_network}[backend]
        encoded = space.encode(train[dataset.features]).astype(np.float32)
        labels = train[dataset.outcome].to_numpy().astype(np.float32)
        network, _ = fit_network(encoded, labels, random_state)
        name_of = {"torch": "PYT", "tensorflow": "TF2"}[backend]
        model = dice_ml.Model(model=network, backend=name_of, func="ohe-min-max")

        def retrain(seed: int, rows: np.ndarray) -> Callable[[pd.DataFrame], np.ndarray]:
            _, ask = fit_network(encoded[rows], labels[rows], seed)
            return lambda table: ask(space.encode(table))

    return Setting(dataset, train, test, data, model, space, retrain)


def _forest(dataset: Dataset, train: pd.DataFrame) -> Callable[[int, np.ndarray], Any]:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def fit(seed: int, rows: np.ndarray) -> Any:
        part = train.iloc[rows]
        encode = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), dataset.categorical), remainder="passthrough"
        )
        forest = RandomForestClassifier(n_estimators=100, random_state=seed)
        return make_pipeline(encode, forest).fit(part[dataset.features], part[dataset.outcome])

    return fit


def _epochs(n_rows: int) -> int:
    return max(EPOCHS, math.ceil(EPOCHS * LEAST_ROWS / n_rows)) if n_rows < LEAST_ROWS else EPOCHS


def _held_back(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and a tenth to stop by."""
    order = np.random.default_rng(seed).permutation(n_rows)
    return order[n_rows // 10 :], order[: n_rows // 10]


def _torch_network(rows: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Any, Callable]:
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    width = rows.shape[1]
    layers = [nn.Linear(width, width), nn.Linear(width, 1)]
    for layer in layers:
        for part in (layer.weight, layer.bias):
            nn.init.uniform_(part, -(width**-0.5), width**-0.5, generator=generator)
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.Sigmoid())
    x, y = torch.as_tensor(rows), torch.as_tensor(labels)
    train, stop = (torch.as_tensor(part) for part in _held_back(len(x), seed))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loss_of = nn.functional.binary_cross_entropy
    best, best_loss, waited = None, math.inf, 0
    for _ in range(_epochs(len(x))):
        for batch in train[torch.randperm(len(train), generator=generator)].split(16):
            optimizer.zero_grad()
            loss_of(network(x[batch])[:, 0], y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(loss_of(network(x[stop])[:, 0], y[stop]))
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best, best_loss = {k: v.clone() for k, v in network.state_dict().items()}, loss
        if waited >= PATIENCE:
            break
    network.load_state_dict(best)
    network.zero_grad(set_to_none=True)

    def ask(encoded: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.as_tensor(encoded).float()).numpy()

    return network.eval(), ask


def _keras_network(rows: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Any, Callable]:
    import keras

    width = rows.shape[1]
    network = keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(
                width, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed)
            ),
            keras.layers.Dense(
                1, "sigmoid", kernel_initializer=keras.initializers.GlorotUniform(seed + 1)
            ),
        ]
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    train, stop = _held_back(len(rows), seed)
    # Keras shuffles with its global generator: the order is drawn here, epoch by epoch.
    rng = np.random.default_rng(seed)
    best, best_loss, waited = network.get_weights(), math.inf, 0
    for _ in range(_epochs(len(rows))):
        order = rng.permutation(train)
        network.fit(rows[order], labels[order], batch_size=16, shuffle=False, verbose=0)
        loss = float(network.evaluate(rows[stop], labels[stop], batch_size=1024, verbose=0))
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best, best_loss = network.get_weights(), loss
        if waited >= PATIENCE:
            break
    network.set_weights(best)
    return network, lambda encoded: network.predict(encoded, verbose=0, batch_size=4096)
