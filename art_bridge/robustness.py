"""Algorithm 1: overall and class-wise robustness of any ART classifier, by counterfactuals."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import numpy as np

from art_bridge.border import class_index
from art_bridge.inputs import as_rows, norm_order, predict, require_classifier
from art_bridge.report import RobustnessReport
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["RobustnessReport", "aim", "counterfactual_robustness"]

logger = logging.getLogger(__name__)

ROW_NOT_FINITE = "row holds NaN or infinity"
SCORE_NOT_FINITE = "classifier's output for the row is not finite"
NOT_FOUND = "no counterfactual found"


def counterfactual_robustness(
    classifier: Any,
    x: Any,
    y: Any = None,
    *,
    x_train: Any = None,
    y_train: Any = None,
    attack: Any = None,
    attack_params: dict[str, Any] | None = None,
    norm: float | str | None = None,
    n_bootstrap: int = 1000,
    random_state: int = 0,
    verbose: bool = False,
) -> RobustnessReport:
    """Measure how far rows of each predicted class are from every other class.

    Every usable row is sent to every class but its own; D_ij and N_ij are the sum and the number
    of the distances found from predicted class i to class j.

    Parameters
    ----------
    classifier : art classifier
        Anything of ART that predicts one score per class.
    x : array-like of shape (n, d)
        Rows to analyse, in the classifier's input units. Never written to. Rows with NaN or
        infinity are left out and counted.
    y : array-like of shape (n,) or (n, C), optional
        True labels, for the report's accuracy only.
    x_train, y_train : array-like, optional
        Training rows (and labels) that the default attack starts from; `x_train` is needed unless
        `attack` is given.
    attack : art.attacks.EvasionAttack, optional
        A targeted attack on `classifier`, or for two classes an untargeted one. Default:
        :class:`~art_bridge.attack.UnconstrainedCounterfactual`.
    attack_params : dict, optional
        Further arguments of the default attack.
    norm : {1, 2, np.inf, "inf"}, optional
        Of the distances. Default: the attack's own ``norm``, else 2.
    n_bootstrap : int, default 1000
        Resamples behind the intervals, at least 1.
    random_state : int, default 0
        Of the default attack and of the resamples.
    verbose : bool, default False
        Whether the default attack shows its progress.

    Returns
    -------
    RobustnessReport

    Raises
    ------
    art.exceptions.EstimatorError
        A ``TypeError``: not an ART classifier.
    InvalidInputError
        A ``ValueError``: an argument that cannot be worked with, or not one usable row.

    References
    ----------
    Rasouli and Yu, Analyzing and Improving the Robustness of Tabular Classifiers using
    Counterfactual Explanations, Algorithm 1.
    """
    require_classifier(classifier, RobustnessReport)
    if isinstance(n_bootstrap, bool) or not isinstance(n_bootstrap, int) or n_bootstrap < 1:
        raise InvalidInputError(f"n_bootstrap must be a positive whole number, not {n_bootstrap!r}")
    rows = as_rows(x, "x", finite=False)
    usable, labels, n_classes, reasons = _usable(classifier, rows)
    truth = None if y is None else class_index(y, len(rows), n_classes, "y")
    if attack is None:
        attack = _default_attack(
            classifier, x_train, y_train, norm, attack_params, random_state, verbose
        )
    elif attack_params:
        raise InvalidInputError("attack_params are for the default attack; give attack or them")
    order = norm_order(getattr(attack, "norm", 2) if norm is None else norm)

    others = n_classes - 1
    row = np.repeat(usable, others)
    source = np.repeat(labels, others)
    target = (source + np.tile(np.arange(1, n_classes), len(usable))) % n_classes
    begin = time.perf_counter()
    found, success, probability = aim(attack, classifier, rows[row], source, target, n_classes)
    seconds = time.perf_counter() - begin
    distance = np.linalg.norm(found.astype(float) - rows[row], ord=order, axis=1)
    reasons[NOT_FOUND] = int((~success).sum())

    report = RobustnessReport(
        n_classes=n_classes,
        n_rows=len(rows),
        row=row,
        source=source,
        target=target,
        distance=np.where(success, distance, np.nan),
        success=success,
        probability=np.where(success, probability, np.nan),
        counterfactuals=found,
        norm=order,
        seconds=seconds,
        reasons={reason: count for reason, count in reasons.items() if count},
        accuracy=None if truth is None else float((labels == truth[usable]).mean()),
        random_state=random_state,
        n_bootstrap=n_bootstrap,
    )
    for (i, j), why in report.unmeasured.items():
        logger.warning("no margin from class %d to class %d: %s", i, j, why)
    return report


def aim(
    attack: Any,
    classifier: Any,
    rows: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    n_classes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run an attack toward given classes and check the result with a fresh model call.

    Parameters
    ----------
    attack : art.attacks.EvasionAttack
        Targeted, or untargeted where there are two classes only.
    rows : ndarray of float32, shape (m, d)
    source, target : ndarray of int, shape (m,)
        Predicted class and wanted class of each row.

    Returns
    -------
    found : ndarray of float32, shape (m, d)
    success : ndarray of bool, shape (m,)
        Whether the classifier's label of the float32 row is the target.
    probability : ndarray of float, shape (m,)
        The target's score.

    Raises
    ------
    InvalidInputError
        If the attack cannot be aimed, or returns another shape.
    """
    targeted = bool(getattr(attack, "targeted", False))
    if not targeted and n_classes > 2:
        raise InvalidInputError(
            f"{type(attack).__name__} is untargeted and there are {n_classes} classes: make it "
            f"targeted"
        )
    wanted = np.eye(n_classes, dtype=np.float32)[target if targeted else source]
    found = np.array(attack.generate(rows.copy(), y=wanted), dtype=np.float32)
    if found.shape != rows.shape:
        raise InvalidInputError(
            f"{type(attack).__name__} returned shape {found.shape} for rows of shape {rows.shape}"
        )
    finite = np.isfinite(found).all(axis=1)
    found[~finite] = rows[~finite]
    scores = predict(classifier, found)
    success = finite & np.isfinite(scores).all(axis=1) & (scores.argmax(axis=1) == target)
    return found, success, scores[np.arange(len(rows)), target].astype(float)


def _usable(classifier: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, Counter[str]]:
    """Return the indices of rows that can be analysed, their labels, C, and counted reasons."""
    finite = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(finite):
        raise InvalidInputError("every row of x holds NaN or infinity")
    scores = predict(classifier, rows[finite])
    good = np.isfinite(scores).all(axis=1)
    if not good.any():
        raise InvalidInputError(
            "the classifier returns NaN or infinity for every row; check its weights and scaling"
        )
    reasons = Counter(
        {ROW_NOT_FINITE: len(rows) - len(finite), SCORE_NOT_FINITE: int((~good).sum())}
    )
    return finite[good], scores[good].argmax(axis=1), scores.shape[1], reasons


def _default_attack(
    classifier: Any,
    x_train: Any,
    y_train: Any,
    norm: Any,
    attack_params: dict[str, Any] | None,
    random_state: int,
    verbose: bool,
) -> Any:
    if x_train is None:
        raise InvalidInputError("give x_train, the rows the search starts from, or an attack")
    from art_bridge.attack import UnconstrainedCounterfactual

    options = {"norm": 2 if norm is None else norm, **(attack_params or {})}
    return UnconstrainedCounterfactual(
        classifier,
        x_train,
        y_train,
        targeted=True,
        random_state=random_state,
        verbose=verbose,
        **options,
    )
