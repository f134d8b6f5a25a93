"""Where a search begins."""

from __future__ import annotations

import numpy as np

from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.streams import query_streams

__all__ = ["near_starts", "random_starts"]

_STREAM = 21


def near_starts(x: np.ndarray, k: int) -> np.ndarray:
    """Return the queries, shifted by 0.01 per counterfactual as in dice-ml: (n, d) -> (n, k, d)."""
    return x[:, None, :] + 0.01 * np.arange(k)[:, None]


def random_starts(
    x: np.ndarray, space: FeatureSpace, k: int, random_state: int, run: int
) -> np.ndarray:
    """Uniform permitted points, (n, k, d), from a stream that only the query's values name."""
    lower, upper = space.bounds(x)
    draws = np.empty((len(x), k, x.shape[1]))
    for i, stream in enumerate(query_streams(x, random_state, _STREAM, run)):
        draws[i] = stream.uniform(size=draws.shape[1:])
    return lower[:, None] + draws * (upper - lower)[:, None]
