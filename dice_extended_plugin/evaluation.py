"""Measure explainers against each other: same model, same queries, noise nobody has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host, metric_catalogue, metric_table
from dice_extended_plugin.comparison import Comparison
from dice_extended_plugin.confidence import match_proximity
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.generation import Generated
from dice_extended_plugin.invalidation import Retrain, retrain_models
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.metric import Metric
from dice_extended_plugin.noise import FAMILIES, NoiseModel
from dice_extended_plugin.request import Request
from dice_extended_plugin.sets import CounterfactualSets, Protocol
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget

__all__ = ["compare", "held_out_noises", "measure"]

#: What :func:`measure` returns.
_BASIC = (
    "validity",
    "proximity",
    "l1",
    "changed",
    "rho_lit",
    "rho_open",
    "end_bins",
    "noise_validity",
    "diversity",
    "duplicates",
)


def held_out_noises(noise: NoiseModel, space: FeatureSpace) -> dict[str, NoiseModel]:
    """Return noises that no search has seen: every feature, half and double scale, other families.

    Measured with another seed than any search's.

    Parameters
    ----------
    noise : NoiseModel
        The one that searches know.
    space : FeatureSpace
    """
    scales = dict(zip(space.continuous, noise.scales(space), strict=True))

    def scaled(factor: float) -> NoiseModel:
        return replace(noise, scale={name: factor * scale for name, scale in scales.items()})

    families = {
        f"noise_validity_{family.replace('-', '_')}": replace(noise, family=family)
        for family in FAMILIES
        if family != noise.family
    }
    return {
        "noise_validity_all": replace(noise, scope="all"),
        "noise_validity_half_scale": scaled(0.5),
        "noise_validity_double_scale": scaled(2.0),
        **families,
    }


def measure(
    counterfactuals: Sequence[pd.DataFrame],
    queries: pd.DataFrame,
    space: FeatureSpace,
    weights: np.ndarray,
    scores: Callable[[np.ndarray], np.ndarray],
    desired_class: np.ndarray,
    k: int,
    noise: NoiseModel,
    n_draws: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Measure one set of counterfactuals per query, from a bare score function.

    Parameters
    ----------
    counterfactuals : sequence of Q DataFrames
        Returned rows (feature columns; others are ignored), possibly none.
    queries : DataFrame of Q rows
    space : FeatureSpace
    weights : ndarray of shape (d,)
        Column weights of proximity and diversity.
    scores : callable
        ``(n, d) -> (n, C)`` class probabilities of the model being explained.
    desired_class : ndarray of int, shape (Q,)
    k : int
        Counterfactuals asked for per query.
    noise : NoiseModel
        Noise to measure under; draw it with a seed, scale or family the search has not seen.
    n_draws : int, default 1000
        Held-out draws behind noise validity.
    random_state : int, default 0

    Returns
    -------
    DataFrame of Q rows
        ``validity`` (share of k that has the wanted label), ``proximity``, ``l1``, ``changed``,
        ``rho_lit``, ``rho_open``, ``end_bins``, ``noise_validity`` (scope of `noise`),
        ``diversity``, ``duplicates`` and ``noise_validity_all`` (every feature disturbed). Means
        over a query's rows; NaN where it has none. See
        :data:`~dice_extended_plugin.metric_table.METRICS`.
    """
    judge = Judge(space, weights, scores, lambda table: scores(space.encode(table)))
    target = ClassTarget(np.asarray(desired_class), np.zeros(len(queries)))
    protocol = Protocol(noise=noise, n_draws=n_draws, random_state=random_state)
    sets = CounterfactualSets.collect(counterfactuals, queries, target, k, judge, protocol)
    everywhere = metric_catalogue.noise_metric("noise_validity_all", replace(noise, scope="all"))
    chosen = [*metric_catalogue.choose(_BASIC), everywhere]
    return pd.DataFrame({one.name: one(sets) for one in chosen}).rename_axis("query")


