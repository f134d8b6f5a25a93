"""Metric: a measure of counterfactual sets that says what its numbers mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.measure import Measure
from dice_extended_plugin.sets import CounterfactualSets

__all__ = ["Metric", "metric"]


@dataclass(frozen=True)
class Metric(Measure):
    """A measure of counterfactual sets.

    Parameters
    ----------
    name, direction, low, high, chance, reference, summary
        See :class:`~dice_extended_plugin.measure.Measure`.
    compute : callable
        ``compute(sets)`` -> (Q,) values, NaN where not defined.
    needs : tuple of {"reference", "explain", "models", "seconds", "calls"}
        What `sets` must hold.
    tested : bool
        Whether paired tests make sense: not for the time of a batch shared out evenly, nor for
        the end of an interval.
    """

    compute: Callable[[CounterfactualSets], np.ndarray]
    needs: tuple[str, ...] = ()
    tested: bool = True

    def __call__(self, sets: CounterfactualSets) -> np.ndarray:
        """Measure, one value per query, (Q,)."""
        if not isinstance(sets, CounterfactualSets):
            raise InvalidInputError(
                f"metric {self.name!r} measures CounterfactualSets, not a {type(sets).__name__}; "
                f"see dice_extended_plugin.compare, which makes them"
            )
        values = np.asarray(self.compute(sets), dtype=float)
        if values.shape != (sets.n_queries,):
            raise InvalidInputError(
                f"metric {self.name!r} must return one value per query, ({sets.n_queries},), not "
                f"shape {values.shape}"
            )
        return values

    def can_measure(self, sets: CounterfactualSets) -> bool:
        """Tell whether `sets` hold what this metric needs."""
        there = {
            "reference": sets.judge.reference is not None,
            "models": bool(sets.judge.models),
            "explain": sets.explain is not None,
            "seconds": sets.seconds is not None,
            "calls": sets.model_calls is not None,
        }
        return all(there[need] for need in self.needs)


def metric(
    direction: str,
    low: float,
    high: float,
    reference: str,
    chance: str = "",
    needs: tuple[str, ...] = (),
    tested: bool = True,
) -> Callable[[Callable[[CounterfactualSets], np.ndarray]], Metric]:
    """Make a metric of a function; its name and the first line of its docstring are the metric's.

    Parameters
    ----------
    direction, low, high, reference, chance, needs, tested
        See :class:`Metric`.
    """

    def make(compute: Callable[[CounterfactualSets], np.ndarray]) -> Metric:
        summary = (compute.__doc__ or "").strip().partition("\n")[0]
        return Metric(
            name=compute.__name__,
            direction=direction,
            low=low,
            high=high,
            chance=chance,
            reference=reference,
            summary=summary,
            compute=compute,
            needs=needs,
            tested=tested and direction != "",
        )

    return make
