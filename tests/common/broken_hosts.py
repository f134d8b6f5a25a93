"""Broken components of the other hosts: ART attacks and defences, engines, explainers."""

from __future__ import annotations

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population


def attacks():
    """ART attacks that break one promise each, and the check that tells."""
    from art.attacks.attack import EvasionAttack
    from art.estimators.classification.classifier import ClassifierMixin
    from art.estimators.estimator import BaseEstimator

    class Result:
        def __init__(self, success):
            self.success = success

    class Good(EvasionAttack):
        """Each row becomes the nearest training row of another class."""

        attack_params = [*EvasionAttack.attack_params, "x_train"]  # noqa: RUF012
        _estimator_requirements = (BaseEstimator, ClassifierMixin)

        def __init__(self, classifier, x_train=None):
            super().__init__(estimator=classifier)
            self.x_train = x_train

        def labels(self, x):
            return self.estimator.predict(x.astype(np.float32)).argmax(axis=1)

        def generate(self, x, y=None, **kwargs):
            if np.ndim(x) != 2 or np.shape(x)[1] != self.x_train.shape[1]:
                raise ValueError("x must be a table as wide as x_train")
            if y is not None and len(y) != len(x):
                raise ValueError("y must have a label for each row of x")
            if y is not None and np.ndim(y) == 1 and np.max(y) >= self.estimator.nb_classes:
                raise ValueError("y names a class that there is not")
            own, train = self.labels(x), self.labels(self.x_train)
            mask = np.broadcast_to(np.asarray(kwargs.get("mask", 1.0)), x.shape)
            distance = np.linalg.norm(x[:, None] - self.x_train[None], axis=2)
            distance[own[:, None] == train[None]] = np.inf
            found = self.x_train[distance.argmin(axis=1)]
            found = np.where(mask > 0, found, x).astype(np.float32)
            self.result_ = Result(self.labels(found) != own)
            return found

    class Doubles(Good):
        def generate(self, x, y=None, **kwargs):
            return super().generate(x, y, **kwargs).astype(np.float64)

    class OtherShape(Good):
        def generate(self, x, y=None, **kwargs):
            return super().generate(x, y, **kwargs)[:, :, None]

    class WritesIntoX(Good):
        def generate(self, x, y=None, **kwargs):
            found = super().generate(x, y, **kwargs)
            x[:] = 0
            return found

    class LeavesTheClipValues(Good):
        def generate(self, x, y=None, **kwargs):
            return super().generate(x, y, **kwargs) + 2

    class Lies(Good):
        def generate(self, x, y=None, **kwargs):
            super().generate(x, y, **kwargs)
            self.result_.success = np.ones(len(x), dtype=bool)
            return x.astype(np.float32).copy()

    class DependsOnTheBatch(Good):
        def generate(self, x, y=None, **kwargs):
            return super().generate(x + 0.01 * len(x), y, **kwargs) * (1 - 0.01 * len(x))

    class Unnamed(Good):
        attack_params = [*Good.attack_params, "strength"]  # noqa: RUF012

    class ForgetsTheMask(Good):
        def generate(self, x, y=None, **kwargs):
            return super().generate(x, y)

    class NeverEnds(Good):
        def generate(self, x, y=None, **kwargs):
            found = super().generate(x, y, **kwargs)
            while not self.result_.success.any():
                self.labels(x)
            return found

    class Remembers(Good):
        failed = False

        def generate(self, x, y=None, **kwargs):
            if x is None:
                self.failed = True
            found = super().generate(x, y, **kwargs)
            return x.astype(np.float32).copy() if self.failed else found

    class TakesAnything(Good):
        _estimator_requirements = ()

    return Good, {
        Doubles: "check_result_type",
        OtherShape: "check_result_type",
        LeavesTheClipValues: "check_result_type",
        WritesIntoX: "check_input_untouched",
        Lies: "check_validity",
        DependsOnTheBatch: "check_batch_splits",
        Unnamed: "check_parameters",
        ForgetsTheMask: "check_mask",
        NeverEnds: "check_ends",
        Remembers: "check_no_state_after_error",
        TakesAnything: "check_estimator_requirements",
    }


def art_metrics():
    """Functions that measure a classifier, each with a fault, and the check that tells."""
    from art.exceptions import EstimatorError

    def good(classifier, x, y):
        if not hasattr(classifier, "predict"):
            raise EstimatorError(good, [object], classifier)
        if np.ndim(x) != 2 or len(x) == 0 or len(x) != len(y):
            raise ValueError("x must be a table, with a label for each row")
        labels = y.argmax(axis=1) if np.ndim(y) == 2 else y
        return {"accuracy": float((classifier.predict(x).argmax(axis=1) == labels).mean())}

    def writes(classifier, x, y):
        found = good(classifier, x, y)
        x[0] = 0
        return found

    def draws(classifier, x, y):
        return {"accuracy": good(classifier, x, y)["accuracy"] * np.random.rand()}

    def text(classifier, x, y):
        return str(good(classifier, x, y))

    def index_only(classifier, x, y):
        good(classifier, x, y)
        labels = np.asarray(y).reshape(-1)[: len(x)]
        return float((classifier.predict(x).argmax(axis=1) == labels).mean())

    def lenient(classifier, x, y):
        return float(np.size(x))

    return good, {
        writes: "check_input_untouched",
        draws: "check_same_result_again",
        text: "check_result_type",
        index_only: "check_label_forms",
        lenient: "check_error_classes",
    }


