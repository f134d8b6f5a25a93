"""Hostile files. Each would make the marker file if somebody read it as code; none does here."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["TRAPS", "Trap"]


class Trap:
    """Unpickling one makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


def _pickled(marker: Path) -> bytes:
    return pickle.dumps(Trap(marker))


def _protocol_0(marker: Path) -> bytes:
    return f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()


def _npy(marker: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Trap(marker)], dtype=object), allow_pickle=True)
    return file.getvalue()


def _npz(marker: Path) -> bytes:
    """Every array that one of our readers asks for, full of objects."""
    file = io.BytesIO()
    names = "images attributes attribute_names jpeg offsets masks labels split source_image rows"
    objects = np.array([Trap(marker), Trap(marker)], dtype=object)
    np.savez(file, **dict.fromkeys(names.split(), objects))
    return file.getvalue()


def _torch(marker: Path) -> bytes:
    """What torch.save writes, made by hand: a zip with a pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(marker))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return file.getvalue()


def _keras(marker: Path) -> bytes:
    """A .keras file whose Lambda layer holds byte code."""
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", _pickled(marker))
    return file.getvalue()


def _escaping_zip(marker: Path) -> bytes:
    """Members that would be written beside the marker by somebody who unpacks them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in (f"../../../../..{marker}", str(marker), "images.npy", "config.json"):
            archive.writestr(name, b"out")
    return file.getvalue()


def _yaml(marker: Path) -> bytes:
    return f"!!python/object/apply:os.system ['touch {marker}']\n".encode()


def _source(marker: Path) -> bytes:
    return f"__import__('pathlib').Path({str(marker)!r}).touch()\n".encode()


def _postscript(marker: Path) -> bytes:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    body = f"({marker}) (w) file closefile\nshowpage\n"
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n{body}%%EOF\n".encode()


def _gzipped(marker: Path) -> bytes:
    return gzip.compress(_pickled(marker))


def _json(marker: Path) -> bytes:
    """Keys by which some readers of JSON make objects."""
    call = {"py/object": "os.system", "py/reduce": [{"py/function": "os.system"}, [str(marker)]]}
    return json.dumps({**call, "__reduce__": [str(marker)], "metadata": call}).encode()


#: Name -> the bytes of a file, given the path of the marker.
TRAPS = {
    "pickle": _pickled,
    "pickle protocol 0": _protocol_0,
    "npy of objects": _npy,
    "npz of objects": _npz,
    "torch.save": _torch,
    "keras with a lambda": _keras,
    "zip that escapes": _escaping_zip,
    "yaml": _yaml,
    "python": _source,
    "postscript": _postscript,
    "gzip of pickle": _gzipped,
    "json": _json,
}
