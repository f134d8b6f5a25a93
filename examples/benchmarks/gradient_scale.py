"""Time and memory against the number of queries, and whether a row depends on its batch.

    python examples/benchmarks/gradient_scale.py --data adult --queries 100 1000 10000
    python examples/benchmarks/gradient_scale.py --data adult --invariance 1000

Each size runs in a fresh process, whose peak memory is the operating system's figure for it.
`--invariance N` explains N queries in one call, in small chunks, and one by one, and counts the
decoded rows that differ. Prints JSON.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from typing import Any

import common
import torch

from dice_extended_plugin import DiceExtendedPyTorch


def explain(setting: common.Setting, queries: Any, k: int, **keywords: Any) -> Any:
    """Explain queries on the CPU."""
    explainer = DiceExtendedPyTorch(
        setting.data, setting.model, device="cpu", report_draws=0, **keywords
    )
    return explainer.generate_counterfactuals(queries, total_CFs=k)


def one_size(data: str, n: int, k: int, robustness: str | None) -> dict[str, Any]:
    """Explain n queries; return seconds and peak memory of this process."""
    setting = common.prepare(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = time.perf_counter(), time.process_time()
    found = explain(setting, setting.queries(n), k, robustness=robustness)
    return {
        "queries": n,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gib_before": before,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "ok": found.status.count("ok"),
    }


def invariance(data: str, n: int, k: int, robustness: str | None) -> dict[str, Any]:
    """Count the rows that differ between batch sizes, chunk sizes and thread counts."""
    setting = common.prepare(data)
    queries = setting.queries(n)
    reference = explain(setting, queries, k, robustness=robustness).to_frame()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    variants = {
        "small chunks": explain(
            setting, queries, k, robustness=robustness, max_memory=0.002
        ).to_frame(),
    }
    torch.set_num_threads(threads)
    parts = [
        explain(setting, queries.iloc[[i]], k, robustness=robustness).to_frame().assign(query=i)
        for i in range(n)
    ]
    import pandas as pd

    variants["one by one"] = pd.concat(parts, ignore_index=True)
    features = [*queries.columns, "query", "counterfactual"]
    return {
        "queries": n,
        "rows": len(reference),
        "rows_that_differ": {
            name: int((table[features] != reference[features]).any(axis=1).sum())
            if len(table) == len(reference)
            else abs(len(table) - len(reference))
            for name, table in variants.items()
        },
    }


def main() -> None:
    """Run the sizes or the comparison and print JSON."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", default="adult", choices=["adult", "compas", "german"])
    parser.add_argument("--queries", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--robustness", default="dice", choices=["dice", "validity", "none"])
    parser.add_argument("--invariance", type=int, default=0)
    arguments = parser.parse_args()
    mode = None if arguments.robustness == "none" else arguments.robustness
    result: dict[str, Any] = {
        "benchmark": "gradient_scale",
        "data": arguments.data,
        "k": arguments.k,
        "robustness": mode,
    }
    if arguments.invariance:
        result["invariance"] = invariance(arguments.data, arguments.invariance, arguments.k, mode)
    else:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            result["sizes"] = [
                pool.apply(one_size, (arguments.data, n, arguments.k, mode))
                for n in arguments.queries
            ]
    common.emit(result, arguments.out)


if __name__ == "__main__":
    main()
