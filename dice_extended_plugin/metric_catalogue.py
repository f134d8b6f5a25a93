"""Which metrics there are, ours and plugins', and what they reach by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dice_extended_plugin.dice_sorensen import reference_values
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.metric import Metric
from dice_extended_plugin.metric_table import METRICS, SHARE_OF_CLASS
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.sets import CounterfactualSets as Sets

__all__ = ["chance_values", "choose", "describe", "noise_metric"]

_FIELDS = ("direction", "low", "high", "chance", "reference", "summary", "tested")


def describe(chosen: Sequence[Metric] | None = None) -> pd.DataFrame:
    """Return the table of metrics.

    Parameters
    ----------
    chosen : sequence of Metric, optional
        All of ours by default.

    Returns
    -------
    DataFrame
        Index: name; columns ``direction``, ``low``, ``high``, ``chance``, ``reference``,
        ``summary``, ``tested``.
    """
    chosen = list(METRICS.values()) if chosen is None else chosen
    columns = {name: [getattr(one, name) for one in chosen] for name in _FIELDS}
    index = pd.Index([one.name for one in chosen], name="metric")
    return pd.DataFrame(columns, index=index).astype({"low": float, "high": float})


def noise_metric(name: str, noise: NoiseModel, summary: str = "") -> Metric:
    """Make noise validity under another noise than the protocol's.

    Parameters
    ----------
    name : str
        Of the metric.
    noise : NoiseModel
        Its own scope, scale and family; drawn with the protocol's seed and number of draws.
    """
    text = summary or f"Noise validity under {noise}"
    return Metric(
        name, "higher", 0, 1, SHARE_OF_CLASS, "docs/evaluation.md", text,
        lambda sets: sets.mean(sets.held(noise)),
    )  # fmt: skip


def choose(names: Sequence[str | Metric] | None = None) -> list[Metric]:
    """Return metrics by name: ours, and those that plugins registered.

    Parameters
    ----------
    names : sequence of str or Metric, optional
        All of :data:`METRICS` by default.

    Raises
    ------
    InvalidInputError
        A name nobody knows.
    """
    if names is None:
        return list(METRICS.values())
    return [_named(name) if isinstance(name, str) else name for name in names]


def _named(name: str) -> Metric:
    if name in METRICS:
        return METRICS[name]
    from dice_extended_plugin.plugins import get_registry
    from dice_extended_plugin.registry import UnknownComponentError

    try:
        found = get_registry().load("metric", name)
    except UnknownComponentError:
        raise InvalidInputError(
            f"there is no metric {name!r}{did_you_mean(name, METRICS)}; there are "
            f"{', '.join(METRICS)}"
        ) from None
    if not isinstance(found, Metric):
        raise InvalidInputError(f"metric {name!r} is registered as {found!r}, not as a Metric")
    return found


def chance_values(sets: Sets, chosen: Sequence[Metric]) -> dict[str, dict[str, float]]:
    """Return what metrics reach by chance on these queries, and their ceilings where known.

    Parameters
    ----------
    sets : CounterfactualSets
        Of any explainer: only the queries and the judge count.
    chosen : sequence of Metric

    Returns
    -------
    dict of str to dict
        ``chance`` and, for the literal coefficient, ``ceiling``. The chance value of a validity
        is the share of the training rows that already are what a query wants, a mean over the
        queries.
    """
    rho = reference_values(sets.judge.space, sets.protocol.noise)
    values: dict[str, dict[str, float]] = {}
    measured = [one for one in chosen if one.can_measure(sets)]
    for one in measured:
        if one.name in ("rho_lit", "rho_open"):
            values[one.name] = rho
        elif one.chance in METRICS:
            values[one.name] = {"chance": float(np.mean(METRICS[one.chance](sets)))}
    if sets.judge.reference is not None:
        scores = sets.judge.reference_scores
        share = float(
            np.mean([sets.target.met(scores, np.full(len(scores), i)).mean() for i in _kinds(sets)])
        )
        values |= {one.name: {"chance": share} for one in measured if one.chance == SHARE_OF_CLASS}
    return values


def _kinds(sets: Sets) -> list[int]:
    """One query for each wanted class, as often as it is wanted."""
    index = getattr(sets.target, "index", np.zeros(sets.n_queries, dtype=int))
    first = {int(wanted): i for i, wanted in reversed(list(enumerate(index)))}
    return [first[int(wanted)] for wanted in index]
