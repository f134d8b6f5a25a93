"""What the benchmarks of random, genetic and kd-tree share: a forest on raw rows, both sides timed.

Stock dice-ml and ours explain the same queries of the same scikit-learn pipeline in one process.
Stock explains the first `--stock-queries` one after the other; quality is compared on those. Ours
runs them one at a time (`single`) and all queries at once (`batch`). Both include post-hoc
sparsity; what is kept between calls (predictions of the training table, trees) is made in a
warm-up call, whose time is given as `first_call`. Ratios are stock / ours.
"""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import common
import dice_ml
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dice_extended_plugin import evaluation, host
from dice_extended_plugin.datasets import load_dataset
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.row_writer import RowWriter


def prepare(name: str, seed: int = 0) -> common.Setting:
    """Load a data set and train the paper's forest (100 trees, no depth limit) on 80 % of it."""
    data = load_dataset(name)
    train, test = data.split(test_size=0.2, random_state=seed)
    first = ColumnTransformer(
        [
            ("numbers", StandardScaler(), data.continuous),
            ("levels", OneHotEncoder(handle_unknown="ignore"), data.categorical),
        ]
    )
    forest = make_pipeline(first, RandomForestClassifier(100, random_state=seed))
    forest.fit(train[data.features], train[data.outcome])
    host_data = data.to_dice(train)
    space = host.feature_space(host_data)
    rows = test[data.features].reset_index(drop=True)
    writer = RowWriter(space, rows, space.encode(rows))
    right = forest.predict(rows) == test[data.outcome].to_numpy()
    model = dice_ml.Model(model=forest, backend="sklearn")

    def scores(encoded: np.ndarray) -> np.ndarray:
        return forest.predict_proba(writer.table(encoded, None))

    return common.Setting(name, host_data, model, forest, space, rows, scores, float(right.mean()))


def timed(call: Any) -> tuple[Any, float, float]:
    """Return a call's result, wall seconds and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def measure(setting: common.Setting, tables: list, queries: Any, k: int) -> dict[str, float]:
    """Measure sets on held-out noise; rows dice-ml did not find count as not valid."""
    names = list(setting.space.names)
    rows = [queries.iloc[:0] if table is None else table[names] for table in tables]
    wanted = 1 - setting.network.predict_proba(queries).argmax(axis=1)
    weights = host.column_weights(setting.data, setting.space, "inverse_mad")
    measured = evaluation.measure(
        rows, queries, setting.space, weights, setting.scores, wanted, k, NoiseModel(),
        n_draws=500, random_state=common.HELD_OUT,
    )  # fmt: skip
    return common.rounded(measured)


def stock_side(setting: common.Setting, method: str, queries: Any, k: int) -> dict[str, Any]:
    """Explain the queries with dice-ml, one after the other as it does."""
    explainer = dice_ml.Dice(setting.data, setting.model, method=method)
    tables, wall, cpu = [], [], []
    for i in range(len(queries)):
        row = queries.iloc[[i]]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found, seconds, cpu_seconds = timed(lambda row=row: _ask(explainer, row, k))
        tables.append(found)
        wall.append(seconds)
        cpu.append(cpu_seconds)
    return {"tables": tables, "wall": wall, "cpu": cpu}


def _ask(explainer: Any, row: Any, k: int) -> Any:
    """Return dice-ml's rows, None where it raises because there are none."""
    try:
        found = explainer.generate_counterfactuals(row, total_CFs=k)
    except Exception:
        return None
    return found.cf_examples_list[0].final_cfs_df_sparse


def run(method: str, ours: type, description: str, default_data: str) -> None:
    """Run both sides and print the comparison."""
    parser = common.parser(description)
    parser.add_argument("--data", default=default_data, choices=["adult", "compas", "german"])
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--stock-queries", type=int, default=10)
    parser.add_argument("--single-queries", type=int, default=5)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    setting = prepare(arguments.data)
    k, few = arguments.k, min(arguments.stock_queries, arguments.queries)
    queries = setting.queries(arguments.queries)
    stock = stock_side(setting, method, queries[:few], k)
    stock_wall, stock_cpu = float(np.mean(stock["wall"])), float(np.mean(stock["cpu"]))
    result: dict[str, Any] = {
        "benchmark": f"{method}_speed",
        "data": arguments.data,
        "accuracy": round(setting.accuracy, 3),
        "k": k,
        "stock": {
            "queries": few,
            "seconds_per_query": stock_wall,
            "cpu_seconds_per_query": stock_cpu,
            "quality": measure(setting, stock["tables"], queries[:few], k),
        },
    }
    for name, robustness in (("plain", None), ("dice", "dice"), ("validity", "validity")):
        explainer = ours(setting.data, setting.model, robustness=robustness, report_draws=0)

        def explain(rows: Any, explainer: Any = explainer) -> tuple[list, float, float]:
            found, wall, cpu = timed(lambda: explainer.generate_counterfactuals(rows, total_CFs=k))
            return [one.final_cfs_df_sparse for one in found.cf_examples_list], wall, cpu

        _, first_wall, first_cpu = explain(queries[:1])
        singles = [explain(queries.iloc[[i]]) for i in range(arguments.single_queries)]
        tables, wall, cpu = explain(queries)
        one_wall, one_cpu = (float(np.mean([single[i] for single in singles])) for i in (1, 2))
        result[name] = {
            "first_call": {"seconds": first_wall, "cpu_seconds": first_cpu},
            "single": {
                "seconds_per_query": one_wall,
                "cpu_seconds_per_query": one_cpu,
                "ratio_seconds": stock_wall / one_wall,
                "ratio_cpu_seconds": stock_cpu / one_cpu,
            },
            "batch": {
                "queries": len(queries),
                "seconds_per_query": wall / len(queries),
                "cpu_seconds_per_query": cpu / len(queries),
                "ratio_seconds": stock_wall / wall * len(queries),
                "ratio_cpu_seconds": stock_cpu / cpu * len(queries),
            },
            "quality_on_stock_queries": measure(setting, tables[:few], queries[:few], k),
            "quality": measure(setting, tables, queries, k),
        }
    common.emit(result, arguments.out)
