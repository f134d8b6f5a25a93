"""Pictures of fronts, counterfactuals and audits. Each function takes axes and returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alibi_bridge.fronts import normalise
from alibi_bridge.objectives import OBJECTIVES
from alibi_bridge.search_result import ImageFront
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from alibi_bridge.formats import ImageFormat

__all__ = [
    "plot_audit",
    "plot_comparison",
    "plot_curves",
    "plot_front",
    "plot_front_pairs",
    "plot_strip",
]

#: Axis texts of the objectives.
_TEXTS = {"f_gan": "f_gan (less plausible →)", "f_adv": "P(original class)", "f_att": "‖δ‖₂"}
_FOUND, _NOT_FOUND, _CHOSEN = "tab:red", "tab:blue", "black"


def plot_strip(
    front: ImageFront,
    original: np.ndarray,
    format: ImageFormat,
    ax: Axes | None = None,
    *,
    n: int = 10,
) -> Axes:
    """Draw the original and edits along the front, from its own class to another.

    Parameters
    ----------
    front : ImageFront
        With images.
    original : ndarray of shape ``format.shape``
    format : ImageFormat
    ax : matplotlib axes, optional
    n : int, default 10
        Edits to show: evenly spread over the front, and the chosen one, which is framed.
    """
    if front.images is None or not len(front):
        raise InvalidInputError("the front has no images: search with keep='front'")
    rows = set(np.linspace(0, len(front) - 1, min(n, len(front))).round().astype(int).tolist())
    if front.chosen is not None:
        rows.add(front.chosen)
    shown = sorted(rows)
    pictures = [_rgb(original, format)] + [_rgb(front.images[row], format) for row in shown]
    ax = _axes(ax, (1.2 * len(pictures), 1.7))
    width, height = format.width, format.height
    gap = max(1, width // 16)
    for place, picture in enumerate(pictures):
        left = place * (width + gap)
        ax.imshow(picture, extent=(left, left + width, height, 0))
        if not place:
            text = f"original\n{front.original_proba[front.original_class]:.2f}"
        else:
            row = shown[place - 1]
            text = f"{front.proba[row, front.original_class]:.2f}"
            if row == front.chosen:
                _frame(ax, left, width, height)
        ax.text(left + width / 2, height * 1.04, text, ha="center", va="top", fontsize=8)
    ax.set_xlim(0, len(pictures) * (width + gap) - gap)
    ax.set_ylim(height * 1.3, 0)
    ax.axis("off")
    ax.set_title(f"edits by P(class {front.original_class})", fontsize=9)
    return ax


def plot_front(front: ImageFront, ax: Any = None) -> Any:
    """Draw the front in three dimensions; red points change the class.

    Parameters
    ----------
    front : ImageFront
    ax : matplotlib 3-D axes, optional
    """
    _need_points(front)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(5, 4.5)).add_subplot(projection="3d")
    for mask, colour, text in _groups(front):
        ax.scatter(*front.F[mask].T, c=colour, s=12, label=text)
    if front.chosen is not None:
        ax.scatter(*front.F[front.chosen], c=_CHOSEN, s=60, marker="*", label="chosen")
    ax.set_xlabel(_TEXTS["f_gan"])
    ax.set_ylabel(_TEXTS["f_adv"])
    ax.set_zlabel(_TEXTS["f_att"])
    ax.legend(fontsize=7)
    return ax


def plot_front_pairs(front: ImageFront, ax: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draw the front two objectives at a time.

    Parameters
    ----------
    front : ImageFront
    ax : three matplotlib axes, optional
    """
    _need_points(front)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")[1]
    if len(ax) != 3:
        raise InvalidInputError(f"ax must be three axes, they are {len(ax)}")
    for axes, (one, two) in zip(ax, ((0, 1), (2, 1), (2, 0)), strict=True):
        for mask, colour, text in _groups(front):
            axes.scatter(front.F[mask, one], front.F[mask, two], c=colour, s=10, label=text)
        if front.chosen is not None:
            axes.plot(*front.F[front.chosen, [one, two]], "*", color=_CHOSEN, markersize=10)
        axes.set_xlabel(_TEXTS[OBJECTIVES[one]])
        axes.set_ylabel(_TEXTS[OBJECTIVES[two]])
    ax[0].legend(fontsize=7)
    return ax


