"""Cut short, with flipped bits, or with bytes in front: refused in one way, or read; never a crash.

A flipped bit may leave a file that is right in itself (a pixel, a name); it must not lead to any
error but ours.
"""

import random
import zlib

import good_files
import pytest
from readers import READERS

from dice_extended_plugin.errors import InvalidInputError

#: Reader -> whole content, and how many flips to try.
CASES = {
    "read_attribute_table": (lambda: good_files.TABLE, 60),
    "read_attribute_table, list": (lambda: good_files.LIST, 60),
    "fit_image, path, png": (lambda: good_files.picture("PNG"), 60),
    "fit_image, path, jpeg": (lambda: good_files.picture("JPEG"), 60),
    "fit_image, path, gif": (lambda: good_files.picture("GIF"), 60),
    "fit_image, path, tiff": (lambda: good_files.picture("TIFF"), 60),
    "fit_image, path, bmp": (lambda: good_files.picture("BMP"), 60),
    "fit_image, path, webp": (lambda: good_files.picture("WEBP"), 60),
    "load_npz": (good_files.arrays, 150),
    "load_npz, packed": (lambda: good_files.arrays(True), 150),
    "JpegSource": (good_files.jpegs, 100),
    "load_cracks": (good_files.cracks, 60),
    "load_dataset": (good_files.adult, 60),
    "weights of a bundle": (good_files.weights, 100),
    "Comparison.from_json": (good_files.comparison, 60),
    "RobustCounterfactualExplanations.from_json": (good_files.results, 100),
}


def _reader(case):
    given = READERS.get(case) or READERS[case.rpartition(", ")[0]]
    for module in given.needs:
        pytest.importorskip(module)
    return given.read


@pytest.mark.parametrize("case", CASES)
def test_the_whole_file_is_read(case, tmp_path):
    """Damage to a file that could not be read anyway would prove nothing."""
    _reader(case)(tmp_path, CASES[case][0]())


@pytest.mark.parametrize("case", CASES)
def test_a_file_cut_short(case, tmp_path):
    read, whole = _reader(case), CASES[case][0]()
    for end in sorted({0, 1, 7, len(whole) // 4, len(whole) // 2, len(whole) - 9}):
        folder = tmp_path / str(end)
        folder.mkdir()
        try:
            read(folder, whole[:end])
        except InvalidInputError:
            continue
        # A table or a picture may end anywhere; what is packed or counted may not.
        assert "attribute_table" in case or "fit_image" in case, f"{end} of {len(whole)} bytes read"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_flipped_bits(case, tmp_path):
    read, whole = _reader(case), CASES[case][0]()
    draw = random.Random(zlib.crc32(case.encode()))
    refused = 0
    for trial in range(CASES[case][1]):
        content = bytearray(whole)
        # Heads are short and matter most.
        end = len(whole) if trial % 2 else min(len(whole), 200)
        content[draw.randrange(end)] ^= 1 << draw.randrange(8)
        try:
            read(tmp_path, bytes(content))
        except InvalidInputError:
            refused += 1
    assert refused, "no flip was noticed"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore")
def test_other_bytes(case, tmp_path):
    """Noise, noise behind the right beginning, and the right file twice."""
    read, whole = _reader(case), CASES[case][0]()
    draw = random.Random(zlib.crc32(case.encode()) + 1)
    for trial in range(10):
        for content in (draw.randbytes(300), whole[: 4 + trial] + draw.randbytes(300), whole * 2):
            try:
                read(tmp_path, content)
            except InvalidInputError:
                continue
