"""Procedural faces with eight binary attributes and a bias that can be planted or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alibi_bridge.seeds import check_random_state, numpy_stream
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["FACE_ATTRIBUTES", "Faces", "draw_faces", "procedural_faces"]

FACE_ATTRIBUTES = (
    "light_hair",
    "long_hair",
    "bangs",
    "glasses",
    "open_mouth",
    "moustache",
    "pale",
    "hat",
)

# How often each attribute is on; light_hair depends on the jaw in the biased set.
_SHARES = (0.25, 0.5, 0.4, 0.35, 0.5, 0.35, 0.5, 0.3)
_LIGHT_HAIR_ROUND, _LIGHT_HAIR_SQUARE = 0.45, 0.05

# Squareness of a jaw, 0 to 1: the classes overlap a little, as they do among people. With a jaw
# that nobody can mistake, no classifier would ever look at the hair.
_SQUARENESS = {0: 0.25, 1: 0.75}
_SQUARENESS_SD = 0.25

_CHUNK = 256  # images drawn at once; bounds the memory, changes no result


@dataclass(frozen=True, eq=False)
class Faces:
    """A set of drawn faces.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, size, size, 3)
        RGB, 0 to 255.
    attributes : ndarray of uint8, shape (n, 8)
        0 or 1, columns as in `names`.
    labels : ndarray of uint8, shape (n,)
        1 for a square jaw, 0 for a round one.
    names : tuple of str
    """

    images: np.ndarray
    attributes: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...] = FACE_ATTRIBUTES

    def __len__(self) -> int:
        return len(self.images)


def procedural_faces(
    n: int, size: int = 32, *, biased: bool = True, random_state: int = 0
) -> Faces:
    """Draw faces at random.

    Half of the jaws are square. In the biased set P(light_hair | round) = 0.45 and
    P(light_hair | square) = 0.05; in its twin both are 0.25. Everything else is independent. The
    twin of the same `random_state` differs only in the hair colour of some faces.

    Parameters
    ----------
    n : int
        Number of faces, at least 1.
    size : int, default 32
        Height and width in pixels, at least 16.
    biased : bool, default True
    random_state : int, default 0

    Returns
    -------
    Faces

    Raises
    ------
    InvalidInputError
        A ``ValueError``: `n` or `size` too small.
    """
    _whole_number(n, "n", 1)
    stream = numpy_stream(check_random_state(random_state), "faces", "attributes")
    labels = (stream.random(n) < 0.5).astype(np.uint8)
    shares = np.tile(np.array(_SHARES), (n, 1))
    if biased:
        shares[:, 0] = np.where(labels == 1, _LIGHT_HAIR_SQUARE, _LIGHT_HAIR_ROUND)
    attributes = (stream.random((n, len(_SHARES))) < shares).astype(np.uint8)
    return draw_faces(attributes, labels, size, random_state=random_state)


def draw_faces(
    attributes: Sequence[Sequence[int]] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    size: int = 32,
    *,
    random_state: int = 0,
) -> Faces:
    """Draw faces with given attributes and jaws; position, size, colours and noise are random.

    Two calls with the same `random_state` and number of faces give the same persons: only what
    the attributes and labels say differs.

    Parameters
    ----------
    attributes : array-like of 0 or 1, shape (n, 8)
        Columns as in ``FACE_ATTRIBUTES``.
    labels : array-like of 0 or 1, shape (n,)
        1 for a square jaw.
    size : int, default 32
    random_state : int, default 0

    Returns
    -------
    Faces

    Raises
    ------
    InvalidInputError
        A ``ValueError``: wrong shapes, or values other than 0 and 1.
    """
    _whole_number(size, "size", 16)
    try:
        table, jaws = np.asarray(attributes), np.asarray(labels)
    except ValueError as error:  # rows of different lengths
        raise InvalidInputError(f"attributes and labels must be arrays: {error}") from error
    if table.ndim != 2 or table.shape[1] != len(FACE_ATTRIBUTES) or not len(table):
        raise InvalidInputError(
            f"attributes must have shape (n, {len(FACE_ATTRIBUTES)}), it has {table.shape}"
        )
    if jaws.shape != (len(table),):
        raise InvalidInputError(f"labels must have shape ({len(table)},), it has {jaws.shape}")
    for name, values in (("attributes", table), ("labels", jaws)):
        if not np.isin(values, (0, 1)).all():
            raise InvalidInputError(f"{name} must hold 0 and 1 only")
    table, jaws = table.astype(np.uint8), jaws.astype(np.uint8)

    random_state = check_random_state(random_state)
    nuisance = _nuisance(numpy_stream(random_state, "faces", "nuisance"), jaws)
    grain = numpy_stream(random_state, "faces", "grain")
    images = np.empty((len(table), size, size, 3), dtype=np.uint8)
    for start in range(0, len(table), _CHUNK):
        rows = slice(start, start + _CHUNK)
        picture = _draw(table[rows], {key: value[rows] for key, value in nuisance.items()}, size)
        picture += grain.standard_normal(picture.shape, dtype=np.float32) * np.float32(0.012)
        images[rows] = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return Faces(images, table, jaws)


def _nuisance(stream: np.random.Generator, jaws: np.ndarray) -> dict[str, np.ndarray]:
    """Everything about a face that no attribute says, one row per face."""
    n = len(jaws)
    centre = np.where(jaws == 1, _SQUARENESS[1], _SQUARENESS[0])
    return {
        "squareness": np.clip(centre + _SQUARENESS_SD * stream.standard_normal(n), 0, 1),
        "x": stream.uniform(-0.07, 0.07, n),
        "y": stream.uniform(-0.05, 0.07, n),
        "radius": stream.uniform(0.44, 0.52, n),
        "skin": stream.uniform(-0.03, 0.03, (n, 3)) + stream.uniform(-0.03, 0.03, (n, 1)),
        "hair": stream.uniform(-0.04, 0.04, (n, 3)) + stream.uniform(-0.05, 0.05, (n, 1)),
        "wall": stream.uniform(0.45, 0.8, (n, 1)) + stream.uniform(-0.1, 0.1, (n, 3)),
        "slope": stream.uniform(-0.12, 0.12, n),
        "cloth": stream.uniform(0.15, 0.7, (n, 3)),
        "cap": stream.uniform(0.0, 1.0, n),
        "gaze": stream.uniform(-0.05, 0.05, n),
    }


class _Canvas:
    """Pictures of shape (n, size, size, 3) on which shapes are painted one over the other.

    Coordinates are those of each face: 0 is its centre, 1 half the width of its head, y downwards.
    A shape is a function that is negative inside and grows by about 1 per unit outside; painting
    smooths its edge over one pixel.
    """

    def __init__(self, nuisance: dict[str, np.ndarray], size: int) -> None:
        line = (2 * np.arange(size, dtype=np.float32) + 1) / size - 1
        radius = nuisance["radius"].astype(np.float32)
        shape = (len(radius), size, size)
        x = (line[None] - nuisance["x"].astype(np.float32)[:, None]) / radius[:, None]
        y = (line[None] - nuisance["y"].astype(np.float32)[:, None]) / radius[:, None]
        self.x = np.broadcast_to(x[:, None, :], shape)
        self.y = np.broadcast_to(y[:, :, None], shape)
        self.pixels = radius * np.float32(size / 2)
        self.picture = np.empty((*shape, 3), dtype=np.float32)

    def paint(self, field: np.ndarray, colour: np.ndarray, shown: np.ndarray | float = 1.0) -> None:
        """Paint the inside of `field` in `colour` (n, 3) where `shown` (n,) is 1."""
        cover = np.clip(0.5 - field * self.pixels[:, None, None], 0, 1)
        cover = (
            cover * np.broadcast_to(np.asarray(shown, dtype=np.float32), len(cover))[:, None, None]
        )
        self.picture += cover[..., None] * (
            colour.astype(np.float32)[:, None, None, :] - self.picture
        )

    def oval(
        self, x: float, y: float, width: float, height: float, power: float = 2.0
    ) -> np.ndarray:
        """Superellipse with half axes `width` and `height`; a higher power has squarer corners."""
        across, along = np.abs(self.x - x) / width, np.abs(self.y - y) / height
        if power == 2.0:
            norm = np.sqrt(across**2 + along**2)
        else:
            norm = (across**power + along**power) ** (1 / power)
        return (norm - 1) * np.float32(min(width, height))

    def head(self, squareness: np.ndarray) -> np.ndarray:
        """Head with half an ellipse above, and below a jaw from round to square."""
        square = squareness.astype(np.float32)[:, None, None]
        below = np.clip(self.y, 0, None)
        across = np.abs(self.x) / (1 - 0.17 * (1 - square) * below)
        along = np.abs(self.y) / np.float32(1.25)
        power = np.where(self.y > 0, 2 + 2.5 * square, np.float32(2))
        return (across**power + along**power) ** (1 / power) - 1


def _draw(table: np.ndarray, nuisance: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Paint the faces from back to front, float32 of shape (n, size, size, 3), about [0, 1]."""
    on = {name: table[:, place].astype(np.float32) for place, name in enumerate(FACE_ATTRIBUTES)}
    canvas = _Canvas(nuisance, size)
    x, y = canvas.x, canvas.y
    tones = _colours(on, nuisance)
    skin, hair, shade = tones["skin"], tones["hair"], tones["shade"]
    short = 1 - on["long_hair"]

    wall = nuisance["wall"].astype(np.float32)[:, None, None, :]
    slope = nuisance["slope"].astype(np.float32)[:, None, None]
    canvas.picture[:] = wall + (slope * y)[..., None]
    canvas.paint(canvas.oval(0, 2.45, 1.75, 0.95, 2.5), nuisance["cloth"])
    canvas.paint(canvas.oval(0, 0.25, 1.33, 1.75, 3.0), 0.8 * hair, on["long_hair"])
    canvas.paint(canvas.oval(0, -0.35, 1.16, 1.12), hair, short)
    canvas.paint(canvas.oval(0, 1.35, 0.42, 0.6, 4.0), shade)
    for side in (-1, 1):
        canvas.paint(canvas.oval(1.02 * side, 0.1, 0.17, 0.27), shade, short)

    head = canvas.head(nuisance["squareness"])
    canvas.paint(head, shade)
    canvas.paint(head + 0.1, skin)
    # Locks beside the cheeks (they leave the jaw to be seen), then the hairline and the bangs.
    for side in (-1, 1):
        lock = np.maximum(np.abs(x - 1.16 * side) - 0.14, np.abs(y - 0.55) - 1.0)
        canvas.paint(lock, hair, on["long_hair"])
        canvas.paint(canvas.oval(1.04 * side, -0.45, 0.17, 0.42), hair, short)
    top = np.maximum(head - 0.07, y + 0.95 - 0.32 * x**2)
    canvas.paint(top, hair)
    fringe = np.maximum(head - 0.05, y + 0.5 - 0.05 * np.cos(9 * x))
    canvas.paint(fringe, 0.9 * hair, on["bangs"])

    _paint_features(canvas, on, nuisance, tones)
    _paint_hat(canvas, on["hat"], tones["cap"])
    return canvas.picture


