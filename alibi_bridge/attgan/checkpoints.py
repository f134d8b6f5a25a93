"""The state of a training on disk, and whether it belongs to the training at hand."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alibi_bridge.attgan.training import Trainer
from alibi_bridge.images import HeldSource, ImageSource, Subset
from alibi_bridge.saving import CONFIG, load_bundle, save_bundle
from alibi_bridge.untrusted import from_settings
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["fingerprint", "resume", "save"]

_logger = logging.getLogger(__name__)
_KIND = "attgan checkpoint"
#: Images whose pixels tell one training set from another; reading all would take long.
_LOOKED_AT = 64


def fingerprint(source: ImageSource) -> dict[str, Any]:
    """Return what tells one training set from another.

    Its size and format, some images all over it, and the attributes: all of them where they are
    in memory, else those of the same images.
    """
    n = len(source)
    X, A = source.batch(np.unique(np.linspace(0, n - 1, _LOOKED_AT).astype(int)))
    held = _held_attributes(source)
    data = hashlib.sha256(np.ascontiguousarray(X).tobytes())
    data.update(np.asarray(A if held is None else held, dtype=np.uint8).tobytes())
    return {"images": n, "format": source.format.to_dict(), "data": data.hexdigest()}


def save(trainer: Trainer, folder: Path, run: dict[str, Any]) -> None:
    """Write the trainer's state and the settings `run` of its training, whole or not at all."""
    numbers, tensors = trainer.state()
    save_bundle(folder, _KIND, {"run": run, "state": numbers}, tensors)


def resume(trainer: Trainer, folder: Path, run: dict[str, Any]) -> None:
    """Load the state of `folder`, if it holds one.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: it is damaged, something else, or of a training with other settings.
    """
    # An interrupted swap leaves the earlier checkpoint aside; load_bundle finds it.
    aside = folder.with_name(f".{folder.name}.old")
    if not (folder / CONFIG).exists() and not aside.is_dir():
        return
    config, tensors = load_bundle(folder, _KIND)
    known = config.get("run")
    known = known if isinstance(known, dict) else {}
    differ: Sequence[str] = [name for name, value in run.items() if known.get(name) != value]
    if differ:
        raise InvalidInputError(
            f"{folder} holds the checkpoint of another training: its {', '.join(differ)} differ; "
            f"give another folder, or resume=False to begin anew"
        )
    with from_settings("the training of an AttGAN"):
        trainer.load(config["state"], tensors)
    _logger.info("training goes on at step %d", trainer.step)


def _held_attributes(source: ImageSource) -> np.ndarray | None:
    if isinstance(source, HeldSource):
        return source.A
    if isinstance(source, Subset):
        held = _held_attributes(source.source)
        return None if held is None else held[source.indices]
    return None
