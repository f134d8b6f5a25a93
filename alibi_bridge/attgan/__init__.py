"""AttGAN: a generator that edits the attributes of an image and leaves the rest (He et al. 2019).

Importing this package loads no torch: every name below is imported from its module on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alibi_bridge.attgan.losses import Weights
    from alibi_bridge.attgan.model import AttGAN
    from alibi_bridge.attgan.report import DeadAttributesWarning
    from alibi_bridge.attgan.training import Schedule

__all__ = ["AttGAN", "DeadAttributesWarning", "Schedule", "Weights"]

#: Public name -> the module it comes from, and the extra which that module needs.
_LAZY: dict[str, tuple[str, str | None]] = {
    "AttGAN": ("model", "torch"),
    "DeadAttributesWarning": ("report", "torch"),
    "Schedule": ("training", "torch"),
    "Weights": ("losses", "torch"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value


def __dir__() -> list[str]:
    """List the lazy names beside those already loaded."""
    return sorted({*globals(), *__all__})
