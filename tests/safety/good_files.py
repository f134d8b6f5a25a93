"""Small whole files of every kind that our packages read, as bytes; to be damaged by tests."""

from __future__ import annotations

import gzip
import io
import json
from functools import cache

import numpy as np

TABLE = b"file,a,b\n0.png,1,0\n1.png,0,1\n"
LIST = b"2\na b\n0.png 1 -1\n1.png -1 1\n"


def pixels(n: int = 2, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@cache
def picture(form: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels(1, 16)[0]).save(file, form)
    return file.getvalue()


def npz(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


@cache
def arrays(compressed: bool = False) -> bytes:
    attributes = {"attributes": np.eye(2, dtype=np.uint8), "attribute_names": np.array(["a", "b"])}
    return npz(compressed, images=pixels(), **attributes)


@cache
def jpegs() -> bytes:
    parts = [np.frombuffer(picture("JPEG"), np.uint8)] * 2
    return npz(
        jpeg=np.concatenate(parts),
        offsets=np.array([0, *np.cumsum([len(part) for part in parts])]),
        attributes=np.eye(2, dtype=np.uint8),
        attribute_names=np.array(["a", "b"]),
    )


@cache
def cracks() -> bytes:
    return npz(
        images=pixels(2, 64),
        masks=np.zeros((2, 512), np.uint8),
        labels=np.array([0, 1]),
        split=np.array([0, 1]),
        source_image=np.array([0, 1]),
    )


@cache
def weights() -> bytes:
    import torch
    from safetensors.torch import save

    return save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)})


@cache
def adult() -> bytes:
    """Four rows with Adult's columns."""
    columns = "age workclass education marital_status occupation race gender hours_per_week income"
    row = "39,State-gov,Bachelors,Never-married,Adm-clerical,White,Male,40,"
    text = columns.replace(" ", ",") + "\n" + "".join(f"{row}{i % 2}\n" for i in range(4))
    return gzip.compress(text.encode(), mtime=0)


@cache
def comparison() -> bytes:
    empty = {"metric": [], "direction": [], "low": [], "high": []}
    whole = {"values": {}, "outcomes": {}, "counterfactuals": {}, "metrics": empty, "chance": {}}
    more = {"format": "dice-extended comparison 1", "baseline": None, "info": {}}
    return json.dumps({**more, **whole}).encode()


@cache
def results() -> bytes:
    row = [1.0, "a", 1]
    part = {"status": ["ok"], "reason": [""], "robustness": [{"rho_lit": [0.5]}], "version": "0"}
    return json.dumps(
        {
            "test_data": [[row]],
            "cfs_list": [[[2.0, "b", 0]]],
            "local_importance": None,
            "summary_importance": None,
            "data_interface": {"outcome_name": "y", "data_df": "dummy_data"},
            "feature_names": ["x", "z"],
            "feature_names_including_target": ["x", "z", "y"],
            "model_type": "classifier",
            "desired_class": "opposite",
            "desired_range": None,
            "metadata": {"version": "2.0", "dice_extended": part},
        }
    ).encode()
