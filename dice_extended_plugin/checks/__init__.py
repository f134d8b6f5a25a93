"""The conformance suite: what every component promises, as checks that anyone can run.

``check_component("my_package.explainer:Mine")`` runs it on a class, ``parametrize_with_checks``
makes a pytest test of it, ``dice-extended check TARGET`` is the same in a shell.
"""

from __future__ import annotations

from dice_extended_plugin.checks.case import Case, Check, CheckFailed, Skip
from dice_extended_plugin.checks.report import CheckOutcome, CheckReport
from dice_extended_plugin.checks.suite import check_component, parametrize_with_checks

__all__ = [
    "Case",
    "Check",
    "CheckFailed",
    "CheckOutcome",
    "CheckReport",
    "Skip",
    "check_component",
    "parametrize_with_checks",
]
