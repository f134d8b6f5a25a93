"""Does robustness rise, and what does it cost? Paired over queries, on held-out noise.

    python examples/benchmarks/robustness_gain.py --data adult compas german --queries 60

For each data set: plain DiCE, modes "dice" and "validity" at the default weight, and the baseline
that any robust method has to face: plain DiCE with a higher stopping threshold, tuned until its
mean proximity is that of mode "dice". Noise validity is measured with draws, and in the last
columns with scales and families, that no search has seen. Prints JSON.
"""

from __future__ import annotations

from typing import Any

import common
import numpy as np
import pandas as pd
from scipy import stats

from dice_extended_plugin import DiceExtendedPyTorch, NoiseModel
from dice_extended_plugin.dice_sorensen import reference_values

#: Held-out noise besides the default one.
OTHERS = {
    "noise_validity_half_scale": NoiseModel(scale=0.025),
    "noise_validity_double_scale": NoiseModel(scale=0.1),
    "noise_validity_uniform": NoiseModel(family="uniform"),
    "noise_validity_heavy_tailed": NoiseModel(family="heavy-tailed"),
}


def explain(
    setting: common.Setting, queries: pd.DataFrame, k: int, threshold: float = 0.5, **keywords: Any
) -> pd.DataFrame:
    """Explain the queries and measure each set."""
    explainer = DiceExtendedPyTorch(
        setting.data, setting.model, device="cpu", report_draws=0, **keywords
    )
    # The threshold is one on P(class 1): a stricter one depends on the wanted class.
    wanted = 1 - setting.scores(setting.space.encode(queries)).argmax(axis=1)
    tables: list[Any] = [None] * len(queries)
    for target in (0, 1):
        rows = np.flatnonzero(wanted == target)
        if len(rows) == 0:
            continue
        found = explainer.generate_counterfactuals(
            queries.iloc[rows],
            total_CFs=k,
            desired_class=target,
            stopping_threshold=threshold if target else 1 - threshold,
        )
        for row, example in zip(rows, found.cf_examples_list, strict=True):
            tables[row] = example.final_cfs_df_sparse
    measured = setting.measure(tables, queries, k)
    for name, noise in OTHERS.items():
        measured[name] = setting.measure(tables, queries, k, noise=noise)["noise_validity"]
    return measured


def confidence_baseline(
    setting: common.Setting, queries: pd.DataFrame, k: int, proximity: float
) -> tuple[float, pd.DataFrame]:
    """Bisect the threshold of plain DiCE until its mean proximity is `proximity`."""
    low, high = 0.5, 0.99
    best: tuple[float, pd.DataFrame] = (low, pd.DataFrame())
    for _ in range(7):
        middle = 0.5 * (low + high)
        measured = explain(setting, queries, k, middle, robustness=None)
        if not len(best[1]) or abs(measured["proximity"].mean() - proximity) < abs(
            best[1]["proximity"].mean() - proximity
        ):
            best = (middle, measured)
        # A threshold that some queries cannot meet has gone too far.
        further = measured["proximity"].mean() < proximity and measured["validity"].mean() > 0.99
        low, high = (middle, high) if further else (low, middle)
    return best


def paired(after: pd.Series, before: pd.Series) -> dict[str, float]:
    """Compare two methods query by query."""
    difference = (after - before).dropna().to_numpy()
    rng = np.random.default_rng(common.HELD_OUT)
    means = rng.choice(difference, size=(5000, len(difference))).mean(axis=1)
    moved = bool(np.abs(difference).max() > 0)
    return {
        "mean_difference": float(difference.mean()),
        "bootstrap_low": float(np.quantile(means, 0.025)),
        "bootstrap_high": float(np.quantile(means, 0.975)),
        "p_t_test": float(stats.ttest_rel(after, before, nan_policy="omit").pvalue)
        if moved
        else 1.0,
        "p_wilcoxon": float(stats.wilcoxon(difference).pvalue) if moved else 1.0,
        "queries": len(difference),
    }


def one_data_set(name: str, n: int, k: int) -> dict[str, Any]:
    """Run the four methods on one data set."""
    setting = common.prepare(name)
    queries = setting.queries(n)
    tables = {
        "plain": explain(setting, queries, k, robustness=None),
        "dice": explain(setting, queries, k, robustness="dice"),
        "validity": explain(setting, queries, k, robustness="validity"),
    }
    threshold, tables["confidence"] = confidence_baseline(
        setting, queries, k, tables["dice"]["proximity"].mean()
    )
    columns = ("noise_validity", "noise_validity_all", "rho_lit", "rho_open", "proximity")
    pairs = (
        ("dice", "plain"),
        ("validity", "plain"),
        ("validity", "dice"),
        ("dice", "confidence"),
        ("validity", "confidence"),
    )
    return {
        "accuracy": round(setting.accuracy, 3),
        "confidence_threshold": round(threshold, 3),
        "reference": reference_values(setting.space, NoiseModel()),
        "mean": {method: common.rounded(table) for method, table in tables.items()},
        "sd": {
            method: {c: round(float(v), 4) for c, v in table.std().items()}
            for method, table in tables.items()
        },
        "paired": {
            f"{a} - {b}": {c: paired(tables[a][c], tables[b][c]) for c in columns} for a, b in pairs
        },
    }


def main() -> None:
    """Run the data sets and print JSON."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["adult", "compas", "german"])
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    result = {
        "benchmark": "robustness_gain",
        "queries": arguments.queries,
        "k": arguments.k,
        "data": {
            name: one_data_set(name, arguments.queries, arguments.k) for name in arguments.data
        },
    }
    common.emit(result, arguments.out)


if __name__ == "__main__":
    main()
