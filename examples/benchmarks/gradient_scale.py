"""Time and memory against the number of queries, and whether a row depends on its batch.

    python examples/benchmarks/gradient_scale.py --data adult --queries 100 1000 10000
    python examples/benchmarks/gradient_scale.py --data adult --invariance 1000

Each size runs in a fresh process, whose peak memory is the operating system's figure for it.
`--invariance N` explains N queries in one call and in chunks of four, and the first of them one by
one, and counts the decoded rows that differ. Prints JSON.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from typing import Any

import common
import numpy as np
import pandas as pd

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


def invariance(data: str, n: int, k: int, robustness: str | None, single: int) -> dict[str, Any]:
    """Count the rows that differ between one call, small chunks and calls of one query."""
    setting = common.prepare(data)
    queries = setting.queries(n)
    reference = explain(setting, queries, k, robustness=robustness).to_frame()
    chunked = explain(setting, queries, k, robustness=robustness, max_memory=0.002).to_frame()
    parts = [
        explain(setting, queries.iloc[[i]], k, robustness=robustness).to_frame().assign(query=i)
        for i in range(single)
    ]
    alone = pd.concat(parts, ignore_index=True)
    features = [*queries.columns, "query", "counterfactual"]
    compared = {
        f"chunks of four, {n:,} queries": (chunked, reference),
        f"one by one, {single:,} queries": (alone, reference[reference["query"] < single]),
    }
    return {
        "queries": n,
        "rows_that_differ": {
            name: {"rows": len(b), "differ": differing(a[features], b[features])}
            for name, (a, b) in compared.items()
        },
    }


def differing(table: pd.DataFrame, reference: pd.DataFrame) -> int:
    """Count the rows of `reference` that are not, cell by cell, those of `table`."""
    keys = ["query", "counterfactual"]
    both = reference.merge(table, on=keys, how="left", suffixes=("", " other"))
    cells = [name for name in reference if name not in keys]
    same = [both[name] == both[f"{name} other"] for name in cells]
    return int((~np.logical_and.reduce(same)).sum())


def main() -> None:
    """Run the sizes or the comparison and print JSON."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", default="adult", choices=["adult", "compas", "german"])
    parser.add_argument("--queries", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--robustness", default="dice", choices=["dice", "validity", "none"])
    parser.add_argument("--invariance", type=int, default=0)
    parser.add_argument("--one-by-one", type=int, default=200)
    arguments = parser.parse_args()
    mode = None if arguments.robustness == "none" else arguments.robustness
    result: dict[str, Any] = {
        "benchmark": "gradient_scale",
        "data": arguments.data,
        "k": arguments.k,
        "robustness": mode,
    }
    if arguments.invariance:
        single = min(arguments.one_by_one, arguments.invariance)
        result["invariance"] = invariance(
            arguments.data, arguments.invariance, arguments.k, mode, single
        )
    else:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            result["sizes"] = [
                pool.apply(one_size, (arguments.data, n, arguments.k, mode))
                for n in arguments.queries
            ]
    common.emit(result, arguments.out)


if __name__ == "__main__":
    main()
