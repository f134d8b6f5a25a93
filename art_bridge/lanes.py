"""Calls of single-precision models in which a row's answer does not depend on its neighbours.

On some processors (Haswell, Zen) OpenBLAS multiplies single-precision matrices by twelve rows at a
time, six of them in another way than the other six, so that the last digit of an answer tells the
row's place. The rows of one query therefore begin at a multiple of twelve in every call.
"""

from __future__ import annotations

import numpy as np

__all__ = ["WHOLE", "in_lanes"]

_LANES = 12
#: Calls are filled up to a multiple of this: no remainder is left for up to sixteen threads.
WHOLE = 16 * _LANES


def in_lanes(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the rows of groups so that each group begins at a multiple of twelve.

    Parameters
    ----------
    group : ndarray of int, shape (n,)
        What each row belongs to; the rows of a group stand together.

    Returns
    -------
    take : ndarray of int, shape (m,)
        Which row to send at each place; a group's last row fills its places up.
    place : ndarray of int, shape (n,)
        Where each row stands: ``take[place]`` counts from 0 to n - 1.
    """
    n = len(group)
    if not n:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    length = np.diff(np.append(first, n))
    room = length + -length % _LANES
    begin = np.cumsum(room) - room
    inner = np.arange(room.sum()) - np.repeat(begin, room)
    take = np.repeat(first, room) + np.minimum(inner, np.repeat(length - 1, room))
    place = np.arange(n) + np.repeat(begin - first, length)
    return take, place
