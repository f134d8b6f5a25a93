"""The audit report: one HTML file that a person can read, and the same as JSON.

``AuditReport(model, data).run().to_html("report.html")``; on the command line
``dice-extended report``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dice_extended_plugin.audit_report.images import ImageAudit
    from dice_extended_plugin.audit_report.report import AuditReport
    from dice_extended_plugin.audit_report.settings import ReportSettings

__all__ = ["AuditReport", "ImageAudit", "ReportSettings"]

#: Public name -> the module it comes from.
_LAZY: dict[str, tuple[str, str | None]] = {
    "AuditReport": ("report", None),
    "ImageAudit": ("images", None),
    "ReportSettings": ("settings", None),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value