def compare(
    explainers: Mapping[str, Any],
    queries: pd.DataFrame,
    k: int,
    *,
    desired_class: int | str = "opposite",
    desired_range: Sequence[float] | None = None,
    data: Any = None,
    model: Any = None,
    baseline: str | None = None,
    metrics: Sequence[str | Metric] | None = None,
    protocol: Protocol | None = None,
    held_out: Mapping[str, NoiseModel] | None = None,
    keywords: Mapping[str, Mapping[str, Any]] | None = None,
    confidence: Mapping[str, str] | None = None,
    retrain: Retrain | None = None,
    n_retrained: int = 5,
    regenerate: bool | Sequence[str] = False,
    valid_only: bool = False,
    verbose: bool = False,
) -> Comparison:
    """Ask several explainers about the same queries and measure what they return.

    Stock dice-ml explainers are asked one query at a time, ours all at once. An explainer that
    raises, returns nothing, or returns rows that are no rows of the data, counts as not valid for
    these queries, with its reason in ``Comparison.outcomes``.

    Parameters
    ----------
    explainers : mapping of str to explainer or callable
        dice-ml's (with ``generate_counterfactuals``) or ``f(queries, k, **keywords)``, which
        returns a dice-ml result or one DataFrame (or None) per query.
    queries : DataFrame of Q rows
        Feature columns.
    k : int
        Counterfactuals asked for per query.
    desired_class : int or "opposite"
        Validity is by the model's own label, whatever threshold an explainer was given.
    desired_range : [low, high], optional
        For regression models.
    data, model : dice_ml.Data, dice_ml.Model, optional
        What explainers are judged by; by default those of the first explainer that has them.
    baseline : str, optional
        Explainer that the others are tested against; the first by default.
    metrics : sequence of str or Metric, optional
        All that can be measured by default, see
        :data:`~dice_extended_plugin.metric_table.METRICS`.
    protocol : Protocol, optional
        Noise, draws and seed of measuring.
    held_out : mapping of str to NoiseModel, optional
        Further noises, each a metric; :func:`held_out_noises` by default, ``{}`` for none.
    keywords : mapping of str to mapping, optional
        Keywords of each explainer's calls.
    confidence : mapping of str to str, optional
        Confidence-margin baselines: ``{"plain": "robust"}`` adds "plain + confidence", which is
        "plain" with a higher ``stopping_threshold``, bisected until its mean proximity is that of
        "robust". Two classes only.
    retrain : callable, optional
        ``retrain(random_state, rows) -> predict`` trains the model again; measures the validity
        of counterfactuals under model change with 3 x `n_retrained` models.
    regenerate : bool or sequence of str, default False
        Measure regeneration stability, of all explainers or of those named; asks each
        2 x ``protocol.n_moves`` + 1 times more, with keyword ``random_state``. Stock dice-ml's
        are asked with ``random_seed`` where they have it, else without a seed.
    valid_only : bool, default False
        Measure valid rows only, but for the validities. By default all returned rows are measured,
        as the papers do; an explainer whose rows are not valid can then look close.
    verbose : bool, default False

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInputError
        Nothing to compare, unknown names, queries that are no rows of the data.
    """
    _check_arguments(explainers, baseline, confidence, keywords, regenerate)
    data, model = _judged_by(explainers, data, model)
    space = host.feature_space(data)
    frame = host.query_frame(queries[[f for f in queries.columns if f in space.names]], space)
    models = retrain_models(retrain, len(data.data_df), n_retrained) if retrain else None
    request = Request(
        frame=frame,
        k=k,
        desired_class=desired_class,
        desired_range=desired_range,
        spread=_spread(data),
        judge=Judge.of(data, model, frame, models),
        protocol=protocol or Protocol(),
        model=model,
        verbose=verbose,
    )
    again = set(explainers) if regenerate is True else set(regenerate or ())
    request.target(frame)  # raises before any explainer is asked
    noises = held_out_noises(request.protocol.noise, space) if held_out is None else held_out
    chosen = [
        *metric_catalogue.choose(metrics),
        *(metric_catalogue.noise_metric(name, noise) for name, noise in noises.items()),
    ]
    given = {name: (keywords or {}).get(name, {}) for name in explainers}
    results = {
        name: request.put_to(explainers[name], given[name], regenerate=name in again)
        for name in explainers
    }
    info: dict[str, Any] = {}
    for name, robust in (confidence or {}).items():
        goal, _ = _proximity_validity(results[robust])
        ask = partial(request.put_to, explainers[name], given[name])
        threshold, result = match_proximity(ask, goal, _proximity_validity)
        results[f"{name} + confidence"] = result
        info.setdefault("confidence", {})[name] = {"matches": robust, "threshold": threshold}
    return _comparison(results, chosen, baseline or next(iter(explainers)), valid_only, info)


