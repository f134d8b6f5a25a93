"""Every way in which a file comes into our packages, as a function of a folder and bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TABLE = "file,a,b\n0.png,1,0\n1.png,0,1\n"


@dataclass(frozen=True)
class Reader:
    """`read` gets a folder and what to read from it; `covers` names path arguments of ours."""

    read: Callable[[Path, bytes], Any]
    covers: tuple[str, ...]
    needs: tuple[str, ...] = ()


def put(folder: Path, name: str, content: bytes) -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def bundle(folder: Path, kind: str, weights: bytes, config: dict | None = None) -> Path:
    """Write a bundle around the given weights; their hash is right."""
    head = {"format": 1, "kind": kind, "sha256": hashlib.sha256(weights).hexdigest()}
    put(folder, "config.json", json.dumps({**head, "config": config or {}}).encode())
    put(folder, "weights.safetensors", weights)
    return folder


def _config(folder: Path, content: bytes) -> Any:
    from alibi_bridge.saving import load_bundle

    put(folder, "config.json", content)
    put(folder, "weights.safetensors", content)
    return load_bundle(folder, "thing")


def _weights(folder: Path, content: bytes) -> Any:
    from alibi_bridge.saving import load_bundle

    return load_bundle(bundle(folder, "thing", content), "thing")


def _attgan(folder: Path, content: bytes) -> Any:
    from alibi_bridge.attgan import AttGAN

    return AttGAN.load(bundle(folder, "attgan", content))


def _joint(folder: Path, content: bytes) -> Any:
    from alibi_bridge import JointGAN

    return JointGAN.load(bundle(folder, "joint_gan", content))


def _many(folder: Path, content: bytes) -> Any:
    from alibi_bridge.counterfactual_gan.multiclass import OneAgainstBackground

    return OneAgainstBackground.load(bundle(folder, OneAgainstBackground.kind, content))


def _plausible(folder: Path, content: bytes) -> Any:
    from alibi_bridge import PlausibleCounterfactual

    place = bundle(folder, PlausibleCounterfactual.kind, content)
    return PlausibleCounterfactual.load_safe(place)


def _gan_explainer(folder: Path, content: bytes) -> Any:
    from alibi_bridge import CounterfactualGAN

    return CounterfactualGAN.load_safe(bundle(folder, CounterfactualGAN.kind, content))


def _attgan_checkpoint(folder: Path, content: bytes) -> Any:
    from alibi_bridge.attgan import checkpoints

    return checkpoints.resume(None, bundle(folder, "attgan checkpoint", content), {})


def _joint_checkpoint(folder: Path, content: bytes) -> Any:
    from alibi_bridge import JointGAN
    from alibi_bridge.counterfactual_gan import checkpoints

    place = bundle(folder, checkpoints.KIND, content)
    return checkpoints.take_up(place, JointGAN(device="cpu"), None, {})


def _table(folder: Path, content: bytes) -> Any:
    from alibi_bridge.attributes import read_attribute_table

    return read_attribute_table(put(folder, "table.csv", content))


def _folder_source(folder: Path, content: bytes) -> Any:
    from alibi_bridge import FolderSource

    put(folder, "images/0.png", content)
    put(folder, "images/1.png", content)
    return FolderSource(folder / "images", put(folder, "table.csv", TABLE.encode()), size=8)


def _folder_table(folder: Path, content: bytes) -> Any:
    from alibi_bridge import FolderSource

    return FolderSource(folder, put(folder, "table.csv", content), size=8)


def _jpeg_source(folder: Path, content: bytes) -> Any:
    import numpy as np

    from alibi_bridge import JpegSource

    return JpegSource(put(folder, "set.npz", content)).batch(np.arange(2))


def _npz(folder: Path, content: bytes) -> Any:
    from alibi_bridge.image_files import load_npz

    return load_npz(put(folder, "set.npz", content))


def _cracks(folder: Path, content: bytes) -> Any:
    from alibi_bridge.cracks import load_cracks

    return load_cracks(put(folder, "cracks64.npz", content).parent)


def _image(folder: Path, content: bytes) -> Any:
    from alibi_bridge.image_files import fit_image

    return fit_image(put(folder, "image.jpg", content), 8)


def _image_bytes(folder: Path, content: bytes) -> Any:
    from alibi_bridge.image_files import fit_image

    return fit_image(content, 8)


def _dataset(folder: Path, content: bytes) -> Any:
    from dice_extended_plugin import load_dataset

    put(folder, "tabular/adult.csv.gz", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DICE_EXTENDED_DATA", str(folder))
        return load_dataset("adult", source="folder")


def _results(folder: Path, content: bytes) -> Any:
    from dice_extended_plugin.results import RobustCounterfactualExplanations

    return RobustCounterfactualExplanations.from_json(content.decode("latin-1"))


def _comparison(folder: Path, content: bytes) -> Any:
    from dice_extended_plugin.comparison import Comparison

    return Comparison.from_json(content.decode("latin-1"))


def _pretrained(folder: Path, content: bytes) -> Any:
    """A folder that looks like a model of transformers, with weights in the old form."""
    from alibi_bridge.counterfactual_gan.swin import SwinEncoder

    shape = {"image_size": 32, "patch_size": 2, "num_channels": 3, "embed_dim": 8}
    layers = {"depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
    config = json.dumps({"model_type": "swin", **shape, **layers})
    put(folder, "config.json", config.encode())
    put(folder, "pytorch_model.bin", content)
    put(folder, "model.safetensors.index.json", content)
    return SwinEncoder(3, (32, 32), pretrained=str(folder))


def _pretrained_config(folder: Path, content: bytes) -> Any:
    from alibi_bridge.counterfactual_gan.swin import SwinEncoder

    put(folder, "config.json", content)
    put(folder, "pytorch_model.bin", content)
    return SwinEncoder(3, (32, 32), pretrained=str(folder))


_TORCH, _ALIBI, _PIL = ("torch", "safetensors"), ("torch", "safetensors", "alibi"), ("PIL",)
_GAN = "alibi_bridge.counterfactual_gan"
READERS: dict[str, Reader] = {
    "config of a bundle": Reader(_config, ("alibi_bridge.saving:load_bundle.path",), _TORCH),
    "weights of a bundle": Reader(_weights, ("alibi_bridge.saving:load_bundle.path",), _TORCH),
    "AttGAN.load": Reader(_attgan, ("alibi_bridge.attgan.model:AttGAN.load.path",), _TORCH),
    "JointGAN.load": Reader(_joint, (f"{_GAN}.model:JointGAN.load.path",), _TORCH),
    "OneAgainstBackground.load": Reader(
        _many, (f"{_GAN}.multiclass:OneAgainstBackground.load.path",), _TORCH
    ),
    "PlausibleCounterfactual.load_safe": Reader(
        _plausible, ("alibi_bridge.adapter:BridgeExplainer.load_safe.path",), _ALIBI
    ),
    "CounterfactualGAN.load_safe": Reader(
        _gan_explainer, ("alibi_bridge.adapter:BridgeExplainer.load_safe.path",), _ALIBI
    ),
    "AttGAN checkpoint": Reader(
        _attgan_checkpoint,
        (
            "alibi_bridge.attgan.checkpoints:resume.folder",
            "alibi_bridge.attgan.model:AttGAN.fit.checkpoint",
        ),
        _TORCH,
    ),
    "joint GAN checkpoint": Reader(
        _joint_checkpoint,
        (
            f"{_GAN}.checkpoints:read.path",
            f"{_GAN}.checkpoints:take_up.path",
            f"{_GAN}.model:JointGAN.fit.checkpoint",
            f"{_GAN}.multiclass:OneAgainstBackground.fit.checkpoint",
        ),
        _TORCH,
    ),
    "read_attribute_table": Reader(_table, ("alibi_bridge.attributes:read_attribute_table.path",)),
    "FolderSource, folder": Reader(
        _folder_source, ("alibi_bridge.image_files:FolderSource.__init__.folder",), _PIL
    ),
    "FolderSource, table": Reader(
        _folder_table, ("alibi_bridge.image_files:FolderSource.__init__.table",), _PIL
    ),
    "JpegSource": Reader(
        _jpeg_source, ("alibi_bridge.image_files:JpegSource.__init__.path",), _PIL
    ),
    "load_npz": Reader(
        _npz,
        ("alibi_bridge.image_files:load_npz.path", "dice_extended_plugin.npz_files:read_npz.path"),
        _PIL,
    ),
    "load_cracks": Reader(_cracks, ("alibi_bridge.cracks:load_cracks.folder",)),
    "fit_image, path": Reader(_image, ("alibi_bridge.image_files:fit_image.image",), _PIL),
    "fit_image, bytes": Reader(_image_bytes, (), _PIL),
    "load_dataset": Reader(_dataset, ()),
    "RobustCounterfactualExplanations.from_json": Reader(_results, ()),
    "Comparison.from_json": Reader(_comparison, ()),
    "pretrained, weights": Reader(_pretrained, (), ("torch", "transformers")),
    "pretrained, config": Reader(_pretrained_config, (), ("torch", "transformers")),
}
