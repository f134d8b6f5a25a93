"""How the cost of a job grows with its rows: rates, overhead over direct calls, memory.

    python examples/benchmarks/scaling.py --rows 100 1000 10000 --workers 1 2
    python examples/benchmarks/scaling.py --rows 100 1000 10000 100000 1000000 \\
        --workers 1 2 --most 100000 1000000 --out docs/results/scaling.json   # half an hour

Method "random" (robustness on, 100 samples a round, one counterfactual a row) for a logistic model
of nine numbers. "direct" is the explainer called on the same chunks in this process, without jobs:
``counterfactual_table``, which makes one flat table, and ``generate_counterfactuals``, which makes
dice-ml's result objects. A job's CPU time over the first is the overhead. Memory is the resident
memory of this process and its workers, sampled while the job runs; "flat" is the largest over the
median of the second half.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import scaling_model

from dice_extended_plugin import Dice, run_job

OPTIONS = {"method": "random", "total_CFs": 1, "sample_size": 100}
CHUNK = 1000
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure every number of rows with every number of workers."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--most",
        type=int,
        nargs="+",
        default=[],
        help="largest number of rows for each number of workers; default: no limit",
    )
    parser.add_argument("--repeats", type=int, default=3, help="direct calls and small jobs")
    arguments = parser.parse_args()
    most = dict(zip(arguments.workers, arguments.most, strict=False))
    runs = [
        measure(n, workers)
        for n in arguments.rows
        for workers in arguments.workers
        if n <= most.get(workers, n)
    ]
    result = {
        "options": OPTIONS,
        "chunk_size": CHUNK,
        "runs": runs,
        "overhead": overhead(min(10_000, max(arguments.rows)), arguments.repeats),
    }
    common.emit(result, arguments.out)
    if arguments.out is not None:
        plot(result, arguments.out.with_suffix(".png"))


def measure(n: int, workers: int) -> dict[str, Any]:
    """Run one job and watch its memory."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.parquet"
        scaling_model.rows(n).to_parquet(path)
        with Watch() as watch:
            result = job(path, Path(scratch) / "out", workers)
        size = sum(file.stat().st_size for file in (Path(scratch) / "out").rglob("*.*"))
    assert result.status == "complete"
    return {
        "rows": n,
        "workers": workers,
        "seconds": round(result.seconds, 2),
        "rows_per_second": round(result.rows_per_second, 1),
        "failed": result.n_failed,
        "found": result.summary["counterfactuals"],
        "megabytes_written": round(size / 1e6, 2),
        **watch.summary(),
    }


def job(rows: Any, folder: Path, workers: int) -> Any:
    """Run the job: in this process, or on loky workers."""
    return run_job(
        "explain",
        "scaling_model:load",
        rows,
        folder,
        folders=[HERE],
        options=OPTIONS,
        chunk_size=CHUNK,
        backend="serial" if workers == 1 else "loky",
        workers=workers,
    )


def overhead(n: int, repeats: int) -> dict[str, Any]:
    """Compare a job in this process with the same explainer called on the same chunks."""
    rows = scaling_model.rows(n)
    seconds: dict[str, list[float]] = {"job": [], "table": [], "objects": []}
    for _ in range(repeats):  # in turn, so that a busy machine slows all
        with tempfile.TemporaryDirectory() as scratch:
            begin = time.process_time()
            job(rows, Path(scratch) / "out", 1)
            seconds["job"].append(time.process_time() - begin)
        seconds["table"].append(direct(rows, "counterfactual_table"))
        seconds["objects"].append(direct(rows, "generate_counterfactuals"))
    found: dict[str, Any] = {"rows": n}
    for name, values in seconds.items():
        found[f"{name}_cpu_seconds"] = [round(value, 2) for value in values]
    for name in ("table", "objects"):
        ratios = [ours / theirs for ours, theirs in zip(seconds["job"], seconds[name], strict=True)]
        found[f"job_over_{name}"] = round(statistics.median(ratios), 3)
    return found


def direct(rows: Any, method: str) -> float:
    """Return the CPU seconds of calling the explainer itself, chunk by chunk."""
    keywords = {name: value for name, value in OPTIONS.items() if name != "method"}
    begin = time.process_time()
    explainer = Dice(*scaling_model.load(), method=OPTIONS["method"], random_state=0)
    for start in range(0, len(rows), CHUNK):
        getattr(explainer, method)(rows.iloc[start : start + CHUNK], **keywords)
    return time.process_time() - begin


class Watch:
    """Samples the resident memory of this process and its children while a block runs."""

    def __init__(self, every: float = 0.25) -> None:
        self.every, self.samples = every, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._stop.wait(self.every):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.samples.append(total)

    def summary(self) -> dict[str, Any]:
        """Return peak, and largest over median of the second half: 1 is flat."""
        if len(self.samples) < 8:
            return {"peak_mib": None, "flat": None}
        late = self.samples[len(self.samples) // 2 :]
        return {
            "peak_mib": round(max(self.samples) / 2**20),
            "flat": round(max(late) / float(np.median(late)), 3),
        }


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw seconds and memory against rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for workers in sorted({run["workers"] for run in result["runs"]}):
        runs = [run for run in result["runs"] if run["workers"] == workers]
        label = f"{workers} worker{'s' if workers > 1 else ''}"
        left.loglog(
            [run["rows"] for run in runs], [run["seconds"] for run in runs], "o-", label=label
        )
        known = [run for run in runs if run["peak_mib"]]
        right.semilogx(
            [run["rows"] for run in known], [run["peak_mib"] for run in known], "o-", label=label
        )
    left.set(xlabel="rows", ylabel="seconds")
    right.set(xlabel="rows", ylabel="peak memory, MiB", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
