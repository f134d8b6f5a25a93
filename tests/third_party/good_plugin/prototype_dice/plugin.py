"""The hook: one line per component, nothing heavy imported."""

from dice_extended_plugin import Component, hookimpl


@hookimpl
def dice_extended_register(registry):
    """Add the method "prototype"."""
    registry.add(
        Component(
            "dice_method",
            "prototype",
            "prototype_dice.explainer:PrototypeExplainer",
            summary="The nearest training rows that the model puts in the desired class",
        )
    )
