"""Make code repeatable that draws from the global generators of Python, NumPy and torch."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

__all__ = ["repeatable"]


@contextmanager
def repeatable(*seed: int) -> Iterator[None]:
    """Seed the global generators inside the block, and put their states back.

    ART's training loops, its resets of weights and some of its attacks draw from them, and so do
    scikit-learn's models without a ``random_state``. Torch is only touched where it is loaded.
    Not for use in several threads at once.

    Parameters
    ----------
    *seed : int
        Non-negative numbers; all of them name the stream.
    """
    words = np.random.SeedSequence(seed).generate_state(4)
    before, plain = np.random.get_state(), random.getstate()
    with ExitStack() as stack:
        if (torch := sys.modules.get("torch")) is not None:
            stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
            torch.manual_seed(int(words[0]))
        np.random.seed(words)
        random.seed(int(words[1]))
        try:
            yield
        finally:
            np.random.set_state(before)
            random.setstate(plain)
