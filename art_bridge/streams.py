"""Random numbers of many queries at once, each from a stream that its content names."""

from __future__ import annotations

import numpy as np

from dice_extended_plugin.streams import query_streams

__all__ = ["Streams"]

#: With the target class among a query's content, no other search has these streams.
_STREAM = 31


class Streams:
    """One generator per query.

    A query's numbers depend on `random_state`, its values and its target class, and on what it
    drew before: not on its place, its batch, or the other queries.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Queries.
    target : ndarray of int, shape (Q,)
        Class each is to become.
    random_state : int
        Seed.
    """

    def __init__(self, x: np.ndarray, target: np.ndarray, random_state: int) -> None:
        content = np.column_stack([x, target]).astype(np.float64)
        self.generators = query_streams(content, random_state, _STREAM)

    def uniform(self, query: np.ndarray, *shape: int) -> np.ndarray:
        """Return uniform numbers in [0, 1), ``(len(query), *shape)``, from each query's stream."""
        out = np.empty((len(query), *shape), dtype=np.float32)
        for i, q in enumerate(query):
            self.generators[q].random(out=out[i], dtype=np.float32)
        return out
