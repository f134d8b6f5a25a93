"""Factories for the tests of jobs: what a user would have in a module of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import dice_ml
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dice_extended_plugin import load_dataset

#: A value of ``glu`` that no row of the data set has.
POISON = 77_777


def trained():
    """The bundled data set without its text column, and a model of it."""
    data = load_dataset("diabetes")
    train, _ = data.split()
    train = train.drop(columns="sex")
    x, y = train.drop(columns=data.outcome), train[data.outcome]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    d = dice_ml.Data(
        dataframe=train, continuous_features=list(x.columns), outcome_name=data.outcome
    )
    return d, model


def pair():
    d, model = trained()
    return d, dice_ml.Model(model, backend="sklearn")


class Guarded:
    """A classifier that does something when it sees a poisoned row."""

    def __init__(self, model, act):
        self.model, self.act, self.classes_ = model, act, model.classes_

    def predict_proba(self, x):
        if (np.asarray(x["glu"]) == POISON).any():
            self.act()
        return self.model.predict_proba(x)

    def predict(self, x):
        return self.predict_proba(x).argmax(axis=1)


def _guarded(act):
    d, model = trained()
    return d, dice_ml.Model(Guarded(model, act), backend="sklearn")


def poisoned():
    def act():
        raise ArithmeticError("the model broke\nand said more")

    return _guarded(act)


def deadly(marker=""):
    """Kill the process at a poisoned row: always, or until `marker` is there."""

    def act():
        if marker and Path(marker).exists():
            return
        if marker:
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    return _guarded(act)


def always_failing():
    d, model = trained()

    class Broken(Guarded):
        def predict_proba(self, x):
            raise RuntimeError("weights are missing")

    return d, dice_ml.Model(Broken(model, None), backend="sklearn")


def failing_factory():
    raise OSError("model.bin is not there")


def counted(folder):
    """Leave a file for every time a model is built."""
    (Path(folder) / f"{os.getpid()}-{os.urandom(4).hex()}").touch()
    return pair()


def art():
    from art.estimators.classification import SklearnClassifier

    d, model = trained()
    x = d.data_df[d.continuous_feature_names].to_numpy(dtype=np.float32)
    low, high = x.min(axis=0), x.max(axis=0)
    model.fit(x, d.data_df[d.outcome_name])
    return SklearnClassifier(model, clip_values=(low, high)), x


def no_model():
    return "a text"


not_callable = 3
