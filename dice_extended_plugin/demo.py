"""``dice-extended demo``: plain DiCE settings and robust ones, side by side, on a bundled table."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import dice_ml
import numpy as np
import pandas as pd
import torch
from torch import nn

from dice_extended_plugin import evaluation, host
from dice_extended_plugin.datasets import load_dataset
from dice_extended_plugin.dice_sorensen import reference_values
from dice_extended_plugin.differentiable import TorchScores
from dice_extended_plugin.explainers.pytorch import DiceExtendedPyTorch
from dice_extended_plugin.noise import NoiseModel

__all__ = ["run", "train_network"]

#: Noise scales of the picture, as shares of a feature's range.
SCALES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2)
#: Seed of the measuring noise; the search draws from another stream.
HELD_OUT = 2026
METHODS: dict[str, str | None] = {"plain DiCE": None, "robust": "dice"}


def train_network(
    rows: np.ndarray,
    labels: np.ndarray,
    hidden: int = 20,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
) -> nn.Sequential:
    """Train the paper's network ``sigmoid(W2 relu(W1 x + b1) + b2)``; Adam at 1e-3.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    labels : ndarray of 0/1, shape (n,)
    seed : int
        Of the initial weights and the order of the batches; torch's own generator is not used.
    """
    generator = torch.Generator().manual_seed(seed)
    first, last = nn.Linear(rows.shape[1], hidden), nn.Linear(hidden, 1)
    network = nn.Sequential(first, nn.ReLU(), last, nn.Sigmoid())
    for layer in (first, last):
        reach = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -reach, reach, generator=generator)
        nn.init.uniform_(layer.bias, -reach, reach, generator=generator)
    x, y = torch.as_tensor(rows).float(), torch.as_tensor(labels).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(batch_size):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy(network(x[batch])[:, 0], y[batch]).backward()
            optimizer.step()
    network.zero_grad(set_to_none=True)
    return network.eval()


def run(out: Path, queries: int = 50, k: int = 10) -> pd.DataFrame:
    """Train a small network, explain `queries` rows twice, print a table, write a picture.

    Parameters
    ----------
    out : Path
        Folder for ``demo.csv`` and ``noise_validity.png``; made if missing.
    queries : int
    k : int
        Counterfactuals per query.

    Returns
    -------
    DataFrame
        One row per method, the columns of the printed table.
    """
    data = load_dataset()
    train, test = data.split(test_size=0.25)
    host_data = data.to_dice(train)
    space = host.feature_space(host_data)
    network = train_network(
        space.encode(train[data.features]), train[data.outcome].to_numpy(), epochs=150
    )
    model = dice_ml.Model(model=network, backend="PYT", func="ohe-min-max")
    chosen = test[data.features].iloc[:queries].reset_index(drop=True)
    scores = TorchScores(network, space.n_columns, "cpu").native
    labels = scores(space.encode(chosen)).argmax(axis=1)
    accuracy = float(
        (scores(space.encode(test[data.features])).argmax(1) == test[data.outcome]).mean()
    )
    print(
        f"{data.name}: {len(data.frame)} rows, {len(data.features)} features; network with test "
        f"accuracy {accuracy:.2f}; {len(chosen)} queries, {k} counterfactuals each"
    )
    weights = host.column_weights(host_data, space, "inverse_mad")
    rows, found = {}, {}
    for name, mode in METHODS.items():
        explainer = DiceExtendedPyTorch(host_data, model, robustness=mode, report_draws=0)
        start = time.perf_counter()
        result = explainer.generate_counterfactuals(chosen, total_CFs=k, verbose=True)
        seconds = time.perf_counter() - start
        found[name] = [example.final_cfs_df_sparse for example in result.cf_examples_list]
        measured = evaluation.measure(
            found[name], chosen, space, weights, scores, 1 - labels, k, NoiseModel(),
            random_state=HELD_OUT,
        )  # fmt: skip
        rows[name] = {**measured.mean().to_dict(), "seconds": seconds}
    table = pd.DataFrame.from_dict(rows, orient="index")
    reference = reference_values(space, NoiseModel())
    _print_table(table, reference)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "demo.csv")
    curves = {
        name: _curve(tables, chosen, space, weights, scores, 1 - labels, k)
        for name, tables in found.items()
    }
    _draw(curves, out / "noise_validity.png")
    print(f"\nwritten: {out / 'demo.csv'}, {out / 'noise_validity.png'}")
    return table


#: Column of `measure` -> heading, direction.
COLUMNS = {
    "validity": ("validity", "higher"),
    "proximity": ("proximity", "lower"),
    "changed": ("changed features", "lower"),
    "diversity": ("diversity det K", "higher"),
    "rho_lit": ("rho_lit", "higher"),
    "rho_open": ("rho_open", "higher"),
    "noise_validity": ("noise validity", "higher"),
    "noise_validity_all": ("  .. on all features", "higher"),
    "seconds": ("seconds", "lower"),
}


def _print_table(table: pd.DataFrame, reference: dict[str, float]) -> None:
    print(f"\n{'':22}{'better':>8}" + "".join(f"{name:>14}" for name in table.index))
    for column, (heading, better) in COLUMNS.items():
        cells = "".join(f"{table.loc[name, column]:14.3f}" for name in table.index)
        print(f"{heading:22}{better:>8}{cells}")
    print(
        f"\nrho of values placed by chance {reference['chance']:.3f}, in the middle of their bins "
        f"{reference['ceiling']:.3f}.\nNoise validity: share of 1000 held-out disturbances of the "
        f"changed features that leave the class as wanted\n(standard deviation 0.05 of a feature's "
        f"range, a level redrawn with probability 0.05)."
    )


def _curve(
    tables: list[pd.DataFrame],
    queries: pd.DataFrame,
    space: Any,
    weights: np.ndarray,
    scores: Any,
    wanted: np.ndarray,
    k: int,
) -> np.ndarray:
    """Mean noise validity at each scale of the picture."""
    return np.array(
        [
            evaluation.measure(
                tables, queries, space, weights, scores, wanted, k, NoiseModel(scale=scale),
                n_draws=200, random_state=HELD_OUT,
            )["noise_validity"].mean()
            for scale in SCALES
        ]
    )  # fmt: skip


def _draw(curves: dict[str, np.ndarray], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (name, values), marker in zip(curves.items(), "os", strict=False):
        axes.plot(SCALES, values, marker=marker, label=name)
    axes.set(
        xlabel="noise, standard deviation as a share of the feature's range",
        ylabel="noise validity (held out)",
        title="Counterfactuals that keep their class under noise",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
