"""Models with known answers, and the data that the attack's tests run on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from art_bridge.nsga3 import Aim, ArrayBox, Options, Problem, Reference


def linear(weights, bias):
    """Return the score function of ``sigmoid(weights · x + bias)``."""
    weights = np.asarray(weights, dtype=float)

    def score(rows):
        p = 1 / (1 + np.exp(-((rows * weights).sum(axis=1) + bias)))
        return np.column_stack([1 - p, p])

    return score


def problem(score, x, target, rows, aim=None, box=None, starts=None, seed=0, **options):
    """Make a problem in the unit box; training rows are labelled by the model."""
    x = np.asarray(x, dtype=np.float32).astype(float)
    d = x.shape[1]
    if box is None:
        box = ArrayBox.build(x, np.zeros(d), np.ones(d))
    aim = Aim(np.full(len(x), 0.5)) if aim is None else aim
    label = score(rows).argmax(axis=1) if len(rows) else np.empty(0, int)
    reference = Reference(rows, label, aim.norm, aim.scale)
    return Problem(
        box=box,
        target=np.broadcast_to(target, len(x)).astype(int),
        score=lambda rows, _: score(rows),
        aim=aim,
        reference=reference,
        starts=starts,
        options=Options(**options),
        random_state=seed,
    )


@lru_cache
def cancer():
    """Return breast-cancer rows (8 columns, scaled to [0, 1], float32) and labels."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :8]
    return ((x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))).astype(np.float32), y


@lru_cache
def wine():
    """Return wine rows (13 columns, scaled, float32) and labels of three classes."""
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return ((x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))).astype(np.float32), y


@lru_cache
def trained(kind, data="cancer"):
    """Return a scikit-learn model trained on every other row."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    x, y = cancer() if data == "cancer" else wine()
    model = {
        "gb": GradientBoostingClassifier(n_estimators=30, random_state=0),
        "rf": RandomForestClassifier(n_estimators=20, random_state=0),
        "tree": DecisionTreeClassifier(random_state=0),
        "lr": LogisticRegression(C=10),
        "svc": SVC(probability=True, random_state=0),
        "nn": MLPClassifier((32, 32), max_iter=300, random_state=0),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    }[kind]
    return model.fit(x[::2], y[::2])


def classifier(kind, data="cancer", clip_values=(0, 1)):
    """Return the trained model as ART knows it."""
    from art.estimators.classification import SklearnClassifier

    return SklearnClassifier(trained(kind, data), clip_values=clip_values)
