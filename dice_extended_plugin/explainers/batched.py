"""What every explainer of ours shares: one call, all queries, dice-ml's arguments and results.

The way is: host arguments -> checked :class:`Task` -> ``_search`` of the explainer ->
:class:`Answer` -> host results. Nothing is written to the explainer or the data object on the way,
so nothing leaks from one call into the next.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer, assemble, flat_table
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.host_words import (
    about_class,
    about_features,
    about_numbers,
    in_host_words,
)
from dice_extended_plugin.options import CallOptions, check_integer, check_number
from dice_extended_plugin.results import (
    RobustCounterfactualExamples,
    RobustCounterfactualExplanations,
)
from dice_extended_plugin.rules import Rules, obey
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget, RangeTarget, Target

__all__ = ["BatchedExplainer", "Task"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One checked call.

    Parameters
    ----------
    frame : DataFrame of Q rows
        Raw queries in the data's column order.
    x : ndarray of shape (Q, d)
        Encoded queries.
    space : FeatureSpace
        With the constraints of this call.
    total_CFs : int
    desired_class : int or "opposite"
        For a classifier.
    desired_range : (float, float) or None
        For a regression model, and None for a classifier.
    outcome_spread : float
        Standard deviation of the outcome in the training table; for a regression model.
    stopping_threshold : float
    posthoc_sparsity_param : float or None
    posthoc_sparsity_algorithm : {"linear", "binary"}
    verbose : bool
    keywords : mapping
        The call's further keywords.
    """

    frame: pd.DataFrame
    x: np.ndarray
    space: FeatureSpace
    total_CFs: int
    desired_class: Any
    desired_range: tuple[float, float] | None
    outcome_spread: float
    stopping_threshold: float
    posthoc_sparsity_param: float | None
    posthoc_sparsity_algorithm: str
    verbose: bool
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def regression(self) -> bool:
        """Whether the model predicts a number."""
        return self.desired_range is not None

    def targets(self, labels: np.ndarray, n_classes: int) -> Target:
        """Wanted outcome of each query, given the model's labels for the queries."""
        if self.desired_range is not None:
            return RangeTarget(*self.desired_range, self.outcome_spread)
        with in_host_words(lambda: about_class(self.desired_class, n_classes)):
            index = self._wanted_index(labels, n_classes)
        return ClassTarget.from_threshold(index, n_classes, self.stopping_threshold)

    def _wanted_index(self, labels: np.ndarray, n_classes: int) -> np.ndarray:
        if isinstance(self.desired_class, str):
            if n_classes > 2:
                raise InvalidInputError(
                    f"desired_class='opposite' has no meaning for {n_classes} classes; name one "
                    f"of 0 ... {n_classes - 1}"
                )
            return 1 - labels
        if not 0 <= self.desired_class < n_classes:
            raise InvalidInputError(
                f"desired_class = {self.desired_class} is not a class of the model; it has "
                f"the classes 0 ... {n_classes - 1}"
            )
        return np.full(len(labels), self.desired_class)


@contextmanager
def dice_errors() -> Iterator[None]:
    """Let our input errors be dice-ml's as well."""
    try:
        yield
    except host.DiceInputError:
        raise
    except InvalidInputError as error:
        raise host.DiceInputError(str(error)) from error


