"""Equal rows found fast: a model is asked once about rows that many candidates share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dice_extended_plugin.space import FeatureSpace

__all__ = ["distinct", "first_of_each", "level_codes", "row_codes"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def level_codes(u: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Level of each categorical feature, (n, d) -> (n, n_categorical)."""
    levels = [
        u[:, block[0] : block[0] + len(names)].argmax(axis=1)
        for block, names in zip(space.blocks, space.levels, strict=True)
    ]
    return np.stack(levels, axis=1) if levels else np.zeros((len(u), 0), dtype=int)


def row_codes(u: np.ndarray, space: FeatureSpace) -> np.ndarray:
    """Compact form of rows with one level per block, (n, d) -> (n, m): values, then levels."""
    # + 0.0: -0.0 and 0.0 are one value.
    return np.concatenate([u[:, : space.n_continuous] + 0.0, level_codes(u, space)], axis=1)


def distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows of a table.

    Parameters
    ----------
    codes : ndarray of float64, shape (n, c)

    Returns
    -------
    first : ndarray of int, shape (r,)
        Place of the first of each group of equal rows, ascending.
    inverse : ndarray of int, shape (n,)
        Group of each row: ``codes[first][inverse]`` equals `codes`.
    """
    if codes.shape[1] == 0:
        return np.arange(min(len(codes), 1)), np.zeros(len(codes), dtype=int)
    inverse, uniques = pd.factorize(_hashes(codes))
    first = np.empty(len(uniques), dtype=int)
    first[inverse[::-1]] = np.arange(len(codes))[::-1]
    if np.array_equal(codes[first][inverse], codes):
        return first, inverse
    # Two different rows with one 64-bit hash: possible in principle.
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def first_of_each(codes: np.ndarray) -> np.ndarray:
    """Flag the rows that no earlier row equals, bool of shape (n,)."""
    first, _ = distinct(codes)
    flags = np.zeros(len(codes), dtype=bool)
    flags[first] = True
    return flags


def _hashes(codes: np.ndarray) -> np.ndarray:
    """64-bit hash of each row: splitmix64 over its values' bits."""
    bits = np.ascontiguousarray(codes.T, dtype=np.float64).view(np.uint64)
    state = np.zeros(codes.shape[0], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in bits:  # features, not rows
            state = (state ^ column) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _MIX[0]
            state = (state ^ (state >> np.uint64(27))) * _MIX[1]
            state = state ^ (state >> np.uint64(31))
    return state