def plot_curves(front: ImageFront, ax: Axes | None = None) -> Axes:
    """Draw P(original class), f_gan and f_att along the front, and where the first two cross.

    Parameters
    ----------
    front : ImageFront
    ax : matplotlib axes, optional
        f_gan and f_att are scaled to [0, 1] over the front.
    """
    _need_points(front)
    ax = _axes(ax, (5, 3))
    places = np.arange(len(front))
    scaled = normalise(front.F)
    ax.plot(places, front.proba[:, front.original_class], label="P(original class)", c="tab:blue")
    ax.plot(places, scaled[:, 0], label="f_gan (scaled)", c="tab:orange", lw=1)
    ax.plot(places, scaled[:, 2], label="f_att (scaled)", c="tab:green", lw=1)
    for place, text, style in ((front.crossing, "crossing", ":"), (front.chosen, "chosen", "--")):
        if place is not None:
            ax.axvline(place, color=_CHOSEN, ls=style, lw=1, label=text)
    ax.set_xlabel("point of the front")
    ax.set_ylim(-0.03, 1.03)
    ax.legend(fontsize=7)
    return ax


def plot_audit(table: pd.DataFrame, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Draw the table of an audit: mean |δ| per attribute with its interval.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :meth:`alibi_bridge.audit.Audit.to_frame`.
    ax : matplotlib axes, optional
        Axes that hold another audit already keep its order of attributes.
    label : str, optional
    """
    ax = _axes(ax, (5, 0.35 * len(table) + 1))
    order = [text.get_text() for text in ax.get_yticklabels()] if ax.has_data() else []
    if sorted(order) == sorted(table.index):
        table = table.loc[order]
        shift = 0.2
    else:
        table, shift = table.iloc[::-1], 0.0
    _bars(ax, table, "mean_abs_delta", shift, label)
    ax.set_xlabel("mean |δ| of successful counterfactuals")
    # Still scaled by itself: a further audit in these axes may reach farther.
    ax.set_xlim(left=0, auto=True)
    return ax


def plot_comparison(
    table: pd.DataFrame, ax: Axes | None = None, labels: Sequence[str] = ("first", "second")
) -> Axes:
    """Draw the table of a comparison: the change of mean |δ| per attribute with its interval.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :meth:`alibi_bridge.audit.AuditComparison.to_frame`.
    ax : matplotlib axes, optional
    labels : two str, optional
        Names of the two predictors.
    """
    ax = _axes(ax, (5, 0.35 * len(table) + 1))
    _bars(ax, table.iloc[::-1], "difference", 0.0, None)
    ax.axvline(0, color="grey", lw=1)
    ax.set_xlabel(f"mean |δ|: {labels[1]} minus {labels[0]}")
    return ax


def _bars(ax: Axes, table: pd.DataFrame, column: str, shift: float, label: str | None) -> None:
    values = table[column].to_numpy()
    reach = np.abs(table[["low", "high"]].to_numpy().T - values)
    places = np.arange(len(table))
    ax.errorbar(values, places + shift, xerr=reach, fmt="o", capsize=3, label=label)
    ax.set_yticks(places, list(table.index))
    if label is not None:
        ax.legend(fontsize=7)


def _groups(front: ImageFront) -> list[tuple[np.ndarray, str, str]]:
    found = front.successful
    groups = [(~found, _NOT_FOUND, f"class {front.original_class}"), (found, _FOUND, "other class")]
    return [group for group in groups if group[0].any()]


def _need_points(front: ImageFront) -> None:
    if not len(front):
        raise InvalidInputError(f"the front has no points: {front.status}, {front.reason}")


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _rgb(image: np.ndarray, format: ImageFormat) -> np.ndarray:
    low, high = format.value_range
    picture = (np.asarray(image, dtype=float) - low) / (high - low)
    if not format.channels_last:
        picture = picture.transpose(1, 2, 0)
    return np.broadcast_to(picture.clip(0, 1), (*picture.shape[:2], 3))


def _frame(ax: Axes, left: float, width: int, height: int) -> None:
    right = left + width
    ax.plot([left, right, right, left, left], [0, 0, height, height, 0], c=_FOUND, lw=2)
