"""From an audit report's arguments to its content: plain values, the same in HTML and in JSON."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host
from dice_extended_plugin.audit_report.glossary import glossary
from dice_extended_plugin.audit_report.images import image_section
from dice_extended_plugin.audit_report.margins import class_margins, given_margins
from dice_extended_plugin.audit_report.numbers import jsonable
from dice_extended_plugin.audit_report.provenance import setting_rows
from dice_extended_plugin.audit_report.recourse import recourse
from dice_extended_plugin.audit_report.searches import MEASURE_SEED, ask, choose_queries, method_of
from dice_extended_plugin.audit_report.subject import (
    Subject,
    as_dice_data,
    as_dice_model,
    encode_outcome,
    fingerprint,
)
from dice_extended_plugin.audit_report.tables import query_tables
from dice_extended_plugin.audit_report.verdict import verdict
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.invalidation import retrain_models
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.targets import ClassTarget
from dice_extended_plugin.versions import versions

if TYPE_CHECKING:
    from dice_extended_plugin.audit_report.report import AuditReport

__all__ = ["build"]

logger = logging.getLogger(__name__)


def build(report: AuditReport) -> dict[str, Any]:
    """Run everything and return the content.

    Raises
    ------
    InvalidInputError
        Before any search, naming the argument.
    """
    from dice_extended_plugin.audit_report.report import SCHEMA, SCHEMA_VERSION

    content: dict[str, Any] = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "title": report.title,
        "generated": report.generated,
        "settings": setting_rows(report.settings),
        "subject": None,
        "recourse": None,
        "tables": [],
        "margins": None if report.margins is None else given_margins(report.margins, report.curve),
        "images": [image_section(one) for one in report.images],
        "versions": versions(),
        "seeds": {"rows and searches": report.settings.random_state, "measures": MEASURE_SEED},
        "command": report.command,
    }
    chance: dict[str, Any] = {}
    if report.model is not None:
        chance = _add_tabular(report, content)
    content = jsonable(content)
    content["metrics"] = jsonable(glossary(_metric_names(content), chance, _others(content)))
    content["verdict"] = jsonable(verdict(content))
    return content


def _metric_names(content: dict[str, Any]) -> list[str]:
    found = content["recourse"]
    return [] if found is None else [row["metric"] for row in found["comparison"]]


def _others(content: dict[str, Any]) -> list[str]:
    names = []
    if content["margins"] and "absent" not in content["margins"]:
        names += ["margin", "r_class", *(["success_rate"] if content["margins"]["curve"] else [])]
    if any(section["audits"] for section in content["images"]):
        names += ["mean_abs_delta", "needed"]
    if any(section["scores"] for section in content["images"]):
        names.append("IoU")
    return names


def _add_tabular(report: AuditReport, content: dict[str, Any]) -> dict[str, Any]:
    """Add what is said about rows and classes; returns the metrics' chance values."""
    settings = report.settings
    subject = _subject(report)
    models = None
    judge = subject.judge(subject.pool)
    frame, notes = _queries(report, subject, judge)
    if settings.n_retrained:
        assert report.retrain is not None
        models = retrain_models(report.retrain, len(subject.data.data_df), settings.n_retrained)
        judge = subject.judge(subject.pool, models)
    desired = _desired(report, subject)
    target = subject.target(frame, judge, desired, report.desired_range, settings.k)
    wanted: dict[str, Any] = (
        {"desired_range": list(report.desired_range)}
        if report.desired_range is not None
        else {"desired_class": desired}
    )
    logger.info("searching changes for %d rows", len(frame))
    robust = ask(subject, frame, target, wanted, judge, settings, True, report.verbose)
    plain = None
    if settings.compare_plain:
        plain = ask(subject, frame, target, wanted, judge, settings, False, report.verbose)
    scores = judge.predict(frame)
    if isinstance(target, ClassTarget):
        origin, aim = scores.argmax(axis=1), np.asarray(target.index)
        texts = [subject.classes[i] for i in origin], [subject.classes[i] for i in aim]
    else:
        low, high = report.desired_range or (0.0, 0.0)
        origin, aim = np.zeros(len(frame), dtype=int), np.ones(len(frame), dtype=int)
        texts = [f"{value:.4g}" for value in scores[:, 0]], [f"{low:g} to {high:g}"] * len(frame)
    found = recourse(robust, plain, origin, aim, settings)
    for row in found["directions"]:
        names = subject.classes or ["outside the range", "inside the range"]
        row["from"], row["to"] = names[row["from"]], names[row["to"]]
    content["recourse"] = found
    held = robust.held(settings.noise)
    content["tables"] = query_tables(robust, *texts, held, settings)
    content["subject"] = _describe(report, subject, judge, notes)
    if content["margins"] is None and not subject.regression:
        logger.info("measuring class margins")
        rows, labels = _attacked(subject)
        content["margins"] = class_margins(
            judge, rows, labels, len(subject.classes), settings, report.classifier, report.verbose
        )
    return dict(found["chance"])


