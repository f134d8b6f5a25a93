"""Algorithm 1 over many rows in one call: seconds and memory.

    python examples/benchmarks/analysis_scale.py --data adult --rows 10000 \\
        --out docs/results/analysis_scale_adult.json

Gradient boosting (100 trees) on the paper's features, the default attack (mode "fast"), rows drawn
from the whole table without replacement. CPU seconds are of this process, which is on one thread;
memory is the peak of the whole process, the data and the model included.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import common
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reproduce"))

from robust_tabular_data import DATA, fit_model, load_table

from art_bridge import counterfactual_robustness


def main() -> None:
    """Analyse, and print what it took."""
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="german")
    parser.add_argument("--model", default="GB")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = load_table(arguments.data)
    classifier = fit_model(arguments.model, table, arguments.seed)
    everything = np.concatenate([table.x_test, table.x_train])
    labels = np.concatenate([table.y_test, table.y_train])
    rng = np.random.default_rng(arguments.seed)
    chosen = rng.permutation(len(everything))[: arguments.rows]
    wall, cpu = time.perf_counter(), time.process_time()
    report = counterfactual_robustness(
        classifier,
        everything[chosen],
        labels[chosen],
        x_train=table.x_train,
        random_state=arguments.seed,
    )
    found = {
        "data": arguments.data,
        "model": arguments.model,
        "rows": len(chosen),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "found": int(report.N.sum()),
        "attempts": int(report.attempts.sum()),
        "r_overall": round(report.r_overall, 6),
        "r_overall_interval": [round(float(end), 6) for end in report.intervals["r_overall"]],
    }
    common.emit(found, arguments.out)


if __name__ == "__main__":
    main()
