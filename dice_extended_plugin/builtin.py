"""What this package itself registers, through the hook that every plugin uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl
from dice_extended_plugin.metric_names import SUMMARIES
from dice_extended_plugin.registry import Component

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry

#: Methods that need no gradient: name, class, how they find counterfactuals.
_ANY_MODEL = (
    ("random", "random:DiceExtendedRandom", "by random sampling"),
    ("genetic", "genetic:DiceExtendedGenetic", "by a genetic algorithm"),
    ("kdtree", "kdtree:DiceExtendedKD", "from the training table"),
)


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Add the methods and metrics of dice-extended."""
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
    for name, target, how in _ANY_MODEL:
        registry.add(
            Component(
                "dice_method",
                name,
                f"dice_extended_plugin.explainers.{target}",
                summary=f"Robust counterfactuals {how}, for any model",
            )
        )
    registry.add(
        Component(
            "job_task",
            "explain",
            "dice_extended_plugin.jobs.explain:ExplainTask",
            summary="Counterfactuals for every row of a table, by any dice_method",
        )
    )
    for name, summary in SUMMARIES.items():
        target = f"dice_extended_plugin.metric_table:{name}"
        registry.add(Component("metric", name, target, summary=summary))
