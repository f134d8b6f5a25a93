"""Columns that stand beside returned counterfactuals: robustness, and what plugins add."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from dice_extended_plugin.dice_sorensen import literal_robustness, noise_validity, wilson_interval
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget

__all__ = ["model_columns", "robustness_columns"]


def robustness_columns(
    u: np.ndarray,
    x: np.ndarray,
    query: np.ndarray,
    space: FeatureSpace,
    noise: NoiseModel,
    random_state: int,
    scores: Callable[[np.ndarray], np.ndarray],
    target: ClassTarget,
    n_draws: int,
) -> dict[str, np.ndarray]:
    """Measure how well rows hold, on noise the search has not seen.

    Parameters
    ----------
    u, x : ndarray of shape (n, d)
        Projected counterfactuals and the encoded query of each.
    query : ndarray of int, shape (n,)
        Query each row belongs to.
    scores : callable
        ``(n, d) -> (n, C)`` class probabilities.
    n_draws : int
        Held-out draws; 0 leaves noise validity out.

    Returns
    -------
    dict of ndarray of shape (n,)
        ``probability``, ``rho_lit``, ``rho_open``, and with draws ``noise_validity``,
        ``noise_validity_low``, ``noise_validity_high`` (95 % Wilson interval).
    """
    wanted = target.index[query]
    own = scores(u)[np.arange(len(u)), wanted] if len(u) else np.empty(0)
    literal = literal_robustness(u, space, noise)
    columns = {
        "probability": own,
        "rho_lit": literal["rho_lit"],
        "rho_open": literal["rho_open"],
    }
    if n_draws == 0:
        return columns
    bank = noise.held_out(space, n_draws, random_state)

    def is_target(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        return target.met(scores(rows), query[index])

    share = noise_validity(u, x, space, noise, bank, is_target)
    low, high = wilson_interval(share, n_draws)
    return columns | {
        "noise_validity": share,
        "noise_validity_low": low,
        "noise_validity_high": high,
    }


def model_columns(
    queries: pd.DataFrame,
    counterfactuals: pd.DataFrame,
    desired_class: np.ndarray,
    predict: Callable[[pd.DataFrame], np.ndarray],
) -> dict[str, np.ndarray]:
    """Ask plugins for further columns (hook ``dice_extended_score``)."""
    from dice_extended_plugin.hookspecs import ScoreBatch
    from dice_extended_plugin.plugins import get_manager

    hook = get_manager().hook.dice_extended_score
    if not hook.get_hookimpls():
        return {}
    batch = ScoreBatch(queries, counterfactuals, desired_class, predict)
    columns: dict[str, np.ndarray] = {}
    for answer in hook(batch=batch):
        for name, values in (answer or {}).items():
            if len(values) != len(counterfactuals) or name in columns:
                raise InvalidInputError(
                    f"a plugin's dice_extended_score returned column {name!r} with {len(values)} "
                    f"values for {len(counterfactuals)} counterfactuals, or twice"
                )
            columns[str(name)] = np.asarray(values)
    return columns
