"""Images that lie in files: a folder with a table, an npz file, JPEGs in an npz file."""

from __future__ import annotations

import io
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from alibi_bridge.attributes import check_attributes, pick_columns, read_attribute_table
from alibi_bridge.formats import ImageFormat
from alibi_bridge.images import ArraySource, HeldSource, checked_rows
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.npz_files import read_npz

__all__ = ["FolderSource", "JpegSource", "fit_image", "load_npz"]

_logger = logging.getLogger(__name__)
#: What Pillow may take a file for, whatever its name: it knows formats that start programs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
#: Larger images are refused before they are decoded.
_MOST_PIXELS = 1 << 26
#: Highest side that an image may set for all others.
_MOST_SIDE = 2048
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}


class FolderSource(HeldSource):
    """Image files and a table of their attributes; files are read when a batch needs them.

    Parameters
    ----------
    folder : path
        Where the files are.
    table : path
        A CSV file whose first column holds the file names and whose header names the attributes,
        or CelebA's list format (a count, a line of names, a line per image).
    size : int, default 64
        Height and width the images are brought to.
    crop : int, optional
        Side of the central square that is cut out before resizing (CelebA: 170). Default: the
        largest there is.
    attributes : sequence of str, optional
        The columns to use. Default: all.
    on_bad : {"raise", "skip"}, default "raise"
        What to do with a file that is missing, cannot be read or is smaller than `crop`.
    verify : bool, default True
        Read every file once at the beginning. Without it a corrupt file is met in its batch, and
        raises there whatever `on_bad` says.

    Attributes
    ----------
    files : tuple of str
        Names of the images in use.
    skipped : dict of str to str
        Why an image of the table is not in use.
    unlisted : tuple of str
        Image files of the folder that the table does not name.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no such folder or table, a bad file with ``on_bad="raise"``, bad
        attributes, nothing left to use.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        table: str | os.PathLike[str],
        *,
        size: int = 64,
        crop: int | None = None,
        attributes: Sequence[str] | None = None,
        on_bad: str = "raise",
        verify: bool = True,
    ) -> None:
        if on_bad not in ("raise", "skip"):
            raise InvalidInputError(f"on_bad must be 'raise' or 'skip', it is {on_bad!r}")
        _check_side(size, "size")
        if crop is not None:
            _check_side(crop, "crop", most=_MOST_PIXELS)
        self._folder, self._crop = Path(folder), crop
        if not self._folder.is_dir():
            raise InvalidInputError(f"there is no folder {self._folder}")
        self._format = ImageFormat(size, size, 3, (0.0, 255.0))
        files, names, values = read_attribute_table(table)
        columns = pick_columns(names, attributes)
        chosen = [names[column] for column in columns]
        with _named(table):  # before every file is read
            check_attributes(values[:, columns], chosen, len(files))
        self.skipped = self._find_bad(files, verify)
        if self.skipped and on_bad == "raise":
            name, reason = next(iter(self.skipped.items()))
            raise InvalidInputError(
                f"{len(self.skipped)} of the {len(files)} images of {table} cannot be used, the "
                f"first is {name}: {reason}; mend them, or give on_bad='skip'"
            )
        kept = [row for row, name in enumerate(files) if name not in self.skipped]
        if not kept:
            raise InvalidInputError(f"none of the {len(files)} images of {table} can be used")
        if self.skipped:
            _logger.warning("%d of %d images are left out", len(self.skipped), len(files))
        self.files = tuple(files[row] for row in kept)
        with _named(table):
            self.A, self._attributes = check_attributes(
                values[np.ix_(kept, columns)], chosen, len(kept)
            )
        known = set(files)
        self.unlisted = tuple(
            sorted(
                path.name
                for path in self._folder.iterdir()
                if path.suffix.lower() in _SUFFIXES and path.name not in known
            )
        )
        if self.unlisted:
            _logger.info("%d files of %s are not in the table", len(self.unlisted), folder)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read the images of some rows."""
        index = checked_rows(indices, len(self))
        images = np.empty((len(index), *self._format.shape), dtype=np.uint8)
        for place, row in enumerate(index):
            images[place] = self._read(self.files[row])
        return images, self.A[index]

    def _read(self, name: str) -> np.ndarray:
        return fit_image(self._folder / name, self._format.height, self._crop, name=name)

    def _find_bad(self, files: Sequence[str], verify: bool) -> dict[str, str]:
        bad = {}
        for name in files:
            path = self._folder / name
            try:
                inside = path.resolve().is_relative_to(self._folder.resolve())
                there = path.is_file()
            except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, links in a ring
                inside, there = True, False
            if not inside:
                bad[name] = "it lies outside the folder"
            elif not there:
                bad[name] = "there is no such file in the folder"
            elif verify:
                try:
                    self._read(name)
                except InvalidInputError as error:
                    bad[name] = str(error)
        return bad


