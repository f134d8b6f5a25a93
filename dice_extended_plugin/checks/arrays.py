"""The suite's own rows as arrays, and ART classifiers of them for every framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dice_extended_plugin.checks.case import need
from dice_extended_plugin.checks.limits import Watch

__all__ = ["Arrays", "arrays", "weights_of"]

_FEATURES, _TRAIN, _QUERIES = 4, 80, 6


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows in [0, 1] and an ART classifier of them, fresh for one check.

    Parameters
    ----------
    classifier : art classifier
        With ``clip_values=(0, 1)``; torch and Keras ones return logits.
    x, y : ndarray of shape (6, 4) float32, and (6,) of int
        Rows to attack and their classes, which the classifier gets right.
    x_train, y_train : ndarray of shape (80, 4) float32, and (80,) of int
    watch : Watch
        Counts the classifier's calls; those of Keras models are not counted.
    """

    classifier: Any
    x: np.ndarray
    y: np.ndarray
    x_train: np.ndarray
    y_train: np.ndarray
    watch: Watch

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y_train.max()) + 1

    def labels(self, x: np.ndarray) -> np.ndarray:
        """Return the classifier's own label of each row, -1 where two classes tie."""
        before = self.watch.calls, self.watch.rows
        scores = np.asarray(self.classifier.predict(np.asarray(x, dtype=np.float32)))
        self.watch.calls, self.watch.rows = before
        top = np.sort(scores, axis=1)
        return np.where(top[:, -1] > top[:, -2], scores.argmax(axis=1), -1)


@lru_cache
def _fitted(n_classes: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Rows, their classes (by a linear model, so that it gets them right), and the model."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(9)
    x = draw.uniform(0, 1, (_TRAIN + _QUERIES, _FEATURES)).astype(np.float32)
    value = x @ np.array([2.0, 1.0, -1.0, 0.5])
    cuts = np.quantile(value, np.arange(1, n_classes) / n_classes)
    model = LogisticRegression(C=30.0, max_iter=2000).fit(x, np.searchsorted(cuts, value))
    return x, model.predict(x), model


def arrays(
    backend: str = "sklearn",
    n_classes: int = 2,
    constant: bool = False,
    max_calls: int = 20_000,
) -> Arrays:
    """Make a problem.

    Parameters
    ----------
    backend : {"sklearn", "PYT", "TF2"}
    n_classes : int
    constant : bool
        Whether the classifier says the same of every row.
    max_calls : int
        Model calls after which a run is stopped.

    Raises
    ------
    Skip
        If ART or the framework is not installed.
    """
    need("art", "sklearn")
    x, y, model = _fitted(n_classes)
    weights, offset = model.coef_.T.copy(), model.intercept_.copy()
    if n_classes == 2:
        weights, offset = np.hstack([-weights, weights]), np.array([-1, 1]) * offset
    if constant:
        weights[:], offset[:] = 0.0, np.linspace(1, 0, n_classes)
    watch = Watch(max_calls)
    make: Callable[..., Any] = {"sklearn": _sklearn, "PYT": _torch, "TF2": _keras}[backend]
    classifier = make(weights, offset, watch, model)
    return Arrays(
        classifier, x[_TRAIN:].copy(), y[_TRAIN:].copy(), x[:_TRAIN].copy(), y[:_TRAIN].copy(),
        watch,
    )  # fmt: skip


def weights_of(classifier: Any) -> list[np.ndarray]:
    """Return copies of what a classifier of the suite has learnt."""
    model = classifier.model
    if hasattr(model, "coef_"):
        return [model.coef_.copy(), model.intercept_.copy()]
    if hasattr(model, "get_weights"):
        return [np.array(value) for value in model.get_weights()]
    return [value.detach().numpy().copy() for value in model.parameters()]


def _sklearn(weights: np.ndarray, offset: np.ndarray, watch: Watch, fitted: Any) -> Any:
    from art.estimators.classification import SklearnClassifier
    from sklearn.base import clone

    model = clone(fitted)
    model.classes_, model.n_features_in_ = fitted.classes_, fitted.n_features_in_
    two = len(offset) == 2
    # Half of the difference: ART's own gradients know scikit-learn's form with one column.
    model.coef_ = weights[:, 1:].T.copy() if two else weights.T.copy()
    model.intercept_ = offset[1:].copy() if two else offset.copy()
    own = model.predict_proba

    def predict_proba(rows: Any) -> np.ndarray:
        watch.add(len(rows))
        return np.asarray(own(rows))

    model.predict_proba = predict_proba
    return SklearnClassifier(model, clip_values=(0.0, 1.0))


def _torch(weights: np.ndarray, offset: np.ndarray, watch: Watch, fitted: Any) -> Any:
    need("torch")
    import torch
    from art.estimators.classification import PyTorchClassifier

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.watch = watch
            self.weight = torch.nn.Parameter(torch.from_numpy(weights).float())
            self.bias = torch.nn.Parameter(torch.from_numpy(offset).float())

        def forward(self, rows: Any) -> Any:
            self.watch.add(len(rows))
            return rows @ self.weight + self.bias

    network = Network()
    return PyTorchClassifier(
        model=network,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.Adam(network.parameters(), lr=0.02),
        input_shape=(_FEATURES,),
        nb_classes=len(offset),
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def _keras(weights: np.ndarray, offset: np.ndarray, watch: Watch, fitted: Any) -> Any:
    need("tensorflow")
    import tensorflow as tf
    from art.estimators.classification import TensorFlowV2Classifier

    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [layers.Input((_FEATURES,)), layers.Dense(len(offset), kernel_initializer="zeros")]
    )
    network.set_weights([weights.astype(np.float32), offset.astype(np.float32)])
    return TensorFlowV2Classifier(
        model=network,
        nb_classes=len(offset),
        input_shape=(_FEATURES,),
        loss_object=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=tf.keras.optimizers.Adam(learning_rate=0.02),
        clip_values=(0.0, 1.0),
    )
