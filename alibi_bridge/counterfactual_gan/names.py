"""Generators and discriminators by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.registry import import_target

__all__ = ["DISCRIMINATORS", "GENERATORS", "check_name", "make_discriminator", "make_generator"]

_HERE = "alibi_bridge.counterfactual_gan"
#: Name -> ("module:Class", arguments that the name stands for).
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": (f"{_HERE}.generator:UNetGenerator", {}),
    "swin_unet": (f"{_HERE}.swin:SwinUNetGenerator", {}),
}
DISCRIMINATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": (f"{_HERE}.discriminator:CNNDiscriminator", {}),
    "resnet3": (f"{_HERE}.discriminator:ResNetDiscriminator", {"depth": 3}),
    "resnet18": (f"{_HERE}.discriminator:ResNetDiscriminator", {"depth": 18}),
    "resnet50": (f"{_HERE}.discriminator:ResNetDiscriminator", {"depth": 50}),
    "swin": (f"{_HERE}.swin:SwinDiscriminator", {}),
    "hybrid": (f"{_HERE}.discriminator:HybridDiscriminator", {}),
}


def make_generator(
    name: str, channels: int, size: tuple[int, int], options: Mapping[str, Any] | None = None
) -> Any:
    """Return the generator of a name; draws its weights from torch's generator.

    Raises
    ------
    InvalidInputError
        There is no such name or option, or the size does not fit the network.
    """
    return _make(GENERATORS, "generator", name, channels, size, options)


def make_discriminator(
    name: str, channels: int, size: tuple[int, int], options: Mapping[str, Any] | None = None
) -> Any:
    """Return the discriminator of a name; see :func:`make_generator`."""
    return _make(DISCRIMINATORS, "discriminator", name, channels, size, options)


def check_name(table: Mapping[str, Any], what: str, name: str) -> None:
    """Refuse a name that is not in a table.

    Raises
    ------
    InvalidInputError
        There is no such name; the text has those that there are.
    """
    if name not in table:
        raise InvalidInputError(
            f"there is no {what} {name!r}{did_you_mean(str(name), table)}; there is "
            f"{', '.join(table)}"
        )


def _make(
    table: Mapping[str, tuple[str, dict[str, Any]]],
    what: str,
    name: str,
    channels: int,
    size: tuple[int, int],
    options: Mapping[str, Any] | None,
) -> Any:
    check_name(table, what, name)
    target, fixed = table[name]
    made = import_target(target, f"{what} {name!r}", "images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, of weights without elements
            network = made(channels, size, **{**fixed, **(options or {})})
    except InvalidInputError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:  # torch's own too
        raise InvalidInputError(f"{what} {name!r} does not take these options: {error}") from error
    if any(weight.numel() == 0 for weight in network.parameters()):
        raise InvalidInputError(
            f"{what} {name!r} has a layer without weights with the options {dict(options or {})}: "
            "widths and numbers of channels must be 1 or more"
        )
    return network
