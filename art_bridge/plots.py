"""Pictures of a robustness analysis; each returns Matplotlib axes and takes ``ax``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from art_bridge.curves import SuccessRateCurve
    from art_bridge.report import RobustnessReport

__all__ = ["new_axes", "plot_curve", "plot_distribution", "plot_matrix"]

#: Share of the colour scale from which on dark text is easier to read.
_LIGHT = 0.6


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or new ones on a figure of their own.

    Raises
    ------
    ImportError
        If Matplotlib is missing; the text names the extra that brings it.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            "plots need Matplotlib; run: pip install 'dice-extended[report]'"
        ) from None
    return pyplot.subplots()[1]


def plot_matrix(report: RobustnessReport, ax: Axes | None = None) -> Axes:
    """Draw the mean distance from each predicted class (rows) to each other class (columns)."""
    ax = new_axes(ax)
    margins = report.margins
    image = ax.imshow(margins, cmap="viridis", vmin=0.0)
    for i, j in np.ndindex(margins.shape):
        if i != j:
            text = "–" if np.isnan(margins[i, j]) else f"{margins[i, j]:.3g}\nn={report.N[i, j]}"
            # viridis starts at 0 and is light where values are high
            colour = "black" if margins[i, j] > _LIGHT * np.nanmax(margins) else "white"
            ax.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
    classes = range(report.n_classes)
    ax.set(xticks=classes, yticks=classes, xlabel="target class", ylabel="predicted class")
    ax.set_title(f"class margins, R_overall = {report.r_overall:.3g}")
    ax.figure.colorbar(image, ax=ax, label="mean distance")
    return ax


def plot_distribution(report: RobustnessReport, ax: Axes | None = None) -> Axes:
    """Draw the share of rows within each distance, one step curve per ordered class pair."""
    ax = new_axes(ax)
    for i, j in zip(*np.nonzero(report.N), strict=True):
        distances = np.sort(report.pair_distances(int(i), int(j)))
        share = np.arange(1, len(distances) + 1) / report.attempts[i, j]
        start = np.concatenate([[0.0], distances])
        ax.step(start, np.concatenate([[0.0], share]), where="post", label=f"{i} → {j}")
    ax.set(xlabel="distance to the other class", ylabel="share of rows", ylim=(0, 1.02))
    ax.legend(title="class pair")
    return ax


def plot_curve(curve: SuccessRateCurve, ax: Axes | None = None, label: str | None = None) -> Axes:
    """Draw the success rate against ε with its interval."""
    ax = new_axes(ax)
    (line,) = ax.plot(curve.epsilons, curve.rate, label=label)
    ax.fill_between(curve.epsilons, curve.low, curve.high, color=line.get_color(), alpha=0.2)
    ax.set(xlabel="ε", ylabel="success rate", ylim=(0, 1.02))
    if label is not None:
        ax.legend()
    return ax
