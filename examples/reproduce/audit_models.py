"""Models for `dice-extended report --model audit_models:NAME`, run from this folder."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def boosted(features: pd.DataFrame, outcome: pd.Series) -> Any:
    """Return a pipeline with 50 boosted trees."""
    return _encoded(GradientBoostingClassifier(n_estimators=50, random_state=0), features, outcome)


def logistic(features: pd.DataFrame, outcome: pd.Series) -> Any:
    """Return a logistic regression."""
    return _encoded(LogisticRegression(max_iter=1000), features, outcome)


def _encoded(model: Any, features: pd.DataFrame, outcome: pd.Series) -> Any:
    encoder = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        remainder=StandardScaler(),
    )
    return make_pipeline(encoder, model).fit(features, outcome)
