"""Arrays as PNG pictures inside the HTML, written with zlib alone: the same bytes every time."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["as_bytes", "data_uri", "overlay", "reduced"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
#: Colours of a saliency map from low to high: it darkens and reddens, so that it reads in grey too.
_HEAT = np.array([[255, 237, 160], [254, 178, 76], [240, 59, 32], [128, 0, 38]], dtype=float)


def data_uri(pixels: np.ndarray) -> str:
    """Return a picture as ``data:image/png;base64,...``.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 1, 3 or 4)
    """
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    # Every line starts with the number of its filter: 0, none.
    lines = np.zeros((height, 1 + width * channels), dtype=np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    body = zlib.compress(lines.tobytes(), 9)
    whole = _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(whole).decode()


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def as_bytes(
    image: Any, value_range: tuple[float, float], channels_last: bool = True
) -> np.ndarray:
    """Return an image as uint8 of shape (height, width, channels).

    Raises
    ------
    InvalidInputError
        It has neither one channel nor three.
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif pixels.ndim == 3 and not channels_last:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise InvalidInputError(
            f"an image has one channel or three, the shape here is {np.shape(image)}; "
            f"channels_last is {channels_last}"
        )
    low, high = value_range
    scaled = (np.nan_to_num(pixels) - low) * (255.0 / (high - low))
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return means of blocks, so that no side is longer than `side`; smaller ones as they are.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, ...)
    side : int
    """
    height, width = pixels.shape[:2]
    block = -(-max(height, width) // side)
    if block <= 1:
        return pixels
    # Blocks that reach over the edge repeat it.
    more = [(0, -length % block) for length in (height, width)]
    whole = np.pad(pixels.astype(float), [*more, *[(0, 0)] * (pixels.ndim - 2)], mode="edge")
    rows, columns = whole.shape[0] // block, whole.shape[1] // block
    means: np.ndarray = whole.reshape(rows, block, columns, block, *whole.shape[2:]).mean((1, 3))
    return means if np.issubdtype(pixels.dtype, np.floating) else means.round().astype(pixels.dtype)


def overlay(saliency: Any) -> np.ndarray:
    """Return a saliency map from 0 to 1 as a picture to lay over its image.

    Parameters
    ----------
    saliency : ndarray of shape (height, width)

    Returns
    -------
    ndarray of uint8, shape (height, width, 4)
        Clear where the map is 0.
    """
    values = np.nan_to_num(np.asarray(saliency, dtype=np.float64)).clip(0, 1)
    place = values * (len(_HEAT) - 1)
    low = np.floor(place).astype(int).clip(0, len(_HEAT) - 2)
    share = (place - low)[..., None]
    colour = _HEAT[low] * (1 - share) + _HEAT[low + 1] * share
    alpha = 230 * np.sqrt(values)[..., None]
    return np.rint(np.concatenate([colour, alpha], axis=-1)).astype(np.uint8)
