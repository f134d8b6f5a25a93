"""Small files that claim to be huge are refused before room is made for what they claim."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import good_files
import numpy as np
import pytest
from readers import READERS, TABLE, bundle, put

from dice_extended_plugin.errors import InvalidInputError

TB = 1 << 40
#: What a refusal may cost, in bytes of resident memory at its peak; imports are made before.
MOST = 160 << 20


@pytest.fixture
def memory():
    """Return memory(): the rise of this process's peak since the last call, in bytes."""
    status, clear = "/proc/self/status", "/proc/self/clear_refs"
    if not os.access(clear, os.W_OK):
        pytest.skip("needs Linux, to reset the peak of memory")

    def value(name):
        with open(status) as file:
            line = next(line for line in file if line.startswith(name))
        return int(line.split()[1]) << 10

    state = {}

    def look():
        risen = value("VmHWM") - state["before"] if state else 0
        with open(clear, "w") as file:
            file.write("5")
        state["before"] = value("VmRSS")
        return risen

    return look


def npy(shape, dtype="|u1", behind=b""):
    """Return an array file whose header claims a shape."""
    head = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + behind


def zipped(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def zip_bomb():
    """An archive of 0.4 MB whose array of zeros has 400 MB, as its header says rightly."""
    size = 400 << 20
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w") as member,
    ):
        member.write(npy((size // 192, 8, 8, 3)))
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("attributes.npy", npy((1, 1), behind=b"\0"))
        archive.writestr("attribute_names.npy", npy((1,), "<U1", "a".encode("utf-32-le")))
    return file.getvalue()


def lying_zip():
    """An archive whose directory says that a member has a terabyte."""
    content = bytearray(zipped({"images.npy": npy((TB,)), "attributes.npy": npy((TB,))}))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    return bytes(content)


def safetensors(head, behind=b"", length=None):
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + behind


def png(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def part(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


def gif(width, height):
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0, 0, 0)
        + b"\x2c"
        + bytes(4)
        + (struct.pack("<HHB", width, height, 0) + b"\x02\x02\x4c\x01\x00\x3b")
    )


def bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def jpegs(**changes):
    return good_files.npz(**{**dict(np.load(io.BytesIO(good_files.jpegs()))), **changes})


def _offsets(*values, dtype=np.int64):
    return lambda: jpegs(offsets=np.array(values, dtype=dtype))


def _tall():
    """A first image of 1 x 50,000 pixels sets the size of all."""
    first = np.frombuffer(png(1, 50_000), np.uint8)
    return jpegs(jpeg=np.concatenate([first, first]), offsets=np.arange(3) * len(first))


_TENSOR = {"dtype": "F32", "shape": [TB // 4], "data_offsets": [0, TB]}
_ATTRIBUTES = {"attributes.npy": npy((2, 2), behind=bytes(4))}
CLAIMS = {
    "npz, shape": ("load_npz", lambda: zipped({"images.npy": npy((TB, 1, 1, 3)), **_ATTRIBUTES})),
    "npz, many axes": ("load_npz", lambda: zipped({"images.npy": npy((1 << 20,) * 3)})),
    "npz, long texts": ("load_npz", lambda: zipped({"images.npy": npy((1,), f"<U{1 << 29}")})),
    "npz, negative": ("load_npz", lambda: zipped({"images.npy": npy((-1, 8, 8, 3))})),
    "npz, no end": (
        "load_npz",
        lambda: zipped({"images.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff"}),
    ),
    "npz, bomb": ("load_npz", zip_bomb),
    "npz, directory": ("load_npz", lying_zip),
    "npz of jpegs, shape": ("JpegSource", lambda: zipped({"jpeg.npy": npy((TB,))})),
    "cracks, shape": ("load_cracks", lambda: zipped({"images.npy": npy((TB, 64, 64, 3))})),
    "offsets beyond": ("JpegSource", _offsets(0, 10, 1 << 62)),
    "offsets before": ("JpegSource", _offsets(-(1 << 40), 0, 10)),
    "offsets back": ("JpegSource", _offsets(0, 20, 10)),
    "offsets unsigned": ("JpegSource", _offsets(0, 10, 1 << 63, dtype=np.uint64)),
    "offsets of floats": ("JpegSource", _offsets(0, 10, np.nan, dtype=float)),
    "one tall image": ("JpegSource", _tall),
    "safetensors, head": ("weights of a bundle", lambda: safetensors({}, length=TB)),
    "safetensors, head of all": ("weights of a bundle", lambda: safetensors({}, length=2**64 - 1)),
    "safetensors, tensor": ("weights of a bundle", lambda: safetensors({"a": _TENSOR})),
    "safetensors, offsets": (
        "weights of a bundle",
        lambda: safetensors({"a": {**_TENSOR, "data_offsets": [0, 8]}}, bytes(8)),
    ),
    "png": ("fit_image, path", lambda: png(2**31 - 1, 2**31 - 1)),
    "png below Pillow's own limit": ("fit_image, path", lambda: png(12_000, 14_000)),
    "png in memory": ("fit_image, bytes", lambda: png(60_000, 60_000)),
    "gif": ("fit_image, path", lambda: gif(65_535, 65_535)),
    "bmp": ("fit_image, path", lambda: bmp(60_000, 60_000)),
    "images of a folder": ("FolderSource, folder", lambda: png(60_000, 60_000)),
    "json, deep": ("config of a bundle", lambda: b"[" * 200_000),
    "json, a number": ("config of a bundle", lambda: b'{"format": ' + b"9" * 1_000_000 + b"}"),
    "result, deep": ("RobustCounterfactualExplanations.from_json", lambda: b'{"a":' * 200_000),
    "comparison, deep": ("Comparison.from_json", lambda: b"[" * 200_000),
    "list of images": ("read_attribute_table", lambda: b"99999999999999\na b\n0.png 1 0\n"),
    "list, endless count": ("read_attribute_table", lambda: b"9" * 100_000 + b"\na\n0.png 1\n"),
    "value": ("read_attribute_table", lambda: b"file,a\n0.png," + b"9" * 30 + b"\n"),
    "csv, one cell": ("read_attribute_table", lambda: b"file,a\n" + b"x" * 300_000 + b",1\n"),
}


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.filterwarnings("ignore")
def test_a_claim_is_refused_before_room_is_made(claim, tmp_path, memory):
    name, make = CLAIMS[claim]
    for module in READERS[name].needs:
        pytest.importorskip(module)
    with pytest.raises(InvalidInputError):  # what is imported on first use is no part of it
        READERS[name].read(tmp_path, b"x")
    content = make()
    memory()
    with pytest.raises(InvalidInputError):
        READERS[name].read(tmp_path, content)
    assert memory() < MOST


HUGE = {
    "config of a bundle": "config.json",
    "weights of a bundle": "weights.safetensors",
    "read_attribute_table": "table.csv",
    "load_npz": "set.npz",
    "load_cracks": "cracks64.npz",
    "fit_image, path": "image.jpg",
}


@pytest.mark.parametrize("reader", HUGE)
def test_a_file_of_a_terabyte(reader, tmp_path, memory, monkeypatch):
    """The file is a hole: it has a size and takes no room."""
    given = READERS[reader]
    for module in given.needs:
        pytest.importorskip(module)
    real = put

    def put_hole(folder, name, content):
        place = real(folder, name, content)
        if name == HUGE[reader]:
            os.truncate(place, TB)
        return place

    monkeypatch.setattr("readers.put", put_hole)
    with pytest.raises(InvalidInputError):
        given.read(tmp_path, b"x")
    memory()
    with pytest.raises(InvalidInputError):
        given.read(tmp_path, b"x")
    assert memory() < MOST


@pytest.mark.parametrize("reader", HUGE)
def test_a_pipe_is_not_waited_for(reader, tmp_path, monkeypatch):
    given = READERS[reader]
    for module in given.needs:
        pytest.importorskip(module)
    real = put

    def put_pipe(folder, name, content):
        place = real(folder, name, content)
        if name == HUGE[reader]:
            place.unlink()
            os.mkfifo(place)
        return place

    monkeypatch.setattr("readers.put", put_pipe)
    with pytest.raises(InvalidInputError):
        given.read(tmp_path, b"x")


def test_a_table_that_unpacks_beyond_the_limit(tmp_path, monkeypatch, memory):
    from dice_extended_plugin import datasets

    monkeypatch.setattr(datasets, "_MOST_BYTES", 1 << 20)
    with pytest.raises(InvalidInputError, match="unpacks to more than"):
        READERS["load_dataset"].read(tmp_path, gzip.compress(bytes(8 << 20)))


ADDRESSES = {
    "above": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "round about": "a/../../images.txt",
    "a link": "link.png",
    "zero byte": "a\0b.png",
    "endless": "x" * 5000,
    "the folder": ".",
    "home": "~/x.png",
    "a drive": "C:\\x.png",
    "an address": "http://127.0.0.1:9/x.png",
}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("verify", [True, False])
def test_names_in_a_table_stay_in_the_folder(address, verify, tmp_path):
    pytest.importorskip("PIL")
    from alibi_bridge import FolderSource

    images, secret = tmp_path / "images", put(tmp_path, "secret.png", good_files.picture("PNG"))
    for name in ("0.png", "1.png"):
        put(images, name, good_files.picture("PNG"))
    put(tmp_path, "images.txt", b"no image")
    (images / "link.png").symlink_to(secret)
    table = put(tmp_path, "t.csv", f"{TABLE}{ADDRESSES[address]},1,1\n".encode())
    with pytest.raises(InvalidInputError):
        FolderSource(images, table, size=8, verify=verify)
    source = FolderSource(images, table, size=8, verify=verify, on_bad="skip")
    assert source.files == ("0.png", "1.png")


def _numbers(**changes):
    """A bundle of an AttGAN, as small as can be, with other sizes in its settings."""
    import torch
    from safetensors.torch import save

    from alibi_bridge.attgan import AttGAN

    model = AttGAN(["a", "b"], size=32, width=1, device="cpu")
    settings = model._settings()
    form = {"height": 32, "width": 32, "channels": 3, "value_range": [0, 1], "channels_last": True}
    config = {**settings, "dead_below": 0.6, "format": form, "report": {}}
    config["architecture"] = {**settings["architecture"], **changes}
    return config, save({"generator.x": torch.zeros(3)})


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 1024, "size": 128, "depth": 6},
        {"width": 10**12},
        {"depth": 10**9},
        {"size": 10**9},
        {"shortcuts": -1},
        {"channels": "3"},
        {"width": 1024, "size": 128, "depth": 6, "shortcuts": 5, "injections": 5},
    ],
    ids=str,
)
def test_settings_of_an_attgan_that_ask_for_too_much(changes, tmp_path, memory):
    pytest.importorskip("safetensors")
    from alibi_bridge.attgan import AttGAN

    config, weights = _numbers(**changes)
    place = bundle(tmp_path / "x", "attgan", weights, config)
    memory()
    with pytest.raises(InvalidInputError):
        AttGAN.load(place, device="cpu")
    assert memory() < MOST


JOINT = {
    "wide": {"generator_options": {"width": 4096, "levels": 5}},
    "wider": {"generator_options": {"width": 10**9}},
    "levels": {"generator_options": {"levels": 10**12}},
    "noise": {"generator_options": {"noise_dim": 4096, "noise_channels": 4096}},
    "classes": {"generator_options": {"classes": 10**10}},
    "negative": {"generator_options": {"width": -8}},
    "no number": {"generator_options": {"width": "8"}},
    "options": {"generator_options": [1, 2]},
    "image": {"image_format": {"height": 10**6, "width": 10**6, "channels": 3}},
    "resnet": {"discriminator": "resnet50", "discriminator_options": {"width": 4000.0}},
    "name": {"generator": "os:system"},
    "swin, window": {"generator": "swin_unet", "generator_options": {"window": 4000}},
    "swin, depths": {"generator": "swin_unet", "generator_options": {"depths": [10**9, 2, 2]}},
    "swin, deep": {"generator": "swin_unet", "generator_options": {"depths": [64, 64, 64]}},
    "swin, lists": {"generator": "swin_unet", "generator_options": {"depths": [1] * 10_000}},
    "swin, heads": {"generator": "swin_unet", "generator_options": {"heads": [0, 0, 0]}},
    "swin, embed": {"generator": "swin_unet", "generator_options": {"embed": 4032}},
    "swin, codes": {"generator": "swin_unet", "generator_options": {"codes": 10**9}},
    "pretrained": {"generator": "swin_unet", "generator_options": {"pretrained": "a/b"}},
    "pretrained D": {"discriminator": "swin", "discriminator_options": {"pretrained": "a/b"}},
}


@pytest.fixture(scope="module")
def joint():
    """Settings and weights of a small joint GAN."""
    pytest.importorskip("safetensors")
    from alibi_bridge import ImageFormat, JointGAN

    model = JointGAN(ImageFormat(32, 32, 3), device="cpu")
    return model.config(), model.tensors()


def test_right_settings_of_a_joint_gan(joint, tmp_path):
    from alibi_bridge import JointGAN
    from alibi_bridge.saving import save_bundle

    config, tensors = joint
    save_bundle(tmp_path / "x", "joint_gan", config, tensors)
    assert JointGAN.load(tmp_path / "x", device="cpu").config() == config


@pytest.mark.parametrize("changes", JOINT)
def test_settings_of_a_joint_gan_that_ask_for_too_much(changes, joint, tmp_path, memory):
    from alibi_bridge import JointGAN
    from alibi_bridge.saving import save_bundle

    if "swin" in str(JOINT[changes]) or "resnet" in str(JOINT[changes]):
        transformers = pytest.importorskip("transformers")
        assert transformers.SwinBackbone and transformers.ResNetModel  # imports them
    config, tensors = joint
    save_bundle(tmp_path / "x", "joint_gan", {**config, **JOINT[changes]}, tensors)
    memory()
    with pytest.raises(InvalidInputError):
        JointGAN.load(tmp_path / "x", device="cpu")
    assert memory() < MOST
