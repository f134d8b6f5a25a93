"""Linear classifiers and an attack with a closed form, to check figures against."""

from __future__ import annotations

import numpy as np
from art.attacks import EvasionAttack
from art.estimators.classification import SklearnClassifier
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from sklearn.linear_model import LogisticRegression

#: Three classes in the plane: unit directions at 120 degrees; the largest projection wins.
STAR = np.array([[0.0, 1.0], [np.sqrt(3) / 2, -0.5], [-np.sqrt(3) / 2, -0.5]])


def linear_classifier(weights, bias, clip_values=None):
    """A softmax-regression classifier with the given (C, d) weights and (C,) biases."""
    weights, bias = np.asarray(weights, dtype=float), np.asarray(bias, dtype=float)
    rows = np.random.default_rng(0).normal(size=(10 * len(weights), weights.shape[1]))
    model = LogisticRegression().fit(rows, np.arange(len(rows)) % len(weights))
    if len(weights) == 2:  # scikit-learn keeps one row for two classes
        model.coef_, model.intercept_ = weights[1:] - weights[:1], bias[1:] - bias[:1]
    else:
        model.coef_, model.intercept_ = weights, bias
    return SklearnClassifier(model, clip_values=clip_values)


class Projection(EvasionAttack):
    """Project onto the plane between the row's class and the target, and a little beyond."""

    attack_params = (*EvasionAttack.attack_params, "norm", "minimal")
    _estimator_requirements = (BaseEstimator, ClassifierMixin)

    def __init__(self, classifier, targeted=True, beyond=1e-4, fail=None):
        super().__init__(estimator=classifier)
        self._targeted, self.beyond, self.norm, self.minimal = targeted, beyond, 2, True
        self.fail = fail  # rows for which it gives up, as a function of x

    def generate(self, x, y=None, **kwargs):
        coef, bias = self.estimator.model.coef_, self.estimator.model.intercept_
        if len(coef) == 1:
            coef, bias = np.concatenate([0 * coef, coef]), np.concatenate([0 * bias, bias])
        predicted = self.estimator.predict(x).argmax(axis=1)
        wanted = np.asarray(y).argmax(axis=1) if self.targeted else 1 - predicted
        normal = coef[wanted] - coef[predicted]
        lacking = -((normal * x).sum(axis=1) + bias[wanted] - bias[predicted])
        step = (lacking / (normal**2).sum(axis=1) * (1 + self.beyond))[:, None] * normal
        if self.fail is not None:
            step[self.fail(x)] = 0.0
        return (x + step).astype(np.float32)
