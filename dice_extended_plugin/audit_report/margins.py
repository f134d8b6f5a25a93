"""What a report says about classes: how far apart they are, and how large a change fools the model.

The measures are the ART bridge's, found through the registry. The model is put to them as a
classifier of encoded rows (features scaled to their range, categories as one column per level), so
that any model can be measured; a classifier given by the user is taken as it is.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.audit_report.charts import tick_step
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.plugins import get_registry
from dice_extended_plugin.registry import UnknownComponentError
from dice_extended_plugin.space import FeatureSpace

__all__ = ["class_margins", "encoded_classifier", "given_margins"]

_STREAM = 42
#: Training rows that searches start from, at most.
_MOST_TRAINING_ROWS = 2000
_CURVE_POINTS = 25


def class_margins(
    judge: Judge,
    rows: pd.DataFrame,
    labels: np.ndarray | None,
    n_classes: int,
    settings: ReportSettings,
    classifier: Any = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Measure class-wise robustness and the success rate of the nearest change.

    Parameters
    ----------
    judge : Judge
    rows : DataFrame
        Rows that may be analysed; at most ``settings.n_attacked`` are drawn.
    labels : ndarray of int or None
        Their true classes, where known.
    n_classes : int
    classifier : ART classifier of encoded rows, optional

    Returns
    -------
    dict
        ``absent``: why there is nothing, and what to install; or the figures.
    """
    absent = _absent(judge, settings)
    if absent:
        return {"absent": absent}
    space = judge.space
    rng = np.random.default_rng(np.random.SeedSequence(settings.random_state, spawn_key=(_STREAM,)))
    everything = space.encode(rows).astype(np.float32)
    predicted = judge.predict(rows).argmax(axis=1)
    even = _evenly(predicted, settings.n_attacked, rng)
    some = np.arange(len(rows))
    if len(some) > settings.n_attacked:
        some = np.sort(rng.choice(len(rows), settings.n_attacked, replace=False))
    train = judge.reference
    assert train is not None
    if len(train) > _MOST_TRAINING_ROWS:
        train = train[np.sort(rng.choice(len(train), _MOST_TRAINING_ROWS, replace=False))]
    if classifier is None:
        classifier = encoded_classifier(judge, n_classes)
    registry = get_registry()
    options = {
        "x_train": train.astype(np.float32),
        "random_state": settings.random_state,
        "verbose": verbose,
    }
    rules = _constraints(space)
    report = registry.load("art_metric", "counterfactual_robustness")(
        classifier, everything[even], attack_params={"constraints": rules}, **options
    )
    attack = registry.load("art_attack", "unconstrained_counterfactual")(
        classifier, constraints=rules, **options
    )
    y = predicted if labels is None else labels
    curve = None
    if (y[some] == predicted[some]).any():
        curve = registry.load("art_metric", "success_rate_curve")(
            attack, everything[some], _sizes(report), y[some]
        )
    found = given_margins(report, curve)
    return found | {
        "rows": len(even),
        "unit": "encoded",
        "attack": "the nearest row of another class (NSGA-III search, Euclidean distance)",
    }


def given_margins(report: Any, curve: Any = None) -> dict[str, Any]:
    """Return the figures of results that the user, or the ART bridge, has computed.

    Parameters
    ----------
    report : art_bridge.RobustnessReport
    curve : art_bridge.SuccessRateCurve, optional
    """
    figures: dict[str, Any] = {
        "rows": int(report.n_rows),
        "unit": "given",
        "attack": "",
        "n_classes": int(report.n_classes),
        "norm": _norm(report.norm),
        "accuracy": report.accuracy,
        "pairs": report.to_frame("pairs").to_dict("records"),
        "classes": report.to_frame("classes").to_dict("records"),
        "r_overall": report.r_overall,
        "r_overall_interval": [float(end) for end in report.intervals["r_overall"]],
        "reasons": dict(report.reasons),
        "curve": None,
    }
    _without_single_rows(figures)
    if curve is not None:
        figures["curve"] = {
            "epsilons": curve.epsilons,
            "rate": curve.rate,
            "low": curve.low,
            "high": curve.high,
            "n_rows": curve.n_rows,
            "left_out": curve.left_out,
        }
    return figures


