"""What the figures of classes say, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.audit_report.numbers import brief, percent, short

__all__ = ["margin_limits", "margin_points"]

#: With fewer rows in a direction a bootstrap interval says nothing.
_ENOUGH = 5
#: Balances between these are called about equal.
_EQUAL = 0.5, 2.0


def margin_points(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what to say of class margins and success rates."""
    margins = content["margins"]
    if margins is None or "absent" in margins:
        return []
    classes = content["subject"]["classes"] if content["subject"] else []
    return [*_balance(margins, classes), *_success(margins)]


def _name(classes: list[str], number: int) -> str:
    return f"“{brief(classes[number])}”" if number < len(classes) else f"class {number}"


def _balance(margins: Mapping[str, Any], classes: list[str]) -> list[dict[str, str]]:
    rows = [row for row in margins["classes"] if row["r_class"] is not None]
    if not rows:
        return []
    weak = min(rows, key=lambda row: row["r_class"])
    name = _name(classes, weak["class"])
    level, judged = _judged(margins, weak, name)
    text = (
        f"A row that the model gives {name} has to move {short(weak['alpha'], 2)} on average to "
        f"get another answer, and rows of other classes {short(weak['beta'], 2)} to get {name}: a "
        f"ratio of {short(weak['r_class'], 2)}"
    )
    if weak["r_class_low"] is not None:
        text += f" ({short(weak['r_class_low'], 2)} to {short(weak['r_class_high'], 2)})"
    if len(classes) > 2:
        text = text.replace("on average", "on average, summed over the other classes,")
    return [
        {
            "level": level,
            "title": "Are the classes equally hard to leave?",
            "text": f"{text}. {judged}",
            "see": "classes",
        }
    ]


def _judged(margins: Mapping[str, Any], weak: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return the level and the words of what the weakest class's balance shows."""
    rows = min(_found(margins, row["class"]) for row in margins["classes"])
    low, high = weak["r_class_low"], weak["r_class_high"]
    if low is None or rows < _ENOUGH:
        return "info", f"With {rows} row{'' if rows == 1 else 's'} in a direction it may be chance."
    if high < 1:
        return "mixed", f"{name} is the easiest to be pushed out of."
    if _EQUAL[0] <= low and high <= _EQUAL[1]:
        return "good", "The interval holds 1 and is narrow: they are about equally hard to leave."
    return "info", "The interval holds 1: the difference may be chance."


def _found(margins: Mapping[str, Any], number: int) -> int:
    """Return the rows behind a class's balance, in the direction that has fewest."""
    pairs = margins["pairs"]
    return min(
        (row["found"] for row in pairs if number in (row["source"], row["target"])), default=0
    )


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