def _paint_features(
    canvas: _Canvas,
    on: dict[str, np.ndarray],
    nuisance: dict[str, np.ndarray],
    tones: dict[str, np.ndarray],
) -> None:
    """Eyes, brows, nose, mouth, moustache and glasses."""
    n = len(tones["skin"])
    white, dark = np.full((n, 3), 0.95), np.full((n, 3), 0.1)
    lips, gums = np.tile([0.72, 0.28, 0.27], (n, 1)), np.tile([0.28, 0.05, 0.07], (n, 1))
    gaze = nuisance["gaze"].astype(np.float32)[:, None, None]
    for side in (-1, 1):
        eye = 0.4 * side
        canvas.paint(canvas.oval(eye, -0.27, 0.23, 0.07), tones["brow"])
        canvas.paint(canvas.oval(eye, 0.0, 0.2, 0.13), white)
        iris = np.sqrt((canvas.x - eye - gaze) ** 2 + canvas.y**2) - 0.11
        canvas.paint(iris, dark)
        ring = np.abs(canvas.oval(eye, 0.0, 0.34, 0.27, 2.6)) - 0.06
        canvas.paint(ring, dark, on["glasses"])
    bridge = np.maximum(np.abs(canvas.x) - 0.1, np.abs(canvas.y + 0.05) - 0.05)
    canvas.paint(bridge, dark, on["glasses"])
    canvas.paint(canvas.oval(0, 0.3, 0.1, 0.16), tones["shade"])
    canvas.paint(canvas.oval(0, 0.76, 0.36, 0.07), lips, 1 - on["open_mouth"])
    canvas.paint(canvas.oval(0, 0.8, 0.36, 0.22), lips, on["open_mouth"])
    canvas.paint(canvas.oval(0, 0.8, 0.27, 0.14), gums, on["open_mouth"])
    lip_hair = np.maximum(canvas.oval(0, 0.57, 0.46, 0.13), canvas.y - 0.64)
    canvas.paint(lip_hair, tones["brow"], on["moustache"])


