"""The state of a training on disk, and whether it belongs to the run that wants it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alibi_bridge.saving import load_bundle, save_bundle
from alibi_bridge.untrusted import from_settings
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor

    from alibi_bridge.counterfactual_gan.model import JointGAN
    from alibi_bridge.counterfactual_gan.training import Trainer

__all__ = ["KIND", "architecture", "fingerprint", "is_there", "put_down", "take_up"]

KIND = "joint_gan_training"
_BEST = "best."


def architecture(model: JointGAN) -> dict[str, Any]:
    """Return what defines a model's networks and training; JSON can write it."""
    form = model.image_format
    return {
        "image_format": None if form is None else form.to_dict(),
        "generator": model.generator_name,
        "discriminator": model.discriminator_name,
        "generator_options": model.generator_options,
        "discriminator_options": model.discriminator_options,
        **model.resolved,
        "settings": model.settings.to_dict(),
        "random_state": model.random_state,
    }


def fingerprint(*arrays: np.ndarray) -> str:
    """Return a hash of arrays, so that a run does not go on with other data."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is something at `path` to go on from."""
    place = Path(path)
    return place.is_dir() and any(place.iterdir())


def read(
    path: str | os.PathLike[str], model: JointGAN, run: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint of the same model, settings and data.

    Raises
    ------
    InvalidInputError
        It is damaged, or of another run; the text names what differs.
    """
    config, tensors = load_bundle(path, KIND)
    for name, value in architecture(model).items():
        if config.get(name) != value:
            raise InvalidInputError(
                f"the checkpoint {os.fspath(path)} is of a run with another "
                f"{_difference(name, config.get(name), value)}; give another folder, or "
                "resume=False"
            )
    for name, value in run.items():
        known = config.get("run")
        if not isinstance(known, dict) or known.get(name) != value:
            raise InvalidInputError(
                f"the checkpoint {os.fspath(path)} is of a run with other {name}; give another "
                "folder, or resume=False"
            )
    return config, tensors


def put_down(
    path: str | os.PathLike[str],
    model: JointGAN,
    trainer: Trainer,
    run: Mapping[str, Any],
    best: Mapping[str, Tensor],
) -> None:
    """Write the state of a training and the best weights so far."""
    numbers, tensors = trainer.state()
    kept = {f"{_BEST}{name}": value for name, value in best.items()}
    config = {**model.config(), "run": dict(run), "trainer": numbers}
    save_bundle(path, KIND, config, {**tensors, **kept})


def take_up(
    path: str | os.PathLike[str], model: JointGAN, trainer: Trainer, run: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Put a training back where :func:`put_down` left it; return the best weights so far.

    Raises
    ------
    InvalidInputError
        It is damaged, or of another run.
    """
    config, tensors = read(path, model, run)
    with from_settings("the training of a joint GAN"):
        trainer.restore(config["trainer"], tensors)
        model.take_history(config)
    return {
        name[len(_BEST) :]: value.to(model.device)
        for name, value in tensors.items()
        if name.startswith(_BEST)
    }


def _difference(name: str, known: Any, wanted: Any) -> str:
    """Say what differs; of mappings, the entries that do."""
    if not isinstance(known, dict) or not isinstance(wanted, dict):
        return f"{name}: {known!r}, not {wanted!r}"
    keys = sorted(key for key in known.keys() | wanted.keys() if known.get(key) != wanted.get(key))
    return " and ".join(_difference(key, known.get(key), wanted.get(key)) for key in keys)
