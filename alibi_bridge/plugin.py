"""What the Alibi bridge registers: nothing yet.

The two GAN auditors (``alibi_explainer``) are added here, one line each, when they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Register nothing, see the module's text."""
