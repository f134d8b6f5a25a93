"""What every training loop here needs: a device, batches, precision, callbacks, a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from alibi_bridge.seeds import numpy_stream
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["Callback", "Progress", "epoch_batches", "pick_device", "precision"]


class Callback(Protocol):
    """Called after each training step, with the arguments of Alibi's CFRL callbacks."""

    def __call__(
        self,
        *,
        step: int,
        update: int,
        model: Any,
        sample: dict[str, Any],
        losses: dict[str, float],
    ) -> Any:
        """Look at the training; an exception ends it.

        Parameters
        ----------
        step : int
            Steps done, from 0.
        update : int
            Updates within the step.
        model : object
            What is being trained.
        sample : dict
            The step's batch.
        losses : dict of str to float
            The step's losses.
        """


def pick_device(device: str | torch.device) -> torch.device:
    """Return a torch device; ``"auto"`` is the GPU if there is one, else the CPU.

    Raises
    ------
    InvalidInputError
        There is no such device here.
    """
    import torch

    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInputError(f"device={device!r} cannot be used here: {error}") from error
    return found


def epoch_batches(
    n: int, batch_size: int, random_state: int, start_step: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (step, rows) without end: each epoch a new order, every batch full.

    What a step gets depends on the seed and the step alone, so training can begin at any step.

    Parameters
    ----------
    n : int
        Rows there are.
    batch_size : int
        Rows of a batch; at most `n`.
    random_state : int
    start_step : int, optional
        The first step.

    Raises
    ------
    InvalidInputError
        There are no rows, or fewer than a batch needs.
    """
    if batch_size < 1 or n < batch_size:
        raise InvalidInputError(f"batch_size={batch_size} needs as many rows, there are {n}")
    per_epoch = n // batch_size
    step, order_of, order = start_step, -1, np.empty(0, int)
    while True:
        epoch, place = divmod(step, per_epoch)
        if epoch != order_of:
            order, order_of = numpy_stream(random_state, "epoch", epoch).permutation(n), epoch
        yield step, order[place * batch_size : (place + 1) * batch_size]
        step += 1


def precision(device: torch.device, mixed: bool) -> AbstractContextManager[Any]:
    """Return the context for a forward pass: bfloat16 where `mixed` and the device gains by it."""
    import torch

    if not mixed or device.type == "cpu":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


class Progress:
    """A progress bar with the losses, or nothing.

    Parameters
    ----------
    total : int
        Steps of the whole run.
    verbose : bool
        Whether to show it.
    description : str
    start : int, optional
        Steps done before, when a run is taken up again.
    """

    def __init__(self, total: int, verbose: bool, description: str, start: int = 0) -> None:
        self._bar = tqdm(
            total=total, initial=start, desc=description, disable=not verbose, mininterval=0.5
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def update(self, step: int, losses: dict[str, float]) -> None:
        """Show that `step` steps are done, and the losses of the last."""
        if not self._bar.disable:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in losses.items()}, False)
            self._bar.update(step - self._bar.n)
