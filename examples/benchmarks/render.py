"""Write the tables of README and docs from the stored results of the last benchmark runs.

    python examples/benchmarks/render.py          # rewrite the tables
    python examples/benchmarks/render.py --check  # fail if a table does not equal its JSON

A table stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; results are in
docs/results/. Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "dice_extended.md",
    ROOT / "docs" / "scaling.md",
)


def load(name: str) -> dict[str, Any]:
    """Return one stored result."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def speed() -> str:
    """Ratios against stock, per data set and mode."""
    rows = []
    for name in ("adult", "compas", "german"):
        if not (RESULTS / f"gradient_speed_{name}.json").exists():
            continue
        result = load(f"gradient_speed_{name}")
        for mode in ("plain", "dice", "validity"):
            ours = result[mode]
            rows.append(
                [
                    name if mode == "plain" else "",
                    mode,
                    f"{result['stock']['seconds_per_query']:.1f} s" if mode == "plain" else "",
                    f"{1e3 * ours['single']['seconds_per_query']:.0f} ms",
                    f"{ours['single']['ratio_seconds']:.0f} ×",
                    f"{1e3 * ours['batch']['seconds_per_query']:.0f} ms",
                    f"{ours['batch']['ratio_seconds']:.0f} ×",
                ]
            )
    head = ["data", "mode", "stock, a query", "ours, one query", "ratio"]
    return table([*head, "ours, in a batch of 50", "ratio"], rows)


#: Column of the result -> heading, digits.
GAIN = {
    "validity": ("validity", 2),
    "proximity": ("proximity ↓", 3),
    "changed": ("changed ↓", 2),
    "diversity": ("det K ↑", 3),
    "rho_lit": ("ρ_lit ↑", 3),
    "rho_open": ("ρ_open ↑", 3),
    "end_bins": ("end bins", 2),
    "noise_validity": ("noise validity ↑", 3),
    "noise_validity_all": ("on all features ↑", 3),
    "noise_validity_double_scale": ("double scale ↑", 3),
    "noise_validity_heavy_tailed": ("heavy-tailed ↑", 3),
}


def gain() -> str:
    """Means of every method on every data set."""
    result, rows = load("robustness_gain"), []
    for name, found in result["data"].items():
        for method, mean in found["mean"].items():
            label = method
            if method == "confidence":
                label = f"confidence {found['confidence_threshold']:.2f}"
            first = f"{name} (chance {found['reference']['chance']:.3f})"
            rows.append(
                [first if method == "plain" else "", label]
                + [f"{mean[column]:.{digits}f}" for column, (_, digits) in GAIN.items()]
            )
    return table(["data", "method", *(heading for heading, _ in GAIN.values())], rows)


def paired() -> str:
    """Paired differences."""
    result, rows = load("robustness_gain"), []
    for name, found in result["data"].items():
        for i, (pair, columns) in enumerate(found["paired"].items()):
            cells = [
                f"{value['mean_difference']:+.4f} [{value['bootstrap_low']:+.4f}, "
                f"{value['bootstrap_high']:+.4f}] p {value['p_wilcoxon']:.1g}"
                for value in (
                    columns[c] for c in ("noise_validity", "rho_lit", "rho_open", "proximity")
                )
            ]
            rows.append(["" if i else name, pair, *cells])
    return table(["data", "difference", "noise validity", "ρ_lit", "ρ_open", "proximity"], rows)


def scale() -> str:
    """Seconds and memory against the number of queries."""
    rows = [
        [
            mode,
            f"{size['queries']:,}",
            f"{size['seconds']:.0f} s",
            f"{1e3 * size['seconds'] / size['queries']:.0f} ms",
            f"{size['peak_gib']:.2f} GiB",
            f"{size['peak_gib_before']:.2f} GiB",
            f"{size['ok']:,}",
        ]
        for mode in ("plain", "dice")
        for size in load(f"gradient_scale_{mode}")["sizes"]
    ]
    head = ["mode", "queries", "time", "a query", "peak memory", "of it before", "status ok"]
    return table(head, rows)


def invariance() -> str:
    """Rows that differ between batch sizes."""
    found = load("gradient_invariance")["invariance"]
    rows = [
        [name, f"{count['rows']:,}", f"{count['differ']:,}"]
        for name, count in found["rows_that_differ"].items()
    ]
    return table(["compared with one call", "rows", "rows that differ"], rows)


#: Stored result -> what was explained.
METHODS = {
    "gradient_speed_tensorflow": "gradient, Keras network",
    "random_speed_adult": "random, forest",
    "kdtree_speed_german": "kd-tree, forest",
    "genetic_speed_german": "genetic, forest",
}


