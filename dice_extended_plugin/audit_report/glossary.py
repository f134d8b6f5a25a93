"""Every metric of a report in plain words, beside what its own entry says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dice_extended_plugin import metric_catalogue
from dice_extended_plugin.audit_report.numbers import short
from dice_extended_plugin.measure import Measure

__all__ = ["glossary", "plain_name"]

#: Name -> heading and explanation for readers who know no formula.
_PLAIN: dict[str, tuple[str, str]] = {
    "validity": (
        "Changes that reach the wanted outcome",
        "Of the changes asked for, the share that the model itself gives the wanted outcome.",
    ),
    "noise_validity": (
        "Changes that hold under small errors",
        "Each change is disturbed many times, as measuring or carrying it out would, by draws that "
        "the search has not seen. The share of these that still get the wanted outcome.",
    ),
    "invalidation_rate": (
        "Changes lost under strong noise",
        "The share of the wanted outcome that is lost when every number is disturbed by a tenth "
        "of its range.",
    ),
    "rho_lit": (
        "Dice-Sørensen coefficient",
        "How much of a change is still recognisable after noise when numbers are cut into ten "
        "bins. It looks at the row only, not at the model's answer.",
    ),
    "rho_open": (
        "Dice-Sørensen coefficient, open ends",
        "The same without the gain of sitting at the end of a range.",
    ),
    "proximity": (
        "Size of the change",
        "How far a change is from the row as it is; numbers count in typical deviations.",
    ),
    "changed": ("Features changed", "How many features a change touches."),
    "sparsity": ("Features left alone", "The share of the features that a change leaves as is."),
    "diversity": (
        "Difference between the changes",
        "Near 1 where the changes offered for one row differ much, near 0 where they repeat.",
    ),
    "lof_inliers": (
        "Changes that look like real data",
        "The share of the changes that lie where there is training data of the wanted outcome.",
    ),
    "knn_distance": (
        "Distance to real data",
        "How far a change is from the five nearest training rows of the wanted outcome.",
    ),
    "model_change_validity": (
        "Changes that hold after retraining",
        "The model is trained again with another seed and on slightly different rows. The share "
        "of these models that still give the wanted outcome.",
    ),
    "margin": (
        "Distance to another class",
        "How far a row has to move, at least, until the model says another class.",
    ),
    "r_class": (
        "Balance of a class",
        "How far the rows of a class are from the other classes, divided by how far the others are "
        "from it. Below 1 it is easier to push out of the class than into it.",
    ),
    "success_rate": (
        "Answers that a small change can turn",
        "Of the rows that the model gets right, the share whose answer a change of this size, "
        "chosen by an adversary, turns.",
    ),
    "mean_abs_delta": (
        "How far an attribute moves",
        "Mean change of the attribute, between 0 and 1, in the edits that turn the answer.",
    ),
    "needed": (
        "Attribute is needed",
        "The share of those edits that fail when this attribute's change is taken back.",
    ),
    "IoU": (
        "Overlap with the marked region",
        "The area that map and marking share, over the area that either covers.",
    ),
}
_RASOULI = "Rasouli and Yu (ICMLA 2021), Algorithm 1"
_BARREDO = "Barredo-Arrieta and Del Ser (2020), section IV"
#: Measures that are not of counterfactual sets.
_OTHERS = (
    Measure("margin", "higher", 0, math.inf, "", _RASOULI, "Mean distance D_ij / N_ij."),
    Measure(
        "r_class", "higher", 0, math.inf, "1 for balanced classes", _RASOULI,
        "Turnover effort over takeover effort, alpha / beta.",
    ),
    Measure(
        "success_rate", "lower", 0, 1, "0 at size 0", "Rasouli and Yu (ICMLA 2021), figure 3",
        "Share of rows fooled with a change of norm up to epsilon.",
    ),
    Measure(
        "mean_abs_delta", "", 0, 1, "0 for an attribute that does not matter", _BARREDO,
        "Mean |delta| of the counterfactuals.",
    ),
    Measure("needed", "", 0, 1, "0", _BARREDO, "Share that fails without the attribute."),
    Measure(
        "IoU", "higher", 0, 1, "that of marking all pixels", "docs/counterfactual_gan.md",
        "Intersection over union with the masks, at the threshold chosen on validation.",
    ),
)  # fmt: skip


def plain_name(name: str) -> str:
    """Return a metric's heading for readers who know no formula; its own name where none."""
    return _PLAIN[name][0] if name in _PLAIN else name


def glossary(
    names: Sequence[str], chance: Mapping[str, Mapping[str, float]], others: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return an entry per metric.

    Parameters
    ----------
    names : sequence of str
        Metrics of counterfactual sets.
    chance : mapping
        Their chance values (and ceilings) for this data, as numbers.
    others : sequence of str
        Names among the measures of classes and images.
    """
    measures: list[Measure] = list(metric_catalogue.choose(list(names)))
    measures += [one for one in _OTHERS if one.name in others]
    return [_entry(one, chance.get(one.name, {})) for one in measures]


def _entry(one: Measure, chance: Mapping[str, float]) -> dict[str, Any]:
    known = "; ".join(f"{name} {short(value)}" for name, value in chance.items())
    return {
        "name": one.name,
        "title": plain_name(one.name),
        "plain": _PLAIN[one.name][1] if one.name in _PLAIN else "",
        "direction": one.direction,
        "low": None if math.isinf(one.low) else one.low,
        "high": None if math.isinf(one.high) else one.high,
        "chance": dict(chance),
        "chance_text": f"{one.chance} (here: {known})"
        if one.chance and known
        else known or one.chance,
        "reference": one.reference,
        "definition": one.summary,
    }
