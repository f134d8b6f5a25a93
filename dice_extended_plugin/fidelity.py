"""How well a query and its counterfactuals stand for the model around the query: 1-NN fidelity."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.space import FeatureSpace

__all__ = ["Fidelity", "local_fidelity", "neighbours"]

_STREAM = 31


class Fidelity(NamedTuple):
    """Accuracies of each query, shape (Q,), in [0, 1].

    Attributes
    ----------
    accuracy : ndarray
        Of the 1-NN surrogate. NaN for a query without counterfactuals.
    baseline : ndarray
        Of always answering the query's own label: what a surrogate must beat.
    """

    accuracy: np.ndarray
    baseline: np.ndarray


def neighbours(
    x: np.ndarray,
    space: FeatureSpace,
    deviation: np.ndarray,
    radius: float,
    n: int = 1000,
    categories: str = "uniform",
    random_state: int = 0,
) -> np.ndarray:
    """Sample points around queries.

    One bank of draws serves every query, so that no query depends on its batch.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Encoded queries.
    deviation : ndarray of shape (n_continuous,)
        MAD of each continuous feature, in units of the data range.
    radius : float
        Continuous features are uniform within `radius` MADs of the query, clipped to the data
        range (or the query's own value outside it).
    n : int, default 1000
    categories : {"uniform", "keep"}
        A categorical feature is drawn uniformly from its levels, or keeps the query's level. The
        papers do not say; MADs do not apply to levels.

    Returns
    -------
    ndarray of shape (Q, n, d)
    """
    if categories not in ("uniform", "keep"):
        raise InvalidInputError(f"categories must be 'uniform' or 'keep', not {categories!r}")
    rng = np.random.default_rng(np.random.SeedSequence(random_state, spawn_key=(_STREAM,)))
    c = space.n_continuous
    offset = rng.uniform(-1.0, 1.0, size=(n, c)) * deviation * radius
    levels = rng.uniform(size=(n, len(space.categorical)))
    out = np.repeat(x[:, None, :], n, axis=1)
    own = x[:, None, :c]
    out[..., :c] = np.clip(own + offset, np.minimum(own, 0.0), np.maximum(own, 1.0))
    if categories == "uniform":
        out[..., c:] = 0.0
        for j, block in enumerate(space.levels):
            column = space.blocks[j, 0] + (levels[:, j] * len(block)).astype(int)
            out[:, np.arange(n), column] = 1.0
    return out


def local_fidelity(
    u: np.ndarray,
    query: np.ndarray,
    x: np.ndarray,
    weights: np.ndarray,
    sample: Callable[[np.ndarray], np.ndarray],
    labels: Callable[[np.ndarray], np.ndarray],
    max_queries: int = 64,
) -> Fidelity:
    """Accuracy, against the model, of a 1-NN surrogate made of a query and its counterfactuals.

    Higher is better; range [0, 1]; chance value: the baseline that comes with it.

    Parameters
    ----------
    u : ndarray of shape (n, d)
        Counterfactuals.
    query : ndarray of int, shape (n,)
        Ascending.
    x : ndarray of shape (Q, d)
    weights : ndarray of shape (d,)
        Of the L1 distance that decides which row is nearest. Ties go to the query.
    sample : callable
        Queries ``(q, d) -> (q, p, d)``: points around each, as :func:`neighbours` draws them.
    labels : callable
        ``(r, d) -> (r,)`` labels of the model being explained.
    max_queries : int
        Queries whose points are in memory at once.

    References
    ----------
    DiCE-Extended, section 3.2, tables 2 and 3; Mothilal, Sharma, Tan (2020), section 4.2.
    """
    own, theirs = labels(x), labels(u) if len(u) else np.empty(0, dtype=int)
    first = np.searchsorted(query, np.arange(len(x) + 1))
    accuracy, baseline = np.full(len(x), np.nan), np.empty(len(x))
    for start in range(0, len(x), max_queries):
        points = sample(x[start : start + max_queries])
        true = labels(points.reshape(-1, x.shape[1])).reshape(points.shape[:2])
        for i, (around, answer) in enumerate(zip(points, true, strict=True), start):
            baseline[i] = (answer == own[i]).mean()
            rows = slice(first[i], first[i + 1])
            if first[i] < first[i + 1]:
                site = np.concatenate([x[i : i + 1], u[rows]]) * weights
                label = np.concatenate([own[i : i + 1], theirs[rows]])
                away = np.abs((around * weights)[:, None] - site[None]).sum(-1)
                accuracy[i] = (label[away.argmin(axis=1)] == answer).mean()
    return Fidelity(accuracy, baseline)
