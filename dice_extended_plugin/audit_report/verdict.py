"""The verdict: what the figures say, in plain words, with the numbers and with their limits.

Every sentence is made from the content of the report, so that HTML and JSON say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dice_extended_plugin.audit_report.image_words import image_limits, image_points
from dice_extended_plugin.audit_report.margin_words import margin_limits, margin_points
from dice_extended_plugin.audit_report.numbers import brief, percent, short

__all__ = ["LEVELS", "verdict"]

#: Level -> from which share on it is given.
LEVELS = {"good": 0.9, "mixed": 0.5, "poor": 0.0}
#: With fewer rows no level is given: ten of ten leave everything from 72 % on open.
_ENOUGH = 10


def verdict(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return level, headline, points and limits.

    Parameters
    ----------
    content : mapping
        The report's sections ``subject``, ``recourse``, ``margins``, ``images``, ``settings``.
    """
    recourse = content["recourse"]
    points: list[dict[str, str]] = []
    limits: list[str] = []
    level, headline = "info", _image_headline(content)
    if recourse is not None:
        counts = recourse["outcomes"]["robust"]
        level = _level(counts["share"], counts["n"])
        headline = _headline(content, counts)
        points += _recourse_points(content)
        limits += _recourse_limits(content)
    points += _quality(content)
    points += margin_points(content)
    points += [point for section in content["images"] for point in image_points(section)]
    limits += margin_limits(content)
    limits += image_limits(content["images"])
    return {"level": level, "headline": headline, "points": points, "limits": limits}


def _image_headline(content: Mapping[str, Any]) -> str:
    """Say what the first predictor leans on, where that is sure."""
    audits = [audit for section in content["images"] for audit in section["audits"]]
    if audits and audits[0]["attributes"]:
        first = audits[0]["attributes"][0]
        if first["first"] is not None and first["first"] >= 0.95:
            return (
                f"{audits[0]['predictor']} changes its answer with {first['attribute']} more than "
                f"with any other attribute."
            )
    return "What was found is below; no single sentence says it all."


def _level(share: float, n: int = _ENOUGH) -> str:
    """Return the level of a share of `n` rows."""
    if n < _ENOUGH:
        return "info"
    return next(name for name, least in LEVELS.items() if share >= least)


def _of(count: int, n: int, content: Mapping[str, Any]) -> str:
    one, many = content["settings"]["noun"]
    return f"{count} of {n} {one if n == 1 else many}"


def _headline(content: Mapping[str, Any], counts: Mapping[str, Any]) -> str:
    n, survive = counts["n"], counts["survive"]
    one, many = content["settings"]["noun"]
    who = f"Of {n} {one if n == 1 else many}"
    verb = "gets" if survive == 1 else "get"
    if content["subject"]["regression"]:
        low, high = content["subject"]["desired_range"]
        return (
            f"{who}, {survive} {verb} a change that brings the prediction between {short(low)} and "
            f"{short(high)} and survives small errors."
        )
    directions = content["recourse"]["directions"]
    starts = {row["from"] for row in directions}
    ends = {row["to"] for row in directions}
    now = f" the model answers with “{brief(starts.pop())}”" if len(starts) == 1 else ""
    then = f"“{brief(ends.pop())}”" if len(ends) == 1 else "the other outcome"
    return f"{who}{now}, {survive} {verb} a change to {then} that survives small errors."


def _recourse_points(content: Mapping[str, Any]) -> list[dict[str, str]]:
    recourse, settings = content["recourse"], content["settings"]
    robust, plain = recourse["outcomes"]["robust"], recourse["outcomes"].get("plain")
    n = robust["n"]
    lost = robust["found"] - robust["survive"]
    points = [
        _point(
            _level(robust["found"] / n, n),
            "Is there a way?",
            f"{_of(robust['found'], n, content)} have at least one change after which the model "
            f"itself gives the wanted outcome.",
            "recourse",
        ),
        _point(
            _level(robust["share"], n),
            "Does it hold under small errors?",
            f"For {_of(robust['survive'], n, content)} ({percent(robust['share'])}; in 95 of 100 "
            f"such samples between {percent(robust['low'])} and {percent(robust['high'])}) the "
            f"recommended change keeps the wanted outcome in at least "
            f"{percent(settings['survive_at'])} of {settings['n_draws']} disturbances that the "
            f"search has not seen."
            + (f" For {lost} there is a change, but it is fragile." if lost else ""),
            "noise",
        ),
    ]
    if plain is not None:
        points.append(_against_plain(content, robust, plain))
    points.append(_stronger(content))
    points += _retrained(content)
    points += _group_points(content)
    return points


def _against_plain(
    content: Mapping[str, Any], robust: Mapping[str, Any], plain: Mapping[str, Any]
) -> dict[str, str]:
    tests = {row["metric"]: row for row in content["recourse"]["tests"]}
    far = tests.get("proximity", {})
    price = ""
    if far.get("mean_a") and far.get("mean_b"):
        price = (
            f" The price: it asks for {short(far['mean_a'] / far['mean_b'], 2)} times the change."
        )
    gain = robust["survive"] - plain["survive"]
    than = f"{abs(gain)} {'fewer' if gain > 0 else 'more'}" if gain else "as many"
    return _point(
        "info",
        "What does looking for robust changes bring?",
        f"The nearest change of the same search without regard for errors survives for "
        f"{_of(plain['survive'], plain['n'], content)}, "
        f"{than}.{price}",
        "noise",
    )


