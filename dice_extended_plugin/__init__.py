"""Robust counterfactual explanations for dice-ml, and the plugin system of dice-extended.

Importing this package loads none of the frameworks it works with: every public name below is
imported from its module on first use (:pep:`562`).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dice_extended_plugin.audit_report import AuditReport
    from dice_extended_plugin.checks.suite import check_component, parametrize_with_checks
    from dice_extended_plugin.datasets import load_dataset
    from dice_extended_plugin.dice import Data, Dice, Model, disable, enable, upgrade
    from dice_extended_plugin.explainers.pytorch import DiceExtendedPyTorch
    from dice_extended_plugin.hookspecs import hookimpl
    from dice_extended_plugin.jobs import read_job, resume_job, run_job
    from dice_extended_plugin.noise import NoiseModel
    from dice_extended_plugin.registry import Component, Registry
    from dice_extended_plugin.space import FeatureSpace

__all__ = [
    "AuditReport",
    "Comparison",
    "Component",
    "Data",
    "Dice",
    "DiceExtendedGenetic",
    "DiceExtendedKD",
    "DiceExtendedPyTorch",
    "DiceExtendedRandom",
    "DiceExtendedTensorFlow2",
    "FeatureSpace",
    "Model",
    "NoiseModel",
    "Registry",
    "RobustCounterfactualExplanations",
    "Rules",
    "__version__",
    "check_component",
    "compare",
    "disable",
    "enable",
    "hookimpl",
    "load_dataset",
    "parametrize_with_checks",
    "read_job",
    "resume_job",
    "run_job",
    "upgrade",
]

#: The distribution that these packages come from.
DISTRIBUTION = "dice-extended"
#: Only for a checkout that is not installed.
_FALLBACK_VERSION = "0.1.0"

try:
    __version__ = version(DISTRIBUTION)
except PackageNotFoundError:
    __version__ = _FALLBACK_VERSION

#: Public name -> the module it comes from, and the extra which that module needs.
_LAZY: dict[str, tuple[str, str | None]] = {
    "AuditReport": ("audit_report.report", "report"),
    "Comparison": ("comparison", None),
    "Component": ("registry", None),
    "check_component": ("checks.suite", None),
    "compare": ("evaluation", None),
    "Data": ("dice", None),
    "Dice": ("dice", None),
    "DiceExtendedGenetic": ("explainers.genetic", None),
    "DiceExtendedKD": ("explainers.kdtree", None),
    "DiceExtendedPyTorch": ("explainers.pytorch", "torch"),
    "DiceExtendedRandom": ("explainers.random", None),
    "DiceExtendedTensorFlow2": ("explainers.tensorflow2", "tensorflow"),
    "FeatureSpace": ("space", None),
    "Model": ("dice", None),
    "NoiseModel": ("noise", None),
    "Registry": ("registry", None),
    "RobustCounterfactualExplanations": ("results", None),
    "Rules": ("rules", None),
    "disable": ("dice", None),
    "enable": ("dice", None),
    "hookimpl": ("hookspecs", None),
    "load_dataset": ("datasets", None),
    "parametrize_with_checks": ("checks.suite", None),
    "read_job": ("jobs.run", None),
    "resume_job": ("jobs.run", None),
    "run_job": ("jobs.run", None),
    "upgrade": ("dice", None),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value  # the next access does not come here again


def __dir__() -> list[str]:
    """List the lazy names beside those already loaded."""
    return sorted({*globals(), *__all__})