def _paint_hat(canvas: _Canvas, shown: np.ndarray, colour: np.ndarray) -> None:
    """Paint a round hat down to the forehead, with a brim."""
    dome = np.maximum(canvas.oval(0, -0.8, 1.2, 0.95, 2.5), canvas.y + 0.75)
    canvas.paint(dome, colour, shown)
    brim = np.maximum(np.abs(canvas.x) - 1.45, np.abs(canvas.y + 0.78) - 0.11)
    canvas.paint(brim, 0.65 * colour, shown)


def _colours(on: dict[str, np.ndarray], nuisance: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Colours of shape (n, 3): skin and its shade, hair, brows, and the hat."""

    def choose(switch: np.ndarray, yes: Sequence[float], no: Sequence[float]) -> np.ndarray:
        return np.where(switch[:, None] > 0, np.array(yes), np.array(no))

    skin = choose(on["pale"], (0.95, 0.84, 0.77), (0.76, 0.56, 0.42)) + nuisance["skin"]
    hair = choose(on["light_hair"], (0.88, 0.74, 0.36), (0.24, 0.16, 0.11)) + nuisance["hair"]
    # A hue between blue and red, so that no hat looks like hair.
    share = nuisance["cap"][:, None]
    cap = share * np.array([0.75, 0.15, 0.2]) + (1 - share) * np.array([0.15, 0.3, 0.75])
    return {
        "skin": skin,
        "shade": skin * 0.86,
        "hair": hair,
        "brow": hair * 0.62,
        "cap": cap,
    }


def _whole_number(value: int, name: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidInputError(f"{name} must be a whole number from {least} on, it is {value!r}")
