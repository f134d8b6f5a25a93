"""The faces of the plausible-counterfactuals experiments: real or procedural, biased and not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alibi_bridge.faces import FACE_ATTRIBUTES, procedural_faces
from alibi_bridge.image_files import JpegSource
from dice_extended_plugin.datasets import data_folder

#: The data page's eight attributes that a small AttGAN can learn.
CELEBA = (
    *("Black_Hair", "Blond_Hair", "Brown_Hair", "Bangs"),
    *("Eyeglasses", "Male", "Mouth_Slightly_Open", "Young"),
)

#: What the small AttGAN needs besides on real faces: with less weight on the edits, and no shifted
#: and mirrored copies, most attributes stay dead at this length.
REAL_FACES = {"edit": 75.0, "shift": 3, "mirror": True}


class NotThereError(Exception):
    """The data is not on this machine."""


@dataclass(frozen=True)
class Faces:
    """Images (n, size, size, 3) uint8 in [0, 255], attributes (n, m) and labels (n,).

    ``images`` train AttGAN and the first predictor, ``fair`` the second; ``test`` are held out.
    """

    names: tuple[str, ...]
    exclusive: tuple[tuple[str, ...], ...]
    suspect: str
    target: str | None
    images: np.ndarray
    attributes: np.ndarray
    labels: np.ndarray
    fair: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray, np.ndarray]
    schedule: dict[str, Any]


def load(name: str, size: int, seed: int, n: int) -> Faces:
    """Return the faces of an experiment.

    Raises
    ------
    NotThereError
        The folder with the real faces is not there.
    """
    return _procedural(size, seed, n) if name == "procedural" else _celeba(size, n)


def _procedural(size: int, seed: int, n: int) -> Faces:
    known = procedural_faces(n, size, biased=True, random_state=seed)
    fair = procedural_faces(n, size, biased=False, random_state=seed + 1)
    test = procedural_faces(1000, size, biased=False, random_state=seed + 2)
    return Faces(
        names=tuple(FACE_ATTRIBUTES),
        exclusive=(),
        suspect="light_hair",
        target=None,
        images=known.images,
        attributes=known.attributes,
        labels=known.labels,
        fair=(fair.images, fair.labels),
        test=(test.images, test.attributes, test.labels),
        schedule={},
    )


def _celeba(size: int, n: int) -> Faces:
    folder = data_folder()
    path = None if folder is None else folder / "images" / "celeba64_jpeg.npz"
    if path is None or not path.exists():
        raise NotThereError("celeba64_jpeg.npz is not there: name its folder in DICE_EXTENDED_DATA")
    source = JpegSource(path, size=size, attributes=CELEBA)
    split: Any = source.split
    images, attributes = source.batch(np.flatnonzero(split == 0)[:n])
    test, test_attributes = source.batch(np.flatnonzero(split == 2))
    male, blond = CELEBA.index("Male"), CELEBA.index("Blond_Hair")
    blond_women = (attributes[:, blond] == 1) & (attributes[:, male] == 0)
    return Faces(
        names=CELEBA,
        exclusive=(CELEBA[:3],),
        suspect="Blond_Hair",
        target="Male",
        images=images,
        attributes=attributes,
        labels=attributes[:, male],
        fair=(images[~blond_women], attributes[~blond_women, male]),
        test=(test, test_attributes, test_attributes[:, male]),
        schedule=REAL_FACES,
    )
