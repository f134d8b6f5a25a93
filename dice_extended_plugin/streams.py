"""Random streams that belong to a query, whatever else is in its batch."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["query_streams"]


def query_streams(x: np.ndarray, random_state: int, *key: int) -> list[np.random.Generator]:
    """Return one generator per query, named by the seed, `key` and the query's own values.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Encoded queries. Equal rows get equal streams.
    random_state : int
    *key : int
        What the stream is for; streams of different keys are independent.
    """
    streams = []
    for row in np.ascontiguousarray(x + 0.0):  # + 0.0: -0.0 and 0.0 are one value
        name = int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little")
        seed = np.random.SeedSequence(random_state, spawn_key=(*key, name))
        streams.append(np.random.default_rng(seed))
    return streams
