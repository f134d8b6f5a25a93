"""Models without gradients on the table of the outer conftest."""

from __future__ import annotations

import dice_ml
import numpy as np
import pytest
from native_models import explainer_class, pipeline


@pytest.fixture(scope="session")
def forest(table):
    frame = table.drop(columns="progression")
    return pipeline(frame, table["progression"])


@pytest.fixture(scope="session")
def three_classes(table):
    """The third class: the oldest patients."""
    frame = table.drop(columns="progression")
    return pipeline(frame, np.where(table["age"] > 60, 2, table["progression"]))


@pytest.fixture
def make(data, forest):
    """Return make(method, model=forest, data=data, ...): an explainer of ours."""

    def build(method, model=None, data=data, backend="sklearn", func=None, **keywords):
        kind = keywords.pop("model_type", "classifier")
        wrapped = dice_ml.Model(
            model=forest if model is None else model, backend=backend, func=func, model_type=kind
        )
        return explainer_class(method)(data, wrapped, **{"report_draws": 0, **keywords})

    return build
