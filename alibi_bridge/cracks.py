"""Pictures of cracks with masks: drawn ones for anybody, and a reader for a local set of real ones.

A map of what an image model looks at can be scored against the masks. Beside dark cracks there are
bright ones, for which "dark pixels are crack" scores nothing. NumPy only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from alibi_bridge.seeds import check_random_state, numpy_stream
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.npz_files import read_npz

__all__ = ["CrackImages", "draw_cracks", "load_cracks"]

_FILE = "cracks64.npz"
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class CrackImages:
    """Images with and without a crack.

    Attributes
    ----------
    images : ndarray of uint8 or float32, shape (n, height, width, channels)
        uint8 0 to 255 (real), float32 0 to 1 (drawn).
    masks : ndarray of bool, shape (n, height, width)
    labels : ndarray of int64, shape (n,)
        1 crack, 0 none.
    split : ndarray of int64, shape (n,)
        0 train, 1 validation, 2 test.
    groups : ndarray of int64, shape (n,)
        What an image was cut from; drawn images are each their own.
    """

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    groups: np.ndarray

    def part(self, name: Literal["train", "validation", "test"]) -> CrackImages:
        """Return the images of one part."""
        if name not in _SPLITS:
            raise InvalidInputError(f"parts are {', '.join(_SPLITS)}, not {name!r}")
        rows = self.split == _SPLITS.index(name)
        return self.rows(rows)

    def rows(self, rows: np.ndarray) -> CrackImages:
        """Return some of the images."""
        return CrackImages(
            self.images[rows],
            self.masks[rows],
            self.labels[rows],
            self.split[rows],
            self.groups[rows],
        )

    def halved(self) -> CrackImages:
        """Return the images at half the size: means of 2 × 2 pixels; a mask where any was crack.

        Raises
        ------
        InvalidInputError
            An odd height or width.
        """
        n, height, width, channels = self.images.shape
        if height % 2 or width % 2:
            raise InvalidInputError(f"images of {height} x {width} pixels cannot be halved")
        shape = (n, height // 2, 2, width // 2, 2)
        means = self.images.reshape(*shape, channels).mean(axis=(2, 4), dtype=np.float32)
        if self.images.dtype == np.uint8:
            means = np.round(means).astype(np.uint8)
        masks = self.masks.reshape(shape).any(axis=(2, 4))
        return CrackImages(means, masks, self.labels, self.split, self.groups)


def load_cracks(folder: str | os.PathLike[str], size: Literal[32, 64] = 64) -> CrackImages:
    """Read ``cracks64.npz``: 2,104 crops of pavement from the CrackForest data set.

    The file is not part of the package: its licence allows research only.

    Parameters
    ----------
    folder : path
        Where the file is, or the file.
    size : {64, 32}, optional
        32 halves the crops.

    Raises
    ------
    InvalidInputError
        The file is missing, or not as expected.
    """
    if size not in (32, 64):
        raise InvalidInputError(f"size must be 32 or 64, it is {size!r}")
    path = Path(folder)
    path = path / _FILE if path.is_dir() else path
    labels = ("labels", "split", "source_image")
    try:
        values = read_npz(path, ("images", "masks", *labels))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is not the file of crack crops: {error}") from error
    images, masks = values["images"], values["masks"]
    n = len(images) if images.ndim else 0
    if images.shape != (n, 64, 64, 3) or masks.shape != (n, 512):
        raise InvalidInputError(
            f"{path}: images must be (n, 64, 64, 3) and masks (n, 512), they are "
            f"{images.shape} and {masks.shape}"
        )
    whole = all(values[name].shape == (n,) and values[name].dtype.kind in "iub" for name in labels)
    if not whole or images.dtype != np.uint8 or masks.dtype != np.uint8:
        raise InvalidInputError(
            f"{path}: images and masks must hold bytes, {', '.join(labels)} a whole number each"
        )
    bits = np.unpackbits(masks, axis=1).reshape(n, 64, 64).astype(bool)
    found = CrackImages(images, bits, *(values[name].astype(np.int64) for name in labels))
    return found.halved() if size == 32 else found


def draw_cracks(
    n: int,
    size: int = 64,
    *,
    bright: bool = False,
    crack_share: float = 0.5,
    channels: Literal[1, 3] = 3,
    random_state: int = 0,
) -> CrackImages:
    """Draw images of a rough surface, some with a crack.

    Background: 1/f noise, Gaussian grain, a random light gradient, 0 to 3 dark blobs and 0 or 1
    bright stripe, alike in both classes. Crack: the line of a random walk, 1 to 4 pixels wide (at
    64 pixels), 30 to 110 % of the side long, with 0 or 1 branch, 15 to 45 % darker than what is
    below it. The mask is the drawn line.

    Parameters
    ----------
    n : int
        Images; of every 10, 7 are for training, 1 for validation, 2 for testing.
    size : int, optional
        Side in pixels, 16 or more.
    bright : bool, optional
        Cracks brighter than the surface by as much.
    crack_share : float, optional
        Share of images with a crack, in [0, 1].
    channels : {1, 3}, optional
    random_state : int, optional
        Image number i depends on it and on i alone, not on `n`.

    Returns
    -------
    CrackImages
        float32 in [0, 1].

    Raises
    ------
    InvalidInputError
        A parameter without meaning.
    """
    check_random_state(random_state)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InvalidInputError(f"n must be a positive whole number, it is {n!r}")
    if size < 16:
        raise InvalidInputError(f"size must be 16 or more, it is {size!r}")
    if not 0 <= crack_share <= 1:
        raise InvalidInputError(f"crack_share must lie in [0, 1], it is {crack_share!r}")
    if channels not in (1, 3):
        raise InvalidInputError(f"channels must be 1 or 3, it is {channels!r}")
    grid = np.mgrid[:size, :size].astype(np.float32) + 0.5
    roughness = _spectrum(size)
    images = np.empty((n, size, size, channels), np.float32)
    masks = np.zeros((n, size, size), bool)
    index = np.arange(n)
    # Evenly spread, so that every stretch of the numbers has its share of both classes.
    labels = (np.floor((index + 1) * crack_share) > np.floor(index * crack_share)).astype(np.int64)
    for i in range(n):
        stream = numpy_stream(random_state, "crack", i)
        surface = _surface(stream, grid, roughness)
        depth, line = _crack(stream, grid)  # drawn for every image: both classes use one stream
        if labels[i]:
            surface = surface * (1 + depth if bright else 1 - depth)
            masks[i] = line
        cast = stream.normal(0, 0.015, channels) if channels == 3 else np.zeros(1)
        grain = stream.normal(0, 0.02, (size, size, channels))
        images[i] = np.clip(surface[:, :, None] * (1 + cast) + grain, 0, 1)
    decade = (index // 2 if 0.4 <= crack_share <= 0.6 else index) % 10
    split = np.select([decade < 7, decade < 8], [0, 1], default=2)
    return CrackImages(images, masks, labels, split.astype(np.int64), index.copy())


def _spectrum(size: int) -> np.ndarray:
    """Amplitudes 1/f of the half-plane that ``irfft2`` takes, 0 for the mean."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    return 1 / frequency


