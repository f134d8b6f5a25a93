"""Tables of binary attributes: reading them and refusing those that nothing can be learnt from."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = ["check_attributes", "check_columns", "pick_columns", "read_attribute_table"]

#: Larger tables are refused before they are read; CelebA's has 26 MB.
MAX_TABLE_BYTES = 1 << 29


def check_attributes(
    A: Any, names: Sequence[str], n: int | None = None, *, constant: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a table of attributes as 0 and 1.

    Parameters
    ----------
    A : array-like of shape (n, m)
        0 and 1, or −1 and 1.
    names : sequence of str
        One per column.
    n : int, optional
        Number of images.
    constant : bool, default False
        Whether a column may have one value only.

    Returns
    -------
    table : ndarray of uint8, shape (n, m)
    names : tuple of str

    Raises
    ------
    InvalidInputError
        A ``ValueError``: another shape, values that are neither, a constant attribute, a name
        twice.
    """
    names = tuple(names)
    check_columns(A, names)
    table = np.asarray(A)
    if isinstance(names, str) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidInputError("attributes must be a list of one or more names")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"attributes: {twice!r} is there twice")
    if table.ndim != 2 or table.shape[1] != len(names):
        raise InvalidInputError(
            f"A has shape {table.shape}, expected (n, {len(names)}), a column per attribute"
        )
    if n is not None and len(table) != n:
        raise InvalidInputError(f"A has {len(table)} rows, there are {n} images")
    if table.dtype == object or not (np.issubdtype(table.dtype, np.number) or table.dtype == bool):
        raise InvalidInputError(f"A holds {table.dtype}, not numbers")
    signed = bool((table == -1).any())
    if signed and (table == 0).any():
        (row, column), (other, place) = (np.argwhere(table == value)[0] for value in (-1, 0))
        raise InvalidInputError(
            f"attribute {names[column]!r} is −1 at row {row}, but {names[place]!r} is 0 at row "
            f"{other}; attributes are 0 and 1, or −1 and 1"
        )
    fine = np.isin(table, (-1, 1) if signed else (0, 1))
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        what = "−1 and 1" if signed else "0 and 1"
        raise InvalidInputError(
            f"attribute {names[column]!r} is {table[row, column]} at row {row}; "
            f"attributes are {what}"
        )
    binary = (table == 1).astype(np.uint8)
    if not constant and len(binary):
        for column, name in enumerate(names):
            values = np.unique(binary[:, column])
            if len(values) < 2:
                raise InvalidInputError(
                    f"attribute {name!r} is {values[0]} in all {len(binary)} images: nothing can "
                    f"be learnt about it; leave it out"
                )
    return binary, names


def check_columns(A: Any, names: Sequence[str]) -> None:
    """Raise InvalidInputError if `A` is a table whose columns bear other names, or another order.

    Parameters
    ----------
    A : array-like
        Only a pandas data frame has names; numbered columns are taken as they come.
    names : sequence of str
        Of the columns, in their order.
    """
    columns = list(getattr(A, "columns", ()))
    if columns != list(names) and any(isinstance(column, str) for column in columns):
        raise InvalidInputError(
            f"the table of attributes has the columns {', '.join(map(str, columns))}, expected "
            f"{', '.join(map(str, names))}, in this order"
        )


def pick_columns(known: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Return the places of the `wanted` names, all if None.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: a name that is not there.
    """
    if wanted is None:
        return list(range(len(known)))
    if isinstance(wanted, str):
        raise InvalidInputError(f"attributes must be a list of names, not the text {wanted!r}")
    places = {name: place for place, name in enumerate(known)}
    for name in wanted:
        if name not in places:
            raise InvalidInputError(
                f"there is no attribute {name!r} in the table{did_you_mean(name, places)}"
            )
    return [places[name] for name in wanted]


def read_attribute_table(
    path: str | os.PathLike[str],
) -> tuple[list[str], list[str], np.ndarray]:
    """Read a table of attributes, CSV or CelebA's list format.

    Parameters
    ----------
    path : path
        CSV: a header, then a line per image, the file name first. List format: the number of
        images, a line with the attributes' names, then a line per image, split at spaces.

    Returns
    -------
    files : list of str
    names : list of str
    values : ndarray of int, shape (n, m)

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no such file, a line with too few or too many values, a value that is no
        whole number, a file named twice.
    """
    place = Path(path)
    try:
        if place.is_file() and place.stat().st_size > MAX_TABLE_BYTES:
            raise InvalidInputError(
                f"{place} has {place.stat().st_size:,} bytes; more than {MAX_TABLE_BYTES:,} are "
                "refused"
            )
        if place.exists() and not place.is_file():  # a pipe or a device may never end
            raise InvalidInputError(f"{place} is no file")
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InvalidInputError(f"{place} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{place} is not a text file in UTF-8") from error
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        raise InvalidInputError(f"{place} has no images in it")
    if "," in lines[0]:
        try:
            table = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        except csv.Error as error:
            raise InvalidInputError(f"{place} is not a table in CSV: {error}") from error
        names, body, first = table[0][1:], table[1:], 2
    elif lines[0].strip().isdecimal() and len(lines[0]) < 20:
        names, body, first = lines[1].split(), [line.split() for line in lines[2:]], 3
        if int(lines[0]) != len(body):
            raise InvalidInputError(
                f"{place} says that it has {lines[0].strip()} images, it has {len(body)}: was it "
                f"cut short?"
            )
    else:
        raise InvalidInputError(
            f"{place} is neither CSV with a header nor CelebA's list format (a count, then names)"
        )
    return _values(place, names, body, first)


def _values(
    place: Path, names: list[str], body: list[list[str]], first: int
) -> tuple[list[str], list[str], np.ndarray]:
    values = np.empty((len(body), len(names)), dtype=np.int64)
    for row, cells in enumerate(body):
        if len(cells) != len(names) + 1:
            raise InvalidInputError(
                f"{place}: entry {row + first} has {len(cells) - 1} values for "
                f"{len(names)} attributes"
            )
        for column, cell in enumerate(cells[1:]):
            try:
                values[row, column] = int(cell)
            except (ValueError, OverflowError):
                raise InvalidInputError(
                    f"{place}: attribute {names[column]!r} of {cells[0]} is {cell!r:.80}; "
                    f"attributes are 0 and 1, or −1 and 1"
                ) from None
    files = [cells[0] for cells in body]
    if len(set(files)) < len(files):
        seen: set[str] = set()
        twice = next(name for name in files if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidInputError(f"{place} names {twice} twice")
    return files, names, values