def _subject(report: AuditReport) -> Subject:
    """Bring the arguments to one form."""
    data, table_names = as_dice_data(report.data, report.outcome, report.continuous)
    model = as_dice_model(report.model, report.desired_range is not None)
    regression = host.is_regression(model)
    if regression and report.desired_range is None:
        raise InvalidInputError("a regression model needs desired_range=(low, high)")
    space = host.feature_space(data)
    _check_features(report, space)
    test = report.test
    if test is not None:
        if data.outcome_name not in test.columns:
            raise InvalidInputError(f"test has no column {data.outcome_name!r}, the outcome")
        test = test.reset_index(drop=True)
    if report.queries is not None:
        pool, where = report.queries, "rows given"
    elif test is not None:
        pool, where = (
            test,
            (
                "rows that the model was not trained on"
                if report.unseen
                else "rows kept back, which the model may have been trained on"
            ),
        )
    elif host.has_table(data):
        pool, where = _training_rows(report, data), "training rows"
    else:
        raise InvalidInputError("the data object holds no rows: give queries")
    frame = host.query_frame(pool[[name for name in pool.columns if name in space.names]], space)
    scores = _ask_once(data, model, frame)
    classes = [] if regression else _classes(report, scores.shape[1], table_names)
    if test is not None and not regression:
        coded = encode_outcome(test[data.outcome_name], _known(table_names, classes, test, data))
        test = test.assign(**{data.outcome_name: coded})
    name = report.data_name or str(getattr(report.data, "name", "") or "the table given")
    return Subject(data, model, space, classes, test, frame, where, name)


def _training_rows(report: AuditReport, data: Any) -> pd.DataFrame:
    """Return the training rows as the user wrote them: dice-ml turns levels into text."""
    if isinstance(report.data, pd.DataFrame):
        return report.data
    table = getattr(report.data, "frame", None)
    rows = data.data_df if table is None else table
    levels = rows.select_dtypes("category").columns
    return rows.astype({name: object for name in levels})


def _known(names: list[str], classes: list[str], test: pd.DataFrame, data: Any) -> list[str]:
    """Return the labels as the test rows write them: by the table's own names or as numbers."""
    found = {str(value) for value in test[data.outcome_name]}
    return classes if found <= set(classes) and not found <= set(names) else names


def _check_features(report: AuditReport, space: Any) -> None:
    settings = report.settings
    named = [("immutable", settings.immutable), ("groups", settings.groups)]
    named.append(("permitted_range", tuple(settings.permitted_range or ())))
    for argument, names in named:
        for name in names:
            if name not in space.names:
                raise InvalidInputError(
                    f"{argument}: there is no feature {name!r}"
                    f"{did_you_mean(str(name), space.names)}; there are {list(space.names)}"
                )
    if not set(space.names) - set(settings.immutable):
        raise InvalidInputError("immutable holds every feature fixed: there is nothing to change")
    settings.noise.check_names(space)


def _ask_once(data: Any, model: Any, like: pd.DataFrame) -> np.ndarray:
    """Ask the model about one row, so that a table it does not know is told in its own words.

    Raises
    ------
    InvalidInputError
        With what the model raised as its cause.
    """
    try:
        return Judge.of(data, model, like).predict(like.iloc[:1])
    except InvalidInputError:
        raise
    except Exception as error:  # the user's model may raise anything
        said = " ".join(str(error).split())
        raise InvalidInputError(
            f"the model cannot answer rows with the features {list(like.columns)}: "
            f"{type(error).__name__}: {said}"
        ) from error


def _classes(report: AuditReport, n: int, names: list[str]) -> list[str]:
    """Return a name for each of the `n` columns of the model's scores."""
    given = None if report.class_names is None else [str(name) for name in report.class_names]
    found = given if given is not None else names
    if given is not None and len(given) != n:
        raise InvalidInputError(
            f"class_names has {len(given)} names, the model has {n} classes; give one for each"
        )
    return found if len(found) == n else [f"class {i}" for i in range(n)]


def _desired(report: AuditReport, subject: Subject) -> Any:
    wanted = report.desired_class
    if wanted == "opposite" or subject.regression:
        if wanted == "opposite" and len(subject.classes) > 2:
            raise InvalidInputError(
                f"desired_class: the model has the classes {subject.classes}; name the one that "
                f"is wanted"
            )
        return wanted
    if isinstance(wanted, str):
        if wanted in subject.classes:
            return subject.classes.index(wanted)
        if wanted.isdecimal() and int(wanted) < len(subject.classes):
            return int(wanted)
        raise InvalidInputError(
            f"desired_class: there is no class {wanted!r}{did_you_mean(wanted, subject.classes)}; "
            f"there are {subject.classes}"
        )
    return int(wanted)


