"""Stock dice-ml and ours on the same network, queries and settings, in one process.

    python examples/benchmarks/gradient_speed.py --data adult --queries 50 --k 10
    python examples/benchmarks/gradient_speed.py --backend tensorflow --queries 20 --stock-queries 3

Stock dice-ml takes some ten seconds a query, so it explains the first `--stock-queries` only;
quality is compared on those. Ours runs them one at a time (`single`) and all queries at once
(`batch`). Both include post-hoc sparsity. Prints JSON; ratios are stock / ours.
"""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import common
import dice_ml
import numpy as np

from dice_extended_plugin import Dice


def timed(call: Any) -> tuple[Any, float, float]:
    """Return a call's result, wall seconds and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def stock_side(setting: common.Setting, queries: Any, k: int) -> dict[str, Any]:
    """Explain the queries with dice-ml, one after the other as it does."""
    explainer = dice_ml.Dice(setting.data, setting.model, method="gradient")
    tables, wall, cpu, steps = [], [], [], []
    for i in range(len(queries)):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found, seconds, cpu_seconds = timed(
                lambda row=queries.iloc[[i]]: explainer.generate_counterfactuals(row, total_CFs=k)
            )
        tables.append(found.cf_examples_list[0].final_cfs_df_sparse)
        wall.append(seconds)
        cpu.append(cpu_seconds)
        steps.append(explainer.max_iterations_run)
    return {"tables": tables, "wall": wall, "cpu": cpu, "iterations": float(np.mean(steps))}


def our_side(setting: common.Setting, queries: Any, k: int, robustness: Any) -> dict[str, Any]:
    """Explain the queries with ours, in one call."""
    explainer = Dice(
        setting.data,
        setting.model,
        method="gradient",
        robustness=robustness,
        report_draws=0,
        device="cpu",
    )
    found, wall, cpu = timed(lambda: explainer.generate_counterfactuals(queries, total_CFs=k))
    tables = [example.final_cfs_df_sparse for example in found.cf_examples_list]
    return {"tables": tables, "wall": wall, "cpu": cpu}


def main() -> None:
    """Run both sides and print the comparison."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", default="adult", choices=["adult", "compas", "german"])
    parser.add_argument("--backend", default="torch", choices=["torch", "tensorflow"])
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--stock-queries", type=int, default=10)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    setting = common.prepare(arguments.data, backend=arguments.backend)
    k, few = arguments.k, min(arguments.stock_queries, arguments.queries)
    queries = setting.queries(arguments.queries)
    our_side(setting, queries[:2], k, None)  # warm up
    stock = stock_side(setting, queries[:few], k)
    result: dict[str, Any] = {
        "benchmark": "gradient_speed",
        "data": arguments.data,
        "backend": arguments.backend,
        "accuracy": round(setting.accuracy, 3),
        "k": k,
        "stock": {
            "queries": few,
            "seconds_per_query": float(np.mean(stock["wall"])),
            "cpu_seconds_per_query": float(np.mean(stock["cpu"])),
            "iterations": stock["iterations"],
            "quality": common.rounded(setting.measure(stock["tables"], queries[:few], k)),
        },
    }
    for name, robustness in (("plain", None), ("dice", "dice"), ("validity", "validity")):
        singles = [our_side(setting, queries.iloc[[i]], k, robustness) for i in range(few)]
        batch = our_side(setting, queries, k, robustness)
        wall, cpu = batch["wall"] / len(queries), batch["cpu"] / len(queries)
        one_wall = float(np.mean([single["wall"] for single in singles]))
        one_cpu = float(np.mean([single["cpu"] for single in singles]))
        result[name] = {
            "single": {
                "seconds_per_query": one_wall,
                "cpu_seconds_per_query": one_cpu,
                "ratio_seconds": float(np.mean(stock["wall"])) / one_wall,
                "ratio_cpu_seconds": float(np.mean(stock["cpu"])) / one_cpu,
            },
            "batch": {
                "queries": len(queries),
                "seconds_per_query": wall,
                "cpu_seconds_per_query": cpu,
                "ratio_seconds": float(np.mean(stock["wall"])) / wall,
                "ratio_cpu_seconds": float(np.mean(stock["cpu"])) / cpu,
            },
            "quality_on_stock_queries": common.rounded(
                setting.measure(batch["tables"][:few], queries[:few], k)
            ),
            "quality": common.rounded(setting.measure(batch["tables"], queries, k)),
        }
    common.emit(result, arguments.out)


if __name__ == "__main__":
    main()
