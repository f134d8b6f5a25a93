"""Figures 3, 4 and 5. Figure 4 shows crops: those of real photographs stay in an ignored folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from counterfactual_gan_render import NAMES, Cells, grouped, of_kind

#: Colour of each kind of line.
COLOURS = {"D": "C0", "G": "C1", "twin of D": "C2", "twin of G": "C3", "p_fake of D": "0.6"}


def figure3(cells: Cells, path: Path, base: dict[str, Any]) -> bool:
    """Draw F1 against PGD's step size and against noise; False if a cell is missing."""
    lines = {
        "D": (pick(cells, "joint", base), "D curves"),
        "G": (pick(cells, "joint", base), "G curves"),
        "twin of D": (pick(cells, "twin", base, network=base["discriminator"]), "curves"),
        "twin of G": (pick(cells, "twin", base, network=base["generator"]), "curves"),
    }
    if not lines["D"][0]:
        return False
    figure = new_figure(9, 3.4)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, kind in zip(axes, ("paper", "noise"), strict=True):
        for name, (group, curves) in lines.items():
            if not group:
                continue
            x = group[0][curves][kind]["strengths"]
            every = np.array([cell[curves][kind]["F1"] for cell in group], float)
            ax.plot(x, every.mean(0), label=name, color=COLOURS[name])
            ax.fill_between(x, every.min(0), every.max(0), color=COLOURS[name], alpha=0.15, lw=0)
        group, curves = lines["D"]
        fake = np.array([cell[curves][kind]["p_fake"] for cell in group], float)
        x = group[0][curves][kind]["strengths"]
        ax.plot(x, fake.mean(0), "--", color=COLOURS["p_fake of D"], label="p_fake of D")
        ax.set_ylim(-0.02, 1.02)
    axes[0].set_xscale("log")
    axes[0].set(xlabel="PGD step, share of the range (10 steps, ε 0.1)", ylabel="F1")
    axes[1].set(xlabel="standard deviation of the noise")
    axes[0].legend(fontsize=7)
    names = f"{NAMES[base['generator']]} with {NAMES[base['discriminator']]}"
    title = f"{NAMES[base['data']]}, {base['size']} px: {names}, {base['training']}"
    figure.suptitle(title, fontsize=9)
    save(figure, path)
    return True


def figure5(cells: Cells, path: Path, base: dict[str, Any]) -> bool:
    """Draw IoU against the quantile of the threshold."""
    block = [c for c in cells if (c["data"], c["size"]) == (base["data"], base["size"])]
    measured = [cell for cell in of_kind(block, "joint") if "saliency" in cell]
    if not measured:
        return False
    figure = new_figure(6, 3.8)
    ax = figure.subplots()

    def draw(group: Cells, name: str, style: str) -> None:
        group = [cell for cell in group if cell.get("figure 5")]
        if group:
            every = np.array([cell["figure 5"]["IoU"] for cell in group], float)
            ax.plot(group[0]["figure 5"]["quantiles"], every.mean(0), style, label=name)

    for key, group in grouped(of_kind(block, "joint"), "generator", "discriminator", "training"):
        first = min(cell["cycles"] for cell in group)
        group = [cell for cell in group if cell["cycles"] == first]
        draw(group, f"{NAMES[key[0]]} with {NAMES[key[1]]}, {key[2]}", "-")
    for key, group in grouped(of_kind(block, "twin"), "network"):
        draw(group, f"Grad-CAM, {NAMES[key[0]]}", ":")
    for key, group in grouped(of_kind(block, "ceiling"), "network"):
        draw(group, f"{NAMES[key[0]]}, trained on masks", "--")
    row = measured[0]["saliency"]["darkness, blurred 5x5"]
    ax.axhline(row["IoU"], color="0.6", lw=0.8)
    ax.text(0.3, row["IoU"] + 0.005, "blurred darkness at its best", fontsize=7, color="0.4")
    ax.set(xlabel="quantile of the map at the threshold", ylabel="IoU, test")
    ax.legend(fontsize=6)
    save(figure, path)
    return True


def figure4(X: np.ndarray, masks: np.ndarray, columns: dict[str, np.ndarray], path: Path) -> None:
    """Draw images, their masks, and maps side by side.

    Parameters
    ----------
    X : ndarray of shape (n, 3, H, W)
        In [−1, 1].
    masks : ndarray of shape (n, H, W)
    columns : dict of str to ndarray
        Images (n, 3, H, W) are drawn as such, maps (n, H, W) in grey.
    """
    every = {"x": X, "mask": masks.astype(float), **columns}
    figure = new_figure(1.3 * len(every), 1.3 * len(X) + 0.3)
    axes = np.atleast_2d(figure.subplots(len(X), len(every), squeeze=False))
    for row in range(len(X)):
        for place, (name, values) in enumerate(every.items()):
            ax = axes[row, place]
            if values.ndim == 4:
                ax.imshow((values[row].transpose(1, 2, 0) + 1) / 2, vmin=0, vmax=1)
            else:
                ax.imshow(values[row], cmap="gray")
            ax.set_axis_off()
            if row == 0:
                ax.set_title(name, fontsize=7)
    save(figure, path)


def pick(cells: Cells, kind: str, base: dict[str, Any], **more: Any) -> Cells:
    """Return the cells of a kind with the wanted settings."""
    keys = ("data", "size") if kind != "joint" else tuple(base)
    wanted = {**{key: base[key] for key in keys}, **more}
    return [
        cell
        for cell in of_kind(cells, kind)
        if all(cell.get(key) == value for key, value in wanted.items())
        and ("D curves" in cell or "curves" in cell)
    ]


def new_figure(width: float, height: float) -> Any:
    """Return a figure that needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
