"""How children are made of parents, gene by gene, for the genetic search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dice_extended_plugin.space import FeatureSpace

__all__ = ["Breeding", "breed"]


@dataclass(frozen=True)
class Breeding:
    """How to breed.

    Parameters
    ----------
    max_generations : int
    thresh : float
        Least progress of the set's mean loss that counts.
    yloss_type : {"hinge_loss", "l2_loss", "log_loss"}
    from_parents : float
        Share of the genes taken over from a parent, half from each; the rest mutates (dice-ml:
        0.8).
    step : float
        Reach of a small mutation, as a share of the data range.
    """

    max_generations: int = 500
    thresh: float = 1e-2
    yloss_type: str = "hinge_loss"
    from_parents: float = 0.8
    step: float = 0.1


def breed(
    draws: np.ndarray,
    parents: np.ndarray,
    x: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    space: FeatureSpace,
    breeding: Breeding,
) -> np.ndarray:
    """Make children gene by gene: from either parent, or mutated.

    A mutated gene is, with equal chances, any permitted value, a small step from the first
    parent's (another permitted level), or the query's own value.

    Parameters
    ----------
    draws : ndarray of shape (Q, C, 3 m + 2)
        Uniform in [0, 1).
    parents : ndarray of shape (Q, P, d)
        Best first; the first half may breed.
    x, lower, upper : ndarray of shape (Q, d)

    Returns
    -------
    ndarray of shape (Q, C, d)
        To be projected.
    """
    m = space.n_features
    owner, n = space.column_feature, space.n_continuous
    half = max(1, parents.shape[1] // 2)
    pick = np.floor(draws[..., :2] * half).astype(int)
    first, second = (np.take_along_axis(parents, pick[..., i, None], axis=1) for i in range(2))
    source, kind, value = (draws[..., 2 + i * m : 2 + (i + 1) * m][..., owner] for i in range(3))
    own, low, high = x[:, None], lower[:, None], upper[:, None]
    anywhere, nearby = np.empty_like(first), np.empty_like(first)
    anywhere[..., :n] = low[..., :n] + value[..., :n] * (high - low)[..., :n]
    nearby[..., :n] = first[..., :n] + breeding.step * (2 * value[..., :n] - 1)
    for block in space.blocks:
        columns = block[block >= 0]
        allowed = upper[:, columns] > 0
        rank = np.floor(value[..., columns[0]] * allowed.sum(axis=1)[:, None]).astype(int)
        level = np.take_along_axis(np.argsort(~allowed, axis=1, kind="stable"), rank, axis=1)
        anywhere[..., columns] = nearby[..., columns] = np.arange(len(columns)) == level[..., None]
    mutated = np.where(kind < 1 / 3, anywhere, np.where(kind < 2 / 3, nearby, own))
    inherited = np.where(source < breeding.from_parents / 2, first, second)
    return np.clip(np.where(source < breeding.from_parents, inherited, mutated), low, high)
