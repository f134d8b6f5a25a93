"""Objects made again from a file that somebody else may have written.

A file's settings say how large its networks are. A few digits there could ask for a terabyte, so
the networks may not become larger than the weights beside the settings can fill, and no setting may
send for weights elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

__all__ = ["building", "check_options", "from_settings"]

#: Largest whole number that an option of a network may be, by name; entries of a list count too.
_MOST = {"window": 32, "patch": 64, "levels": 16, "depths": 64, "heads": 256, "codes": 1 << 16}
_MOST_ELSE, _MOST_ENTRIES = 4096, 16
#: Networks register some parameters more than once while they are put together.
_SLACK, _FREE_NUMBERS, _FREE_PARAMETERS = 4, 1 << 20, 1000
_BROKEN = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, AssertionError),
    *(RuntimeError, MemoryError),
)


@contextmanager
def from_settings(what: str) -> Iterator[None]:
    """Say of anything that goes wrong in the block that the settings are not those of `what`."""
    try:
        yield
    except InvalidInputError:
        raise
    except _BROKEN as error:
        raise InvalidInputError(
            f"not the settings of {what}: {type(error).__name__}: {error}"
        ) from error


def check_options(options: Any, what: str) -> None:
    """Raise unless the options of a network, read from a file, are small and name no other file.

    Parameters
    ----------
    options : mapping
    what : str
        What error texts call the network.

    Raises
    ------
    InvalidInputError
        No mapping, a number without meaning, or ``pretrained``.
    """
    if not isinstance(options, Mapping):
        raise InvalidInputError(f"the options of {what} are no mapping: {options!r:.80}")
    for name, value in options.items():
        if name == "pretrained" and value is not None:
            raise InvalidInputError(
                f"the options of {what} send for pretrained weights ({value!r:.80}); a saved model "
                "holds its own. Refused: nothing is downloaded because a file says so"
            )
        entries = value if isinstance(value, list) else [value]
        most = _MOST.get(name, _MOST_ELSE)
        good = all(
            entry is None
            or isinstance(entry, str)
            or (isinstance(entry, (int, float)) and 0 <= entry <= most)
            for entry in entries
        )
        if not good or len(entries) > _MOST_ENTRIES:
            raise InvalidInputError(
                f"{name} of {what} must be a number from 0 to {most}, or a list of up to "
                f"{_MOST_ENTRIES} of them; it is {value!r:.80}"
            )


@contextmanager
def building(tensors: Mapping[str, torch.Tensor], what: str) -> Iterator[None]:
    """Let the networks made in the block have no more parameters than `tensors` can fill.

    The check comes as each parameter is registered, before anything is written into it: what was
    asked for until then is address space, no memory.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        The weights that came with the settings.
    what : str
        What error texts call the networks.

    Raises
    ------
    InvalidInputError
        The networks would be larger, or cannot be made.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    held = sum(tensor.numel() for tensor in tensors.values())
    numbers, places = _SLACK * held + _FREE_NUMBERS, _SLACK * len(tensors) + _FREE_PARAMETERS
    mine = threading.get_ident()

    def count(module: Any, name: str, parameter: torch.Tensor | None) -> None:
        nonlocal numbers, places
        if parameter is None or threading.get_ident() != mine:
            return
        numbers, places = numbers - parameter.numel(), places - 1
        if min(numbers, places) < 0:
            raise InvalidInputError(
                f"the settings of {what} describe networks that are larger than the {held:,} "
                f"numbers in {len(tensors)} tensors beside them; the file is damaged, or a trap"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        with from_settings(what):
            yield
    finally:
        hook.remove()
