"""What the templates draw: charts and headings, computed from the content alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.audit_report.charts import front_chart, line_chart

__all__ = ["NOISES", "SERIES", "views"]

#: What the two searches are called.
SERIES = {"robust": "Robust change", "plain": "Nearest change"}
#: What the held-out noises are called.
NOISES = {
    "noise_validity_all": "Every feature is off, not only those changed",
    "noise_validity_half_scale": "Numbers off half as much",
    "noise_validity_double_scale": "Numbers off twice as much",
    "noise_validity_gaussian": "Bell-shaped",
    "noise_validity_uniform": "Evenly spread",
    "noise_validity_heavy_tailed": "Mostly small, some large",
}
_SECTIONS = (
    ("verdict", "Verdict"),
    ("subject", "What was audited"),
    ("recourse", "Ways to another outcome"),
    ("noise", "Noise"),
    ("cases", "Single cases"),
    ("classes", "Classes"),
    ("images", "Images"),
    ("metrics", "Metrics"),
    ("provenance", "Settings, versions and seeds"),
)


def views(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the templates need beside the content."""
    recourse, margins = content["recourse"], content["margins"]
    shown = {
        "verdict": True,
        "subject": content["subject"] is not None,
        "recourse": recourse is not None,
        "noise": recourse is not None,
        "cases": bool(content["tables"]),
        "classes": margins is not None,
        "images": bool(content["images"]),
        "metrics": bool(content["metrics"]),
        "provenance": True,
    }
    return {
        "sections": [(name, title) for name, title in _SECTIONS if shown[name]],
        "series_names": SERIES,
        "noise_names": NOISES,
        "noise_chart": None if recourse is None else _noise_chart(recourse),
        "success_chart": _success_chart(margins),
        "margin_ends": _margin_ends(margins),
        "ratio_ends": _ratio_ends(margins),
        "front_charts": [_front_charts(section) for section in content["images"]],
        "glossary": {entry["name"]: entry for entry in content["metrics"]},
    }


def _noise_chart(recourse: Mapping[str, Any]) -> dict[str, Any]:
    curve = recourse["curve"]
    series = [{"name": SERIES[name], **one} for name, one in curve["series"].items()]
    return line_chart(curve["factors"], series, "size of the errors", "outcome kept")


def _success_chart(margins: Mapping[str, Any] | None) -> dict[str, Any] | None:
    curve = (margins or {}).get("curve")
    if not curve:
        return None
    one = {"name": "Turned", "mean": curve["rate"], "low": curve["low"], "high": curve["high"]}
    return line_chart(curve["epsilons"], [one], "size of the change", "answers turned")


def _margin_ends(margins: Mapping[str, Any] | None) -> tuple[float, float]:
    return 0.0, _most(margins, "pairs", ("margin", "high"))


def _ratio_ends(margins: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return the ends of the ratios' scale, which is logarithmic: 2 and 1/2 are as far from 1."""
    most = _most(margins, "classes", ("r_class", "r_class_high"))
    least = 1 / _most(margins, "classes", ("r_class_low",), inverse=True)
    return min(least, 0.5), max(most, 2.0)


def _most(
    margins: Mapping[str, Any] | None, part: str, names: tuple[str, ...], inverse: bool = False
) -> float:
    rows = (margins or {}).get(part, ())
    values = [row[name] for row in rows for name in names if row[name] is not None]
    if inverse:
        values = [1 / value for value in values if value > 0]
    return max(values, default=1.0)


def _front_charts(section: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    return [
        [
            front_chart(front["points"], "f_att", "size of the change"),
            front_chart(front["points"], "f_gan", "loss of realism"),
        ]
        for front in section["fronts"]
    ]
