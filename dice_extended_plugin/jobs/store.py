"""The folder of a job: a manifest, one Parquet file per chunk, and a note for each that is done.

::

    manifest.json                what the job is, versions, the whole's hash and figures at the end
    parts/part-00000000.parquet  the lines of a chunk
    done/part-00000000.json      its rows' hash, its file's size and hash, the rows that failed
    failed.parquet               all failed rows with their reasons, once the job is complete

Every file is written beside its place and moved there whole. The note comes last: a chunk with a
note is done, whatever killed the program, and nothing else is.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.config import JobConfig, differences
from dice_extended_plugin.jobs.errors import JobError
from dice_extended_plugin.jobs.sources import load_parquet
from dice_extended_plugin.jobs.worker import Failure, Treated

__all__ = ["Store"]

#: Of the files below; a folder of another form is not touched.
FORMAT = 1
_MANIFEST, _LOCK, _FAILED = "manifest.json", ".lock", "failed.parquet"
#: A note or manifest beyond this is not ours.
_MOST_JSON = 1 << 28


class Store:
    """One job's folder.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = {}

    # -- opening ---------------------------------------------------------------------------------

    def begin(
        self,
        config: JobConfig,
        source: Mapping[str, Any],
        versions: Mapping[str, str],
        allow_other_versions: bool,
    ) -> None:
        """Start a job here, or go on with the same one.

        Raises
        ------
        InvalidInputError
            The folder holds another job, other rows' job, or files that are not a job's.
        JobError
            Nothing can be written here.
        """
        if (self.folder / _MANIFEST).exists():
            self.read()
            self._check_same(config, source, versions, allow_other_versions)
            # The code may have moved; everything else is as it was.
            self.manifest["config"] = config.to_dict()
            self.manifest["versions"] = dict(versions)
        else:
            if self.folder.is_dir() and any(p.name != _LOCK for p in self.folder.iterdir()):
                raise InvalidInputError(
                    f"{self.folder} holds files and no {_MANIFEST}: choose a new or empty folder"
                )
            self.manifest = {
                "format": FORMAT,
                "config": config.to_dict(),
                "config_sha256": config.digest,
                "input": dict(source),
                "versions": dict(versions),
                "status": "begun",
            }
        with self._writing():
            for name in ("parts", "done"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.write_manifest()

    def read(self) -> dict[str, Any]:
        """Read the manifest.

        Raises
        ------
        InvalidInputError
            There is none, or it is damaged or of another form.
        """
        path = self.folder / _MANIFEST
        if not path.is_file():
            raise InvalidInputError(f"{self.folder} holds no job: there is no {_MANIFEST} in it")
        self.manifest = _read_json(path)
        if self.manifest.get("format") != FORMAT:
            raise InvalidInputError(
                f"{path} has the form {self.manifest.get('format')!r}, this version reads {FORMAT}"
            )
        return self.manifest

    def _check_same(
        self,
        config: JobConfig,
        source: Mapping[str, Any],
        versions: Mapping[str, str],
        allow_other_versions: bool,
    ) -> None:
        old = self.manifest
        try:
            before = JobConfig.from_dict({**old["config"], "folders": []})
            there = old["input"]["n_rows"], dict(old["versions"])
        except (KeyError, TypeError, InvalidInputError) as error:
            raise InvalidInputError(f"{self.folder / _MANIFEST} is damaged: {error}") from error
        if before.digest != config.digest:
            raise InvalidInputError(
                f"{self.folder} holds another job ({differences(before.identity, config.identity)})"
                f"; choose another output folder, or take the old values to go on with it"
            )
        if there[0] != source["n_rows"]:
            raise InvalidInputError(
                f"{self.folder} was begun with {there[0]} rows, the input now has "
                f"{source['n_rows']}: give the same rows, or choose another output folder"
            )
        changed = sorted(set(there[1].items()) ^ set(versions.items()))
        if changed and not allow_other_versions and self.finished():
            names = ", ".join(sorted({name for name, _ in changed}))
            raise InvalidInputError(
                f"{self.folder} was begun with other versions of {names}, and results may differ "
                f"between versions: install those in its {_MANIFEST}, choose another folder, or "
                "say allow_other_versions"
            )

    # -- chunks ----------------------------------------------------------------------------------

    def finished(self) -> set[int]:
        """Return the numbers of the chunks that are done."""
        folder = self.folder / "done"
        return {
            int(path.stem.removeprefix("part-"))
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.suffix == ".json" and path.stem.removeprefix("part-").isdigit()
        }

    def note(self, index: int) -> dict[str, Any]:
        """Return what was noted of a finished chunk; its file is there and has the right size."""
        note = _read_json(self.folder / "done" / f"{_name(index)}.json")
        path = self.part(index)
        size = path.stat().st_size if path.is_file() else None
        if note.get("bytes") != size:
            raise JobError(
                f"{path} is {'missing' if size is None else 'damaged'}: delete "
                f"{self.folder / 'done' / _name(index)}.json, and resume does this chunk anew"
            )
        return note

    def part(self, index: int) -> Path:
        """Return the path of a chunk's Parquet file."""
        return self.folder / "parts" / f"{_name(index)}.parquet"

    def write(self, treated: Treated, rows_sha256: str) -> None:
        """Keep a finished chunk."""
        note = {
            "index": treated.index,
            "start": treated.start,
            "n_rows": treated.n_rows,
            "rows_sha256": rows_sha256,
            "failures": [[failure.row, failure.reason] for failure in treated.failures],
            "seconds": round(treated.seconds, 6),
            "bytes": None,
        }
        with self._writing():
            if treated.table is not None:
                data = _parquet(treated.table)
                note |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                _replace(self.part(treated.index), data)
            else:
                self.part(treated.index).unlink(missing_ok=True)
            _replace(self.folder / "done" / f"{_name(treated.index)}.json", _json(note))

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the tables of the finished chunks, in order, each checked against its hash."""
        for index in sorted(self.finished()):
            note = self.note(index)
            if note["bytes"] is None:
                continue
            data = self.part(index).read_bytes()
            if hashlib.sha256(data).hexdigest() != note["sha256"]:
                raise JobError(f"{self.part(index)} is not what was written: it is damaged")
            yield _table(data)

    def failures(self) -> list[Failure]:
        """Return the failed rows of all finished chunks, in order."""
        return [
            Failure(int(row), str(reason))
            for index in sorted(self.finished())
            for row, reason in self.note(index)["failures"]
        ]

    # -- the whole -------------------------------------------------------------------------------

    def write_manifest(self, **changes: Any) -> None:
        """Write the manifest with some entries changed."""
        self.manifest |= changes
        with self._writing():
            _replace(self.folder / _MANIFEST, _json(self.manifest))

    def write_failed(self, failures: list[Failure]) -> None:
        """Write the table of failed rows."""
        table = pd.DataFrame(
            {
                "row": pd.Series([failure.row for failure in failures], dtype="int64"),
                "reason": pd.Series([failure.reason for failure in failures], dtype="string"),
            }
        )
        with self._writing():
            _replace(self.folder / _FAILED, _parquet(table))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other programs from running this job at the same time.

        The system frees the lock when the program ends, however it ends.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / _LOCK).open("a")
        with file:
            try:
                import fcntl
            except ImportError:  # Windows: no lock that a killed program would free
                yield
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise JobError(f"another program is running the job in {self.folder}") from error
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            why = "the disk is full" if full else error.strerror or str(error)
            raise JobError(
                f"cannot write in {self.folder}: {why}. All finished chunks are kept; "
                f"{'free some space' if full else 'make it writable'}, and resume the job"
            ) from error


def _name(index: int) -> str:
    return f"part-{index:08d}"


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole, or leave what was there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _parquet(table: pd.DataFrame) -> bytes:
    parquet = load_parquet()
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pandas(table, preserve_index=False), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _table(data: bytes) -> pd.DataFrame:
    parquet = load_parquet()
    import pyarrow

    table: pd.DataFrame = parquet.read_table(pyarrow.BufferReader(data)).to_pandas()
    return table


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise InvalidInputError(f"{path} is too large to be a job's")
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise JobError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise InvalidInputError(f"{path} is damaged: it holds no table of keys")
    return data