def _queries(
    report: AuditReport, subject: Subject, judge: Judge
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows to explain, and what was left out."""
    target = subject.target(
        subject.pool, judge, _desired(report, subject), report.desired_range, report.settings.k
    )
    have = target.met(judge.predict(subject.pool), np.arange(len(subject.pool)))
    if have.all():
        raise InvalidInputError(
            "every row has the wanted outcome already: there is nothing to ask; choose another "
            "desired_class or other queries"
        )
    n = len(subject.pool) if report.queries is not None else report.settings.n_queries
    places = choose_queries(~have, n, report.settings.random_state)
    notes = {"pool": len(subject.pool), "have": int(have.sum()), "asked": len(places)}
    return subject.pool.iloc[places].reset_index(drop=True), notes


def _attacked(subject: Subject) -> tuple[pd.DataFrame, np.ndarray | None]:
    if subject.test is None:
        return subject.pool, None
    rows = host.query_frame(subject.test[list(subject.space.names)], subject.space)
    return rows, subject.test[subject.data.outcome_name].to_numpy(dtype=int)


def _describe(
    report: AuditReport, subject: Subject, judge: Judge, notes: dict[str, Any]
) -> dict[str, Any]:
    """Say what the report is about."""
    data, space = subject.data, subject.space
    inner = getattr(subject.model, "model", None)
    table = data.data_df if host.has_table(data) else None
    where = _where(report, subject, notes)
    return {
        "model": _model_words(inner),
        "backend": str(subject.model.backend),
        "method": method_of(report.settings, subject.model),
        "data": subject.name,
        "outcome": str(data.outcome_name),
        "classes": subject.classes,
        "regression": subject.regression,
        "desired_range": report.desired_range,
        "continuous": list(space.continuous),
        "categorical": list(space.categorical),
        "training_rows": None if table is None else len(table),
        "test_rows": None if subject.test is None else len(subject.test),
        "queries_from": where,
        "noise": _noise_words(report),
        "quality": _quality(subject, judge, report.unseen),
        "fingerprints": {
            "training table": fingerprint(table),
            "test table": fingerprint(subject.test),
        },
    }


def _where(report: AuditReport, subject: Subject, notes: dict[str, Any]) -> str:
    """Say where the rows come from."""
    left = notes["pool"] - notes["have"]
    every = notes["asked"] == left
    start = "" if report.queries is not None else "all of " if every else "drawn at random from "
    where = f"{start}the {left} {subject.pool_name}"
    if notes["have"]:
        where += (
            f" and do not have the wanted outcome ({notes['have']} have it already and were left "
            f"out)"
        )
    return where


def _quality(subject: Subject, judge: Judge, unseen: bool) -> dict[str, Any] | None:
    """Return the accuracy on test rows beside that of the most frequent class."""
    if subject.test is None or subject.regression:
        return None
    rows, labels = _attacked(subject)
    assert labels is not None
    right = float((judge.predict(rows).argmax(axis=1) == labels).mean())
    low, high = wilson_interval(right, len(labels))
    counts = np.bincount(labels, minlength=len(subject.classes))
    return {
        "n": len(labels),
        "unseen": unseen,
        "accuracy": right,
        "low": float(low),
        "high": float(high),
        "majority": float(counts.max() / len(labels)),
        "majority_class": subject.classes[int(counts.argmax())],
    }


def _model_words(model: Any) -> str:
    """Return a model's class; of a pipeline those of its steps."""
    steps = getattr(model, "steps", None)
    if isinstance(steps, list):
        return " and ".join(type(step).__name__ for _, step in steps)
    return type(model).__name__


def _noise_words(report: AuditReport) -> str:
    """Say in words what the noise is."""
    noise = report.settings.noise
    scale = (
        f"{100 * noise.scale:g} % of its range"
        if isinstance(noise.scale, (int, float))
        else ("a share of its range set for each feature")
    )
    flip = (
        f"with probability {100 * noise.flip:g} %"
        if isinstance(noise.flip, (int, float))
        else "with a probability set for each feature"
    )
    which = {
        "changed": "in the features that a change touches",
        "kept": "in the features that a change leaves alone",
        "all": "in every feature",
    }[noise.scope]
    shape = {
        "gaussian": "bell-shaped",
        "uniform": "evenly spread",
        "heavy-tailed": "mostly small with some large ones",
    }[noise.family]
    return (
        f"a number is off by a random error ({shape}, standard deviation {scale}), and a category "
        f"is taken for another {flip}, {which}"
    )
