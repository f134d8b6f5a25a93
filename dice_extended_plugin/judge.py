"""The judge of a comparison: one model, one table and one set of units for every explainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host, metrics
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.plausibility import Plausibility
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import Target

__all__ = ["Judge"]


@dataclass(frozen=True, eq=False)
class Judge:
    """What sets of counterfactuals are measured with.

    Parameters
    ----------
    space : FeatureSpace
    weights : ndarray of shape (d,)
        Column weights of proximity and diversity.
    scores : callable
        Encoded rows ``(n, d) -> (n, C)`` class probabilities, or ``(n, 1)`` predictions of a
        regression model.
    predict : callable
        The same for feature tables, as they are written.
    reference : ndarray of shape (R, d), optional
        Encoded training rows. Without them metrics in units of the data, and plausibility, are
        not measured.
    models : mapping of str to sequence of predict functions
        The model trained again, from :func:`~dice_extended_plugin.invalidation.retrain_models`.
    """

    space: FeatureSpace
    weights: np.ndarray
    scores: Callable[[np.ndarray], np.ndarray]
    predict: Callable[[pd.DataFrame], np.ndarray]
    reference: np.ndarray | None = None
    models: Mapping[str, Sequence[Callable[[pd.DataFrame], Any]]] = field(default_factory=dict)
    _plausibility: dict[Any, Plausibility | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        data: Any,
        model: Any,
        like: pd.DataFrame,
        models: Mapping[str, Sequence[Callable[[pd.DataFrame], Any]]] | None = None,
    ) -> Judge:
        """Make a judge from dice-ml's data and model objects.

        Parameters
        ----------
        data : dice_ml.Data
        model : dice_ml.Model
            Any back-end that :class:`~dice_extended_plugin.native_scores.NativeScores` takes.
        like : DataFrame
            Queries, whose column types model input gets.
        """
        space = host.feature_space(data)
        if not hasattr(model.transformer, "data_transformer"):  # no explainer has been made yet
            model.transformer.feed_data_params(data)
            model.transformer.initialize_transform_func()
        native = NativeScores(model, space, like, space.encode(like))

        def scores(u: np.ndarray) -> np.ndarray:
            with native.open():
                return native(u, None)

        def predict(table: pd.DataFrame) -> np.ndarray:
            with native.open():
                return native.native(table)

        reference = space.encode(data.data_df) if host.has_table(data) else None
        weights = host.column_weights(data, space, "inverse_mad")
        return cls(space, weights, scores, predict, reference, models or {})

    def _reference(self) -> np.ndarray:
        if self.reference is None:
            raise InvalidInputError(
                "this metric needs the training rows; give the explainer a dice_ml.Data made from "
                "a table, or leave the metric out"
            )
        return self.reference

    @cached_property
    def reference_scores(self) -> np.ndarray:
        """The model's scores of the training rows, (R, C)."""
        return self.scores(self._reference())

    @cached_property
    def median_deviation(self) -> np.ndarray:
        """DiCE's MAD of the training rows."""
        return metrics.median_absolute_deviation(self._reference(), self.space)

    @cached_property
    def mean_deviation(self) -> np.ndarray:
        """DiCE-Extended's MAD of the training rows."""
        return metrics.mean_absolute_deviation(self._reference(), self.space)

    def plausibility(self, target: Target, query: int) -> Plausibility | None:
        """Return the training rows that the model puts where a query wants to be, fitted once.

        None where there are fewer than two such rows.
        """
        index = getattr(target, "index", None)
        key = "range" if index is None else int(index[query])
        if key not in self._plausibility:
            scores = self.reference_scores
            rows = self._reference()[target.met(scores, np.full(len(scores), query))]
            enough = len(np.unique(rows, axis=0)) > 1
            self._plausibility[key] = Plausibility(rows, self.space) if enough else None
        return self._plausibility[key]