def _check_arguments(
    explainers: Mapping[str, Any],
    baseline: str | None,
    confidence: Mapping[str, str] | None,
    keywords: Mapping[str, Mapping[str, Any]] | None,
    regenerate: bool | Sequence[str],
) -> None:
    if not isinstance(explainers, Mapping) or len(explainers) == 0:
        raise InvalidInputError("explainers must be a mapping from name to explainer, not empty")
    for argument, names in (
        ("baseline", [baseline] if baseline is not None else []),
        ("confidence", [name for pair in (confidence or {}).items() for name in pair]),
        ("keywords", list(keywords or {})),
        ("regenerate", [] if isinstance(regenerate, bool) else list(regenerate)),
    ):
        for name in names:
            if name not in explainers:
                raise InvalidInputError(
                    f"{argument} names {name!r}, which is no explainer here"
                    f"{did_you_mean(str(name), explainers)}; there are {list(explainers)}"
                )


def _judged_by(explainers: Mapping[str, Any], data: Any, model: Any) -> tuple[Any, Any]:
    """Return the data and model objects given, else those of the first explainer with both."""
    for explainer in explainers.values():
        if data is None and model is None and hasattr(explainer, "data_interface"):
            data, model = explainer.data_interface, explainer.model
    if data is None or model is None:
        raise InvalidInputError(
            "no explainer here carries dice-ml's data and model; pass both data= and model="
        )
    return data, model


def _spread(data: Any) -> float:
    """Return the standard deviation of a numeric outcome; 1 where it is not known."""
    if not host.has_table(data):
        return 1.0
    outcome = pd.to_numeric(data.data_df[data.outcome_name], errors="coerce")
    spread = float(outcome.std())
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def _proximity_validity(result: tuple[Generated, CounterfactualSets]) -> tuple[float, float]:
    """Mean proximity (NaN if nothing was found) and mean validity."""
    reached = metric_table.proximity(result[1])
    mean = float(np.mean(reached[np.isfinite(reached)])) if np.isfinite(reached).any() else np.nan
    return mean, float(metric_table.validity(result[1]).mean())


def _comparison(
    results: Mapping[str, tuple[Generated, CounterfactualSets]],
    metrics: Sequence[Metric],
    baseline: str,
    valid_only: bool,
    info: dict[str, Any],
) -> Comparison:
    """Measure every result with every metric that can be measured."""
    values, outcomes, rows = [], [], []
    for name, (generated, sets) in results.items():
        kept = sets.only(sets.valid) if valid_only else sets
        for one in metrics:
            if one.can_measure(sets):
                number = one(sets if one.name in _OF_ALL_ROWS else kept)
                values.append(_column(name, metric=one.name, value=number))
        outcomes.append(_column(name, status=generated.status, reason=generated.reason))
        rows.append(_with_features(name, sets))
    any_sets = next(iter(results.values()))[1]
    table = pd.concat(values, ignore_index=True)
    measured = [one for one in metrics if one.name in set(table["metric"])]
    return Comparison(
        values=table,
        outcomes=pd.concat(outcomes, ignore_index=True),
        metrics=metric_catalogue.describe(measured),
        counterfactuals=pd.concat(rows, ignore_index=True),
        baseline=baseline,
        chance=metric_catalogue.chance_values(any_sets, metrics),
        info={
            "queries": any_sets.n_queries,
            "k": any_sets.k,
            "protocol": repr(any_sets.protocol),
            "valid_only": valid_only,
            **info,
        },
    )


#: Metrics of everything an explainer returned, also with ``valid_only``.
_OF_ALL_ROWS = ("validity", "validity_returned", "found", "seconds", "model_calls", "model_rows")


def _with_features(explainer: str, sets: CounterfactualSets) -> pd.DataFrame:
    """Return the rows themselves; a feature that has the name of one of our columns gets a _."""
    own = pd.DataFrame({"query": sets.query, "valid": sets.valid})
    own.insert(0, "explainer", explainer)
    return own.join(sets.frame.rename(columns={name: f"{name}_" for name in own.columns}))


def _column(explainer: str, **columns: Any) -> pd.DataFrame:
    """Return a part of a long table: a row per query."""
    n = max(len(column) for column in columns.values() if not isinstance(column, str))
    return pd.DataFrame({"explainer": [explainer] * n, "query": np.arange(n), **columns})
