"""What a report is about: model, table and rows in any form a user has, brought to one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.request import Request
from dice_extended_plugin.sets import Protocol
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import Target

__all__ = ["Subject", "as_dice_data", "as_dice_model", "fingerprint"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, its table, and the rows that the report is about.

    Attributes
    ----------
    data : dice_ml.Data
    model : dice_ml.Model
    space : FeatureSpace
    classes : list of str
        Names of the classes; empty for a regression model.
    test : DataFrame or None
        Rows with the outcome, as class numbers, that the model has not seen.
    pool : DataFrame
        Rows that queries may come from, features only.
    pool_name : str
        Where they come from, in words.
    name : str
        Of the data.
    """

    data: Any
    model: Any
    space: FeatureSpace
    classes: list[str]
    test: pd.DataFrame | None
    pool: pd.DataFrame
    pool_name: str
    name: str = "data"

    @property
    def regression(self) -> bool:
        """Whether the model predicts a number."""
        return host.is_regression(self.model)

    def judge(self, like: pd.DataFrame, models: Any = None) -> Judge:
        """Return what measures; `like` holds rows in the types that the model knows."""
        return Judge.of(self.data, self.model, like, models)

    def target(
        self, frame: pd.DataFrame, judge: Judge, desired_class: Any, desired_range: Any, k: int
    ) -> Target:
        """Return what is wanted of each row."""
        request = Request(
            frame, k, desired_class, desired_range, host.outcome_spread(self.data), judge,
            Protocol(), self.model,
        )  # fmt: skip
        return request.target(frame)


def as_dice_data(
    data: Any, outcome: str | None, continuous: Sequence[str] | None
) -> tuple[Any, list[str]]:
    """Return dice-ml's data object and the names of the classes that the table shows.

    Parameters
    ----------
    data : dice_ml.Data, DataFrame or Dataset
    outcome : str, optional
        Column of a DataFrame; its values are counted from 0 in ascending order unless they are
        whole numbers from 0 already.
    continuous : sequence of str, optional
        Numeric features of a DataFrame; all numeric columns by default.
    """
    if hasattr(data, "to_dice"):  # one of our data sets
        return data.to_dice(), _names(data.frame[data.outcome])
    if not isinstance(data, pd.DataFrame):
        if not hasattr(data, "outcome_name"):
            raise InvalidInputError(
                f"data must be a DataFrame, a dice_ml.Data or a Dataset of load_dataset, not "
                f"{type(data).__name__}"
            )
        table = getattr(data, "data_df", None)
        return data, [] if table is None else _names(table[data.outcome_name])
    _check_columns(data)
    column = check_outcome(data, outcome)
    names = _names(data[column])
    frame = data.assign(**{column: encode_outcome(data[column], names)})
    features = [name for name in data.columns if name != column]
    import dice_ml

    return (
        dice_ml.Data(
            dataframe=frame,
            continuous_features=_continuous(data, features, continuous),
            outcome_name=column,
        ),
        names,
    )


def _check_columns(frame: pd.DataFrame) -> None:
    """Refuse names that dice-ml cannot tell apart or does not take."""
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise InvalidInputError(f"data: more than one column is called {twice}; rename them")
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise InvalidInputError(
            f"data: column names must be texts, not {odd[:5]}; write "
            f"frame.rename(columns=str), and train the model on that"
        )


def check_outcome(frame: pd.DataFrame, outcome: str | None) -> str:
    """Return the name of the outcome column, which must be given and there."""
    if outcome is None:
        raise InvalidInputError(
            "outcome is missing: name the column that the model predicts; there are "
            f"{', '.join(map(repr, frame.columns))}"
        )
    if outcome not in frame.columns:
        raise InvalidInputError(
            f"outcome: there is no column {outcome!r}{did_you_mean(outcome, frame.columns)}; "
            f"there are {', '.join(map(repr, frame.columns))}"
        )
    return outcome


def encode_outcome(values: pd.Series, names: list[str]) -> pd.Series:
    """Return class numbers; numbers of a regression, which have no names, stay."""
    if not names:
        return values
    codes = {name: number for number, name in enumerate(names)}
    unknown = sorted({_text(value) for value in values} - set(codes))
    if unknown:
        raise InvalidInputError(f"outcome: unknown class(es) {unknown}; known are {names}")
    return pd.Series([codes[_text(value)] for value in values], index=values.index, dtype="int64")


def _names(values: pd.Series) -> list[str]:
    """Return the classes in the order in which scikit-learn counts them; none for real numbers."""
    found = sorted(values.unique().tolist())
    if pd.api.types.is_float_dtype(values.dtype) and any(value % 1 for value in found):
        return []
    return [_text(value) for value in found]


def _text(value: Any) -> str:
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _continuous(frame: pd.DataFrame, features: list[str], given: Sequence[str] | None) -> list[str]:
    if given is None:
        numbers = frame[features].select_dtypes("number").columns
        return [str(name) for name in numbers]
    for name in given:
        if name not in features:
            raise InvalidInputError(
                f"continuous: there is no feature {name!r}{did_you_mean(name, features)}"
            )
    return list(given)


def as_dice_model(model: Any, regression: bool = False) -> Any:
    """Return dice-ml's model object for a model in any of the forms people have.

    Parameters
    ----------
    model : dice_ml.Model, torch.nn.Module, Keras model, or anything with ``predict_proba``
        Networks take the columns of dice-ml's "ohe-min-max" and return probabilities; others a
        table of features as it is.
    regression : bool
        Whether a model without classes is wanted.
    """
    import dice_ml

    if hasattr(model, "transformer") and hasattr(model, "backend"):
        return model
    kind = "regressor" if regression else "classifier"
    module = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if "torch" in module:
        return dice_ml.Model(model=model, backend="PYT", func="ohe-min-max", model_type=kind)
    if module & {"keras", "tensorflow", "tf_keras"}:
        return dice_ml.Model(model=model, backend="TF2", func="ohe-min-max", model_type=kind)
    needed = "predict" if regression else "predict_proba"
    if not callable(getattr(model, needed, None)):
        raise InvalidInputError(
            f"model is a {type(model).__name__} without {needed}(); give a fitted scikit-learn "
            f"model, a torch or Keras network, or a dice_ml.Model"
        )
    return dice_ml.Model(model=model, backend="sklearn", model_type=kind)


def fingerprint(table: pd.DataFrame | None) -> str | None:
    """Return the SHA-256 of a table written as CSV, to tell one table from another."""
    if table is None:
        return None
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
