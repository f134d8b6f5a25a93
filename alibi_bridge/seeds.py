"""Randomness that is a pure function of the seed and of what it is for.

Training step k of a run draws inside ``seeded(random_state, "step", k)``. No generator state has
to be saved: a run that was interrupted and taken up again draws what an uninterrupted one draws.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["check_random_state", "numpy_stream", "seeded"]


def check_random_state(random_state: int) -> int:
    """Return the seed as an int.

    Raises
    ------
    InvalidInputError
        It is not an integer of 0 or more.
    """
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if not whole or random_state < 0:
        raise InvalidInputError(
            f"random_state must be an integer of 0 or more, got {random_state!r}"
        )
    return int(random_state)


def numpy_stream(random_state: int, *key: int | str) -> np.random.Generator:
    """Return the generator of a seed and a purpose; other purposes give independent ones."""
    return np.random.default_rng(_sequence(random_state, key))


@contextmanager
def seeded(random_state: int, *key: int | str) -> Iterator[None]:
    """Let torch draw from the stream of a seed and a purpose inside the block.

    Dropout and the random layers of other libraries draw from torch's global generators and take
    no other. They are set for the block and put back as they were.

    Parameters
    ----------
    random_state : int
    *key : int or str
        What the stream is for.
    """
    import torch

    seed = int(_sequence(random_state, key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _sequence(random_state: int, key: tuple[int | str, ...]) -> np.random.SeedSequence:
    # Numbers and names must not meet: a name's code lies above 2**32, where no step count comes.
    codes = [
        part if isinstance(part, int) else (1 << 32) + zlib.crc32(part.encode()) for part in key
    ]
    return np.random.SeedSequence(check_random_state(random_state), spawn_key=tuple(codes))
