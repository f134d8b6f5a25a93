"""Generators and discriminators by their registered names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.plugins import get_registry

__all__ = ["check_names", "make_discriminator", "make_generator"]

GENERATOR, DISCRIMINATOR = "gan_generator", "gan_discriminator"


def check_names(generator: str, discriminator: str) -> None:
    """Refuse names that nothing is registered under.

    Raises
    ------
    UnknownComponentError
        An ``InvalidInputError``; the text has the names that there are.
    """
    get_registry().find(GENERATOR, generator)
    get_registry().find(DISCRIMINATOR, discriminator)


def make_generator(
    name: str, channels: int, size: tuple[int, int], options: Mapping[str, Any] | None = None
) -> Any:
    """Return the generator of a name; draws its weights from torch's generator.

    Raises
    ------
    InvalidInputError
        There is no such name or option, or the size does not fit the network.
    """
    return _make(GENERATOR, name, channels, size, options)


def make_discriminator(
    name: str, channels: int, size: tuple[int, int], options: Mapping[str, Any] | None = None
) -> Any:
    """Return the discriminator of a name; see :func:`make_generator`."""
    return _make(DISCRIMINATOR, name, channels, size, options)


def _make(
    kind: str,
    name: str,
    channels: int,
    size: tuple[int, int],
    options: Mapping[str, Any] | None,
) -> Any:
    made = get_registry().load(kind, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, of weights without elements
            network = made(channels, size, **(options or {}))
    except InvalidInputError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:  # torch's own too
        raise InvalidInputError(f"{kind} {name!r} does not take these options: {error}") from error
    if any(weight.numel() == 0 for weight in network.parameters()):
        raise InvalidInputError(
            f"{kind} {name!r} has a layer without weights with the options {dict(options or {})}: "
            "widths and numbers of channels must be 1 or more"
        )
    return network
