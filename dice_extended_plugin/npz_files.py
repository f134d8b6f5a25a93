"""Arrays of an npz file, read only after what they claim has been compared with what is there.

NumPy makes room for the shape that an array's header names before it reads the first value, and a
zip archive may hold a thousand times its own size. Both are looked at first.
"""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["DAMAGED", "MAX_ARRAY_BYTES", "Header", "check_array", "read_header", "read_npz"]

#: Files whose arrays hold more are refused: sources for larger sets read folders.
MAX_ARRAY_BYTES = 32 << 30
#: Arrays above this size that take up less than a hundredth of it in the file are no images.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 256 << 20, 100
#: What reading a file that is no npz file, or a damaged one, ends in.
DAMAGED: tuple[type[Exception], ...] = (
    *(OSError, ValueError, AttributeError, EOFError, KeyError, NotImplementedError),
    *(RuntimeError, OverflowError, MemoryError, SyntaxError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),  # NumPy parses headers as Python
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    """What an array's header says."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]


def read_npz(
    path: str | os.PathLike[str],
    needed: Sequence[str],
    optional: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Read arrays of numbers and texts from an npz file.

    Parameters
    ----------
    path : path
    needed, optional : sequence of str
        Names of arrays; the result holds the optional ones that are there.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    InvalidInputError
        A ``ValueError``: the file or a needed array is missing, the file is no npz file or damaged,
        an array holds Python objects, or claims to be larger than what the file holds.
    """
    try:
        if not os.path.isfile(path):
            raise FileNotFoundError("there is no such file")
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [name for name in needed if name not in there]
            if missing:
                raise InvalidInputError(
                    f"{path} has no array {missing[0]!r}; it has {', '.join(map(str, there[:20]))}"
                )
            names = [*needed, *(name for name in optional if name in there)]
            for name in names:
                check_array(archive, name, path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except InvalidInputError:
        raise
    except DAMAGED as error:
        raise InvalidInputError(f"{path} is not a readable npz file: {error}") from error


def read_header(file: Any, name: str, path: Any) -> Header:
    """Read the header of an array; the stream then stands at its first value.

    Raises
    ------
    InvalidInputError
        An unknown form of header; and whatever of :data:`DAMAGED` NumPy makes of a broken one.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise InvalidInputError(f"{path}: array {name!r} has the unknown format {version}")
    return Header(*_HEADERS[version](file))


def check_array(
    archive: zipfile.ZipFile, name: str, path: Any, most: int = MAX_ARRAY_BYTES
) -> Header:
    """Return an array's header if it claims exactly what its member of the archive holds.

    Raises
    ------
    InvalidInputError
        It claims something else, more than `most` bytes, or Python objects.
    """
    member = archive.getinfo(name if name in archive.namelist() else f"{name}.npy")
    held, packed = member.file_size, member.compress_size
    if held > most:
        raise InvalidInputError(
            f"{path}: array {name!r} has {held:,} bytes; more than {most:,} is refused"
        )
    if held > max(_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO * packed):
        raise InvalidInputError(
            f"{path}: array {name!r} would grow from {packed:,} to {held:,} bytes, as no images "
            "do; refused. If it is yours, save it with np.savez, uncompressed"
        )
    with archive.open(member) as file:
        header = read_header(file, name, path)
        behind = held - file.tell()
    if header.dtype.hasobject:
        raise InvalidInputError(
            f"{path} is not a readable npz file: array {name!r} holds Python objects, which could "
            "run code; save numbers or texts of a fixed length"
        )
    claimed = math.prod(header.shape) * header.dtype.itemsize
    if claimed != behind or min(header.shape, default=0) < 0:
        raise InvalidInputError(
            f"{path}: array {name!r} claims {claimed:,} bytes, the file holds {behind:,} for it; "
            "it is damaged or was cut short"
        )
    return header
