"""The geometry of the report's pictures: plain numbers that the templates draw as SVG.

Nothing is told by colour alone: series differ in dashes and markers, bars carry their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dice_extended_plugin.audit_report.numbers import percent, short

__all__ = ["bar", "front_chart", "line_chart", "stacked", "tick_step", "whisker"]

WIDTH, HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 28, 44


def tick_step(rough: float) -> float:
    """Return the step 1, 2 or 5 times a power of ten that is next above `rough`."""
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _ticks(low: float, high: float, n: int = 5) -> list[float]:
    step = tick_step((high - low) / n)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


class _Axes:
    """A plane from data to pixels."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = _wide(x), _wide(y)

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(_LEFT + across * (WIDTH - _LEFT - _RIGHT), 2),
            round(HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM), 2),
        )

    def frame(
        self, x_label: str, y_label: str, x_percent: bool = False, y_percent: bool = False
    ) -> dict[str, Any]:
        """Return ticks and labels."""
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "left": _LEFT,
            "right": WIDTH - _RIGHT,
            "top": _TOP,
            "bottom": HEIGHT - _BOTTOM,
            "x_label": x_label,
            "y_label": y_label,
            "x_ticks": [(self.at(v, self.y[0])[0], _tick(v, x_percent)) for v in _ticks(*self.x)],
            "y_ticks": [(self.at(self.x[0], v)[1], _tick(v, y_percent)) for v in _ticks(*self.y)],
        }


def _wide(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _tick(value: float, as_percent: bool) -> str:
    return f"{100 * value:g} %" if as_percent else short(value)


def line_chart(
    x: Sequence[float],
    series: Sequence[Mapping[str, Any]],
    x_label: str,
    y_label: str,
    x_percent: bool = False,
) -> dict[str, Any]:
    """Return a chart of shares from 0 to 1.

    Parameters
    ----------
    x : sequence of float
    series : sequence of mapping
        ``name``, ``mean``, ``low``, ``high``: values that may be None.
    """
    axes = _Axes((min(x), max(x)), (0.0, 1.0))
    drawn = []
    for number, one in enumerate(series):
        there = [i for i, value in enumerate(one["mean"]) if value is not None]
        banded = [i for i in there if one["low"][i] is not None]
        upper = [axes.at(x[i], one["high"][i]) for i in banded]
        lower = [axes.at(x[i], one["low"][i]) for i in reversed(banded)]
        drawn.append(
            {
                "number": number,
                "name": one["name"],
                "line": _path(axes.at(x[i], one["mean"][i]) for i in there),
                "band": _path([*upper, *lower]) + "Z" if len(banded) > 1 else "",
                "points": [
                    {
                        "at": axes.at(x[i], one["mean"][i]),
                        "text": f"{one['name']}, {x_label} {_tick(x[i], x_percent)}: "
                        + _interval(one["mean"][i], one["low"][i], one["high"][i]),
                    }
                    for i in there
                ],
            }
        )
    return {**axes.frame(x_label, y_label, x_percent, True), "series": drawn}


def _interval(mean: float, low: float | None, high: float | None) -> str:
    ends = "" if low is None else f" (95 % interval {percent(low, 1)} to {percent(high, 1)})"
    return percent(mean, 1) + ends


def _path(points: Any) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


def front_chart(points: Sequence[Mapping[str, Any]], x: str, x_label: str) -> dict[str, Any]:
    """Return a front as a scatter of one objective against the probability of the own class.

    Parameters
    ----------
    points : sequence of mapping
        As in the report's content.
    x : {"f_att", "f_gan"}
    """
    across = [point[x] for point in points]
    axes = _Axes((min(across), max(across)), (0.0, 1.0))
    return {
        **axes.frame(x_label, "still read as its own class", False, True),
        "points": [
            {
                "at": axes.at(point[x], min(max(point["f_adv"], 0.0), 1.0)),
                "kind": "chosen" if point["chosen"] else "turned" if point["success"] else "own",
                "text": _point_text(point),
                "picture": point["picture"],
                "number": number,
            }
            for number, point in enumerate(points)
        ],
    }


def _point_text(point: Mapping[str, Any]) -> str:
    moved = ", ".join(f"{one['attribute']} {one['change']:+.2f}" for one in point["moved"])
    return (
        f"{'The chosen edit. ' if point['chosen'] else ''}Read as {point['class']}; "
        f"{percent(point['f_adv'])} its own class; size of the change {short(point['f_att'], 2)}; "
        f"loss of realism {short(point['f_gan'], 2)}. {moved or 'No attribute moves much'}."
    )


def bar(share: float | None) -> float:
    """Return the length of a bar of a hundred."""
    return 0.0 if share is None else round(100 * min(max(share, 0.0), 1.0), 2)


def stacked(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Return start and length of each part of a bar of a hundred."""
    total = sum(counts) or 1
    parts, start = [], 0.0
    for count in counts:
        length = 100.0 * count / total
        parts.append((round(start, 2), round(length, 2)))
        start += length
    return parts


def whisker(
    value: float | None,
    low: float | None,
    high: float | None,
    ends: tuple[float, float],
    ratio: bool = False,
) -> dict[str, float] | None:
    """Return a dot and its interval on a line of a hundred; None where there is no value.

    With `ratio` the line is logarithmic.
    """
    if value is None:
        return None

    def place(v: float) -> float:
        if ratio:
            across = math.log(max(v, ends[0]) / ends[0]) / math.log(ends[1] / ends[0])
        else:
            across = (v - ends[0]) / ((ends[1] - ends[0]) or 1.0)
        return round(100 * min(max(across, 0.0), 1.0), 2)

    dot = place(value)
    return {
        "dot": dot,
        "low": dot if low is None else place(low),
        "high": dot if high is None else place(high),
    }
