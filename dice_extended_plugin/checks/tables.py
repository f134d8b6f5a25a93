"""The suite's own table, and models of it for every framework of dice-ml."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.checks.case import need
from dice_extended_plugin.checks.limits import Watch

__all__ = ["CONTINUOUS", "OUTCOME", "Table", "table"]

CONTINUOUS = ["age", "income"]
OUTCOME = "loan"
_ROWS, _QUERIES = 120, 5


@dataclass(frozen=True, eq=False)
class Table:
    """A data set, a model of it and queries, fresh for one check.

    Parameters
    ----------
    backend : str
        "sklearn", "PYT" or "TF2".
    data : dice_ml.Data
    model : dice_ml.Model
    queries : DataFrame of 5 rows
        Columns ``age`` (whole numbers), ``job`` (3 levels), ``income`` (one decimal), ``smoker``
        (2 levels).
    watch : Watch
        Counts the model's calls; those of Keras models are not counted.
    predict : callable
        Feature table -> (n, classes) probabilities, or (n, 1) values, of the same model.
    """

    backend: str
    data: Any
    model: Any
    queries: pd.DataFrame
    watch: Watch
    predict: Callable[[pd.DataFrame], np.ndarray]

    def labels(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the model's own label of each row, -1 where two classes tie."""
        scores = self.predict(rows[list(self.queries.columns)])
        top = np.sort(scores, axis=1)
        return np.where(top[:, -1] > top[:, -2], scores.argmax(axis=1), -1)


@lru_cache
def _rows() -> pd.DataFrame:
    draw = np.random.default_rng(20)
    age = draw.integers(20, 70, _ROWS)
    job = draw.choice(["clerk", "driver", "nurse"], _ROWS)
    income = np.round(draw.uniform(10, 60, _ROWS), 1)
    smoker = draw.choice(["no", "yes"], _ROWS)
    # Every level and both ends are there, whatever was drawn.
    job[:3], smoker[:2] = ["clerk", "driver", "nurse"], ["no", "yes"]
    frame = pd.DataFrame({"age": age, "job": job, "income": income, "smoker": smoker})
    return frame.astype({"job": object, "smoker": object})


def _score(frame: pd.DataFrame) -> np.ndarray:
    points = frame["income"] / 10 + frame["age"] / 25 + (frame["job"] == "nurse")
    return np.asarray(points - 1.5 * (frame["smoker"] == "yes"))


