"""The robustness paper's four tables, split, and its models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from art_bridge.reference_data import REFERENCE_DATA, load_reference_data

DATA = REFERENCE_DATA
MODELS = ("NN", "GB", "SVM", "RF", "XGB")


@dataclass(frozen=True, eq=False)
class Table:
    """One data set, scaled to [0, 1] and split 80/20.

    Attributes
    ----------
    x_train, x_test : ndarray of float32, shape (n, d)
    y_train, y_test : ndarray of int64, shape (n,)
    features : tuple of str
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    features: tuple[str, ...]


def load_table(name: str, seed: int = 42) -> Table:
    """Load a data set with the reference's features, scaling and split.

    COMPAS has the paper's numbering of its classes: 0 is a high score.
    """
    data = load_reference_data(name)
    x_train, x_test, y_train, y_test = data.split(random_state=seed)
    if name == "compas":
        y_train, y_test = 1 - y_train, 1 - y_test
    x_train, x_test = x_train.astype(np.float32), x_test.astype(np.float32)
    return Table(name, x_train, y_train, x_test, y_test, data.features)


def fit_model(name: str, table: Table, seed: int = 0, epochs: int = 100) -> Any:
    """Return a fitted ART classifier with ``clip_values`` (0, 1) that predicts probabilities."""
    labels = np.eye(2, dtype=np.float32)[table.y_train]
    made = make_model(name, len(table.features), seed)
    options = {"batch_size": 128, "nb_epochs": epochs} if name == "NN" else {}
    made.fit(table.x_train, labels, **options)
    return made


def make_model(name: str, width: int, seed: int = 0) -> Any:
    """Return an ART classifier that is not fitted yet."""
    if name == "NN":
        return _network(width, seed)
    from art.estimators.classification import SklearnClassifier, XGBoostClassifier

    if name == "XGB":
        from xgboost import XGBClassifier

        model = XGBClassifier(n_estimators=100, random_state=seed, n_jobs=1)
        return XGBoostClassifier(
            model=model, clip_values=(0.0, 1.0), nb_features=width, nb_classes=2
        )
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.svm import SVC

    model = {
        "GB": lambda: GradientBoostingClassifier(n_estimators=100, random_state=seed),
        "RF": lambda: RandomForestClassifier(n_estimators=100, random_state=seed),
        "SVM": lambda: SVC(probability=True, random_state=seed),
    }[name]()
    return SklearnClassifier(model, clip_values=(0.0, 1.0))


def _network(width: int, seed: int) -> Any:
    """Three hidden layers of 500 (the paper), softmax, Adam 1e-4 (the reference code)."""
    import torch
    from art.estimators.classification import PyTorchClassifier
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs in (width, 500, 500):
            layers += [nn.Linear(inputs, 500), nn.ReLU()]
        network = nn.Sequential(*layers, nn.Linear(500, 2), nn.Softmax(dim=1))

    def loss(probability: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of probabilities; ART passes class numbers or one-hot rows."""
        index = labels.argmax(dim=1) if labels.ndim == 2 else labels
        return nn.functional.nll_loss(probability.clamp_min(1e-12).log(), index)

    return PyTorchClassifier(
        network,
        loss=loss,
        optimizer=torch.optim.Adam(network.parameters(), lr=1e-4),
        input_shape=(width,),
        nb_classes=2,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