def methods() -> str:
    """CPU seconds against stock, and quality on stock's queries, per method."""
    rows = []
    for name, label in METHODS.items():
        if not (RESULTS / f"{name}.json").exists():
            continue
        result = load(name)
        stock = result["stock"]
        cells = [f"{stock['cpu_seconds_per_query']:.2f} s", "", ""]
        rows.append([f"{label}, {result['data']}", "stock", *cells, *_quality(stock["quality"])])
        for mode in ("plain", "dice"):
            ours = result[mode]
            cells = [
                f"{1e3 * ours['batch']['cpu_seconds_per_query']:.0f} ms",
                f"{ours['batch']['ratio_cpu_seconds']:.0f} × ({ours['batch']['queries']})",
                f"{ours['single']['ratio_cpu_seconds']:.1f} ×",
            ]
            rows.append(["", mode, *cells, *_quality(ours["quality_on_stock_queries"])])
    head = ["method, data", "mode", "CPU a query", "ratio in a batch (of)", "ratio, one query"]
    return table([*head, "validity", "proximity ↓", "noise validity ↑", "det K ↑"], rows)


def _quality(found: dict[str, float]) -> list[str]:
    names = ("validity", "proximity", "noise_validity", "diversity")
    return [f"{found[name]:.3f}" for name in names]


def forest_methods() -> str:
    """Every method without gradients, side by side."""
    result = load("forest_methods_german")
    rows = [
        [
            method if mode == "plain" else "",
            mode,
            f"{1e3 * found['cpu_seconds_per_query']:.0f} ms",
            f"{found['changed']:.2f}",
            *_quality(found),
        ]
        for method, modes in result["methods"].items()
        for mode, found in modes.items()
    ]
    head = ["method", "mode", "CPU a query", "features changed ↓"]
    return table([*head, "validity", "proximity ↓", "noise validity ↑", "det K ↑"], rows)


#: Column of the summary -> digits.
REPRODUCED = {
    "validity": 2,
    "proximity": 3,
    "sparsity": 3,
    "diversity": 3,
    "duplicates": 1,
    "rho_lit": 3,
    "noise_validity": 3,
    "fidelity_one": 2,
}


def reproduction() -> str:
    """Stock and ours on the same queries, for every cell of the reproduction that has been run."""
    rows = []
    for cell in load("dice_extended/summary"):
        for step, found in cell["steps"].items():
            if not step.startswith("stock:"):
                continue
            for place, (name, mean) in enumerate(found.items()):
                first = f"{cell['data']}, {cell['backend']}, {step.partition(':')[2]}"
                numbers = [
                    f"{mean[column]:.{digits}f}" if column in mean else "–"
                    for column, digits in REPRODUCED.items()
                ]
                rows.append(["" if place else first, name.removesuffix(" dice-ml"), *numbers])
    heads = ["validity ↑", "proximity ↓", "sparsity ↑", "det K ↑", "duplicates ↓", "ρ_lit ↑"]
    heads += ["noise validity ↑", "1-NN fidelity ↑"]
    return table(["data, back-end, method", "mode", *heads], rows)


def jobs() -> str:
    """Jobs of growing size."""
    rows = [
        [
            f"{run['rows']:,}",
            str(run["workers"]),
            f"{run['seconds']:,.1f} s",
            f"{run['rows_per_second']:,.0f}",
            "–" if run["peak_mib"] is None else f"{run['peak_mib']:,} MiB",
            "–" if run["flat"] is None else f"{run['flat']:.3f}",
            f"{run['megabytes_written']:.1f} MB",
        ]
        for run in load("scaling")["runs"]
    ]
    head = ["rows", "workers", "wall time", "rows a second", "peak memory", "flat", "written"]
    return table(head, rows)


def overhead() -> str:
    """A job beside direct calls of the same explainer."""
    found = load("scaling")["overhead"]
    rows = [
        [label, " ".join(f"{value:.1f}" for value in found[f"{key}_cpu_seconds"]), ratio]
        for label, key, ratio in (
            ("job, one worker", "job", "1"),
            ("`counterfactual_table`", "table", f"{found['job_over_table']:.2f}"),
            ("`generate_counterfactuals`", "objects", f"{found['job_over_objects']:.2f}"),
        )
    ]
    return table([f"{found['rows']:,} rows", "CPU seconds", "job over it"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "jobs": jobs,
    "overhead": overhead,
    "speed": speed,
    "gain": gain,
    "paired": paired,
    "scale": scale,
    "invariance": invariance,
    "methods": methods,
    "forest_methods": forest_methods,
    "reproduction": reproduction,
}


def rendered(page: str) -> str:
    """Return a page with its tables made afresh."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- begin {name} -->\n{TABLES[name]()}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->", fill, page, flags=re.DOTALL)


def main() -> int:
    """Rewrite the pages, or compare them."""
    stale = []
    for path in PAGES:
        before = path.read_text()
        after = rendered(before)
        if before != after:
            stale.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(after)
    if stale:
        sys.stdout.write(
            f"tables {'differ in' if '--check' in sys.argv else 'written to'} {stale}\n"
        )
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
