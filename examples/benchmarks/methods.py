"""The four methods without gradients on the same forest and queries, with and without robustness.

    python examples/benchmarks/methods.py --data german --queries 30

CPU seconds per query of one batch; quality on held-out noise as in `forest`. Prints JSON.
"""

from __future__ import annotations

from typing import Any

import common
import forest

from dice_extended_plugin import Dice

METHODS = ("random", "kdtree", "genetic", "nsga3")
QUALITY = ("validity", "proximity", "changed", "noise_validity", "diversity", "duplicates")


def main() -> None:
    """Run every method in both modes."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", default="german", choices=["adult", "compas", "german"])
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    setting = forest.prepare(arguments.data)
    queries = setting.queries(arguments.queries)
    result: dict[str, Any] = {
        "benchmark": "methods",
        "data": arguments.data,
        "queries": len(queries),
        "k": arguments.k,
        "methods": {},
    }
    for method in METHODS:
        for mode, robustness in (("plain", None), ("dice", "dice")):
            explainer = Dice(
                setting.data, setting.model, method=method, robustness=robustness, report_draws=0
            )
            explainer.generate_counterfactuals(queries[:1], total_CFs=arguments.k)
            found, _, cpu = forest.timed(
                lambda ask=explainer: ask.generate_counterfactuals(queries, total_CFs=arguments.k)
            )
            rows = [one.final_cfs_df_sparse for one in found.cf_examples_list]
            quality = forest.measure(setting, rows, queries, arguments.k)
            result["methods"].setdefault(method, {})[mode] = {
                "cpu_seconds_per_query": cpu / len(queries),
                **{name: quality[name] for name in QUALITY},
            }
    common.emit(result, arguments.out)


if __name__ == "__main__":
    main()
