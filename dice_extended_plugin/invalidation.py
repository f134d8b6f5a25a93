"""What undoes counterfactuals: noise on every number, and a model that is trained again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.dice_sorensen import noise_validity
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import two_columns

__all__ = ["CHANGES", "Retrain", "invalidation_rate", "model_change_validity", "retrain_models"]

#: Ways a model comes to be trained again.
CHANGES = ("seed", "bootstrap", "drop")
#: ``retrain(random_state, rows)``: train on these row numbers of the training table; returns
#: ``predict``, feature table -> labels (n,) or class probabilities (n, C).
Retrain = Callable[[int, np.ndarray], Callable[[pd.DataFrame], Any]]

_STREAM = 41


def invalidation_rate(
    u: np.ndarray,
    x: np.ndarray,
    space: FeatureSpace,
    is_target: Callable[[np.ndarray, np.ndarray], np.ndarray],
    scale: float = 0.1,
    n_draws: int = 1000,
    random_state: int = 0,
) -> np.ndarray:
    """PROBE's recourse invalidation rate: share of the wanted class that noise takes away.

    ``1[f(c) = y*] - mean 1[f(c + noise) = y*]`` with Gaussian noise on every continuous feature,
    clipped to the data range; levels stay. Lower is better; range [-1, 1], for valid rows [0, 1];
    chance value: one minus the share of the wanted class.

    Parameters
    ----------
    is_target : callable
        ``is_target(rows, index)`` with rows (r, d) and the counterfactual each row stems from.
    scale : float, default 0.1
        Standard deviation as a share of the data range.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Pawelczyk, Datta, van den Heuvel, Kasneci, Lakkaraju: Probabilistically Robust Recourse
    (ICLR 2023), definition 1.
    """
    if len(u) == 0:
        return np.empty(0)
    noise = NoiseModel(scale=scale, flip=0.0, scope="all")
    bank = noise.held_out(space, n_draws, random_state)
    held = noise_validity(u, x, space, noise, bank, is_target)
    return is_target(u, np.arange(len(u))).astype(float) - held


def retrain_models(
    retrain: Retrain,
    n_rows: int,
    n_models: int = 5,
    changes: Sequence[str] = CHANGES,
    drop: tuple[float, float] = (0.01, 0.1),
    random_state: int = 0,
) -> dict[str, list[Callable[[pd.DataFrame], Any]]]:
    """Train the model again, `n_models` times in each way.

    Parameters
    ----------
    retrain : callable
        ``retrain(random_state, rows)``, see :data:`Retrain`.
    n_rows : int
        Rows of the training table.
    changes : sequence of {"seed", "bootstrap", "drop"}
        All rows and a new seed; as many rows drawn with replacement; a random share of the rows
        left out, the share evenly spaced over `drop`. The latter two keep the first seed, so that
        only the data changes.

    Returns
    -------
    dict of str to list of predict functions
    """
    for change in changes:
        if change not in CHANGES:
            raise InvalidInputError(f"changes must be among {CHANGES}, not {change!r}")
    if not 0.0 <= drop[0] <= drop[1] < 1.0:
        raise InvalidInputError(f"drop must be two shares 0 <= low <= high < 1, not {drop!r}")
    models: dict[str, list[Callable[[pd.DataFrame], Any]]] = {}
    for change in changes:
        rng = np.random.default_rng(
            np.random.SeedSequence(random_state, spawn_key=(_STREAM, CHANGES.index(change)))
        )
        models[change] = []
        for share in np.linspace(*drop, n_models):
            seed, rows = random_state, np.arange(n_rows)
            if change == "seed":
                seed = int(rng.integers(1, 2**31 - 1))
            elif change == "bootstrap":
                rows = np.sort(rng.integers(n_rows, size=n_rows))
            else:
                kept = max(1, round(n_rows * (1.0 - share)))
                rows = np.sort(rng.choice(n_rows, kept, replace=False))
            models[change].append(retrain(seed, rows))
    return models


def model_change_validity(
    frame: pd.DataFrame,
    models: Sequence[Callable[[pd.DataFrame], Any]],
    is_target: Callable[[np.ndarray], np.ndarray],
    n_classes: int | None,
) -> np.ndarray:
    """Share of retrained models under which each counterfactual is still one.

    Higher is better; range [0, 1]; chance value: the share of the wanted class.

    Parameters
    ----------
    frame : DataFrame of n rows
        Counterfactuals, feature columns.
    models : sequence of callables
        From :func:`retrain_models`.
    is_target : callable
        Scores (n, C), or (n, 1) predictions of a regression model -> bool (n,).
    n_classes : int or None
        Classes of the model; None for a regression model.

    Returns
    -------
    ndarray of shape (n,)
        NaN without models.

    References
    ----------
    Dutta, Long, Mishra, Tilli, Magazzeni (ICML 2022); Black, Wang, Fredrikson (ICLR 2022).
    """
    if len(models) == 0:
        return np.full(len(frame), np.nan)
    held = np.zeros(len(frame))
    for predict in models if len(frame) else ():
        held += is_target(_scores(predict(frame), len(frame), n_classes))
    return held / len(models)


def _scores(answer: Any, n: int, n_classes: int | None) -> np.ndarray:
    """Scores (n, C) from what a retrained model answers."""
    values = np.asarray(answer)
    if values.shape[:1] != (n,) or values.ndim > 2:
        raise InvalidInputError(
            f"a retrained model's predict must return labels (n,) or probabilities (n, classes); "
            f"for {n} rows it returned shape {values.shape}"
        )
    if n_classes is None:
        return values.reshape(n, 1).astype(float)
    if values.ndim == 2:
        return two_columns(values.astype(float))
    label = values.astype(int)
    if (label != values).any() or label.min() < 0 or label.max() >= n_classes:
        raise InvalidInputError(
            f"a retrained model's labels must be 0 ... {n_classes - 1}; return probabilities "
            f"with a column per class, (n, {n_classes}), or P(class 1) as (n, 1)"
        )
    return np.eye(n_classes)[label]
