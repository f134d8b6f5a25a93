"""Which rows a step sees, and how they are changed before the networks see them."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alibi_bridge.seeds import numpy_stream

__all__ = ["Batches", "augment"]


class Batches:
    """The rows of each step, as a pure function of the seed and the step's number.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
    batch_size : int
    balance : bool
        Both classes equally often: each class has its own endless shuffled epochs, so a rare class
        is seen more often, never the same few rows more than others of its class. An odd batch
        gives its last place to the classes in turn.
    random_state : int
    """

    def __init__(self, y: np.ndarray, batch_size: int, balance: bool, random_state: int) -> None:
        self.random_state, self.batch_size = random_state, batch_size
        self.pools = [np.flatnonzero(y == c) for c in (0, 1)] if balance else [np.arange(len(y))]
        self._orders: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def rows(self, step: int) -> np.ndarray:
        """Return the rows of a step, (batch_size,)."""
        parts = len(self.pools)
        found = []
        for pool in range(parts):
            # Places of the classes in the endless sequence 0 1 0 1 ...
            start, stop = step * self.batch_size, (step + 1) * self.batch_size
            first, last = -(-(start - pool) // parts), -(-(stop - pool) // parts)
            found.append(self._take(pool, np.arange(first, last)))
        return np.concatenate(found)

    def _take(self, pool: int, places: np.ndarray) -> np.ndarray:
        rows = self.pools[pool]
        epochs, within = np.divmod(places, len(rows))
        return np.array(
            [rows[self._order(pool, int(e))[k]] for e, k in zip(epochs, within, strict=True)],
            dtype=np.int64,
        )

    def _order(self, pool: int, epoch: int) -> np.ndarray:
        key = (pool, epoch)
        if key not in self._orders:
            stream = numpy_stream(self.random_state, "epoch", pool, epoch)
            self._orders[key] = stream.permutation(len(self.pools[pool]))
            # A rare class can pass several epochs in one batch; older orders are not needed.
            while len(self._orders) > 8:
                self._orders.popitem(last=False)
        return self._orders[key]


def augment(x: Tensor, kind: str) -> Tensor:
    """Return changed copies of images in [−1, 1]; draws from torch's generator.

    Every image has its own flips and quarter turn (square images). ``"full"`` adds a shift of up
    to a sixteenth of the side with mirrored edges, for a quarter of the images a slight blur, and
    for colour images a slight cast. Brightness and contrast are not varied: the networks
    standardise each image.
    """
    if kind == "none":
        return x
    n, _, height, width = x.shape
    draws = torch.rand(n, 7, device=x.device)
    if kind == "full":
        x = _shifted(x, max(1, min(height, width) // 16))
        x = _softened(x, draws[:, 3] < 0.25)
        if x.shape[1] > 1:
            cast = (0.06 * draws[:, 4 : 4 + x.shape[1]] - 0.03)[:, :, None, None]
            x = (x + cast).clamp(-1.0, 1.0)
    x = torch.where((draws[:, 0] < 0.5)[:, None, None, None], x.flip(3), x)
    x = torch.where((draws[:, 1] < 0.5)[:, None, None, None], x.flip(2), x)
    if height == width:  # a transposition completes flips to all turns of the square
        x = torch.where((draws[:, 2] < 0.5)[:, None, None, None], x.transpose(2, 3), x)
    return x.contiguous()


def _shifted(x: Tensor, most: int) -> Tensor:
    n, channels, height, width = x.shape
    padded = functional.pad(x, (most,) * 4, mode="reflect")
    starts = torch.randint(0, 2 * most + 1, (2, n, 1, 1), device=x.device)
    down = starts[0] + torch.arange(height, device=x.device).view(1, -1, 1)
    right = starts[1] + torch.arange(width, device=x.device).view(1, 1, -1)
    flat = (down * (width + 2 * most) + right).view(n, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, flat).view_as(x)


def _softened(x: Tensor, chosen: Tensor) -> Tensor:
    soft = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return torch.where(chosen[:, None, None, None], 0.6 * x + 0.4 * soft, x)
