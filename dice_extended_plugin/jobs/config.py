"""What a job is, and how it is run: read from a TOML file, checked before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.jobs.backends import BACKENDS
from dice_extended_plugin.options import check_integer, check_number

__all__ = ["JobConfig", "RunOptions", "read_toml"]

#: Tables of a job file, and the keys of each.
_TABLES: dict[str, tuple[str, ...]] = {
    "input": ("path", "array"),
    "model": ("factory", "options", "folders"),
    "run": ("backend", "workers", "address", "seconds", "memory_gib", "allow_other_versions"),
}
_KEYS = ("task", "output", "chunk_size", "random_state", "threads", "max_failures")


@dataclass(frozen=True)
class JobConfig:
    """What decides a job's result. A finished part is only ever joined by parts of the same.

    Parameters
    ----------
    task : str
        Registered name: "explain", "attack", "analyse", "audit", or a plugin's.
    factory : str
        ``"package.module:function"``, called once per worker with `factory_options` as keywords.
        What it returns depends on the task.
    options : mapping, optional
        Keywords of the task. Values that JSON can write.
    factory_options : mapping, optional
    folders : tuple of str, default the working directory
        Where the factory's module is looked for first. Workers look there too.
    chunk_size : int, default 100
        Rows treated, written and lost together. It changes no value in the result.
    random_state : int, default 0
    threads : int, default 1
        Threads of BLAS and torch in a worker. More may change last digits.
    max_failures : int, default 1000
        Failed rows after which a job stops.
    """

    task: str
    factory: str
    options: Mapping[str, Any] = field(default_factory=dict)
    factory_options: Mapping[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = (".",)
    chunk_size: int = 100
    random_state: int = 0
    threads: int = 1
    max_failures: int = 1000

    def __post_init__(self) -> None:
        """Check every value, and make the folders absolute: workers may live elsewhere."""
        for name in ("task", "factory"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InvalidInputError(f"{name} must be a text, it is {getattr(self, name)!r}")
        for name, least in (("chunk_size", 1), ("threads", 1), ("max_failures", 0)):
            check_integer(name, getattr(self, name), least=least)
        check_integer("random_state", self.random_state, least=0)
        for name in ("options", "factory_options"):
            _check_mapping(name, getattr(self, name))
        if isinstance(self.folders, str):
            raise InvalidInputError(f"folders must be a list of paths, it is {self.folders!r}")
        folders = tuple(str(Path(folder).expanduser().resolve()) for folder in self.folders)
        if missing := [folder for folder in folders if not Path(folder).is_dir()]:
            raise InvalidInputError(f"folders: there is no folder {missing[0]}")
        object.__setattr__(self, "folders", folders)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can write it."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobConfig:
        """Make one from what :meth:`to_dict` returned."""
        return cls(**{**data, "folders": tuple(data["folders"])})

    @property
    def identity(self) -> dict[str, Any]:
        """What two parts of one job have in common: all but where the code lies."""
        return {name: value for name, value in self.to_dict().items() if name != "folders"}

    @property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class RunOptions:
    """How a job is run: nothing here changes its result, and each run may choose anew.

    Parameters
    ----------
    backend : {"serial", "loky", "dask", "ray"}, default "serial"
        This process; processes of this machine; a Dask or Ray cluster.
    workers : int, optional
        Processes. Default: as many as there are cores, and for a running cluster what it has.
    address : str, optional
        Of a running Dask scheduler or Ray cluster. Default: one is started on this machine, and
        stopped at the end; a cluster that this process is connected to is used and left alone.
    seconds : float, optional
        After them no further chunk is begun; those under way are finished and kept.
    memory_gib : float, optional
        Resident memory of this process and its workers above which no further chunk is begun.
    allow_other_versions : bool, default False
        Whether a job may be resumed with other versions of the packages that matter.
    verbose : bool, default False
        Whether to show a progress bar with rate and remaining time.
    """

    backend: str = "serial"
    workers: int | None = None
    address: str | None = None
    seconds: float | None = None
    memory_gib: float | None = None
    allow_other_versions: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        if self.backend not in BACKENDS:
            raise InvalidInputError(
                f"backend={self.backend!r}{did_you_mean(str(self.backend), BACKENDS)}; there are "
                f"{', '.join(BACKENDS)}"
            )
        if self.workers is not None:
            check_integer("workers", self.workers, least=1)
        if self.address is not None and self.backend not in ("dask", "ray"):
            raise InvalidInputError(f"address is for dask and ray, not for {self.backend!r}")
        for name in ("seconds", "memory_gib"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        for name in ("allow_other_versions", "verbose"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"{name} must be true or false")


def read_toml(path: str | Path) -> tuple[JobConfig, RunOptions, dict[str, Any]]:
    """Read a job file.

    Parameters
    ----------
    path : path
        Of a TOML file. Paths in it are relative to its folder, where the model's module is looked
        for as well.

    Returns
    -------
    config : JobConfig
    run : RunOptions
    places : dict
        ``"input"`` and ``"output"`` (absolute paths) and ``"array"`` (name in an npz, or None).

    Raises
    ------
    InvalidInputError
        No such file, no TOML, an unknown or missing key, a wrong value.
    """
    path = Path(path)
    data = _parse(path)
    _check_keys(data, (*_KEYS, *_TABLES, "options"), str(path))
    for table, known in _TABLES.items():
        _check_mapping(f"[{table}]", data.get(table, {}))
        _check_keys(data.get(table, {}), known, f"[{table}] of {path}")
    source, model = data.get("input", {}), data.get("model", {})
    for key in ("task", "output"):
        _require(data, key, "at the top", path)
    _require(source, "path", "[input]", path)
    _require(model, "factory", "[model]", path)
    home = path.resolve().parent
    folders = model.get("folders", ["."])
    if not isinstance(folders, list):
        raise InvalidInputError(f"folders in [model] of {path} must be a list of paths")
    settings = {key: data[key] for key in _KEYS[2:] if key in data}
    config = JobConfig(
        task=data["task"],
        factory=model["factory"],
        options=data.get("options", {}),
        factory_options=model.get("options", {}),
        folders=tuple(str(home / str(folder)) for folder in folders),
        **settings,
    )
    places = {
        "input": str(home / str(source["path"])),
        "array": source.get("array"),
        "output": str(home / str(data["output"])),
    }
    return config, RunOptions(**data.get("run", {})), places


def _parse(path: Path) -> dict[str, Any]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ImportError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]
    try:
        with path.open("rb") as file:
            parsed: dict[str, Any] = tomllib.load(file)
            return parsed
    except OSError as error:
        raise InvalidInputError(f"cannot read the job file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is no TOML file: {error}") from error


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise InvalidInputError(
                f"unknown key {key!r} in {where}{did_you_mean(key, known)}; known are "
                f"{', '.join(known)}"
            )


def _require(table: Mapping[str, Any], key: str, where: str, path: Path) -> None:
    if key not in table:
        raise InvalidInputError(f"{path} lacks the key {key!r} {where}")


def _check_mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{name} must be a table of keys and values, it is {value!r}")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{name} holds something that a job cannot write down ({error}); use numbers, texts, "
            "lists and tables"
        ) from error


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Name the keys in which two configurations differ, with both values."""
    names = [item.name for item in fields(JobConfig) if item.name != "folders"]
    changed = [name for name in names if old.get(name) != new.get(name)]
    return "; ".join(f"{name}: {old.get(name)!r} before, {new.get(name)!r} now" for name in changed)
