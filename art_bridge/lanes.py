"""Calls of single-precision models in which a row's answer does not depend on its neighbours.

On some processors (Haswell, Zen) OpenBLAS multiplies single-precision matrices by twelve rows at a
time, six of them in another way than the other six, so that the last digit of an answer tells which
six the row stood in. Every row is therefore given one of the two sides, by its query and its number
among the query's rows, and in every call it stands on that side.
"""

from __future__ import annotations

import numpy as np

__all__ = ["WHOLE", "filled", "in_lanes", "sides"]

_SIX = 6
#: Long calls are filled up to a multiple of this: one thread or two then find no remainder. With
#: several threads BLAS leaves small products to one of them, whose last digits are others whatever
#: the layout; against these only rounding helps.
WHOLE = 8 * _SIX


def filled(n: int) -> int:
    """Return how many rows a call of n is filled up to: few more in short calls."""
    return n + -n % (WHOLE if n >= 4 * WHOLE else 2 * _SIX)


def sides(x: np.ndarray) -> np.ndarray:
    """Return 0 or 1 for each row (n, d), by its values: about half of them each."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    folded = np.bitwise_xor.reduce(bits, axis=1)
    for shift in (16, 8, 4, 2, 1):
        folded = folded ^ (folded >> shift)
    return (folded & 1).astype(np.int64)


def in_lanes(group: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the rows of groups so that each row stands on its side; a group's rows alternate.

    Parameters
    ----------
    group : ndarray of int, shape (n,)
        What each row belongs to; the rows of a group stand together.
    side : ndarray of int, shape (n,)
        Side of the first row of each row's group.

    Returns
    -------
    take : ndarray of int, shape (m,)
        Which row to send at each place, m as :func:`filled` has it; the last row fills what is
        left.
    place : ndarray of int, shape (n,)
        Where each row stands: ``take[place]`` counts from 0 to n - 1.
    """
    n = len(group)
    number = np.arange(n)
    begins = np.concatenate([[True], group[1:] != group[:-1]])[:n]
    inner = number - np.maximum.accumulate(np.where(begins, number, 0))
    second = ((side + inner) & 1).astype(bool)
    place = np.empty(n, dtype=np.int64)
    longest = 0
    for here, offset in ((~second, 0), (second, _SIX)):
        count = np.count_nonzero(here)
        six, lane = np.divmod(np.arange(count), _SIX)
        place[here] = six * 2 * _SIX + lane + offset
        longest = max(longest, count)
    take = np.full(filled(2 * longest), n - 1)
    take[place] = number
    return take, place
