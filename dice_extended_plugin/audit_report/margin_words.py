"""What the figures of classes say, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.audit_report.numbers import percent, short

__all__ = ["margin_limits", "margin_points"]


def margin_points(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what to say of class margins and success rates."""
    margins = content["margins"]
    if margins is None or "absent" in margins:
        return []
    classes = content["subject"]["classes"] if content["subject"] else []
    return [*_balance(margins, classes), *_success(margins)]


def _name(classes: list[str], number: int) -> str:
    return f"“{classes[number]}”" if number < len(classes) else f"class {number}"


def _balance(margins: Mapping[str, Any], classes: list[str]) -> list[dict[str, str]]:
    rows = [row for row in margins["classes"] if row["r_class"] is not None]
    if not rows:
        return []
    weak = min(rows, key=lambda row: row["r_class"])
    name = _name(classes, weak["class"])
    clear = weak["r_class_high"] is not None and weak["r_class_high"] < 1
    text = (
        f"A row that the model gives {name} has to move {short(weak['alpha'], 2)} on average to "
        f"get another answer, and rows of other classes {short(weak['beta'], 2)} to get {name}: a "
        f"ratio of {short(weak['r_class'], 2)} ({short(weak['r_class_low'], 2)} to "
        f"{short(weak['r_class_high'], 2)})."
    )
    if len(classes) > 2:
        text = text.replace("on average", "on average, summed over the other classes,")
    text += (
        f" {name} is the easiest to be pushed out of."
        if clear
        else " The interval holds 1: no class is clearly weaker than another."
    )
    return [
        {
            "level": "mixed" if clear else "good",
            "title": "Are the classes equally hard to leave?",
            "text": text,
            "see": "classes",
        }
    ]


def _success(margins: Mapping[str, Any]) -> list[dict[str, str]]:
    curve = margins["curve"]
    if not curve:
        return []
    tenth, half = (_reached(curve, share) for share in (0.1, 0.5))
    if tenth is None:
        text = (
            f"Even a change of {short(curve['epsilons'][-1], 2)} turns only "
            f"{percent(curve['rate'][-1])} of the answers that are right."
        )
    else:
        text = (
            f"Of the answers that are right, an adversary turns a tenth with changes of up to "
            f"{short(tenth, 2)}"
        )
        text += f", and half with {short(half, 2)}." if half is not None else "; half hold out."
    return [
        {
            "level": "info",
            "title": "How small a change turns an answer?",
            "text": text + " " + _unit(margins),
            "see": "classes",
        }
    ]


def _reached(curve: Mapping[str, Any], share: float) -> float | None:
    """Return the smallest size at which so many answers are turned."""
    pairs = zip(curve["epsilons"], curve["rate"], strict=True)
    return next((size for size, rate in pairs if rate >= share), None)


def _unit(margins: Mapping[str, Any]) -> str:
    if margins["unit"] != "encoded":
        return "Distances are in the units of the rows given."
    return "Here 1 is the whole range of one numeric feature, and another category counts 1.41."


def margin_limits(content: Mapping[str, Any]) -> list[str]:
    """Return when the figures of classes do not hold."""
    margins = content["margins"]
    if margins is None:
        return []
    if "absent" in margins:
        return [f"Class margins and success rates: {margins['absent']}"]
    return [
        "Class margins and success rates rest on changes that a search found. A smaller one may "
        "exist: the distances are upper bounds, the success rates lower bounds. Every feature "
        "may change there, whatever was held fixed above."
    ]
