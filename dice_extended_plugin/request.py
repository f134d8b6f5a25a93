"""What is asked of every explainer in a comparison, in the words each of them understands."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.generation import Generated, generate
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.sets import CounterfactualSets, Protocol
from dice_extended_plugin.targets import ClassTarget, RangeTarget, Target

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """Queries, and what is wanted of them.

    Parameters
    ----------
    frame : DataFrame of Q rows
        Checked queries.
    k : int
    desired_class : int or "opposite"
    desired_range : (low, high) or None
        For regression models.
    spread : float
        Standard deviation of a regression model's outcome.
    judge : Judge
    protocol : Protocol
    model : dice_ml.Model
        Whose calls are counted.
    verbose : bool
    """

    frame: pd.DataFrame
    k: int
    desired_class: int | str
    desired_range: Sequence[float] | None
    spread: float
    judge: Judge
    protocol: Protocol
    model: Any
    verbose: bool = False

    def target(self, frame: pd.DataFrame) -> Target:
        """Return what is wanted of queries, given the model's answers for them."""
        scores = self.judge.predict(frame)
        n_classes = scores.shape[1]
        if n_classes == 1:
            if self.desired_range is None:
                raise InvalidInputError("a regression model needs desired_range=[low, high]")
            low, high = self.desired_range
            return RangeTarget(float(low), float(high), self.spread)
        if self.desired_class == "opposite":
            if n_classes > 2:
                raise InvalidInputError(
                    f"desired_class='opposite' has no meaning for {n_classes} classes; name one "
                    f"of 0 ... {n_classes - 1}"
                )
            index = 1 - scores.argmax(axis=1)
        elif isinstance(self.desired_class, str) or not 0 <= self.desired_class < n_classes:
            raise InvalidInputError(
                f"desired_class must be 'opposite' or one of 0 ... {n_classes - 1}, not "
                f"{self.desired_class!r}"
            )
        else:
            index = np.full(len(frame), int(self.desired_class))
        return ClassTarget(index, np.zeros(len(frame)))

    def put_to(
        self,
        explainer: Any,
        keywords: Mapping[str, Any],
        confidence: float | None = None,
        regenerate: bool = False,
    ) -> tuple[Generated, CounterfactualSets]:
        """Ask an explainer and gather its answers.

        Parameters
        ----------
        keywords : mapping
            Of the user, for this explainer.
        confidence : float, optional
            Least probability of the wanted class, as ``stopping_threshold``; two classes.
        regenerate : bool
            Whether the explainer may be asked again, with other seeds and moved queries.
        """
        target = self.target(self.frame)
        found = self._ask(explainer, self.frame, keywords, confidence, count=True)

        def explain(frame: pd.DataFrame, random_state: int) -> list[pd.DataFrame]:
            seeded = {**keywords, **_seed(explainer, random_state)}
            answer = self._ask(explainer, frame, seeded, confidence)
            return [frame.iloc[:0] if table is None else table for table in answer.tables]

        sets = CounterfactualSets.collect(
            found.tables,
            self.frame,
            target,
            self.k,
            self.judge,
            self.protocol,
            seconds=found.seconds,
            model_calls=found.model_calls,
            model_rows=found.model_rows,
            explain=explain if regenerate else None,
        )
        return found, sets

    def _ask(
        self,
        explainer: Any,
        frame: pd.DataFrame,
        keywords: Mapping[str, Any],
        confidence: float | None,
        count: bool = False,
    ) -> Generated:
        each = [{**self._wanted(explainer), **keywords}] * len(frame)
        if confidence is not None:
            target = self.target(frame)
            if not isinstance(target, ClassTarget):
                raise InvalidInputError("a confidence threshold has no meaning for regression")
            # dice-ml's threshold is one on P(class 1).
            thresholds = {1: confidence, 0: 1.0 - confidence}
            each = [
                {**keywords, "desired_class": int(i), "stopping_threshold": thresholds[int(i)]}
                for i in target.index
            ]
        model = self.model if count else None
        return generate(explainer, frame, self.k, self.judge.space, each, model, self.verbose)

    def _wanted(self, explainer: Any) -> dict[str, Any]:
        """Say what is wanted in dice-ml's words; a callable knows already."""
        if not hasattr(explainer, "generate_counterfactuals"):
            return {}
        if self.desired_range is not None:
            return {"desired_range": list(self.desired_range)}
        wanted = self.desired_class
        # dice-ml refuses NumPy's integers.
        return {"desired_class": wanted if isinstance(wanted, str) else int(wanted)}


def _seed(explainer: Any, random_state: int) -> dict[str, int]:
    """Return the seed under the name an explainer takes it by; stock dice-ml's mostly take none."""
    if not type(explainer).__module__.startswith("dice_ml."):
        return {"random_state": random_state}
    known = inspect.signature(explainer._generate_counterfactuals).parameters
    return {"random_seed": random_state} if "random_seed" in known else {}
