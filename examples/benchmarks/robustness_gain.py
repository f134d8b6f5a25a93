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

from dice_extended_plugin import DiceExtendedPyTorch, NoiseModel
from dice_extended_plugin.comparison import Comparison
from dice_extended_plugin.dice_sorensen import reference_values
from dice_extended_plugin.evaluation import compare

METRICS = ("validity", "proximity", "l1", "changed", "diversity", "duplicates")
METRICS += ("rho_lit", "rho_open", "end_bins", "noise_validity")
TESTED = ("noise_validity", "noise_validity_all", "rho_lit", "rho_open", "proximity")
PAIRS = (
    ("dice", "plain"),
    ("validity", "plain"),
    ("validity", "dice"),
    ("dice", "confidence"),
    ("validity", "confidence"),
)
#: Our names for the explainers of a comparison.
NAMES = {"plain + confidence": "confidence"}


def run(setting: common.Setting, n: int, k: int) -> Comparison:
    """Compare the four methods."""
    explainers = {
        name: DiceExtendedPyTorch(
            setting.data, setting.model, device="cpu", report_draws=0, robustness=mode
        )
        for name, mode in (("plain", None), ("dice", "dice"), ("validity", "validity"))
    }
    return compare(
        explainers, setting.queries(n), k, metrics=METRICS,
        confidence={"plain": "dice"},
    )  # fmt: skip


def differences(found: Comparison) -> dict[str, dict[str, Any]]:
    """Paired differences: pair -> metric -> figures."""
    back = {ours: theirs for theirs, ours in NAMES.items()}
    pairs = [(back.get(a, a), back.get(b, b)) for a, b in PAIRS]
    result: dict[str, dict[str, Any]] = {f"{a} - {b}": {} for a, b in PAIRS}
    for row in found.tests(TESTED, pairs, random_state=common.HELD_OUT).to_dict("records"):
        pair = f"{NAMES.get(row['a'], row['a'])} - {NAMES.get(row['b'], row['b'])}"
        result[pair][row["metric"]] = {
            "mean_difference": row["mean_difference"],
            "bootstrap_low": row["low"],
            "bootstrap_high": row["high"],
            "p_t_test": row["p_t"],
            "p_wilcoxon": row["p_wilcoxon"],
            "p_t_test_holm": row["p_t_holm"],
            "p_wilcoxon_holm": row["p_wilcoxon_holm"],
            "dz": row["dz"],
            "rank_biserial": row["rank_biserial"],
            "queries": row["n"],
        }
    return result


def one_data_set(name: str, n: int, k: int) -> dict[str, Any]:
    """Run the four methods on one data set."""
    setting = common.prepare(name)
    found = run(setting, n, k)
    cells = found.to_frame()

    def column(which: str) -> dict[str, dict[str, float]]:
        return {
            NAMES.get(method, method): {
                metric: round(float(cells.loc[(metric, method), which]), 4)
                for metric in found.metrics.index
            }
            for method in found.explainers
        }

    return {
        "accuracy": round(setting.accuracy, 3),
        "confidence_threshold": round(found.info["confidence"]["plain"]["threshold"], 3),
        "reference": reference_values(setting.space, NoiseModel()),
        "mean": column("mean"),
        "sd": column("sd"),
        "paired": differences(found),
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
