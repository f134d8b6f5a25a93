"""Image sources: arrays, folders with tables, npz files; and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from alibi_bridge.attributes import check_attributes, read_attribute_table
from alibi_bridge.image_files import FolderSource, JpegSource, fit_image, load_npz
from alibi_bridge.images import ArraySource, ImageSource, Subset, as_source, split_indices
from dice_extended_plugin.datasets import data_folder
from dice_extended_plugin.errors import InvalidInputError

CELEBA = (data_folder() or Path("no data folder")) / "images" / "celeba64_jpeg.npz"
NAMES = ["hat", "smile"]


def picture(seed, height=20, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(4):
        Image.fromarray(picture(number)).save(place / f"{number}.png")
    return place


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("file,hat,smile\n0.png,1,0\n1.png,0,1\n2.png,1,1\n3.png,0,0\n")
    return path


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class TestArrays:
    X = np.zeros((4, 8, 8, 3), np.uint8)
    A = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])

    def test_batches(self):
        X = self.X + np.arange(4, dtype=np.uint8)[:, None, None, None]
        source = ArraySource(X, self.A, NAMES)
        assert isinstance(source, ImageSource) and len(source) == 4
        images, values = source.batch(np.array([2, 0]))
        np.testing.assert_array_equal(images, X[[2, 0]])
        np.testing.assert_array_equal(values, self.A[[2, 0]])
        assert values.dtype == np.uint8 and source.attributes == ("hat", "smile")

    def test_minus_one_is_off(self):
        source = ArraySource(self.X, 2 * self.A - 1, NAMES)
        np.testing.assert_array_equal(source.batch(np.arange(4))[1], self.A)

    def test_floats_and_channels_first(self):
        X = np.zeros((4, 3, 8, 8)) - 0.5
        source = ArraySource(X, self.A, NAMES, value_range=(-1, 1), channels_last=False)
        assert source.format.shape == (3, 8, 8) and source.batch(np.arange(2))[0].shape[1] == 3

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"X": np.zeros((4, 3, 8, 8), np.uint8)}, "channels_last"),
            ({"X": np.full((4, 8, 8, 3), 2.0)}, "outside value_range"),
            ({"X": np.full((4, 8, 8, 3), np.nan)}, "NaN"),
            ({"X": np.zeros((4, 8, 8))}, "four dimensions"),
            ({"A": np.array([[0, 1], [2, 0], [1, 1], [0, 0]])}, "'hat' is 2 at row 1"),
            ({"A": np.array([[0, 1], [-1, 0], [1, 1], [0, 0]])}, "−1 at row 1, but 'hat' is 0 at"),
            ({"A": pd.DataFrame(A, columns=["smile", "hat"])}, "columns smile, hat, expected hat"),
            ({"A": pd.DataFrame(A, columns=["hat", "grin"])}, "columns hat, grin"),
            ({"A": np.array([[0, 1], [0.5, 0], [1, 1], [0, 0]])}, "'hat' is 0.5 at row 1"),
            ({"A": np.array([[0, np.nan], [1, 0], [1, 1], [0, 0]])}, "'smile' is nan"),
            ({"A": np.array([[1, 1], [1, 0], [1, 1], [1, 0]])}, "'hat' is 1 in all 4"),
            ({"A": np.zeros((3, 2))}, "3 rows, there are 4"),
            ({"A": np.zeros((4, 3))}, "shape"),
            ({"attributes": ["hat", "hat"]}, "there twice"),
            ({"attributes": []}, "one or more"),
        ],
    )
    def test_bad_input(self, changes, text):
        given = {"X": self.X, "A": self.A, "attributes": NAMES, **changes}
        with pytest.raises(InvalidInputError, match=text):
            ArraySource(**given)

    def test_a_table_with_the_right_names_or_none(self):
        for columns in (NAMES, None):
            source = ArraySource(self.X, pd.DataFrame(self.A, columns=columns), NAMES)
            np.testing.assert_array_equal(source.A, self.A)

    def test_a_constant_attribute_may_be_held_out(self):
        ones = np.ones((4, 2))
        assert check_attributes(ones, NAMES, constant=True)[0].all()

    @pytest.mark.parametrize("rows", [[4], [-1], [0.5], [[0]]])
    def test_rows_that_are_not_there(self, rows):
        with pytest.raises(InvalidInputError, match="row numbers"):
            ArraySource(self.X, self.A, NAMES).batch(np.array(rows))

    def test_as_source(self):
        source = ArraySource(self.X, self.A, NAMES)
        assert as_source(source) is source
        with pytest.raises(InvalidInputError, match="part of the image source"):
            as_source(source, self.A)
        with pytest.raises(InvalidInputError, match="needs the attributes"):
            as_source(self.X)
        for layout in ({"value_range": (0, 1)}, {"channels_last": False}):
            with pytest.raises(InvalidInputError, match="its own format"):
                as_source(source, **layout)


class TestFolder:
    def test_reads_crops_and_resizes(self, folder, table):
        source = FolderSource(folder, table, size=8)
        images, values = source.batch(np.array([3, 1]))
        assert images.shape == (2, 8, 8, 3) and images.dtype == np.uint8
        assert source.format.value_range == (0.0, 255.0)
        np.testing.assert_array_equal(values, [[0, 0], [0, 1]])
        middle = Image.fromarray(picture(3)[:, 5:25])  # the central square of 30 x 20
        expected = np.asarray(middle.resize((8, 8), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(images[0], expected)

    def test_a_crop_of_its_own(self, folder, table):
        source = FolderSource(folder, table, size=10, crop=10)
        np.testing.assert_array_equal(source.batch(np.array([0]))[0][0], picture(0)[5:15, 10:20])

    def test_files_are_read_when_they_are_needed(self, folder, table):
        source = FolderSource(folder, table, size=8)
        (folder / "0.png").unlink()
        source.batch(np.array([1, 2, 3]))
        with pytest.raises(InvalidInputError, match=r"0\.png"):
            source.batch(np.array([0]))

    def test_celeba_list(self, folder, tmp_path):
        path = tmp_path / "list_attr.txt"
        path.write_text("4\nhat smile\n0.png  1 -1\n1.png -1  1\n2.png  1  1\n3.png -1 -1\n")
        source = FolderSource(folder, path, size=8)
        assert source.attributes == ("hat", "smile")
        np.testing.assert_array_equal(source.A, [[1, 0], [0, 1], [1, 1], [0, 0]])

    def test_columns_by_name(self, folder, table):
        source = FolderSource(folder, table, size=8, attributes=["smile"])
        assert source.attributes == ("smile",)
        np.testing.assert_array_equal(source.A[:, 0], [0, 1, 1, 0])
        with pytest.raises(InvalidInputError, match="did you mean 'smile'"):
            FolderSource(folder, table, attributes=["smiles"])

    def damage(self, folder):
        (folder / "0.png").unlink()
        whole = (folder / "2.png").read_bytes()
        (folder / "2.png").write_bytes(whole[: len(whole) // 2])

    def test_bad_files_raise(self, folder, table):
        self.damage(folder)
        with pytest.raises(InvalidInputError, match=r"2 of the 4 .* 0\.png: there is no such file"):
            FolderSource(folder, table, size=8)

    def test_bad_files_are_skipped_with_a_reason(self, folder, table):
        self.damage(folder)
        rewrite(table, "3.png,0,0", "3.png,1,0")
        Image.fromarray(picture(9)).save(folder / "extra.png")
        source = FolderSource(folder, table, size=8, on_bad="skip")
        assert source.files == ("1.png", "3.png") and len(source) == 2
        assert set(source.skipped) == {"0.png", "2.png"}
        assert "no such file" in source.skipped["0.png"] and "corrupt" in source.skipped["2.png"]
        assert source.unlisted == ("extra.png",)
        np.testing.assert_array_equal(source.batch(np.array([1]))[1], [[1, 0]])

    def test_not_an_image(self, folder, table):
        (folder / "1.png").write_text("hello")
        with pytest.raises(InvalidInputError, match=r"1\.png: .*not an image"):
            FolderSource(folder, table)

    def test_unverified_corruption_is_met_in_its_batch(self, folder, table):
        self.damage(folder)
        (folder / "0.png").write_bytes(b"")
        source = FolderSource(folder, table, size=8, verify=False)
        with pytest.raises(InvalidInputError, match=r"2\.png is corrupt"):
            source.batch(np.array([2]))

    def test_no_way_out_of_the_folder(self, folder, table):
        Image.fromarray(picture(0)).save(folder.parent / "secret.png")
        rewrite(table, "0.png", "../secret.png")
        with pytest.raises(InvalidInputError, match="outside the folder"):
            FolderSource(folder, table)

    def test_a_crop_that_does_not_fit(self, folder, table):
        with pytest.raises(InvalidInputError, match="crop=25 does not fit"):
            FolderSource(folder, table, crop=25)

    def test_nothing_left(self, folder, table):
        for path in folder.iterdir():
            path.unlink()
        with pytest.raises(InvalidInputError, match="none of the 4"):
            FolderSource(folder, table, on_bad="skip")

    def test_a_constant_attribute(self, folder, table):
        rewrite(table, ",1,0\n", ",0,0\n")
        rewrite(table, ",1,1\n", ",0,1\n")
        with pytest.raises(InvalidInputError, match="'hat' is 0 in all 4"):
            FolderSource(folder, table)

    def test_other_arguments(self, folder, table):
        with pytest.raises(InvalidInputError, match="no folder"):
            FolderSource(folder / "none", table)
        with pytest.raises(InvalidInputError, match="on_bad"):
            FolderSource(folder, table, on_bad="ignore")
        with pytest.raises(InvalidInputError, match="list of names"):
            FolderSource(folder, table, attributes="hat")

    @pytest.mark.parametrize(
        "sides",
        [{"size": 0}, {"size": "8"}, {"size": 8.0}, {"size": 10**6}, {"crop": 0}, {"crop": 9.5}],
    )
    def test_sides_are_checked_before_anything_is_read(self, folder, table, monkeypatch, sides):
        monkeypatch.setattr("alibi_bridge.image_files.fit_image", None)
        with pytest.raises(InvalidInputError, match=f"{next(iter(sides))} must be a whole number"):
            FolderSource(folder, table, **sides)

    @pytest.mark.parametrize(
        ("old", "new", "text"),
        [
            ("1.png,0", "1.png,2", r"table\.csv: attribute 'hat' is 2 at row 1"),
            ("1.png,0,1\n2.png,1,1", "1.png,0,0\n2.png,1,0", r"table\.csv: .*'smile' is 0 in all"),
        ],
    )
    def test_the_table_is_checked_before_the_files(
        self, folder, table, monkeypatch, old, new, text
    ):
        monkeypatch.setattr("alibi_bridge.image_files.fit_image", None)
        rewrite(table, old, new)
        with pytest.raises(InvalidInputError, match=text):
            FolderSource(folder, table)

    @pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
    def test_more_than_eight_bits_are_not_cut_off(self, folder, table, dtype):
        deep = Image.fromarray(np.full((20, 30), 40_000, dtype))
        deep.save(folder / "1.tiff")
        rewrite(table, "1.png", "1.tiff")
        with pytest.raises(InvalidInputError, match=r"1\.tiff has more than 8 bits a channel"):
            FolderSource(folder, table)
        rewrite(table, "3.png,0,0", "3.png,0,1")
        assert set(FolderSource(folder, table, on_bad="skip").skipped) == {"1.tiff"}


class TestTables:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "no images"),
            ("file,hat\n", "no images"),
            ("file hat\na.png 1\n", "neither CSV"),
            ("file,hat\na.png,1,0\n", "entry 2 has 2 values for 1"),
            ("file,hat\na.png,yes\n", "'hat' of a.png is 'yes'"),
            ("file,hat\na.png,\n", "'hat' of a.png is ''"),
            ("file,hat\na.png,1\na.png,0\n", "a.png twice"),
            ("3\nhat\na.png 1\nb.png -1\n", "says that it has 3"),
            ("2\nhat\na.png 1\nb.png\n", "entry 4 has 0 values"),
        ],
    )
    def test_bad_tables(self, tmp_path, text, expected):
        path = tmp_path / "table.txt"
        path.write_text(text)
        with pytest.raises(InvalidInputError, match=expected):
            read_attribute_table(path)

    def test_no_such_table(self, tmp_path):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_attribute_table(tmp_path / "none.csv")

    def test_not_text(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_bytes(b"\xff\xfe\x00\x01")
        with pytest.raises(InvalidInputError, match="not a text file"):
            read_attribute_table(path)


class TestNpz:
    def arrays(self):
        return {
            "images": np.stack([picture(n, 8, 8) for n in range(4)]),
            "attributes": np.array([[0, 1], [1, 0], [1, 1], [0, 0]], np.uint8),
            "attribute_names": np.array(NAMES),
        }

    def jpegs(self):
        parts = []
        for number in range(4):
            buffer = io.BytesIO()
            grey = np.full((16, 16, 3), 60 * number, np.uint8)
            Image.fromarray(grey).save(buffer, "JPEG")
            parts.append(np.frombuffer(buffer.getvalue(), np.uint8))
        given = self.arrays()
        del given["images"]
        offsets = np.cumsum([0, *map(len, parts)])
        return {**given, "jpeg": np.concatenate(parts), "offsets": offsets, "split": np.arange(4)}

    def test_arrays(self, tmp_path):
        np.savez(tmp_path / "set.npz", **self.arrays())
        source = load_npz(tmp_path / "set.npz", attributes=["smile"])
        assert source.attributes == ("smile",)
        np.testing.assert_array_equal(source.A[:, 0], [1, 0, 1, 0])
        np.testing.assert_array_equal(source.X, self.arrays()["images"])

    def test_jpegs(self, tmp_path):
        np.savez(tmp_path / "set.npz", **self.jpegs())
        source = JpegSource(tmp_path / "set.npz")
        images, values = source.batch(np.array([3, 1]))
        assert source.format.shape == (16, 16, 3) and len(source) == 4
        assert abs(images[0].astype(int) - 180).max() < 4
        assert abs(images[1].astype(int) - 60).max() < 4
        np.testing.assert_array_equal(values, [[0, 0], [1, 0]])
        np.testing.assert_array_equal(source.split, np.arange(4))
        assert JpegSource(tmp_path / "set.npz", size=8).batch(np.array([0]))[0].shape[1] == 8

    def test_a_corrupt_jpeg(self, tmp_path):
        parts = self.jpegs()
        parts["jpeg"][parts["offsets"][2] : parts["offsets"][3]] = 0
        np.savez(tmp_path / "set.npz", **parts)
        source = JpegSource(tmp_path / "set.npz")
        source.batch(np.array([0, 1, 3]))
        with pytest.raises(
            InvalidInputError, match=r"set\.npz: image 2 is not an image.*: no form"
        ):
            source.batch(np.array([2]))

    def test_bad_files(self, tmp_path):
        path = tmp_path / "set.npz"
        with pytest.raises(InvalidInputError, match="not a readable npz"):
            load_npz(path)
        path.write_text("no")
        with pytest.raises(InvalidInputError, match="not a readable npz"):
            load_npz(path)
        np.savez(path, images=np.zeros(3))
        with pytest.raises(InvalidInputError, match="no array 'attributes'"):
            load_npz(path)
        parts = self.jpegs()
        parts["offsets"][-1] += 10
        np.savez(path, **parts)
        with pytest.raises(InvalidInputError, match="offsets"):
            JpegSource(path)
        np.savez(path, **{**self.jpegs(), "split": np.zeros(3)})
        with pytest.raises(InvalidInputError, match=r"split has shape \(3,\)"):
            JpegSource(path)
        np.savez(path, **self.jpegs())
        with pytest.raises(InvalidInputError, match="size must be"):
            JpegSource(path, size=10**6)

    def test_objects_are_not_loaded(self, tmp_path):
        given = self.arrays()
        given["attribute_names"] = np.array([{"hat": 1}, None], object)
        np.savez(tmp_path / "set.npz", **given)
        with pytest.raises(InvalidInputError, match="not a readable npz"):
            load_npz(tmp_path / "set.npz")

    @pytest.mark.skipif(not CELEBA.exists(), reason=f"needs {CELEBA}")
    def test_the_real_file(self):
        source = JpegSource(CELEBA, attributes=["Male", "Blond_Hair"])
        assert len(source) == 10_000 and source.format.shape == (64, 64, 3)
        male, blond = source.A.T
        assert male.mean() == pytest.approx(0.422, abs=5e-4)
        assert male[blond == 1].mean() == pytest.approx(0.056, abs=5e-4)
        assert source.batch(np.array([0, 9999]))[0].std() > 20
        assert np.bincount(source.split).tolist() == [8000, 1000, 1000]


class TestParts:
    def test_subset(self):
        X = np.zeros((4, 8, 8, 3), np.uint8)
        A = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
        source = ArraySource(X, A, NAMES)
        part = Subset(source, [3, 1])
        np.testing.assert_array_equal(part.batch(np.array([1]))[1], [[1, 0]])
        mask = Subset(source, np.array([False, True, False, True]))
        np.testing.assert_array_equal(mask.indices, [1, 3])
        assert part.attributes == source.attributes and part.format == source.format
        for bad in ([4], [], np.array([True])):
            with pytest.raises(InvalidInputError):
                Subset(source, bad)

    def test_split(self):
        parts = split_indices(100, (0.8, 0.1, 0.1), random_state=4)
        assert [len(part) for part in parts] == [80, 10, 10]
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
        again = split_indices(100, (0.8, 0.1, 0.1), random_state=4)
        other = split_indices(100, (0.8, 0.1, 0.1), random_state=5)
        np.testing.assert_array_equal(parts[1], again[1])
        assert (parts[0] != other[0]).any()

    @pytest.mark.parametrize("n", [7, 10, 33])
    def test_thirds_do_not_overlap(self, n):
        parts = split_indices(n, (1 / 3, 1 / 3, 1 / 3))
        joined = np.concatenate(parts)
        assert len(set(joined)) == len(joined) and joined.max() < n

    @pytest.mark.parametrize(
        "shares", [(0.9, 0.2), (0.0, 1.0), (-0.1, 0.5), (), (float("nan"),), "ab"]
    )
    def test_bad_shares(self, shares):
        with pytest.raises(InvalidInputError, match="shares"):
            split_indices(10, shares)

    def test_too_few_rows(self):
        with pytest.raises(InvalidInputError, match="too few"):
            split_indices(3, (0.9, 0.1))

    def test_grey_becomes_rgb(self, tmp_path):
        Image.fromarray(np.full((9, 9), 77, np.uint8)).save(tmp_path / "grey.png")
        assert (fit_image(tmp_path / "grey.png", 4) == 77).all()

    def test_a_photograph_is_turned_as_its_camera_says(self, tmp_path):
        upright = np.zeros((9, 9, 3), np.uint8)
        upright[:4] = 200
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera lay on its side
        lying = Image.fromarray(np.rot90(upright))
        lying.save(tmp_path / "photo.png", exif=exif)
        np.testing.assert_array_equal(fit_image(tmp_path / "photo.png", 9), upright)
