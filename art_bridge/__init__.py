"""The part of dice-extended that works inside the Adversarial Robustness Toolbox (ART).

Importing this package loads neither ART nor NumPy: every public name below is imported from its
module on first use (:pep:`562`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
    from art_bridge.baselines import LogitDeepFool, RowwiseLowProFool, SeededHopSkipJump
    from art_bridge.constraints import Constraints
    from art_bridge.curves import success_rate_curve
    from art_bridge.detector import FakenessDetector
    from art_bridge.perturbation import compare_attacks, perturbation_metrics
    from art_bridge.reference_data import load_reference_data
    from art_bridge.register import register_with_art
    from art_bridge.report import RobustnessReport
    from art_bridge.robustness import counterfactual_robustness
    from art_bridge.strategies import Recipe, Situation, Smooth
    from art_bridge.trainer import CounterfactualMarginTrainer

__all__ = [
    "BoundaryCounterfactual",
    "Constraints",
    "CounterfactualMarginTrainer",
    "FakenessDetector",
    "LogitDeepFool",
    "Recipe",
    "RobustnessReport",
    "RowwiseLowProFool",
    "SeededHopSkipJump",
    "Situation",
    "Smooth",
    "UnconstrainedCounterfactual",
    "compare_attacks",
    "counterfactual_robustness",
    "load_reference_data",
    "perturbation_metrics",
    "register_with_art",
    "success_rate_curve",
]

#: Public name -> the module it comes from, and the extra which that module needs.
_LAZY: dict[str, tuple[str, str | None]] = {
    "BoundaryCounterfactual": ("attack", "art"),
    "Constraints": ("constraints", None),
    "CounterfactualMarginTrainer": ("trainer", "art"),
    "FakenessDetector": ("detector", "art"),
    "LogitDeepFool": ("baselines", "art"),
    "Recipe": ("strategies", None),
    "RobustnessReport": ("report", None),
    "RowwiseLowProFool": ("baselines", "art"),
    "SeededHopSkipJump": ("baselines", "art"),
    "Situation": ("strategies", None),
    "Smooth": ("strategies", None),
    "UnconstrainedCounterfactual": ("attack", "art"),
    "compare_attacks": ("perturbation", "art"),
    "counterfactual_robustness": ("robustness", "art"),
    "load_reference_data": ("reference_data", None),
    "perturbation_metrics": ("perturbation", "art"),
    "register_with_art": ("register", "art"),
    "success_rate_curve": ("curves", "art"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value  # the next access does not come here again


def __dir__() -> list[str]:
    """List the lazy names beside those already loaded."""
    return sorted({*globals(), *__all__})