def detectors():
    """Detectors of adversarial inputs, each with a fault, and the check that tells."""
    from art_bridge.detector import FakenessDetector

    class Scores(FakenessDetector):
        def detect(self, x, batch_size=128, **kwargs):
            report, found = super().detect(x, batch_size, **kwargs)
            return report, found.astype(float)

    class Relative(FakenessDetector):
        def detect(self, x, batch_size=128, **kwargs):
            report, _ = super().detect(x, batch_size, **kwargs)
            fakeness = report["fakeness"]
            return report, fakeness > fakeness.mean()

    class Writes(FakenessDetector):
        def fit(self, x, y=None, batch_size=128, nb_epochs=20, **kwargs):
            super().fit(x, y, batch_size)
            x[:] = 0

    class FillsHoles(FakenessDetector):
        def fit(self, x, y=None, batch_size=128, nb_epochs=20, **kwargs):
            super().fit(np.repeat(np.nan_to_num(x), 20, axis=0), y, batch_size)

    return FakenessDetector, {
        Scores: "check_detector_result_type",
        Relative: "check_detector_batch_splits",
        Writes: "check_detector_input_untouched",
        FillsHoles: "check_detector_error_classes",
    }


# -- search engines -----------------------------------------------------------------------------


class Engine(NSGA2):
    """pymoo's, which keeps the promises."""


class LeavesTheBox(Engine):
    def _infill(self):
        asked = super()._infill()
        asked.set("X", asked.get("X") + 5)
        return asked


class OwnStart(Engine):
    def __init__(self, pop_size=12, sampling=None, **kwargs):
        from pymoo.operators.sampling.rnd import FloatRandomSampling

        super().__init__(pop_size=pop_size, sampling=FloatRandomSampling(), **kwargs)


class AlwaysTheSame(Engine):
    def setup(self, problem, seed=None, **kwargs):
        return super().setup(problem, seed=0, **kwargs)


class AsksTooMuch(Engine):
    def __init__(self, pop_size=12, **kwargs):
        super().__init__(pop_size=pop_size, n_offsprings=20 * pop_size, **kwargs)


class KeepsTheWorst(Engine):
    def _set_optimum(self):
        worst = self.pop[:1].copy(deep=True)
        worst.set("F", worst.get("F") + 1)
        self.opt = Population.merge(self.pop, worst)


ENGINES = {
    LeavesTheBox: "check_bounds_kept",
    OwnStart: "check_sampling",
    AlwaysTheSame: "check_same_result_again",
    AsksTooMuch: "check_budgets",
    KeepsTheWorst: "check_result_type",
}


def explainers():
    """Alibi explainers that break one promise each, and the check that tells."""
    from alibi.api.interfaces import Explainer, Explanation

    class Good(Explainer):
        """The counterfactual is the image with its brightness turned round."""

        def __init__(self, predictor):
            super().__init__(
                meta={
                    "name": None,
                    "type": ["blackbox"],
                    "explanations": ["local"],
                    "params": {},
                    "version": None,
                }
            )
            self.predictor = predictor

        def cf(self, X):
            return 1 - X

        def explain(self, X):
            if np.ndim(X) != 4 or np.shape(X)[1:] != (32, 32, 3) or not np.isfinite(X).all():
                raise ValueError("X must be images of 32 x 32 x 3 without holes")
            new = self.cf(X)
            own, now = (self.predictor(images).argmax(axis=1) for images in (X, new))
            data = {"cf": {"X": new, "class": now[:, None]}, "success": self.success(own, now)}
            return Explanation(meta=self.meta, data=data)

        def success(self, own, now):
            return own != now

        def reset_predictor(self, predictor):
            self.predictor = predictor

    class Lies(Good):
        def cf(self, X):
            return X.copy()

        def success(self, own, now):
            return np.ones(len(own), dtype=bool)

    class Writes(Good):
        def cf(self, X):
            X *= 0.5
            return 1 - X

    class DependsOnTheBatch(Good):
        def cf(self, X):
            return 1 - X - 0.1 * X.mean() * len(X)

    class ReturnsADict(Good):
        def explain(self, X):
            return super().explain(X).data

    class Counts(Good):
        calls = 0

        def cf(self, X):
            self.calls += 1
            return np.clip(1 - X + 0.001 * self.calls, 0, 1)

    class TakesHoles(Good):
        def explain(self, X):
            return super().explain(np.nan_to_num(X))

    return Good, {
        Lies: "check_validity",
        Writes: "check_input_untouched",
        DependsOnTheBatch: "check_batch_splits",
        ReturnsADict: "check_result_type",
        Counts: "check_same_result_again",
        TakesHoles: "check_error_classes",
    }