def _surface(stream: np.random.Generator, grid: np.ndarray, roughness: np.ndarray) -> np.ndarray:
    size = grid.shape[1]
    waves = stream.normal(size=(2, *roughness.shape))
    cloud = np.fft.irfft2(roughness * (waves[0] + 1j * waves[1]), s=(size, size))
    surface = stream.uniform(0.45, 0.6) + stream.uniform(0.02, 0.05) * cloud / cloud.std()
    slope = stream.uniform(-0.08, 0.08, 2)
    surface = surface + (slope[:, None, None] * (grid / size - 0.5)).sum(axis=0)
    for _ in range(stream.integers(0, 4)):
        centre, radii = stream.uniform(0, size, 2), stream.uniform(0.03, 0.08, 2) * size
        far = (((grid - centre[:, None, None]) / radii[:, None, None]) ** 2).sum(axis=0)
        surface = surface * (1 - stream.uniform(0.15, 0.4) * np.exp(-far))
    if stream.random() < 0.5:
        angle, place = stream.uniform(0, np.pi), stream.uniform(0.2, 0.8) * size
        across = np.cos(angle) * (grid[0] - size / 2) + np.sin(angle) * (grid[1] - size / 2)
        width = stream.uniform(0.03, 0.06) * size
        far = np.abs(across - (place - size / 2)) / width
        surface = surface * (1 + stream.uniform(0.1, 0.3) * (far < 1))
    return np.asarray(surface)


def _crack(stream: np.random.Generator, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative depth (0 outside) and the mask of a line with 0 or 1 branch."""
    size = grid.shape[1]
    length = stream.uniform(0.3, 1.1) * size
    start, heading = stream.uniform(0.25, 0.75, 2) * size, stream.uniform(0, 2 * np.pi)
    # The middle of the walk is where it starts, so that the crack crosses the image's middle.
    ways = [
        _walk(stream, start, heading, length / 2),
        _walk(stream, start, heading + np.pi, length / 2),
    ]
    if stream.random() < 0.5:
        trunk = ways[0]
        fork = trunk[stream.integers(0, len(trunk))]
        side = heading + stream.choice([-1, 1]) * stream.uniform(0.5, 1.2)
        ways.append(_walk(stream, fork, side, length * stream.uniform(0.2, 0.5)))
    # 1 to 4 pixels at 64 pixels a side; below one pixel a line would vanish.
    width = max(1.0, stream.uniform(1, 4) * size / 64)
    distance = np.min([_distance(grid, way) for way in ways], axis=0)
    depth = stream.uniform(0.15, 0.45)
    edge = np.clip(width / 2 - distance + 0.5, 0, 1)  # one pixel of soft edge
    return depth * edge, edge >= 0.5


def _walk(
    stream: np.random.Generator, start: np.ndarray, heading: float, length: float
) -> np.ndarray:
    """Corners (k, 2) of a path whose direction wanders."""
    steps = max(2, int(np.ceil(length / 3)))
    angles = heading + np.cumsum(stream.normal(0, 0.35, steps))
    moves = np.stack([np.sin(angles), np.cos(angles)], axis=1) * (length / steps)
    return np.concatenate([start[None], start + np.cumsum(moves, axis=0)])


def _distance(grid: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance of each pixel's middle to a path, (size, size)."""
    from_, to = corners[:-1, :, None, None], corners[1:, :, None, None]
    along = to - from_
    place = ((grid - from_) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-9)
    nearest = from_ + np.clip(place, 0, 1)[:, None] * along
    found: np.ndarray = np.sqrt(((grid - nearest) ** 2).sum(axis=1)).min(axis=0)
    return found
