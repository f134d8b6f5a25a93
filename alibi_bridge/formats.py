"""What an array of images looks like, and the one way in and out of the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["ImageFormat"]

#: Floats may leave the range by this share of it: resizing and float32 rounding do.
_SLACK = 1e-3
#: In a wider range, images that reach no farther than 1 above black have been scaled to [0, 1].
_WIDE = 100.0


@dataclass(frozen=True)
class ImageFormat:
    """The shape, range and layout of the images that a user works with.

    Inside the networks images are float32, channels first, in [−1, 1]; outside they stay as the
    user's predictor knows them.

    Parameters
    ----------
    height, width, channels : int
        Channels are 1 or 3.
    value_range : tuple of float, optional
        The values of black and white; ``(0.0, 255.0)`` for uint8.
    channels_last : bool, optional
        Whether an array is (n, height, width, channels) or (n, channels, height, width).

    Raises
    ------
    InvalidInputError
        A size below 1, channels that are neither 1 nor 3, a range that is none.
    """

    height: int
    width: int
    channels: int
    value_range: tuple[float, float] = (0.0, 1.0)
    channels_last: bool = True

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InvalidInputError(
                f"images have 1 or 3 channels, not {self.channels}: is channels_last="
                f"{self.channels_last} right for this array?"
            )
        if self.height < 1 or self.width < 1:
            raise InvalidInputError(f"images of {self.height} x {self.width} pixels are empty")
        object.__setattr__(self, "value_range", _range(self.value_range))

    @classmethod
    def of(
        cls,
        X: np.ndarray,
        value_range: tuple[float, float] | None = None,
        channels_last: bool = True,
    ) -> ImageFormat:
        """Return the format of an array.

        Parameters
        ----------
        X : ndarray
            Images, uint8 or float, four dimensions.
        value_range : tuple of float, optional
            None takes (0, 255) for uint8 and (0, 1) for floats.
        channels_last : bool, optional
            The layout of `X`.

        Raises
        ------
        InvalidInputError
            `X` is not an array of images.
        """
        X = np.asarray(X)
        if X.ndim != 4:
            raise InvalidInputError(
                f"images have four dimensions, (n, height, width, channels) or with "
                f"channels_last=False (n, channels, height, width); got shape {X.shape}"
            )
        if value_range is None:
            value_range = (0.0, 255.0) if X.dtype == np.uint8 else (0.0, 1.0)
        _, a, b, c = X.shape
        height, width, channels = (a, b, c) if channels_last else (b, c, a)
        return cls(height, width, channels, value_range, channels_last)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image in the user's layout."""
        if self.channels_last:
            return self.height, self.width, self.channels
        return self.channels, self.height, self.width

    def check(self, X: np.ndarray, name: str = "X") -> np.ndarray:
        """Return `X` as an array of images of this format.

        Parameters
        ----------
        X : array_like of shape (n, *shape)
            uint8 or float; integers of other widths are taken as floats.
        name : str, optional
            What error texts call it.

        Returns
        -------
        ndarray of shape (n, *shape)
            uint8 or float32. `X` is not written to.

        Raises
        ------
        InvalidInputError
            Another shape, NaN or infinite values, values outside the range.
        """
        X = np.asarray(X)
        if X.shape[1:] != self.shape or X.ndim != 4:
            raise InvalidInputError(
                f"{name} has shape {X.shape}, expected (n, {', '.join(map(str, self.shape))})"
                f"{self._layout_hint(X)}"
            )
        if X.dtype == object or not np.issubdtype(X.dtype, np.number):
            raise InvalidInputError(f"{name} holds {X.dtype}, not numbers")
        if np.iscomplexobj(X):
            raise InvalidInputError(f"{name} holds complex numbers")
        if X.dtype == np.uint8 and self.value_range == (0.0, 255.0):
            self._check_scale(X, name)
            return X
        as_float = X.astype(np.float32)
        if not np.isfinite(as_float).all():
            rows = np.flatnonzero(~np.isfinite(as_float).reshape(len(X), -1).all(axis=1))
            raise InvalidInputError(
                f"{name} has NaN or infinite values in {len(rows)} images, the first at row "
                f"{rows[0]}"
            )
        low, high = self.value_range
        slack = _SLACK * (high - low)
        if as_float.size and (as_float.min() < low - slack or as_float.max() > high + slack):
            raise InvalidInputError(
                f"{name} has values from {as_float.min():.4g} to {as_float.max():.4g}, outside "
                f"value_range=({low:g}, {high:g}); scale the images or give their value_range, "
                f"where need be in an ImageFormat"
            )
        self._check_scale(as_float, name)
        return as_float

    def to_tensor(self, X: np.ndarray, device: Any = "cpu") -> torch.Tensor:
        """Return checked images as float32 (n, channels, height, width) in [−1, 1]."""
        import torch

        low, high = self.value_range
        tensor = torch.as_tensor(np.ascontiguousarray(X)).to(device).float()
        if self.channels_last:
            tensor = tensor.permute(0, 3, 1, 2)
        return ((tensor - low) * (2.0 / (high - low)) - 1.0).clamp(-1.0, 1.0).contiguous()

    def to_array(self, tensor: torch.Tensor) -> np.ndarray:
        """Return the networks' images as float32 in the user's layout and range."""
        low, high = self.value_range
        images = tensor.detach().float().clamp(-1.0, 1.0)
        images = (images + 1.0) * ((high - low) / 2.0) + low
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        return images.cpu().contiguous().numpy()

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` takes; JSON can write it."""
        return {**asdict(self), "value_range": list(self.value_range)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageFormat:
        """Return the format that :meth:`to_dict` wrote.

        Raises
        ------
        InvalidInputError
            Keys are missing or unknown.
        """
        try:
            return cls(**{**values, "value_range": tuple(values["value_range"])})
        except (TypeError, KeyError) as error:
            raise InvalidInputError(f"not the description of an image format: {error}") from error

    def _check_scale(self, X: np.ndarray, name: str) -> None:
        """Refuse images scaled to [0, 1] where white is 255: all would count as black."""
        low, high = self.value_range
        if X.size and high - low > _WIDE and low < X.max() <= low + 1.0:
            raise InvalidInputError(
                f"{name} has values from {X.min():.4g} to {X.max():.4g} only, next to nothing of "
                f"value_range=({low:g}, {high:g}): the images seem to be scaled to [0, 1]; scale "
                f"them to the range, or give their own value_range"
            )

    def _layout_hint(self, X: np.ndarray) -> str:
        other = ImageFormat(
            self.height, self.width, self.channels, self.value_range, not self.channels_last
        )
        if X.ndim == 4 and X.shape[1:] == other.shape:
            return f"; the channels seem to be {'first' if self.channels_last else 'last'}"
        if X.ndim == 3 and X.shape == self.shape:
            return "; a single image needs a first dimension of 1"
        return ""


def _range(value: Any) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in value)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidInputError(
            f"value_range is (value of black, value of white), got {value!r:.80}"
        )
    return low, high
