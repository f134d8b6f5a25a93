"""Store the means of finished cells of `dice_extended.py`, for the tables of the docs.

    python examples/reproduce/dice_extended_summary.py --out reproduce_output

Reads OUT/DATA_BACKEND.json; writes docs/results/dice_extended/summary.json and copies each cell's
complete tables beside it; cells that OUT does not hold stay as they are stored, so that they can be
run one by one. `examples/benchmarks/render.py` makes the tables of the page from them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import dice_extended_models as models

from dice_extended_plugin.comparison import Comparison

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "dice_extended"
METRICS = (
    *("validity", "proximity", "sparsity", "diversity", "duplicates", "rho_lit", "rho_open"),
    *("noise_validity", "model_change_validity", "fidelity_one", "fidelity_one_baseline"),
    *("lof", "seconds"),
)


def main() -> None:
    """Read every finished cell and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reproduce_output"))
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    stored = RESULTS / "summary.json"
    before = json.loads(stored.read_text()) if stored.exists() else []
    cells = {(found["data"], found["backend"]): found for found in before}
    every = [(data, backend) for data in models.DATA for backend in models.BACKENDS]
    for data, backend in every:
        tables = arguments.out / f"{data}_{backend}.md"
        if tables.exists():  # written when all steps are done
            found = json.loads(tables.with_suffix(".json").read_text())
            cells[data, backend] = cell(found)
            lines = tables.read_text().splitlines()
            shown = "\n".join(line for line in lines if not line.startswith("!["))
            (RESULTS / tables.name).write_text(shown.replace("\n\n\n", "\n\n") + "\n")
    ordered = [cells[place] for place in every if place in cells]
    stored.write_text(json.dumps(ordered, indent=1) + "\n")


def cell(result: dict[str, Any]) -> dict[str, Any]:
    """Return the settings and the means of one data set and back-end."""
    settings = result["settings"]
    found = {
        step: means(Comparison.from_json_value(done["comparison"]))
        for step, done in result["steps"].items()
        if step.startswith(("ours:", "stock:"))
    }
    kept = {name: settings[name] for name in ("data", "backend", "n", "k", "stock_n", "seed")}
    return {**kept, "machine": result["machine"], "steps": found}


def means(found: Comparison) -> dict[str, dict[str, float]]:
    """Return explainer -> metric -> mean over the queries."""
    values = found.values[found.values["metric"].isin(METRICS)]
    table = values.groupby(["explainer", "metric"])["value"].mean().unstack()
    return {
        str(name): {metric: round(float(v), 4) for metric, v in row.dropna().items()}
        for name, row in table.loc[list(found.explainers)].iterrows()
    }


if __name__ == "__main__":
    main()
