"""Groups of attributes of which a face has one at most, such as the hair colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = ["flip_attribute", "force_exclusive", "group_indices"]


def group_indices(
    exclusive: Sequence[Sequence[str]], attributes: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Return the columns of each group.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no list of lists, an unknown name, a name twice in a group, a group of
        one.
    """
    if isinstance(exclusive, str) or not isinstance(exclusive, Sequence):
        raise InvalidInputError(
            f"exclusive must be a list of groups, each a list of attributes, got {exclusive!r}"
        )
    places = {name: place for place, name in enumerate(attributes)}
    groups = []
    for group in exclusive:
        listed = isinstance(group, Sequence) and not isinstance(group, str)
        if not listed or len(group) < 2 or len(set(group)) < len(group):
            raise InvalidInputError(
                f"exclusive: a group is a list of two or more different attributes, got {group!r}"
            )
        for name in group:
            if name not in places:
                raise InvalidInputError(
                    f"exclusive: there is no attribute {name!r}{did_you_mean(name, places)}"
                )
        groups.append(tuple(places[name] for name in group))
    return tuple(groups)


def force_exclusive(A: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return `A` with all but the largest attribute of each group set to 0.

    Of equal ones the first in the group stays.

    Parameters
    ----------
    A : ndarray of shape (n, m)
        Values in [0, 1]; it is not written to.
    groups : sequence of column indices

    Returns
    -------
    ndarray of shape (n, m)
    """
    forced = np.array(A, copy=True)
    for group in groups:
        columns = np.asarray(group)
        keep = columns[forced[:, columns].argmax(axis=1)]
        values = forced[np.arange(len(forced)), keep]
        forced[:, columns] = 0
        forced[np.arange(len(forced)), keep] = values
    return forced


def flip_attribute(A: np.ndarray, column: int, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return `A` with one attribute turned round, and off what cannot stand beside it.

    Parameters
    ----------
    A : ndarray of 0 or 1, shape (n, m)
    column : int
    groups : sequence of column indices

    Returns
    -------
    ndarray of shape (n, m)
    """
    flipped = np.array(A, copy=True)
    flipped[:, column] = 1 - flipped[:, column]
    for group in groups:
        if column in group:
            others = [other for other in group if other != column]
            flipped[np.ix_(flipped[:, column] == 1, others)] = 0
    return flipped