class BatchedExplainer(ExplainerBase):
    """What comes before a dice-ml explainer class; subclasses write :meth:`_search`.

    An ExplainerBase itself, because dice-ml's factory assigns ``__class__``, and that needs
    classes of one layout.
    """

    space: FeatureSpace
    data_interface: Any
    model: Any
    #: Class of the keywords that a call takes beside dice-ml's common ones.
    options: type[CallOptions]
    #: Whether results without a sparsity step hold their rows twice, as some of dice-ml's do.
    repeats_dense = False

    def _prepare(self, data: Any, rules: Rules | None, report_draws: int, **defaults: Any) -> None:
        """Check and keep what a constructor was given, before anything of the host's is set.

        Raises
        ------
        DiceInputError
        """
        with dice_errors():
            self.space = obey(host.feature_space(data), rules)
            self.options(**defaults).noise.check_names(self.space)
            check_integer("report_draws", report_draws, least=0)
        self.defaults, self.report_draws = defaults, report_draws

    def _search(self, task: Task) -> Answer:
        raise NotImplementedError("an explainer says how it searches")

    def generate_counterfactuals(
        self,
        query_instances: Any,
        total_CFs: int,
        desired_class: int | str = "opposite",
        desired_range: list[float] | None = None,
        permitted_range: Mapping[str, Any] | None = None,
        features_to_vary: str | list[str] = "all",
        stopping_threshold: float = 0.5,
        posthoc_sparsity_param: float | None = 0.1,
        posthoc_sparsity_algorithm: str = "linear",
        verbose: bool = False,
        rules: Rules | None = None,
        **kwargs: Any,
    ) -> RobustCounterfactualExplanations:
        """Explain all queries in one batched search.

        Parameters
        ----------
        query_instances : DataFrame, dict or list of dicts
            Raw queries, any number; never changed.
        total_CFs : int
            Counterfactuals per query.
        desired_class : int or "opposite"
            Index of the wanted class; "opposite" for two classes.
        desired_range : [low, high]
            Wanted range of the prediction of a regression model; None for a classifier.
        permitted_range : mapping, optional
            ``[low, high]`` of a continuous feature, permitted levels of a categorical one. For
            this call only.
        features_to_vary : "all" or list of str
        stopping_threshold : float in [0, 1]
            Two classes: decision threshold on P(class 1). More: least probability of the wanted
            class, 0.5 meaning its label only. Every returned row has the wanted class by the
            model's own label besides.
        posthoc_sparsity_param : float in [0, 1] or None
            Quantile of the changes worth taking back; None or 0 takes none back.
        posthoc_sparsity_algorithm : {"linear", "binary"}
        verbose : bool
            Show a progress bar; silent otherwise.
        rules : Rules, optional
            Further rules for this call: monotone features, orders, forbidden transitions, steps.
        **kwargs
            Those of the method's `options` class, for example
            :class:`dice_extended_plugin.options.GradientOptions`.

        Returns
        -------
        RobustCounterfactualExplanations
            A query for which nothing was found has status "none" and a reason; this never raises.

        Raises
        ------
        DiceInputError
            Anything wrong with the arguments, the queries or the model, before the search.
        """
        with dice_errors():
            task = self._task(
                query_instances,
                total_CFs,
                desired_class=desired_class,
                desired_range=desired_range,
                permitted_range=permitted_range,
                features_to_vary=features_to_vary,
                stopping_threshold=stopping_threshold,
                posthoc_sparsity_param=posthoc_sparsity_param,
                posthoc_sparsity_algorithm=posthoc_sparsity_algorithm,
                verbose=verbose,
                rules=rules,
                **kwargs,
            )
            answer = self._search(task)
        if answer.sparse is None and self.repeats_dense:
            answer = replace(answer, sparse=answer.dense, sparse_label=answer.dense_label)
        examples = assemble(task.frame, answer, self.data_interface, task.posthoc_sparsity_param)
        for number, example in enumerate(examples):
            if example.status != "ok":
                logger.info("query %d: %s: %s", number, example.status, example.reason)
        self._remember(examples[-1])
        return RobustCounterfactualExplanations(examples)

    def counterfactual_table(
        self, query_instances: Any, total_CFs: int, **keywords: Any
    ) -> pd.DataFrame:
        """Explain all queries, as :meth:`generate_counterfactuals` does, into one flat table.

        For many queries: dice-ml's result objects, several tables for each query, take longer than
        some searches.

        Parameters
        ----------
        query_instances, total_CFs, **keywords
            As in :meth:`generate_counterfactuals`.

        Returns
        -------
        DataFrame
            One row per counterfactual, and one with missing values for a query that has none.
            Columns: ``query`` and ``counterfactual`` (numbers from 0; -1 for none), ``status``,
            ``reason``, the features, the outcome, and the robustness columns. Where a feature has
            the name of one of ours, ours gets an underscore behind it.

        Raises
        ------
        DiceInputError
            As in :meth:`generate_counterfactuals`.
        """
        with dice_errors():
            task = self._task(query_instances, total_CFs, **keywords)
            answer = self._search(task)
        return flat_table(answer, self.data_interface.outcome_name)

    def _generate_counterfactuals(
        self, query_instance: Any, total_CFs: int, **kwargs: Any
    ) -> RobustCounterfactualExamples:
        """Explain one query: dice-ml's inner entry point.

        As dice-ml's, it also takes what the outer one refuses: no counterfactuals at all, and None
        for the algorithm of sparsity.
        """
        no_search = kwargs.get("posthoc_sparsity_algorithm", "linear") is None
        if no_search:
            kwargs |= {"posthoc_sparsity_algorithm": "linear", "posthoc_sparsity_param": None}
        found = self.generate_counterfactuals(query_instance, total_CFs or 1, **kwargs)
        example: RobustCounterfactualExamples = found.cf_examples_list[0]
        if total_CFs == 0:
            example.clear()
        if no_search:
            example.final_cfs_df_sparse = example.final_cfs_df
        return example

    def _remember(self, example: RobustCounterfactualExamples) -> None:
        """Keep what dice-ml's explainer keeps of the last query; nothing reads it."""

    def _task(
        self,
        query_instances: Any,
        total_CFs: int,
        desired_class: int | str = "opposite",
        desired_range: Any = None,
        permitted_range: Mapping[str, Any] | None = None,
        features_to_vary: str | list[str] = "all",
        stopping_threshold: float = 0.5,
        posthoc_sparsity_param: float | None = 0.1,
        posthoc_sparsity_algorithm: str = "linear",
        verbose: bool = False,
        rules: Rules | None = None,
        **keywords: Any,
    ) -> Task:
        regression = host.is_regression(self.model)
        asked = {
            "desired_range": desired_range,
            "stopping_threshold": stopping_threshold,
            "posthoc_sparsity_param": posthoc_sparsity_param,
            "posthoc_sparsity_algorithm": posthoc_sparsity_algorithm,
        }
        with in_host_words(lambda: about_numbers(self, query_instances, total_CFs, **asked)):
            _check_numbers(
                total_CFs, stopping_threshold, posthoc_sparsity_param, posthoc_sparsity_algorithm
            )
            wanted_range = _range(desired_range, regression)
        with in_host_words(lambda: about_class(desired_class, 2)):
            wanted = desired_class if regression else _class_index(desired_class)
        asked["features_to_vary"] = features_to_vary
        with in_host_words(
            lambda: about_numbers(self, query_instances, total_CFs, **asked),
            lambda: about_features(self, query_instances, features_to_vary, permitted_range),
        ):
            space, frame = self._constrained(
                query_instances, features_to_vary, permitted_range, rules
            )
        return Task(
            frame=frame,
            x=space.encode(frame),
            space=space,
            total_CFs=int(total_CFs),
            desired_class=wanted,
            desired_range=wanted_range,
            outcome_spread=host.outcome_spread(self.data_interface) if regression else 1.0,
            stopping_threshold=float(stopping_threshold),
            posthoc_sparsity_param=posthoc_sparsity_param,
            posthoc_sparsity_algorithm=posthoc_sparsity_algorithm,
            verbose=bool(verbose),
            keywords=keywords,
        )

    def _constrained(
        self, query_instances: Any, features_to_vary: Any, permitted_range: Any, rules: Rules | None
    ) -> tuple[FeatureSpace, pd.DataFrame]:
        """Return the space with the constraints of a call, and its queries checked against it."""
        if permitted_range is not None and not isinstance(permitted_range, Mapping):
            raise InvalidInputError(
                f"permitted_range must be a dictionary from feature to range, not "
                f"{permitted_range!r}"
            )
        space = obey(self.space.constrain(features_to_vary, permitted_range), rules)
        return space, host.query_frame(query_instances, space)


