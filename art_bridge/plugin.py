"""What the ART bridge registers: nothing yet.

The attacks (``art_attack``), the metrics (``art_metric``) and the defence (``art_defence``) are
added here, one line each, when they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Register nothing, see the module's text."""
