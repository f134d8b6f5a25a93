"""Columns that stand beside returned counterfactuals: robustness, and what plugins add."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.dice_sorensen import literal_robustness, noise_validity, wilson_interval
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget, Target

__all__ = ["model_columns", "robustness_columns"]

logger = logging.getLogger(__name__)

#: Names that a plugin's column cannot have.
_OURS = (
    "query",
    "counterfactual",
    "status",
    "probability",
    "rho_lit",
    "rho_open",
    "noise_validity",
    "noise_validity_low",
    "noise_validity_high",
)


def robustness_columns(
    u: np.ndarray,
    x: np.ndarray,
    query: np.ndarray,
    space: FeatureSpace,
    noise: NoiseModel,
    random_state: int,
    scores: Callable[[np.ndarray], np.ndarray],
    target: Target,
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
        ``(n, d) -> (n, C)`` class probabilities, or predictions of a regression model.
    n_draws : int
        Held-out draws; 0 leaves noise validity out.

    Returns
    -------
    dict of ndarray of shape (n,)
        ``probability`` (of the wanted class; not for regression), ``rho_lit``, ``rho_open``, and
        with draws ``noise_validity``,
        ``noise_validity_low``, ``noise_validity_high`` (95 % Wilson interval).
    """
    literal = literal_robustness(u, space, noise)
    columns = {"rho_lit": literal["rho_lit"], "rho_open": literal["rho_open"]}
    if isinstance(target, ClassTarget):
        # Rounded to what no batch's shape reaches: the last digits depend on matrix kernels.
        own = np.round(target.gate(scores(u), query), 9) if len(u) else np.empty(0)
        columns = {"probability": own} | columns
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
    desired_class: np.ndarray | None,
    predict: Callable[[pd.DataFrame], np.ndarray],
) -> dict[str, np.ndarray]:
    """Ask plugins for further columns (hook ``dice_extended_score``).

    A finished search is worth more than a column: a plugin that raises, or answers something
    else than what the hook asks for, is named in the log, and its columns are left out.
    """
    from dice_extended_plugin.hookspecs import ScoreBatch
    from dice_extended_plugin.plugins import get_manager

    columns: dict[str, np.ndarray] = {}
    if len(counterfactuals) == 0:
        return columns
    for plugin in reversed(get_manager().hook.dice_extended_score.get_hookimpls()):
        # Each gets copies: what it writes into them reaches neither results nor other plugins.
        batch = ScoreBatch(
            queries.copy(),
            counterfactuals.copy(),
            None if desired_class is None else desired_class.copy(),
            predict,
        )
        try:
            answer = plugin.function(*[{"batch": batch}[name] for name in plugin.argnames])
            columns |= _read(answer, len(counterfactuals), {*counterfactuals, *_OURS, *columns})
        except Exception as error:
            logger.warning(
                "plugin %s: dice_extended_score left out: %s: %s",
                plugin.plugin_name,
                type(error).__name__,
                error,
            )
    return columns


def _read(answer: Any, n: int, taken: set[Any]) -> dict[str, np.ndarray]:
    """Check a plugin's columns: all of them, or an error."""
    if answer is None:
        return {}
    if not isinstance(answer, Mapping):
        raise InvalidInputError(f"it returned a {type(answer).__name__}, not a mapping")
    columns = {}
    for name, values in answer.items():
        column = np.asarray(values)
        if column.shape != (n,):
            raise InvalidInputError(
                f"column {name!r} has shape {column.shape}, not one value for each of the {n} "
                f"counterfactuals"
            )
        if name in taken:
            raise InvalidInputError(f"there is a column {name!r} already; rename it")
        columns[str(name)] = column
    return columns