def _without_single_rows(figures: dict[str, Any]) -> None:
    """Take out intervals of a single row: its bootstrap is a point, and looks sure."""
    lonely = set()
    for row in figures["pairs"]:
        if row["found"] == 1:
            row["low"] = row["high"] = None
            lonely |= {row["source"], row["target"]}
    for row in figures["classes"]:
        if row["class"] in lonely:
            row["r_class_low"] = row["r_class_high"] = None


def encoded_classifier(judge: Judge, n_classes: int) -> Any:
    """Return an ART classifier of encoded rows; it asks the model itself.

    Each block of levels counts as the level of its largest column. There are no clip values: rows
    that the model was not trained on may lie outside the range of those it was.
    """
    from art.estimators.classification import BlackBoxClassifier

    space = judge.space

    def predict(rows: np.ndarray) -> np.ndarray:
        return np.asarray(judge.scores(_one_level(rows, space)), dtype=np.float32)

    return BlackBoxClassifier(
        predict, input_shape=(space.n_columns,), nb_classes=n_classes, clip_values=None
    )


def _one_level(rows: np.ndarray, space: FeatureSpace) -> np.ndarray:
    rows = np.array(rows, dtype=np.float64)
    for block in space.blocks:
        columns = block[block >= 0]
        level = rows[:, columns].argmax(axis=1)
        rows[:, columns] = np.eye(len(columns))[level]
    return rows


def _constraints(space: FeatureSpace) -> dict[str, Any]:
    """Rules that keep rows such as the table could hold: one level a feature, whole numbers."""
    blocks = [[int(column) for column in block if column >= 0] for block in space.blocks]
    constant = [j for j in range(space.n_continuous) if space.high[j] <= space.low[j]]
    single = [block[0] for block in blocks if len(block) == 1]
    return {
        "one_hot": [block for block in blocks if len(block) > 1],
        "steps": {
            j: 1.0 / float(space.scale[j])
            for j in range(space.n_continuous)
            if space.integer[j] and j not in constant
        },
        "immutable": [*constant, *single],
    }


def _evenly(predicted: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return places of `n` rows, as many of each predicted class as there are, up to its part.

    Margins are means within a class, so that an even draw makes them surer and changes nothing.
    """
    order = rng.permutation(len(predicted))
    # The place of each row among those of its class, in the order of the draw.
    turn = np.empty(len(order), dtype=int)
    for label in np.unique(predicted):
        of = order[predicted[order] == label]
        turn[of] = np.arange(len(of))
    first = order[np.argsort(turn[order], kind="stable")]
    return np.sort(first[:n])


def _sizes(report: Any) -> np.ndarray:
    """Return round sizes up to the farthest change that was found."""
    found = report.distance[report.success]
    reach = float(found.max()) if len(found) else 1.0
    step = tick_step(reach / _CURVE_POINTS)
    return step * np.arange(int(np.ceil(reach / step)) + 1)


def _norm(norm: float) -> str:
    return {1.0: "1", 2.0: "2"}.get(float(norm), "inf")


def _absent(judge: Judge, settings: ReportSettings) -> str:
    """Say why classes are not measured, and what to do; "" where they can be."""
    if settings.n_attacked == 0:
        return "Not asked for: n_attacked is 0."
    if judge.reference is None:
        return (
            "Not measured: the data object holds no training rows. Make dice_ml.Data from a table."
        )
    if importlib.util.find_spec("art") is None:
        return (
            "Not measured: the Adversarial Robustness Toolbox is not installed. To have this "
            "section, run: pip install 'dice-extended[art]'"
        )
    try:
        get_registry().find("art_metric", "counterfactual_robustness")
    except UnknownComponentError:
        return (
            "Not measured: the ART bridge is switched off here (DICE_EXTENDED_PLUGINS or "
            "DICE_EXTENDED_BLOCK)."
        )
    return ""