class JpegSource(HeldSource):
    """JPEG bytes of many images in one npz file; an image is decoded when a batch needs it.

    The file holds ``jpeg`` (all bytes in a row, uint8), ``offsets`` (n + 1 places in it),
    ``attributes`` (n, m) and ``attribute_names``; a ``split`` (n,) is kept beside it.

    Parameters
    ----------
    path : path
    size : int, optional
        Height and width the images are brought to. Default: that of the first image.
    attributes : sequence of str, optional
        The columns to use. Default: all.

    Attributes
    ----------
    A : ndarray of uint8, shape (n, m)
    split : ndarray, shape (n,), or None

    Raises
    ------
    InvalidInputError
        A ``ValueError``: not such a file, or attributes that cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: int | None = None,
        attributes: Sequence[str] | None = None,
    ) -> None:
        if size is not None:
            _check_side(size, "size")
        self._name = Path(path).name
        needed = ("jpeg", "offsets", "attributes", "attribute_names")
        parts = read_npz(path, needed, optional=("split",))
        names = _names(parts["attribute_names"], path)
        self._jpeg, self._offsets = parts["jpeg"], _offsets(parts, path)
        steps = np.diff(self._offsets)
        columns = pick_columns(names, attributes)
        values = parts["attributes"]
        if values.shape != (len(steps), len(names)):
            raise InvalidInputError(
                f"{path}: attributes has shape {values.shape}, expected {(len(steps), len(names))}"
            )
        with _named(path):
            self.A, self._attributes = check_attributes(
                values[:, columns], [names[column] for column in columns], len(steps)
            )
        self.split = parts.get("split")
        if self.split is not None and self.split.shape != (len(steps),):
            raise InvalidInputError(
                f"{path}: split has shape {self.split.shape}, expected ({len(steps)},)"
            )
        if size is None:
            size = _open(self._bytes(0), f"{self._name}: image 0").height
            if size > _MOST_SIDE:
                raise InvalidInputError(f"{path}: image 0 is {size} pixels high; give a size")
        self._format = ImageFormat(size, size, 3, (0.0, 255.0))

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode the images of some rows."""
        index = checked_rows(indices, len(self))
        images = np.empty((len(index), *self._format.shape), dtype=np.uint8)
        for place, row in enumerate(index):
            name = f"{self._name}: image {row}"
            images[place] = fit_image(self._bytes(row), self._format.height, name=name)
        return images, self.A[index]

    def _bytes(self, row: int) -> bytes:
        blob: bytes = self._jpeg[self._offsets[row] : self._offsets[row + 1]].tobytes()
        return blob


def load_npz(
    path: str | os.PathLike[str],
    *,
    images: str = "images",
    values: str = "attributes",
    names: str = "attribute_names",
    attributes: Sequence[str] | None = None,
) -> ArraySource:
    """Return the source of an npz file with arrays of images, attributes and their names.

    Parameters
    ----------
    path : path
    images, values, names : str
        Names of the arrays in the file.
    attributes : sequence of str, optional
        The columns to use. Default: all.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: not such a file, or arrays that :class:`ArraySource` refuses.
    """
    parts = read_npz(path, (images, values, names))
    known = _names(parts[names], path)
    columns = pick_columns(known, attributes)
    table = parts[values]
    if table.ndim != 2 or table.shape[1] != len(known):
        raise InvalidInputError(
            f"{path}: {values} has shape {table.shape}, {names} names {len(known)} columns"
        )
    with _named(path):
        return ArraySource(parts[images], table[:, columns], [known[column] for column in columns])


