"""The crack crops of the reproduction: real ones from a file, or procedural ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alibi_bridge.cracks import CrackImages, draw_cracks, load_cracks
from alibi_bridge.formats import ImageFormat
from alibi_bridge.saliency import MaskedImages
from dice_extended_plugin.datasets import data_folder

#: In the data folder; not part of the package (research licence).
REAL = (data_folder() or Path("no data folder")) / "images" / "cracks64.npz"
DATA = ("real", "dark", "bright")
#: Procedural images, about as many as there are real crops.
DRAWN = 2100
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Part:
    """Images (n, 3, H, W) in [−1, 1], labels, masks (n, H, W), and what they were cut from."""

    X: np.ndarray
    y: np.ndarray
    masks: np.ndarray
    groups: np.ndarray

    def cracked(self) -> np.ndarray:
        """Return the rows with a crack: those that masks are scored on."""
        return np.flatnonzero(self.y == 1)

    def masked(self) -> MaskedImages:
        """Return the cracked images with their masks."""
        rows = self.cracked()
        return MaskedImages(self.X[rows], self.masks[rows], self.groups[rows])


def load(data: str, size: int, path: Path = REAL, limit: int | None = None) -> dict[str, Part]:
    """Return the three parts.

    Parameters
    ----------
    data : {"real", "dark", "bright"}
        Real crops, or procedural cracks darker or brighter than the ground.
    size : int
        64, or 32: real crops are then halved (a mask pixel where any of the four was crack).
    limit : int, optional
        Keep so many images of each part, for tests.
    """
    if data == "real":
        if not path.exists():
            raise SystemExit(f"no real cracks at {path}; try --data dark or --data bright")
        found = load_cracks(path, 64 if size == 64 else 32)
    else:
        found = draw_cracks(DRAWN, size, bright=data == "bright")
    parts = {name: _part(found.part(name)) for name in PARTS}
    if limit is None:
        return parts
    return {name: _first(part, limit) for name, part in parts.items()}


def _part(images: CrackImages) -> Part:
    X = ImageFormat.of(images.images).to_tensor(images.images).numpy()
    return Part(X, images.labels, images.masks, images.groups)


def _first(part: Part, n: int) -> Part:
    half = n // 2
    rows = np.sort(np.concatenate([np.flatnonzero(part.y == c)[:half] for c in (0, 1)]))
    return Part(part.X[rows], part.y[rows], part.masks[rows], part.groups[rows])
