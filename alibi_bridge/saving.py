"""Networks on disk: a folder with one JSON file and one safetensors file, and no code in either.

The JSON file carries the hash of the other. Both are read only after their sizes have been looked
at, and a folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "check_writable",
    "load_bundle",
    "load_optimizer",
    "load_state",
    "optimizer_state",
    "save_bundle",
    "state_of",
]

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
FORMAT = 1
#: Larger files are refused before they are read. The largest network here has 0.1 GB of weights.
MAX_CONFIG_BYTES, MAX_WEIGHTS_BYTES = 16 << 20, 8 << 30


def save_bundle(
    path: str | os.PathLike[str],
    kind: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor | np.ndarray],
) -> None:
    """Write a folder that :func:`load_bundle` reads.

    The folder is written beside its place and moved there, so that an interruption leaves the old
    one or the new one, never half of one.

    Parameters
    ----------
    path : path
        A folder; one that holds an earlier bundle is replaced.
    kind : str
        What it is, for example ``"attgan"``; loading another kind is refused.
    config : mapping
        Values that JSON can write; NaN and infinity cannot.
    tensors : mapping of str to Tensor or ndarray
        Weights, on any device.

    Raises
    ------
    InvalidInputError
        `path` is a file, a folder that holds something else, or cannot be made; `config` is not
        JSON.
    """
    from safetensors.torch import save

    place = Path(path)
    _check_place(place)
    weights = save({name: _plain(tensor) for name, tensor in tensors.items()})
    head = {
        "format": FORMAT,
        "kind": kind,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "config": dict(config),
    }
    try:
        text = json.dumps(head, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"the settings of a {kind} cannot be saved: {error}") from error
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        (new / WEIGHTS).write_bytes(weights)
        (new / CONFIG).write_text(text, encoding="utf-8")
        _swap(new, place)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_bundle(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read a folder that :func:`save_bundle` wrote.

    Parameters
    ----------
    path : path
        The folder.
    kind : str
        What it must hold.

    Returns
    -------
    tuple
        The settings, and the tensors on the CPU.

    Raises
    ------
    InvalidInputError
        The folder or a file is missing, too large, damaged, cut short, of another kind, or not
        what its hash says.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    place = Path(path)
    if not (place / CONFIG).exists() and _aside(place).is_dir():
        place = _aside(place)  # the writing was interrupted between its two moves
    head = _read_head(place / CONFIG)
    if head["kind"] != kind:
        raise InvalidInputError(f"{place} holds a {head['kind']!r}, not a {kind!r}")
    weights = _read(place / WEIGHTS, MAX_WEIGHTS_BYTES)
    if hashlib.sha256(weights).hexdigest() != head["sha256"]:
        raise InvalidInputError(
            f"{place / WEIGHTS} is damaged, or from another folder: its hash is not the one that "
            f"{CONFIG} names"
        )
    try:
        return head["config"], load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InvalidInputError(f"{place / WEIGHTS} is not a safetensors file: {error}") from error


def state_of(module: torch.nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    """Return a module's parameters and buffers, their names behind `prefix`."""
    return {f"{prefix}{name}": value for name, value in module.state_dict().items()}


