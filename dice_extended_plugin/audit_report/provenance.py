"""The settings of a report as plain values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from dice_extended_plugin.audit_report.settings import ReportSettings

__all__ = ["setting_rows"]


def setting_rows(settings: ReportSettings) -> dict[str, Any]:
    """Return every setting by its name; the noise as one text."""
    rows: dict[str, Any] = {}
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        rows[entry.name] = repr(value) if entry.name == "noise" else value
    return rows
