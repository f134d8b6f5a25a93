"""Rows to treat, as a stream: a table in memory, CSV, Parquet, or an array of an npz file.

Whatever the size of a file, a few blocks of it are in memory. Blocks have a fixed size of their
own, so that no value depends on how large a job's chunks are.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.errors import JobError
from dice_extended_plugin.npz_files import DAMAGED, check_array, read_header

__all__ = ["Chunk", "RowSource", "Rows", "chunks", "digest", "open_source", "part"]

#: A table, or an array whose first axis counts the rows.
Rows: TypeAlias = "pd.DataFrame | np.ndarray"
#: Rows of a file read at once.
BLOCK = 16_384
#: Bytes of an npz array read at once, for rows that are images.
_BLOCK_BYTES = 1 << 26
#: An array file may not claim to hold more than this.
_MOST_BYTES = 1 << 44


class RowSource(Protocol):
    """Where rows come from."""

    @property
    def n_rows(self) -> int:
        """How many rows there are."""

    def blocks(self) -> Iterator[Rows]:
        """Yield all rows in order, a block at a time; every call begins anew."""

    def describe(self) -> dict[str, Any]:
        """Say in JSON what it is, so that :func:`open_source` can open it again."""


@dataclass(frozen=True)
class Chunk:
    """Rows that are treated together.

    Parameters
    ----------
    index : int
        Number of the chunk.
    start : int
        Number of its first row.
    rows : Rows
    """

    index: int
    start: int
    rows: Rows


def chunks(source: RowSource, size: int) -> Iterator[Chunk]:
    """Cut a stream of blocks into chunks of `size` rows, the last one shorter."""
    index, held, n_held = 0, [], 0
    for block in source.blocks():
        held.append(block)
        n_held += len(block)
        if n_held < size:
            continue
        whole = _join(held)
        last = len(whole) - len(whole) % size
        for begin in range(0, last, size):
            yield Chunk(index, index * size, part(whole, begin, begin + size))
            index += 1
        held = [part(whole, last, len(whole))]
        n_held = len(held[0])
    if n_held:
        yield Chunk(index, index * size, _join(held))


def digest(rows: Rows) -> bytes:
    """Return 8 bytes a row that its values decide; digests of parts join to that of the whole."""
    if isinstance(rows, pd.DataFrame):
        hashed = pd.util.hash_pandas_object(rows, index=False)
        return hashed.to_numpy().astype("<u8").tobytes()
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in flat)


def open_source(rows: Any, array: str | None = None) -> RowSource:
    """Return the stream of what a user calls rows.

    Parameters
    ----------
    rows : DataFrame, ndarray or path
        A path ends in ``.csv``, ``.csv.gz``, ``.parquet`` or ``.npz``.
    array : str, optional
        Which array of an npz file; needed where there are several.

    Raises
    ------
    InvalidInputError
        No rows, no such file, another kind of file, or one that cannot be read.
    """
    if isinstance(rows, (pd.DataFrame, np.ndarray)):
        return _Held(rows)
    if not isinstance(rows, (str, Path)):
        raise InvalidInputError(
            f"rows must be a DataFrame, an array or the path of a file, not {type(rows).__name__}"
        )
    path = Path(rows)
    if not path.is_file():
        raise InvalidInputError(f"there is no input file {path}")
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return _Csv(path)
    if name.endswith(".parquet"):
        return _Parquet(path)
    if name.endswith(".npz"):
        return _Npz(path, array)
    raise InvalidInputError(f"{path}: an input file ends in .csv, .csv.gz, .parquet or .npz")


class _Held:
    """Rows that are in memory already."""

    def __init__(self, rows: Rows) -> None:
        if not len(rows):
            raise InvalidInputError("there are no rows")
        if isinstance(rows, pd.DataFrame):
            _check_columns(list(rows.columns), "rows")
        elif rows.dtype.hasobject:
            raise InvalidInputError("rows are an array of objects; give numbers or a DataFrame")
        self._rows = rows

    @property
    def n_rows(self) -> int:
        return len(self._rows)

    def blocks(self) -> Iterator[Rows]:
        for begin in range(0, self.n_rows, BLOCK):
            yield part(self._rows, begin, begin + BLOCK)

    def describe(self) -> dict[str, Any]:
        return {"kind": "memory", "n_rows": self.n_rows}


class _Csv:
    """A CSV file, read twice: once for its types, which then hold for every block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.n_rows, self._types = self._survey()

    def _survey(self) -> tuple[int, dict[str, Any]]:
        count = 0
        types: dict[str, Any] = {}
        for block in self._read(None):
            count += len(block)
            for name, column in block.items():
                types[str(name)] = _joined_type(types.get(str(name)), column.dtype)
        if not count:
            raise InvalidInputError(f"{self._path} holds no rows")
        _check_columns(list(types), str(self._path))
        return count, types

    def _read(self, types: dict[str, Any] | None) -> Iterator[pd.DataFrame]:
        try:
            yield from pd.read_csv(
                self._path, chunksize=BLOCK, dtype=types, low_memory=False, encoding="utf-8"
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{self._path} is no CSV table: {error}") from error
        except (EOFError, OSError) as error:
            raise InvalidInputError(f"cannot read {self._path}: {error}") from error

    def blocks(self) -> Iterator[Rows]:
        for block in self._read(self._types):
            yield block.reset_index(drop=True)

    def describe(self) -> dict[str, Any]:
        return {"kind": "csv", "path": str(self._path.resolve()), "n_rows": self.n_rows}


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            self.n_rows = file.metadata.num_rows
            names = file.schema_arrow.names
        if not self.n_rows:
            raise InvalidInputError(f"{path} holds no rows")
        _check_columns(names, str(path))

    def _open(self) -> Any:
        parquet = load_parquet()
        try:
            return parquet.ParquetFile(self._path)
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise InvalidInputError(f"{self._path} is no Parquet file: {error}") from error

    def blocks(self) -> Iterator[Rows]:
        with self._open() as file:
            for batch in file.iter_batches(batch_size=BLOCK):
                yield batch.to_pandas().reset_index(drop=True)

    def describe(self) -> dict[str, Any]:
        return {"kind": "parquet", "path": str(self._path.resolve()), "n_rows": self.n_rows}


class _Npz:
    """One array of an npz file, read as it is unpacked (whole, if its columns come first)."""

    def __init__(self, path: Path, array: str | None) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
                self._name = _chosen(names, array, path)
                self._header = check_array(archive, self._name, path, _MOST_BYTES)
        except InvalidInputError:
            raise
        except DAMAGED as error:
            raise InvalidInputError(f"{path} is no npz file: {error}") from error
        if not self._header.shape or not self._header.shape[0]:
            raise InvalidInputError(f"{path}: array {self._name!r} holds no rows")

    @property
    def n_rows(self) -> int:
        return self._header.shape[0]

    def blocks(self) -> Iterator[Rows]:
        shape, columns_first, dtype = self._header
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        at_once = max(1, min(BLOCK, _BLOCK_BYTES // max(row_bytes, 1)))
        with zipfile.ZipFile(self._path) as archive, archive.open(f"{self._name}.npy") as file:
            read_header(file, self._name, self._path)
            if columns_first:  # as pandas makes them: no row is whole before the last byte
                data = _exactly(file, shape[0] * row_bytes, self._path)
                whole = np.frombuffer(data, dtype=dtype).reshape(shape, order="F")
                for begin in range(0, shape[0], at_once):
                    yield np.ascontiguousarray(whole[begin : begin + at_once])
                return
            for begin in range(0, shape[0], at_once):
                count = min(at_once, shape[0] - begin)
                data = _exactly(file, count * row_bytes, self._path)
                yield np.frombuffer(data, dtype=dtype).reshape(count, *shape[1:])

    def describe(self) -> dict[str, Any]:
        kind = {"kind": "npz", "path": str(self._path.resolve()), "array": self._name}
        return {**kind, "n_rows": self.n_rows}


def _chosen(names: list[str], wanted: str | None, path: Path) -> str:
    if wanted is None and len(names) != 1:
        raise InvalidInputError(f"{path} holds {', '.join(names) or 'nothing'}: say which array")
    name = names[0] if wanted is None else wanted
    if name not in names:
        raise InvalidInputError(f"{path} has no array {name!r}, only {', '.join(names)}")
    return name


def load_parquet() -> Any:
    """Return pyarrow's Parquet module, or say what to install."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "jobs write Parquet with pyarrow, which is not installed; run: pip install "
            "'dice-extended[jobs]'"
        ) from error
    return pyarrow.parquet


def _exactly(file: Any, count: int, path: Path) -> bytes:
    try:
        data: bytes = file.read(count)
    except DAMAGED as error:
        raise JobError(f"{path} is damaged: {error}") from error
    if len(data) != count:
        raise JobError(f"{path} ends before its last row: it is damaged")
    return data


def _join(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pd.concat([pd.DataFrame(held) for held in parts], ignore_index=True)


def part(rows: Rows, begin: int, end: int) -> Rows:
    """Return rows `begin` to `end`; a table counts its rows from 0."""
    if isinstance(rows, np.ndarray):
        return rows[begin:end]
    return rows.iloc[begin:end].reset_index(drop=True)


def _joined_type(old: Any, new: Any) -> Any:
    """Return the type that holds the values of two blocks of a column."""
    if old is None or old == new:
        return new
    numbers = all(pd.api.types.is_numeric_dtype(t) and t.kind != "b" for t in (old, new))
    return np.result_type(old, new) if numbers else np.dtype(object)


def _check_columns(names: list[Any], where: str) -> None:
    texts = [str(name) for name in names]
    if len(set(texts)) < len(texts):
        twice = next(name for name in texts if texts.count(name) > 1)
        raise InvalidInputError(f"{where} has two columns named {twice!r}; rename one")
