"""From the command's arguments to a report: the table, the model and the settings."""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.audit_report.render import require_jinja
from dice_extended_plugin.audit_report.report import AuditReport
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.audit_report.subject import as_dice_data, check_outcome
from dice_extended_plugin.datasets import DATASETS, load_dataset
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.factories import load_factory

__all__ = ["make_model", "make_report"]

_TEST_SHARE = 0.25
_LEAST_ROWS = 8


def make_report(arguments: argparse.Namespace, command: str) -> None:
    """Make the report that the command asks for, and print where it is.

    Raises
    ------
    InvalidInputError
        Naming the argument.
    """
    settings = _settings(arguments)
    for path in (arguments.out, arguments.json):
        if path is not None:
            _check_writable(path)
    require_jinja()
    factory = load_factory(arguments.model)
    frame, outcome, continuous = _read(arguments)
    train, test = _split(frame, outcome, arguments.random_state)
    features = [name for name in frame.columns if name != outcome]
    taken = _taken(factory, arguments.model)

    def make(part: pd.DataFrame, seed: int) -> Any:
        return make_model(
            factory,
            features=lambda: part[features].copy(),
            outcome=lambda: part[outcome].copy(),
            data=lambda: as_dice_data(part, outcome, continuous)[0],
            random_state=lambda: seed,
        )

    def retrain(seed: int, rows: np.ndarray) -> Callable[[pd.DataFrame], Any]:
        return _predictor(make(train.iloc[rows].reset_index(drop=True), seed))

    model = make(train, arguments.random_state)
    report = AuditReport(
        model,
        train,
        outcome=outcome,
        continuous=continuous,
        test=test,
        unseen=bool(taken[0]) or "data" in taken[1],
        desired_class=arguments.desired_class,
        class_names=_list(arguments.class_names) or None,
        retrain=retrain if arguments.retrain else None,
        settings=settings,
        title=arguments.title or f"Audit of {arguments.model.rpartition(':')[2]}",
        data_name=Path(arguments.data).name,
        generated=arguments.note,
        command=command,
        verbose=not arguments.quiet,
    ).run()
    report.to_html(arguments.out)
    if arguments.json is not None:
        report.to_json(arguments.json)
    verdict = report.content["verdict"]
    print(verdict["headline"])
    print(f"written: {arguments.out}" + (f", {arguments.json}" if arguments.json else ""))


def _check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before minutes are spent on what goes into it."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InvalidInputError(f"the folder of {path} does not exist; make it first")
    if path.is_dir():
        raise InvalidInputError(
            f"{path} is a folder; name a file in it, such as {path}/report.html"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InvalidInputError(f"{path} cannot be written here; name a file in another folder")


def _settings(arguments: argparse.Namespace) -> ReportSettings:
    noun = _list(arguments.noun)
    if len(noun) != 2:
        raise InvalidInputError(f"--noun must be ONE,MANY, such as person,people: {arguments.noun}")
    return ReportSettings(
        n_queries=arguments.queries,
        k=arguments.k,
        method=arguments.method,
        immutable=_list(arguments.immutable),
        groups=_list(arguments.groups),
        n_attacked=arguments.attacked,
        n_retrained=arguments.retrain,
        noun=(noun[0], noun[1]),
        random_state=arguments.random_state,
    )


def make_model(factory: Callable[..., Any], **given: Any) -> Any:
    """Call a factory with what it takes.

    Parameters
    ----------
    factory : callable
        Takes any of these: by place the training rows' features (DataFrame) and outcome (Series);
        by name ``data`` (dice_ml.Data of these rows, for networks, whose columns are its
        ``get_ohe_min_max_normalized_data``) and ``random_state`` (int). Returns a fitted model, or
        a job's pair (dice_ml.Data, dice_ml.Model).
    **given
        Functions that return these values, called only for what is taken.

    Raises
    ------
    InvalidInputError
        It needs something else, raised, or returned nothing.
    """
    name = getattr(factory, "__name__", "the factory")
    places, named = _taken(factory, name)
    try:
        model = factory(*(given[one]() for one in places), **{one: given[one]() for one in named})
    except Exception as error:  # the user's function may raise anything
        raise InvalidInputError(f"{name} failed: {type(error).__name__}: {error}") from error
    if isinstance(model, tuple) and len(model) == 2:
        model = model[1]
    if model is None:
        raise InvalidInputError(f"{name} returned nothing; it must return a fitted model")
    return model


def _taken(factory: Callable[..., Any], name: str) -> tuple[list[str], list[str]]:
    """Return what a factory takes by place and what by name."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(factory).parameters
    named = [one for one in ("data", "random_state") if one in parameters]
    needed = [
        one.name
        for one in parameters.values()
        if one.name not in named and one.kind in kinds and one.default is inspect.Parameter.empty
    ]
    if len(needed) > 2:
        raise InvalidInputError(
            f"{name} needs {needed}; a factory takes nothing, or the training features and the "
            f"outcome, and data and random_state by name"
        )
    return ["features", "outcome"][: len(needed)], named


def _predictor(model: Any) -> Callable[[pd.DataFrame], Any]:
    inner = getattr(model, "model", model)
    if not callable(getattr(inner, "predict_proba", None)):
        raise InvalidInputError("--retrain needs a model with predict_proba")
    return lambda table: inner.predict_proba(table)


def _read(arguments: argparse.Namespace) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the table, its outcome and its numeric features."""
    if arguments.data in DATASETS:
        data = load_dataset(arguments.data)
        return data.frame, data.outcome, _list(arguments.continuous) or data.continuous
    path = Path(arguments.data)
    if not path.is_file():
        raise InvalidInputError(
            f"--data: {arguments.data} is no file, and no data set; there are {', '.join(DATASETS)}"
        )
    try:
        frame = pd.read_csv(path)
    except (ValueError, OSError, EOFError) as error:  # pandas' parser errors are ValueErrors
        raise InvalidInputError(f"--data: {path} cannot be read as CSV: {error}") from error
    outcome = check_outcome(frame, arguments.outcome)
    missing = [name for name in frame.columns if frame[name].isna().any()]
    if missing:
        raise InvalidInputError(
            f"--data: missing values in {', '.join(map(repr, missing))}; fill or drop them first"
        )
    numbers = frame.drop(columns=outcome).select_dtypes("number").columns
    return frame, outcome, _list(arguments.continuous) or [str(name) for name in numbers]


def _split(
    frame: pd.DataFrame, outcome: str, random_state: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    from sklearn.model_selection import train_test_split

    if len(frame) < _LEAST_ROWS:
        raise InvalidInputError(
            f"--data: the table has {len(frame)} rows; at least {_LEAST_ROWS} are needed, some of "
            f"them kept back for testing"
        )
    counts = frame[outcome].value_counts()
    if pd.api.types.is_float_dtype(frame[outcome]) and (frame[outcome] % 1).any():
        raise InvalidInputError(
            f"--outcome: {outcome!r} holds real numbers, no classes; for a regression model write "
            f"AuditReport(..., desired_range=(low, high)) in Python"
        )
    if counts.min() < 2:
        raise InvalidInputError(
            f"--data: too few rows to keep some back for testing; the class {counts.idxmin()!r} "
            f"has {counts.min()}"
        )
    train, test = train_test_split(
        frame, test_size=_TEST_SHARE, random_state=random_state, stratify=frame[outcome]
    )
    return train.reset_index(drop=True), test.reset_index(drop=True)


def _list(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
