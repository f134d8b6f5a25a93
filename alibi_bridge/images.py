"""Sources of images with attributes.

A source gives out batches by row number, so that a set of any size is trained on without being
loaded whole. Those that read files are in :mod:`alibi_bridge.image_files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from alibi_bridge.attributes import check_attributes
from alibi_bridge.formats import ImageFormat
from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError

__all__ = [
    "ArraySource",
    "HeldSource",
    "ImageSource",
    "Subset",
    "as_source",
    "checked_rows",
    "split_indices",
]


@runtime_checkable
class ImageSource(Protocol):
    """Images and their binary attributes, by row number."""

    @property
    def format(self) -> ImageFormat:
        """Layout and range of the images that :meth:`batch` gives."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return k images in the format, and uint8 attributes of shape (k, m)."""


class HeldSource:
    """What sources share that hold the attributes of all images, `A`, and one format.

    Attributes
    ----------
    A : ndarray of uint8, shape (n, m)
    """

    A: np.ndarray
    _format: ImageFormat
    _attributes: tuple[str, ...]

    @property
    def format(self) -> ImageFormat:
        """Layout and range of the images."""
        return self._format

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return self._attributes

    def __len__(self) -> int:
        return len(self.A)


class ArraySource(HeldSource):
    """Images that are in memory.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels), or channels first
        uint8, or floats in `value_range`.
    A : array-like of shape (n, m)
        0 and 1, or −1 and 1.
    attributes : sequence of str
        Names of the columns of `A`.
    value_range : tuple of float, optional
        Default: (0, 255) for uint8, (0, 1) for floats.
    channels_last : bool, default True
    constant : bool, default False
        Whether an attribute may have one value only; a training set's may not.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: shapes that do not fit, images out of range or with NaN, attributes other
        than 0 and 1, or constant.
    """

    def __init__(
        self,
        X: Any,
        A: Any,
        attributes: Sequence[str],
        *,
        value_range: tuple[float, float] | None = None,
        channels_last: bool = True,
        constant: bool = False,
    ) -> None:
        X = np.asarray(X)
        self._format = ImageFormat.of(X, value_range, channels_last)
        self.X = self._format.check(X)
        self.A, self._attributes = check_attributes(A, attributes, len(X), constant=constant)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the images and attributes of some rows."""
        index = checked_rows(indices, len(self))
        return self.X[index], self.A[index]


class Subset:
    """Some rows of another source.

    Parameters
    ----------
    source : ImageSource
    indices : array-like of int, or of bool with one entry per row

    Raises
    ------
    InvalidInputError
        A ``ValueError``: rows that the source does not have, or none.
    """

    def __init__(self, source: ImageSource, indices: Any) -> None:
        rows = np.asarray(indices)
        if rows.dtype == bool:
            if rows.shape != (len(source),):
                raise InvalidInputError(
                    f"indices has shape {rows.shape}; a mask needs one entry for each of the "
                    f"{len(source)} rows"
                )
            rows = np.flatnonzero(rows)
        self.source, self.indices = source, checked_rows(rows, len(source))
        if not len(self.indices):
            raise InvalidInputError("a subset needs at least one row")

    @property
    def format(self) -> ImageFormat:
        """Layout and range of the images."""
        return self.source.format

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return self.source.attributes

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the images and attributes of some rows of the subset."""
        return self.source.batch(self.indices[checked_rows(indices, len(self))])


def as_source(
    X: Any,
    A: Any = None,
    attributes: Sequence[str] | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    channels_last: bool = True,
    constant: bool = False,
) -> ImageSource:
    """Return `X` if it is a source, else the source of the arrays `X` and `A`."""
    if isinstance(X, ImageSource):
        if A is not None:
            raise InvalidInputError("A is part of the image source; give one of the two")
        if value_range is not None or not channels_last:
            raise InvalidInputError(
                "value_range and channels_last are of arrays; an image source has its own format"
            )
        return X
    if A is None or attributes is None:
        raise InvalidInputError("an array of images needs the attributes A and their names")
    return ArraySource(
        X, A, attributes, value_range=value_range, channels_last=channels_last, constant=constant
    )


def split_indices(n: int, shares: Sequence[float], random_state: int = 0) -> tuple[np.ndarray, ...]:
    """Divide the rows 0 … n − 1 at random.

    Parameters
    ----------
    n : int
    shares : sequence of float
        Size of each part; they sum to 1 at most. No part is empty.
    random_state : int, default 0

    Returns
    -------
    tuple of ndarray of int
        One per share, each in ascending order; they have no row in common.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: shares that are no shares, or too few rows.
    """
    numbers = all(isinstance(share, int | float) and share > 0 for share in shares)
    if not shares or not numbers or sum(shares) > 1 + 1e-9:
        raise InvalidInputError(f"shares must be above 0 and sum to 1 at most, got {shares!r}")
    sizes = [round(share * n) for share in shares]
    sizes[-1] = min(sizes[-1], n - sum(sizes[:-1]))
    if min(sizes) < 1:
        raise InvalidInputError(f"{n} rows are too few for the shares {tuple(shares)}")
    order = numpy_stream(random_state, "split").permutation(n)
    ends = np.cumsum(sizes)
    return tuple(np.sort(order[end - size : end]) for size, end in zip(sizes, ends, strict=True))


def checked_rows(indices: Any, n: int) -> np.ndarray:
    """Return row numbers as an array of int64; a number that is no row is refused."""
    index = np.asarray(indices)
    if index.ndim != 1 or (index.size and not np.issubdtype(index.dtype, np.integer)):
        raise InvalidInputError(f"row numbers must be a list of whole numbers, got {index.dtype}")
    if index.size and (index.min() < 0 or index.max() >= n):
        raise InvalidInputError(f"row numbers must lie in 0 … {n - 1}")
    return index.astype(np.int64)
