"""What the ART bridge registers: attacks, metrics and defences for ART, a method for dice-ml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl
from dice_extended_plugin.registry import Component

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Add the components of the ART bridge."""
    for component in (*_ATTACKS, *_METRICS, *_DEFENCES, _DICE_METHOD, *_JOBS):
        registry.add(component)


_ATTACKS = (
    Component(
        "art_attack",
        "unconstrained_counterfactual",
        "art_bridge.attack:UnconstrainedCounterfactual",
        extra="art",
        summary="The nearest row of another class, for any ART classifier that predicts",
    ),
    Component(
        "art_attack",
        "boundary_counterfactual",
        "art_bridge.attack:BoundaryCounterfactual",
        extra="art",
        summary="A row of another class at the border, for any ART classifier that predicts",
    ),
)
_DICE_METHOD = Component(
    "dice_method",
    "nsga3",
    "art_bridge.explainer:DiceExtendedNSGA3",
    summary="Robust counterfactuals by the attacks' NSGA-III search, for any classifier",
)
_METRICS = (
    Component(
        "art_metric",
        "counterfactual_robustness",
        "art_bridge.robustness:counterfactual_robustness",
        extra="art",
        summary="Overall and class-wise robustness of a classifier, by counterfactuals",
    ),
    Component(
        "art_metric",
        "perturbation_metrics",
        "art_bridge.perturbation:perturbation_metrics",
        extra="art",
        summary="Norm, target probability and distance to the target class of perturbed rows",
    ),
    Component(
        "art_metric",
        "success_rate_curve",
        "art_bridge.curves:success_rate_curve",
        extra="art",
        summary="Share of rows an attack fools within each size of the change",
    ),
)
_DEFENCES = (
    Component(
        "art_defence",
        "counterfactual_margin",
        "art_bridge.trainer:CounterfactualMarginTrainer",
        extra="art",
        summary="Retrains any classifier until its class margins are balanced, or larger",
    ),
    Component(
        "art_defence",
        "fakeness_detector",
        "art_bridge.detector:FakenessDetector",
        extra="art",
        summary="Calls an input adversarial when a network's fake output is high",
    ),
)
_JOBS = (
    Component(
        "job_task",
        "attack",
        "art_bridge.jobs:AttackTask",
        extra="art",
        summary="A counterfactual attack on every row of a table",
    ),
    Component(
        "job_task",
        "analyse",
        "art_bridge.jobs:AnalyseTask",
        extra="art",
        summary="Class-wise robustness (Algorithm 1) over all rows of a table",
    ),
)
