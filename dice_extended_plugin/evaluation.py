"""Measure sets of counterfactuals from any explainer, query by query, on held-out noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dice_extended_plugin import metrics
from dice_extended_plugin.dice_sorensen import literal_robustness, noise_validity
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget

__all__ = ["measure"]


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
    """Measure one set of counterfactuals per query.

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
        ``diversity``, ``duplicates``, ``rho_lit``, ``rho_open``, ``end_bins``,
        ``noise_validity`` (scope of `noise`) and ``noise_validity_all`` (every feature
        disturbed). Means over a query's rows; NaN where it has none.
    """
    x_all = space.encode(queries)
    rows = [space.encode(table) for table in counterfactuals]
    query = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    u = np.concatenate(rows) if len(query) else np.empty((0, space.n_columns))
    x = x_all[query]
    target = ClassTarget(np.asarray(desired_class), np.zeros(len(queries)))
    per_row = {
        "proximity": metrics.proximity(u, x, weights),
        "l1": metrics.l1_distance(u, x, space),
        "changed": metrics.changed_features(u, x, space),
        **literal_robustness(u, space, noise),
    }
    for name, scope in (("noise_validity", noise.scope), ("noise_validity_all", "all")):
        model = replace(noise, scope=scope)
        bank = model.held_out(space, n_draws, random_state)
        per_row[name] = noise_validity(
            u,
            x,
            space,
            model,
            bank,
            lambda disturbed, index: target.met(scores(disturbed), query[index]),
        )
    valid = target.met(scores(u), query) if len(u) else np.zeros(0, dtype=bool)
    table = pd.DataFrame(per_row).groupby(query).mean().reindex(range(len(rows)))
    table.insert(0, "validity", np.bincount(query, valid, minlength=len(rows)) / k)
    table["diversity"] = [
        metrics.diversity(part, weights) if len(part) else np.nan for part in rows
    ]
    table["duplicates"] = [metrics.duplicates(part) for part in rows]
    return table.rename_axis("query")