@lru_cache
def _weights(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns to logits of a fitted linear model: (d, C) weights and (C,) offsets."""
    from sklearn.linear_model import LogisticRegression

    x, score = _encode(_rows()), _score(_rows())
    cuts = np.quantile(score, np.arange(1, n_classes) / n_classes)
    model = LogisticRegression(C=20.0, max_iter=2000).fit(x, np.searchsorted(cuts, score))
    weights, offset = model.coef_.T, model.intercept_
    if n_classes == 2:
        weights, offset = np.hstack([-weights, weights]) / 2, np.array([-1, 1]) * offset / 2
    return weights, offset


def _encode(frame: pd.DataFrame) -> np.ndarray:
    return _space().encode(frame)


@lru_cache
def _space() -> Any:
    from dice_extended_plugin.host import feature_space

    return feature_space(_data(2))


def _data(n_classes: int) -> Any:
    import dice_ml

    score = _score(_rows())
    outcome = score if n_classes == 1 else (score > np.median(score)).astype(int)
    return dice_ml.Data(
        dataframe=_rows().assign(**{OUTCOME: outcome}),
        continuous_features=CONTINUOUS,
        outcome_name=OUTCOME,
    )


class _Rows:
    """A model on raw rows, strict about what it is given, as scikit-learn pipelines are."""

    def __init__(self, score: Callable[[np.ndarray], np.ndarray], n_outputs: int, watch: Watch):
        self.score, self.watch = score, watch
        if n_outputs > 1:
            self.classes_ = np.arange(n_outputs)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        self.watch.add(len(frame))
        return self.score(_encode(frame[list(_rows().columns)]))

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        scores = self.predict_proba(frame)
        return scores[:, 0] if scores.shape[1] == 1 else scores.argmax(axis=1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    share: np.ndarray = power / power.sum(axis=1, keepdims=True)
    return share


def table(
    backend: str = "sklearn",
    n_classes: int = 2,
    constant: bool = False,
    max_calls: int = 20_000,
) -> Table:
    """Make a problem.

    Parameters
    ----------
    backend : {"sklearn", "PYT", "TF2"}
    n_classes : int
        1 for a regression model.
    constant : bool
        Whether the model says the same of every row, so that nothing can be found.
    max_calls : int
        Model calls after which a run is stopped.

    Raises
    ------
    Skip
        If the framework is not installed.
    """
    weights, offset = _weights(max(n_classes, 2))
    weights, offset = weights.copy(), offset.copy()
    if n_classes == 1:
        weights, offset = 4.0 * weights[:, 1:], np.array([6.0])
    if constant:
        weights[:], offset[:] = 0.0, np.linspace(1, 0, len(offset))
    watch = Watch(max_calls)
    make = {"sklearn": _sklearn, "PYT": _torch, "TF2": _keras}.get(backend)
    if make is None:
        raise ValueError(f"the suite has no model for backend {backend!r}")
    model, predict = make(weights, offset, watch)
    queries = _rows().iloc[7 : 7 + _QUERIES].reset_index(drop=True)
    return Table(backend, _data(n_classes), model, queries, watch, predict)


def _wrapped(model: Any, backend: str, regression: bool) -> Any:
    import dice_ml

    func = None if backend == "sklearn" else "ohe-min-max"
    kind = "regressor" if regression else "classifier"
    return dice_ml.Model(model=model, backend=backend, func=func, model_type=kind)


def _sklearn(weights: np.ndarray, offset: np.ndarray, watch: Watch) -> Any:
    regression = len(offset) == 1

    def score(u: np.ndarray) -> np.ndarray:
        logits = u @ weights + offset
        return logits if regression else _softmax(logits)

    model = _Rows(score, len(offset), watch)
    return _wrapped(model, "sklearn", regression), lambda frame: score(_encode(frame))


def _torch(weights: np.ndarray, offset: np.ndarray, watch: Watch) -> Any:
    need("torch")
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.watch = watch
            # Parameters of its own: a Linear would draw from torch's global generator.
            self.weight = torch.nn.Parameter(torch.from_numpy(weights).float())
            self.bias = torch.nn.Parameter(torch.from_numpy(offset).float())
            self.regression = len(offset) == 1

        def forward(self, rows: Any) -> Any:
            self.watch.add(len(rows) if rows.ndim > 1 else 1)
            logits = rows @ self.weight + self.bias
            return logits if self.regression else torch.softmax(logits, dim=-1)

    network = Network()
    private = copy.deepcopy(network)

    def predict(frame: pd.DataFrame) -> np.ndarray:
        before = watch.calls, watch.rows
        with torch.no_grad():
            out = private(torch.from_numpy(_encode(frame)).float()).double().numpy()
        watch.calls, watch.rows = before  # the suite's own questions do not count
        return np.asarray(out)

    return _wrapped(network, "PYT", network.regression), predict


def _keras(weights: np.ndarray, offset: np.ndarray, watch: Watch) -> Any:
    need("tensorflow")
    import tensorflow as tf

    regression = len(offset) == 1
    network = tf.keras.Sequential(
        [
            tf.keras.layers.Input((weights.shape[0],)),
            tf.keras.layers.Dense(
                len(offset),
                activation=None if regression else "softmax",
                kernel_initializer="zeros",
            ),
        ]
    )
    network.layers[0].set_weights([weights.astype(np.float32), offset.astype(np.float32)])

    def predict(frame: pd.DataFrame) -> np.ndarray:
        rows = tf.constant(_encode(frame), dtype=tf.float32)
        return np.asarray(network(rows, training=False), dtype=float)

    return _wrapped(network, "TF2", regression), predict