def load_state(
    module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str = ""
) -> None:
    """Put tensors into a module, all or none.

    Parameters
    ----------
    module : torch.nn.Module
    tensors : mapping of str to Tensor
        Those whose name starts with `prefix` are taken; the others belong to somebody else.
    prefix : str, optional

    Raises
    ------
    InvalidInputError
        A tensor is missing, unexpected, of another shape or kind of number, or not finite. The
        module is unchanged.
    """
    own = module.state_dict()
    given = {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
    what = f"weights of {type(module).__name__}"
    for problem, names in (
        ("are missing", own.keys() - given.keys()),
        ("are not of this architecture", given.keys() - own.keys()),
    ):
        if names:
            raise InvalidInputError(f"{what}: {_some(names)} {problem}")
    for name, value in own.items():
        if value.shape != given[name].shape:
            raise InvalidInputError(
                f"{what}: {name} has shape {tuple(given[name].shape)}, this architecture has "
                f"{tuple(value.shape)}"
            )
        if value.is_floating_point() != given[name].is_floating_point():
            raise InvalidInputError(
                f"{what}: {name} holds {given[name].dtype}, this architecture has {value.dtype}"
            )
        if given[name].is_floating_point() and not bool(given[name].isfinite().all()):
            raise InvalidInputError(f"{what}: {name} has NaN or infinite values")
    module.load_state_dict(given)


def optimizer_state(
    optimizer: torch.optim.Optimizer, prefix: str
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return an optimiser's state: numbers for JSON, and tensors, their names behind `prefix`."""
    import torch

    state = optimizer.state_dict()
    numbers: dict[str, Any] = {"groups": state["param_groups"], "state": {}}
    tensors = {}
    for index, values in state["state"].items():
        numbers["state"][str(index)] = {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{prefix}{index}.{name}"] = value
            else:
                numbers["state"][str(index)][name] = value
    return numbers, tensors


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    numbers: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    prefix: str,
) -> None:
    """Put back what :func:`optimizer_state` returned.

    Raises
    ------
    InvalidInputError
        It belongs to another optimiser or other parameters.
    """
    state: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in numbers["state"].items()
    }
    for name, value in tensors.items():
        if name.startswith(prefix):
            place, _, key = name[len(prefix) :].partition(".")
            state.setdefault(int(place), {})[key] = value
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, values in state.items():
        moment = values.get("exp_avg")
        fits = index < len(parameters)
        if not fits or (moment is not None and moment.shape != parameters[index].shape):
            raise InvalidInputError("the optimiser's state belongs to other parameters")
    try:
        optimizer.load_state_dict({"state": state, "param_groups": numbers["groups"]})
    except (ValueError, KeyError) as error:
        raise InvalidInputError(f"the optimiser's state is of another kind: {error}") from error


def _plain(tensor: torch.Tensor | np.ndarray) -> torch.Tensor:
    import torch

    # A tensor of its own: safetensors refuses two names for one memory.
    return torch.as_tensor(tensor).detach().cpu().contiguous().clone()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a place that :func:`save_bundle` could not write to, before hours of work.

    Raises
    ------
    InvalidInputError
        It is a file or holds something else, or the folder above cannot be made or written to.
    """
    place = Path(path)
    _check_place(place)
    with _writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent):
            pass


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"{place} cannot be written ({error.strerror or error}); give another folder"
        ) from error


def _check_place(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise InvalidInputError(f"{place} is a file; give a folder")
    if place.is_dir() and any(place.iterdir()) and not (place / CONFIG).is_file():
        raise InvalidInputError(f"{place} holds other files; give a new or empty folder")


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _swap(new: Path, place: Path) -> None:
    old = _aside(place)
    if place.exists():  # without it, the one aside may be all there is: an interrupted swap
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _read(path: Path, most: int) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise InvalidInputError(f"{path} is no file")
        size = path.stat().st_size
        if size > most:
            raise InvalidInputError(f"{path} has {size:,} bytes; more than {most:,} is refused")
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_head(path: Path) -> dict[str, Any]:
    text = _read(path, MAX_CONFIG_BYTES)  # outside: its error is a ValueError, too
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON: {error}") from error
    whole = isinstance(head, dict) and {"format", "kind", "sha256", "config"} <= head.keys()
    if not whole or not isinstance(head["config"], dict):
        raise InvalidInputError(f"{path} was not written by dice-extended")
    if head["format"] != FORMAT:
        raise InvalidInputError(
            f"{path} has format {head['format']!r}, this version reads {FORMAT}"
        )
    return head


def _some(names: set[str], most: int = 5) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