def fit_image(
    image: str | os.PathLike[str] | bytes,
    size: int,
    crop: int | None = None,
    *,
    name: str = "image",
) -> np.ndarray:
    """Read an image, turn it as its EXIF data say, cut out its central square, and resize it.

    Parameters
    ----------
    image : path or bytes
    size : int
        Height and width of the result.
    crop : int, optional
        Side of the square. Default: the shorter side of the image.
    name : str
        What error texts call it.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)

    Raises
    ------
    InvalidInputError
        A ``ValueError``: not an image, cut short, smaller than `crop`, or of more than 8 bits a
        channel.
    """
    from PIL import Image, ImageOps

    picture = _open(image, name)
    if picture.mode.startswith(("I", "F")):  # Pillow would cut all that is above 255
        raise InvalidInputError(
            f"{name} has more than 8 bits a channel (Pillow's mode {picture.mode}); convert it to "
            f"8 bits"
        )
    with _readable(f"{name} is corrupt"):
        upright: Any = ImageOps.exif_transpose(picture)
        colours = upright.convert("RGB")
    side = min(colours.size) if crop is None else crop
    if side > min(colours.size) or side < 1:
        raise InvalidInputError(
            f"{name} has {colours.width} x {colours.height} pixels; crop={crop} does not fit in"
        )
    left, top = (colours.width - side) // 2, (colours.height - side) // 2
    square = colours.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(square, dtype=np.uint8)


def _open(image: str | os.PathLike[str] | bytes, name: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "reading images needs Pillow: pip install 'dice-extended[images]'"
        ) from error
    if not isinstance(image, bytes) and not os.path.isfile(image):  # a pipe may never end
        raise InvalidInputError(f"{name} is not an image that Pillow can read: there is no file")
    with _readable(f"{name} is not an image that Pillow can read"):
        picture = Image.open(
            io.BytesIO(image) if isinstance(image, bytes) else image, formats=_FORMATS
        )
    if picture.width * picture.height > _MOST_PIXELS:
        raise InvalidInputError(
            f"{name} has {picture.width} x {picture.height} pixels; more than {_MOST_PIXELS:,} are "
            "refused: make it smaller"
        )
    return picture


def _check_side(value: Any, name: str, most: int = _MOST_SIDE) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
        raise InvalidInputError(f"{name} must be a whole number from 1 to {most}, it is {value!r}")


@contextmanager
def _named(path: Any) -> Iterator[None]:
    """Say of what is wrong in the block which file it is in."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


@contextmanager
def _readable(problem: str) -> Iterator[None]:
    """Turn what Pillow's decoders raise over a damaged file into our error."""
    from PIL import Image, UnidentifiedImageError

    # A damaged or hostile file reaches each of these in one decoder or another.
    kinds = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError)
    more = (OverflowError, MemoryError, NotImplementedError, RuntimeError, struct.error, zlib.error)
    try:
        yield
    except UnidentifiedImageError as error:  # its text names a buffer, or the path once more
        raise InvalidInputError(f"{problem}: no format of {', '.join(_FORMATS)}") from error
    except (*kinds, *more, Image.DecompressionBombError) as error:
        raise InvalidInputError(f"{problem}: {error}") from error


def _names(names: np.ndarray, path: Any) -> list[str]:
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise InvalidInputError(f"{path}: the attributes' names must be a list of texts")
    return [str(name) for name in names]


def _offsets(parts: Mapping[str, np.ndarray], path: Any) -> np.ndarray:
    """Return the places where images begin and end, once they are known to lie in the bytes."""
    jpeg, offsets = parts["jpeg"], parts["offsets"]
    good = jpeg.ndim == offsets.ndim == 1 and jpeg.dtype == np.uint8 and offsets.dtype.kind in "iu"
    if good:
        offsets = offsets.astype(np.int64)
        good = len(offsets) > 1 and offsets[0] >= 0 and offsets[-1] <= len(jpeg)
    if not good or (np.diff(offsets) < 1).any():
        raise InvalidInputError(f"{path}: offsets do not cut jpeg into images")
    return offsets
