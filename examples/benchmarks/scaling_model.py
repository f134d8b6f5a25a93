"""The model of scaling.py: what a worker builds. A small logistic model of a bundled table."""

from __future__ import annotations

from typing import Any

import dice_ml
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dice_extended_plugin import load_dataset


def table() -> tuple[pd.DataFrame, str]:
    """Return the training table: nine measures of 442 patients, and the outcome's name."""
    data = load_dataset("diabetes")
    return data.frame.drop(columns="sex"), data.outcome


def load() -> tuple[dice_ml.Data, dice_ml.Model]:
    """Return dice-ml's objects."""
    frame, outcome = table()
    x = frame.drop(columns=outcome)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, frame[outcome])
    data = dice_ml.Data(dataframe=frame, continuous_features=list(x), outcome_name=outcome)
    return data, dice_ml.Model(model=model, backend="sklearn")


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Return n patients who do not exist: each measure from a patient drawn for it alone."""
    frame, outcome = table()
    rng = np.random.default_rng(seed)
    features: dict[str, Any] = {
        name: column.to_numpy()[rng.integers(0, len(frame), n)]
        for name, column in frame.drop(columns=outcome).items()
    }
    return pd.DataFrame(features)
