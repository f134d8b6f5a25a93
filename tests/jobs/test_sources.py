"""Rows as a stream: the same values from every kind of file, whatever the chunks."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs import JobError, sources
from dice_extended_plugin.jobs.sources import chunks, digest, open_source


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", 4)
    monkeypatch.setattr(sources, "_BLOCK_BYTES", 64)


def table():
    return pd.DataFrame(
        {
            "whole": range(11),
            "part": [0.5 * i for i in range(11)],
            "text": list("abcdefghijk"),
            "flag": [i % 2 == 0 for i in range(11)],
            "late": [*range(9), 9.5, None],  # whole numbers in the first blocks only
        }
    )


def joined(source, size):
    return pd.concat([chunk.rows for chunk in chunks(source, size)], ignore_index=True)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_files_give_the_table(tmp_path, small_blocks, kind, size):
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        table().to_parquet(path)
    else:
        table().to_csv(path, index=False)
    source = open_source(path)
    assert source.n_rows == 11
    for chunk in chunks(source, size):
        assert chunk.rows.dtypes["late"] == np.float64
        assert chunk.start == chunk.index * size
        assert chunk.rows.index.tolist() == list(range(len(chunk.rows)))
    pd.testing.assert_frame_equal(joined(source, size), table(), check_dtype=kind == "parquet")


@given(st.integers(0, 40), st.integers(1, 50), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_chunks_are_the_rows_in_order(n, size, block):
    before, sources.BLOCK = sources.BLOCK, block
    try:
        rows = np.arange(n * 2).reshape(n, 2)
        if not n:
            with pytest.raises(InvalidInputError, match="no rows"):
                open_source(rows)
            return
        cut = list(chunks(open_source(rows), size))
        assert [len(chunk.rows) for chunk in cut[:-1]] == [size] * (len(cut) - 1)
        assert 1 <= len(cut[-1].rows) <= size
        assert (np.concatenate([chunk.rows for chunk in cut]) == rows).all()
        assert b"".join(digest(chunk.rows) for chunk in cut) == digest(rows)
    finally:
        sources.BLOCK = before


def test_the_digest_sees_every_value():
    for name in table().columns:
        changed = table()
        changed[name] = changed[name].sample(frac=1, random_state=0).to_numpy()
        assert digest(changed) != digest(table()), name
    array = np.arange(6.0).reshape(3, 2)
    assert digest(array) != digest(array + np.eye(3, 2) * 1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("saved", [np.savez, np.savez_compressed])
def test_npz_gives_the_array(tmp_path, small_blocks, saved, order):
    images = np.random.default_rng(0).random((9, 3, 4, 2)).astype(np.float32, order=order)
    saved(tmp_path / "rows.npz", X=images, y=np.arange(9))
    source = open_source(tmp_path / "rows.npz", "X")
    assert source.n_rows == 9
    assert len(list(source.blocks())) > 1
    assert (np.concatenate([chunk.rows for chunk in chunks(source, 2)]) == images).all()


def test_npz_names(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    with pytest.raises(InvalidInputError, match="say which array"):
        open_source(tmp_path / "two.npz")
    with pytest.raises(InvalidInputError, match="no array 'c', only a, b"):
        open_source(tmp_path / "two.npz", "c")
    np.savez(tmp_path / "one.npz", only=np.ones((3, 2)))
    assert open_source(tmp_path / "one.npz").n_rows == 3


class Trap:
    fired = False

    def __reduce__(self):
        return setattr, (Trap, "fired", True)


def test_npz_with_objects_never_runs_them(tmp_path):
    np.savez(tmp_path / "trap.npz", X=np.array([Trap()], dtype=object))
    with pytest.raises(InvalidInputError, match="Python objects"):
        open_source(tmp_path / "trap.npz")
    assert not Trap.fired


def npy(shape, n_bytes):
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * n_bytes


@pytest.mark.parametrize("shape", [(10**15, 4), (1000, 4), (10**9, 10**9, 10**9)])
def test_npz_that_claims_more_than_it_holds(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("X.npy", npy(shape, 64))
    with pytest.raises(InvalidInputError, match="claims"):
        open_source(tmp_path / "rows.npz")


def test_npz_that_is_cut_short(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, X=np.random.default_rng(0).random((1000, 8)))
    data = bytearray(buffer.getvalue())
    data[4000] ^= 255  # the archive's checksum no longer fits
    (tmp_path / "rows.npz").write_bytes(bytes(data))
    with pytest.raises(JobError, match="damaged"):
        list(open_source(tmp_path / "rows.npz").blocks())


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.npz"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x04\x95 a pickle", b"PK\x03\x04 cut", gzip.compress(b"", mtime=0)],
    ids=["empty", "pickle", "cut zip", "empty gzip"],
)
def test_files_that_are_something_else(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInputError, match="rows"):
        list(open_source(tmp_path / name).blocks())


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("nowhere.csv", "there is no input file"),
        (42, "not int"),
        (pd.DataFrame(), "no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
        (np.array([{}]), "objects"),
    ],
)
def test_rows_that_are_none(rows, text):
    with pytest.raises(InvalidInputError, match=text):
        open_source(rows)


def test_another_kind_of_file(tmp_path):
    (tmp_path / "rows.pkl").write_bytes(b"")
    with pytest.raises(InvalidInputError, match=r"ends in .csv"):
        open_source(tmp_path / "rows.pkl")
