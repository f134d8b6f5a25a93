"""Candidates of the defence: figures on held-out rows, and the floors to stand above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from art_bridge.inputs import predict
from art_bridge.report import RobustnessReport
from art_bridge.robustness import counterfactual_robustness
from art_bridge.strategies import Recipe
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Candidate", "Floors", "measure"]


@dataclass(eq=False)
class Candidate:
    """A model that was trained on a recipe, and what it is worth.

    Attributes
    ----------
    x, y : ndarray
        The training table.
    accuracy, precision : float
        On the validation rows; precision is weighted by class, as in the paper's Table IV, where
        the recall so weighted is the accuracy.
    recalls : ndarray of shape (C,)
        NaN for a class without validation rows.
    refused : str
        Why it cannot be chosen, "" if it can.
    """

    classifier: Any
    x: np.ndarray
    y: np.ndarray
    settings: Mapping[str, Any]
    round: int
    vulnerable: int | None
    report: Any = None
    accuracy: float = float("nan")
    precision: float = float("nan")
    recalls: np.ndarray = field(default_factory=lambda: np.empty(0))
    refused: str = ""
    chosen: bool = False

    @classmethod
    def without_model(
        cls, recipe: Recipe, round_: int, vulnerable: int | None, why: str
    ) -> Candidate:
        """Return a candidate that was not trained."""
        return cls(None, recipe.x, recipe.y, recipe.settings, round_, vulnerable, refused=why)

    def imbalance(self, label: int) -> float:
        """|log R_class| of a class: 0 is balanced, infinite where it was not measured."""
        return float(np.nan_to_num(abs(np.log(self.report.r_class[label])), nan=np.inf))

    def margin(self, label: int) -> float:
        """Turnover effort α of a class, minus infinity where it was not measured."""
        return float(np.nan_to_num(self.report.alpha[label], nan=-np.inf))

    def figures(self) -> dict[str, float]:
        """Return the figures under flat names."""
        if self.report is None:
            return {}
        each = {
            f"{name}_{i}": float(value)
            for name, values in (
                ("recall", self.recalls),
                ("alpha", self.report.alpha),
                ("beta", self.report.beta),
                ("r_class", self.report.r_class),
            )
            for i, value in enumerate(values)
        }
        return {
            "accuracy": self.accuracy,
            "precision": self.precision,
            "recall": self.accuracy,
            "r_overall": self.report.r_overall,
            **each,
        }

    def record(self) -> dict[str, Any]:
        """Return everything but the model and its rows, as one row of a table."""
        return {
            "round": self.round,
            "vulnerable": self.vulnerable,
            **self.settings,
            "rows": len(self.x),
            **self.figures(),
            "refused": self.refused,
            "chosen": self.chosen,
        }


@dataclass(frozen=True)
class Floors:
    """What a candidate may not lose against the model before.

    Attributes
    ----------
    accuracy_drop : float
    recall_drop : float or None
        For each class.
    keep_overall : bool
    """

    accuracy_drop: float = 0.01
    recall_drop: float | None = None
    keep_overall: bool = True

    def refuse(self, candidate: Candidate, before: Candidate) -> str:
        """Return the reason why a candidate cannot be chosen, "" if it can."""
        if candidate.report.unmeasured:
            (i, j), why = next(iter(candidate.report.unmeasured.items()))
            return f"no margin from class {i} to class {j}: {why}"
        # A drop of exactly the floor is allowed, whatever the last digit says.
        if candidate.accuracy < before.accuracy - self.accuracy_drop - 1e-9:
            return f"accuracy {candidate.accuracy:.4f}, it was {before.accuracy:.4f}"
        if self.recall_drop is not None:
            lost = before.recalls - candidate.recalls
            if (lost > self.recall_drop + 1e-9).any():
                worst = int(np.nanargmax(lost))
                return f"recall of class {worst} fell by {lost[worst]:.4f}"
        if self.keep_overall and candidate.report.r_overall < before.report.r_overall:
            return (
                f"R_overall {candidate.report.r_overall:.4g}, it was {before.report.r_overall:.4g}"
            )
        return ""


def measure(
    classifier: Any,
    recipe: Recipe,
    x: np.ndarray,
    y: np.ndarray,
    analysed: np.ndarray,
    attack: Any,
    round_: int,
    vulnerable: int | None,
) -> Candidate:
    """Measure a trained model: accuracy on all validation rows, margins on some of them."""
    scores = predict(classifier, x)
    if not np.isfinite(scores).all():
        if round_ == 0:
            raise InvalidInputError("the classifier, trained afresh, returns NaN or infinity")
        return Candidate.without_model(recipe, round_, vulnerable, "the model returns NaN")
    labels = scores.argmax(axis=1)
    n_classes = scores.shape[1]
    precision, recalls = _precision_recall(y, labels, n_classes)
    report: RobustnessReport = counterfactual_robustness(classifier, x[analysed], attack=attack)
    return Candidate(
        classifier,
        recipe.x,
        recipe.y,
        recipe.settings,
        round_,
        vulnerable,
        report,
        float((labels == y).mean()),
        precision,
        recalls,
    )


def _precision_recall(
    truth: np.ndarray, labels: np.ndarray, n_classes: int
) -> tuple[float, np.ndarray]:
    """Return precision weighted by class, and each class's recall."""
    table = np.zeros((n_classes, n_classes))
    np.add.at(table, (truth, labels), 1)
    right, there, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    precision = right / np.maximum(said, 1)
    recalls = np.where(there > 0, right / np.maximum(there, 1), np.nan)
    return float(precision @ there / there.sum()), recalls
