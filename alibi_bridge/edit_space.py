"""Which changes of an image's attributes a search may make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = ["EditSpace", "checked_bound"]


class EditSpace:
    """The changes δ of attributes a that keep b = a + δ allowed.

    Parameters
    ----------
    attributes : sequence of str
        Names of the m attributes.
    exclusive : sequence of sequences of str, optional
        Groups of which at most one is on.
    fixed : sequence of str, optional
        Attributes that must not change.
    bounds : mapping of str to (float, float), optional
        Least and largest b of an attribute. Default: 0 and 1.

    Attributes
    ----------
    free : ndarray of int
        Columns of the attributes that may change; a *move* is a row of their δ.

    Notes
    -----
    In a group with values b the largest stays as it is, and the others share what it leaves: they
    are scaled down until the group's sum is at most 1 (or the sum of the image's own attributes,
    where that is larger). One that is fully on so turns the others off, as AttGAN's authors do by
    hand; halfway there is a mixture.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: an unknown name, bad bounds, nothing left that may change.
    """

    def __init__(
        self,
        attributes: Sequence[str],
        exclusive: Sequence[Sequence[str]] = (),
        fixed: Sequence[str] = (),
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.attributes = tuple(attributes)
        self._place = {name: place for place, name in enumerate(self.attributes)}
        held = {self._column(name, "immutable") for name in _names(fixed, "immutable")}
        self.free = np.array([j for j in range(len(self.attributes)) if j not in held], dtype=int)
        if not len(self.free):
            raise InvalidInputError(
                "every attribute is immutable or the target: nothing is left to search"
            )
        self._lower = np.zeros(len(self.attributes))
        self._upper = np.ones(len(self.attributes))
        for name, pair in (bounds or {}).items():
            column = self._column(name, "bounds")
            self._lower[column], self._upper[column] = checked_bound(name, pair)
        self.groups = tuple(
            np.array([self._column(name, "exclusive") for name in group]) for group in exclusive
        )

    def limits(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and largest δ of the free attributes of an image with attributes a."""
        own = a[self.free]
        return self._lower[self.free] - own, self._upper[self.free] - own

    def widest(self, a: np.ndarray) -> float:
        """Return the largest ‖δ‖₂ that the bounds allow."""
        low, high = self.limits(a)
        return float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high))))

    def embed(self, moves: np.ndarray) -> np.ndarray:
        """Return δ of all attributes, (n, m), of moves (n, free)."""
        delta = np.zeros((len(moves), len(self.attributes)))
        delta[:, self.free] = moves
        return delta

    def repair(self, a: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Return the moves within bounds and groups; allowed ones stay as they are.

        Parameters
        ----------
        a : ndarray of shape (m,)
        moves : ndarray of shape (n, free)

        Returns
        -------
        ndarray of shape (n, free)
        """
        low, high = self.limits(a)
        inside = np.clip(np.asarray(moves, dtype=float), low, high)
        if not self.groups:
            return inside
        b = a + self.embed(inside)
        for group in self.groups:
            b[:, group] = self._share(a, b[:, group], group)
        # Only where a group asked for it: a + (b − a) is not b to the last bit.
        changed = b[:, self.free] != a[self.free] + inside
        return np.where(changed, np.clip(b[:, self.free] - a[self.free], low, high), inside)

    def starts(self, a: np.ndarray, n: int, draw: np.random.Generator) -> np.ndarray:
        """Return the first moves of a search: none, each attribute alone, the rest at random.

        Parameters
        ----------
        a : ndarray of shape (m,)
        n : int
        draw : numpy.random.Generator

        Returns
        -------
        ndarray of shape (n, free)
        """
        low, high = self.limits(a)
        moves = draw.uniform(low, high, (n, len(low)))
        single = np.diag(np.where(-low > high, low, high))
        known = np.vstack([np.zeros_like(low)[None], single])[:n]
        moves[: len(known)] = known
        return self.repair(a, moves)

    def _share(self, a: np.ndarray, b: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return the values of one group, (n, size), with their sum within its room."""
        fixed = ~np.isin(group, self.free)
        floor = np.where(fixed, a[group], self._lower[group])
        room = max(1.0, float(a[group].sum()), float(floor.sum())) - floor.sum()
        above = np.where(fixed, 0.0, np.maximum(b - floor, 0.0))
        winner = np.where(fixed, -1.0, b).argmax(axis=1)
        rows = np.arange(len(b))
        won = np.minimum(above[rows, winner], room)
        others = above.copy()
        others[rows, winner] = 0.0
        total = others.sum(axis=1)
        left = room - won
        factor = np.where(total > left, left / np.where(total > 0, total, 1.0), 1.0)
        shared = others * factor[:, None]
        shared[rows, winner] = won
        # Groups that fit are returned bit by bit as they came.
        fits = (above.sum(axis=1) <= room + 1e-12)[:, None]
        return np.where(fits, b, floor + shared)

    def _column(self, name: Any, argument: str) -> int:
        if name not in self._place:
            raise InvalidInputError(
                f"{argument}: there is no attribute {name!r}"
                f"{did_you_mean(str(name), self._place)}; there are {', '.join(self.attributes)}"
            )
        return self._place[name]


def _names(names: Sequence[str], argument: str) -> list[str]:
    if isinstance(names, str):
        raise InvalidInputError(f"{argument} must be a list of names, not the text {names!r}")
    return list(names)


def checked_bound(name: str, pair: Any) -> tuple[float, float]:
    """Return the bounds of an attribute as numbers; refuse what are none."""
    try:
        low, high = (float(value) for value in pair)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"bounds of {name!r} must be two numbers: {pair!r}") from error
    if not 0 <= low < high <= 1:
        raise InvalidInputError(
            f"bounds of {name!r} must be low < high within [0, 1], they are {pair!r}; name it in "
            f"immutable to keep it as it is"
        )
    return low, high
