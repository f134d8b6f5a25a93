"""Running averages of weights: what is used in the place of the last step's."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["RunningAverage"]

#: Spectral norm's singular vectors: an average of them would be too short.
_DIRECTIONS = ("._u", "._v")

Network = TypeVar("Network", bound=nn.Module)


class RunningAverage(Generic[Network]):
    """A network whose weights follow those of another one in training.

    Two networks that play against each other swing around what they would settle at; the average
    stands nearer to it.

    Parameters
    ----------
    live : torch.nn.Module
        In training.
    decay : float
        In [0, 1). 0: there is no average, the network itself is used.

    Attributes
    ----------
    network : torch.nn.Module
        The average, or `live` itself.
    """

    def __init__(self, live: Network, decay: float) -> None:
        self.live, self.decay = live, decay
        self.network: Network = copy.deepcopy(live) if decay else live

    def __bool__(self) -> bool:
        return self.network is not self.live

    @torch.no_grad()
    def follow(self, done: int) -> None:
        """Move towards the weights, and batch norm's statistics, after `done` steps."""
        if not self:
            return
        # The first weights are far off: an average over fewer steps at the beginning.
        decay = min(self.decay, done / (done + 9))
        now = self.live.state_dict()
        followed: list[tuple[Tensor, Tensor]] = []
        for name, value in self.network.state_dict().items():
            if value.is_floating_point() and not name.endswith(_DIRECTIONS):
                followed.append((value, now[name]))
            else:
                value.copy_(now[name])
        mine, theirs = (list(side) for side in zip(*followed, strict=True))
        torch._foreach_lerp_(mine, theirs, 1 - decay)
