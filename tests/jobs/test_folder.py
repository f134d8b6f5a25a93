"""A job's folder: nothing half written, nothing lost, nothing mixed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dice_extended_plugin import read_job, resume_job
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs import JobError, store


@pytest.fixture
def job(explain, tmp_path):
    explain()
    return tmp_path / "job"


def test_finished_chunks_are_skipped(explain, job):
    before = {path: path.stat().st_mtime_ns for path in (job / "parts").iterdir()}
    again = explain()
    assert again.new_rows == 0
    assert before == {path: path.stat().st_mtime_ns for path in (job / "parts").iterdir()}


def test_the_parts_are_one_table_for_other_programs(job):
    assert pd.read_parquet(job / "parts")["row"].nunique() == 20
    schemas = {str(pd.read_parquet(part).dtypes) for part in (job / "parts").iterdir()}
    assert len(schemas) == 1


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"random_state": 1}, "random_state: 0 before, 1 now"),
        ({"chunk_size": 5}, "chunk_size: 7 before, 5 now"),
        ({"options": {"total_CFs": 3}}, "options"),
    ],
)
def test_another_configuration_is_refused(explain, job, changed, text):
    before = explain().to_frame()
    with pytest.raises(InvalidInputError, match=text):
        explain(**changed)
    pd.testing.assert_frame_equal(read_job(job).to_frame(), before)


def test_other_rows_are_refused(explain, job, rows):
    with pytest.raises(InvalidInputError, match="20 rows, the input now has 19"):
        explain(rows=rows.head(19))
    changed = rows.copy()
    changed.loc[8, "age"] += 1
    with pytest.raises(JobError, match=r"rows 7 ... 13 of the input are not those of before"):
        explain(rows=changed)


def test_other_versions_are_refused_unless_allowed(explain, job):
    manifest = json.loads((job / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "0.1"
    (job / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidInputError, match="other versions of numpy"):
        explain()
    assert explain(allow_other_versions=True).status == "complete"


def test_a_folder_with_other_files_is_left_alone(explain, tmp_path):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "picture.png").write_text("mine")
    with pytest.raises(InvalidInputError, match="new or empty"):
        explain(folder=folder)
    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["picture.png"]


def test_a_place_where_nothing_can_be_written(explain, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="cannot write in"):
        explain(folder=tmp_path / "file" / "job")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(explain, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(JobError, match="cannot write in"):
        explain(folder=tmp_path / "locked" / "job")


def test_a_full_disk(explain, tmp_path, monkeypatch):
    expected = explain(folder=tmp_path / "expected").to_frame()
    write = Path.write_bytes
    written = []

    def full(path, data):
        if "parts" in path.parts:
            written.append(path)
            if len(written) == 2:
                write(path, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(JobError, match=r"disk is full.*finished chunks are kept.*resume"):
        explain()
    folder = tmp_path / "job"
    assert [path.name for path in (folder / "parts").iterdir()] == ["part-00000000.parquet"]
    monkeypatch.undo()
    result = explain()
    assert result.new_rows == 13
    pd.testing.assert_frame_equal(result.to_frame(), expected)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, and how to make it larger."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    if sys.platform != "linux" or shutil.which("mount") is None or mount("size=64k"):
        pytest.skip("a small file system can be mounted here by root on Linux only")
    yield place, lambda: mount("remount", "size=16m")
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(explain, tmp_path, small_disk):
    expected = explain(folder=tmp_path / "expected").to_frame()
    place, enlarge = small_disk
    ballast = place / "ballast"
    ballast.write_bytes(b"0" * 28 * 1024)
    with pytest.raises(JobError, match=r"disk is full.*finished chunks are kept.*resume"):
        explain(folder=place / "job")
    kept = len(list((place / "job" / "done").iterdir()))
    assert 1 <= kept <= 2, kept
    assert not list((place / "job").rglob("*.tmp"))
    assert enlarge() == 0
    result = explain(folder=place / "job")
    assert result.n_done == 20
    assert result.new_rows == 20 - 7 * kept
    pd.testing.assert_frame_equal(result.to_frame(), expected)


def test_a_part_without_its_note_is_done_anew(explain, job, tmp_path):
    """A program that is killed between the two files leaves this."""
    expected = explain().to_frame()
    (job / "done" / "part-00000001.json").unlink()
    (job / "parts" / "part-00000001.parquet").write_bytes(b"half")
    result = explain()
    assert result.new_rows == 7
    pd.testing.assert_frame_equal(result.to_frame(), expected)


def test_damaged_parts_are_named(explain, job):
    part = job / "parts" / "part-00000001.parquet"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(bytes(data))
    with pytest.raises(JobError, match=r"part-00000001.parquet is not what was written"):
        read_job(job).to_frame()
    part.unlink()
    with pytest.raises(JobError, match="missing: delete"):
        explain()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1}', "[" * 100_000])
def test_damaged_manifests_are_refused(explain, job, text):
    (job / "manifest.json").write_text(text)
    for attempt in (explain, lambda: resume_job(job)):
        with pytest.raises((InvalidInputError, JobError)):
            attempt()


def test_two_programs_cannot_run_one_job(explain, job):
    with store.Store(job).locked(), pytest.raises(JobError, match="another program"):
        explain()


def test_resume_needs_rows_that_came_from_memory(job, rows):
    with pytest.raises(InvalidInputError, match="came from memory"):
        resume_job(job)
    assert resume_job(job, rows).status == "complete"


def test_resume_of_what_is_no_job(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no job"):
        resume_job(tmp_path)
