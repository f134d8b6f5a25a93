"""The paper's Figures 1 and 2 on two moons: margins before and after, two kinds of counterfactual.

python examples/reproduce/margin_pictures.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from art.estimators.classification import SklearnClassifier
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from sklearn.ensemble import GradientBoostingClassifier

from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual
from art_bridge.robustness import counterfactual_robustness
from art_bridge.trainer import CounterfactualMarginTrainer

OUT = Path(__file__).resolve().parents[2] / "docs" / "results" / "robust_tabular"
COLOURS = np.array(["tab:blue", "tab:orange"])


def moons(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two noisy half-circles in the unit square, class 1 half as frequent."""
    x, y = make_moons((n, n // 2), noise=0.25, random_state=seed)
    x = ((x - (-2.0, -1.5)) / (5.0, 4.0)).clip(0, 1)
    return x.astype(np.float32), y


def draw(ax: Any, classifier: Any, x: np.ndarray, y: np.ndarray, title: str) -> None:
    """Draw regions and rows."""
    n = 1200  # boosted trees have slivers thinner than 1/300
    axis = np.linspace(0, 1, n, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    score = classifier.predict(grid.reshape(-1, 2))[:, 1].reshape(n, n)
    ax.contourf(axis, axis, score, levels=[0, 0.5, 1], colors=COLOURS, alpha=0.2)
    ax.contour(axis, axis, score, levels=[0.5], colors="black", linewidths=0.8)
    ax.scatter(*x.T, c=COLOURS[y], s=6)
    ax.set(title=title, xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))


def figure_1(before: Any, x: np.ndarray, y: np.ndarray) -> Figure:
    """Regions before and after each strategy, with the test rows' margins."""
    x_test, y_test = moons(200, 1)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    classifiers = {"original": before}
    for strategy in ("paper", "smooth"):
        trainer = CounterfactualMarginTrainer(before, strategy=strategy)
        trainer.fit(x, y)
        classifiers[f'strategy="{strategy}"'] = trainer.get_classifier()
    for ax, (name, classifier) in zip(figure.subplots(1, 3), classifiers.items(), strict=True):
        report = counterfactual_robustness(classifier, x_test, y_test, x_train=x)
        alpha = ", ".join(f"{value:.3f}" for value in report.alpha)
        figures = f"accuracy {report.accuracy:.2f}, R_overall {report.r_overall:.3f}"
        draw(ax, classifier, x_test, y_test, f"{name}\n{figures}\nα = {alpha}")
    return figure


def figure_2(before: Any, x: np.ndarray, y: np.ndarray) -> Figure:
    """Both kinds of counterfactual of five test rows."""
    x_test, _ = moons(200, 1)
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    ax = figure.subplots()
    draw(ax, before, x, y, "counterfactuals of five rows")
    rows = x_test[np.random.default_rng(3).permutation(len(x_test))[:5]]
    for kind, options, marker in (
        (UnconstrainedCounterfactual, {"p": 0.8}, "^"),
        (BoundaryCounterfactual, {}, "s"),
    ):
        found = kind(before, x, y, **options).generate(rows)
        for row, end in zip(rows, found, strict=True):
            ax.plot(*np.stack([row, end]).T, color="black", linewidth=0.6)
        name = kind.__name__ + (" (p = 0.8)" if options else "")
        ax.scatter(*found.T, marker=marker, c="black", s=28, label=name, zorder=3)
    ax.scatter(*rows.T, marker="o", c="white", edgecolors="black", s=40, label="row", zorder=3)
    ax.legend(loc="lower left", fontsize="small")
    return figure


FIGURES = {"figure1": figure_1, "figure2": figure_2}


def main() -> None:
    """Write ``figure1.png`` and ``figure2.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", choices=list(FIGURES))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    x, y = moons(400, 0)
    model = GradientBoostingClassifier(random_state=0).fit(x, y)
    before = SklearnClassifier(model, clip_values=(0, 1))
    for name in [arguments.only] if arguments.only else FIGURES:
        FIGURES[name](before, x, y).savefig(arguments.out / f"{name}.png", dpi=90)


if __name__ == "__main__":
    main()
