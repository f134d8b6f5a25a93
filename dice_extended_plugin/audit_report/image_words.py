"""What the audits of images say, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dice_extended_plugin.audit_report.numbers import percent, short

__all__ = ["image_limits", "image_points"]

#: The baseline that a saliency map has to beat.
BASELINE = "darkness, blurred 5x5"


def image_points(section: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what to say of one audit of images."""
    points = [_leans(section, audit) for audit in section["audits"] if audit["attributes"]]
    if section["comparison"] is not None:
        points.append(_compared(section))
    if section["saliency"]:
        points.append(_turned(section))
    points += _best_map(section)
    return points


def _leans(section: Mapping[str, Any], audit: Mapping[str, Any]) -> dict[str, str]:
    first = audit["attributes"][0]
    sure = first["first"] is not None and first["first"] >= 0.95
    return _point(
        section,
        "mixed" if sure else "info",
        f"What does {audit['predictor']} lean on?",
        f"Of {audit['images']} images {audit['counterfactuals']} have an edit that turns the "
        f"answer. {first['attribute']} moves most, by {short(first['mean_abs_delta'], 2)} on "
        f"average ({short(first['low'], 2)} to {short(first['high'], 2)}), and "
        f"{percent(first['needed'])} of the edits fail without it. "
        + (
            "It comes first in nearly every resampling of the images."
            if sure
            else f"It comes first in {percent(first['first'])} of the resamplings only: which "
            f"attribute leads is not certain."
        ),
    )


def _compared(section: Mapping[str, Any]) -> dict[str, str]:
    comparison = section["comparison"]
    old, new = comparison["names"]
    less = [row["attribute"] for row in comparison["attributes"] if row["verdict"] == "less"]
    more = [row["attribute"] for row in comparison["attributes"] if row["verdict"] == "more"]
    parts = []
    if less:
        parts.append(f"moving less under {new}: {', '.join(less)}")
    if more:
        parts.append(f"moving more under {new}: {', '.join(more)}")
    text = "; ".join(parts) or "no attribute's interval leaves out 0"
    many = len(comparison["attributes"])
    return _point(
        section,
        "info",
        f"Do {old} and {new} differ?",
        f"On the {comparison['pairs']} images that have an edit under both, {text}. With {many} "
        f"attributes looked at, about {short(0.05 * many, 1)} would differ by chance alone.",
    )


def _turned(section: Mapping[str, Any]) -> dict[str, str]:
    shown = section["saliency"]
    turned = sum(one["success"] for one in shown)
    return _point(
        section,
        "info" if turned else "poor",
        "Where is the class?",
        f"Of the {len(shown)} images shown, {turned} were turned into the other class. "
        + (
            "Their maps show what had to change."
            if turned
            else "Where no image is turned, the maps say nothing about the class."
        ),
    )


def _best_map(section: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = {row["map"]: row for row in section["scores"] if row.get("IoU") is not None}
    base = rows.pop(BASELINE, None)
    for name in ("all pixels", "darkness", "Grad-CAM"):
        rows.pop(name, None)
    if base is None or not rows:
        return []
    name, best = max(rows.items(), key=lambda row: row[1]["IoU"])
    beats = best["IoU_low"] is not None and best["IoU_low"] > base["IoU"]
    return [
        _point(
            section,
            "good" if beats else "poor",
            "Do the maps beat a blur?",
            f"“{name}” overlaps the marked regions by {short(best['IoU'], 2)} "
            f"({short(best['IoU_low'], 2)} to {short(best['IoU_high'], 2)}); blurred darkness, "
            f"which has learnt nothing, by {short(base['IoU'], 2)}."
            + ("" if beats else " The maps are not clearly better than that."),
        )
    ]


def _point(section: Mapping[str, Any], level: str, title: str, text: str) -> dict[str, str]:
    return {"level": level, "title": f"{section['name']}: {title}", "text": text, "see": "images"}


def image_limits(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return when the audits of images do not hold."""
    limits = []
    if any(section["audits"] or section["fronts"] for section in sections):
        limits.append(
            "Images: only attributes that the generator can draw are found. An attribute that does "
            "not move is no proof that the classifier ignores it."
        )
    if any(section["saliency"] for section in sections):
        limits.append(
            "Saliency maps show where a generator changed an image, not where the model looks."
        )
    return limits