def _check_numbers(
    total_CFs: Any,
    stopping_threshold: Any,
    posthoc_sparsity_param: Any,
    posthoc_sparsity_algorithm: Any,
) -> None:
    check_integer("total_CFs", total_CFs, least=1)
    check_number("stopping_threshold", stopping_threshold, least=0.0)
    if stopping_threshold > 1:
        raise InvalidInputError(
            f"stopping_threshold must lie between 0 and 1, not {stopping_threshold!r}"
        )
    if posthoc_sparsity_param is not None:
        check_number("posthoc_sparsity_param", posthoc_sparsity_param, least=0.0)
        if posthoc_sparsity_param > 1:
            raise InvalidInputError(
                f"posthoc_sparsity_param must lie between 0 and 1, not {posthoc_sparsity_param!r}"
            )
    if posthoc_sparsity_algorithm not in ("linear", "binary"):
        raise InvalidInputError(
            f"posthoc_sparsity_algorithm must be 'linear' or 'binary', not "
            f"{posthoc_sparsity_algorithm!r}"
        )


def _range(desired_range: Any, regression: bool) -> tuple[float, float] | None:
    """Check dice-ml's ``desired_range`` against the kind of model."""
    if not regression:
        if desired_range is not None:
            raise InvalidInputError(
                "desired_range is for regression models (dice_ml.Model(..., "
                "model_type='regressor')); leave it None for a classifier"
            )
        return None
    if desired_range is None:
        raise InvalidInputError("a regression model needs desired_range=[low, high]")
    try:
        low, high = (float(value) for value in desired_range)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"desired_range must be two numbers [low, high], not {desired_range!r}"
        ) from None
    if math.isnan(low) or math.isnan(high) or low > high or low == math.inf or high == -math.inf:
        raise InvalidInputError(f"desired_range must be ascending, not {desired_range!r}")
    return low, high


def _class_index(desired_class: Any) -> int | str:
    if isinstance(desired_class, str):
        if desired_class == "opposite":
            return desired_class
    elif isinstance(desired_class, (Integral, np.bool_, bool)):
        return int(desired_class)
    elif isinstance(desired_class, Real) and float(desired_class).is_integer():
        return int(float(desired_class))
    raise InvalidInputError(
        f"desired_class must be 'opposite' or the index of a class, not {desired_class!r}"
    )