def _stronger(content: Mapping[str, Any]) -> dict[str, str]:
    recourse = content["recourse"]
    rows = {row["name"]: row["robust"] for row in recourse["held_out"]}
    n, curve = recourse["outcomes"]["robust"]["n"], recourse["curve"]
    # The size nearest to twice.
    place = min(range(len(curve["factors"])), key=lambda i: abs(curve["factors"][i] - 2))
    kept = curve["series"]["robust"]["survive"][place]
    every = rows.get("noise_validity_all")
    more = (
        f"; when every feature is disturbed, not only those changed, {every['survive']}."
        if every
        else "."
    )
    return _point(
        _level(kept / n, n),
        "And under other errors?",
        f"With errors {short(curve['factors'][place])} times as large {_of(kept, n, content)} keep "
        f"a change that survives{more}",
        "noise",
    )


def _retrained(content: Mapping[str, Any]) -> list[dict[str, str]]:
    for row in content["recourse"]["comparison"]:
        if row["metric"] == "model_change_validity" and row["robust"]["mean"] is not None:
            share = row["robust"]["mean"]
            return [
                _point(
                    _level(share),
                    "Does it hold when the model is trained again?",
                    f"On average {percent(share)} of "
                    f"{3 * content['settings']['n_retrained']} models trained again on slightly "
                    f"different rows still give the wanted outcome to a change.",
                    "metrics",
                )
            ]
    return []


def _group_points(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name the widest gap of each feature; overlapping intervals are called chance."""
    points = []
    rows = content["recourse"]["groups"]
    for feature in dict.fromkeys(row["feature"] for row in rows):
        of = sorted((row for row in rows if row["feature"] == feature), key=lambda r: r["share"])
        low, high = of[0], of[-1]
        if len(of) < 2:
            continue
        apart = low["high"] < high["low"]
        points.append(
            _point(
                "mixed" if apart else "info",
                f"Is it the same for every {brief(feature)}?",
                f"“{brief(low['level'])}”: {_of(low['survive'], low['n'], content)} get a change "
                f"that survives; “{brief(high['level'])}”: {high['survive']} of {high['n']}. "
                + (
                    "The difference is larger than chance alone would easily bring."
                    if apart
                    else "With so few rows the difference may be chance."
                ),
                "groups",
            )
        )
    return points


def _quality(content: Mapping[str, Any]) -> list[dict[str, str]]:
    quality = (content["subject"] or {}).get("quality")
    if not quality:
        return []
    beats = quality["low"] > quality["majority"]
    return [
        _point(
            "good" if beats else "mixed",
            "Is the model right?",
            f"It is right for {percent(quality['accuracy'])} of {quality['n']} rows that it "
            f"{'was not' if quality['unseen'] else 'may have been'} trained on (95 % interval "
            f"{percent(quality['low'])} to {percent(quality['high'])}); always saying "
            f"“{brief(quality['majority_class'])}” would be right for "
            f"{percent(quality['majority'])}."
            + ("" if beats else " It is not clearly better than that."),
            "subject",
        )
    ]


def _recourse_limits(content: Mapping[str, Any]) -> list[str]:
    subject, settings = content["subject"], content["settings"]
    one, many = settings["noun"]
    counts = content["recourse"]["outcomes"]["robust"]
    n = counts["n"]
    fixed = settings["immutable"]
    held = (
        f"Held fixed: {', '.join(fixed)}; every other feature may change."
        if fixed
        else "No feature was declared immutable: a change may touch age, sex or anything else in "
        "the table."
    )
    if not fixed and counts["found"]:
        held += " Read “What has to change” before acting on it."
    limits = [
        f"The {many} are {subject['queries_from']}. For others the shares may differ within the "
        f"intervals given, and beyond them where the others are of another kind.",
        f"Small errors are: {subject['noise']}. If real errors are larger or of another kind, look "
        f"at the curve under “Noise”.",
        "A change in the table is not a cause in life: the model would answer otherwise, which "
        "says neither that the change can be made nor what else it would bring about.",
        held,
    ]
    if n < _ENOUGH:
        limits.insert(
            0,
            f"Only {n} {one if n == 1 else many} {'was' if n == 1 else 'were'} asked: too few to "
            f"judge the model by. Read the intervals.",
        )
    if not content["settings"]["n_retrained"]:
        limits.append(
            "Only this model was asked. Whether the changes hold for the next one, trained on "
            "newer data, was not measured."
        )
    if subject.get("quality") and not subject["quality"]["unseen"]:
        limits.append(
            "Whether the model was trained on the rows that it was asked about is not known; on "
            "new rows it may be right less often."
        )
    if not subject.get("quality"):
        limits.append(
            "How often the model is right was not measured: no rows with a known outcome that it "
            "has not been trained on were given."
        )
    return limits


def _point(level: str, title: str, text: str, see: str) -> dict[str, str]:
    return {"level": level, "title": title, "text": text, "see": see}
