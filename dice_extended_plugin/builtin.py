"""What this package itself registers, through the hook that every plugin uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl
from dice_extended_plugin.registry import Component

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Add the methods of dice-extended."""
    registry.add(
        Component(
            "dice_method",
            "gradient",
            "dice_extended_plugin.explainers.pytorch:DiceExtendedPyTorch",
            extra="torch",
            backends=("PYT",),
            summary="Robust counterfactuals by batched gradient descent, for PyTorch models",
        )
    )
    registry.add(
        Component(
            "dice_method",
            "gradient",
            "dice_extended_plugin.explainers.tensorflow2:DiceExtendedTensorFlow2",
            extra="tensorflow",
            backends=("TF2",),
            summary="Robust counterfactuals by batched gradient descent, for Keras models",
        )
    )
