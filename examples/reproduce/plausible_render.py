"""Write the tables of docs/plausible_counterfactuals.md from the stored results.

    python examples/reproduce/plausible_render.py          # rewrite the tables
    python examples/reproduce/plausible_render.py --check  # fail if a table does not equal its JSON

Results are docs/results/plausible_counterfactuals/DATA_SIZE.json, as
plausible_counterfactuals.py writes them. Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "plausible_counterfactuals"
PAGE = ROOT / "docs" / "plausible_counterfactuals.md"
DATA = {
    "procedural_32": "procedural, 32 px",
    "celeba_32": "real, 32 px",
    "celeba_64": "real, 64 px",
}


def stored() -> dict[str, dict[str, Any]]:
    """Return the steps of every stored result, by its label."""
    found = {}
    for name, label in DATA.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            found[label] = json.loads(path.read_text())["steps"]
    return found


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def attgan() -> str:
    """What AttGAN's training cost and what held-out faces show."""
    rows = []
    for label, steps in stored().items():
        found = steps["attgan"]
        edits = {name: one["edit_accuracy"] for name, one in found["attributes"].items()}
        good = sum(share >= 0.8 for share in edits.values())
        rows.append(
            [
                label,
                f"{found['steps']:,}",
                f"{found['cpu_seconds']:.0f} s",
                f"{found['reconstruction_l1']:.3f}",
                f"{good} of {len(edits)}",
                ", ".join(f"{name} {share:.2f}" for name, share in edits.items()),
                ", ".join(found["dead"]) or "none",
            ]
        )
    head = ["faces", "steps", "CPU", "reconstruction L1 ↓", "edited ≥ 80 %", "edit accuracy ↑"]
    return table([*head, "dead"], rows)


def engines() -> str:
    """Hypervolume of each engine."""
    rows = [
        [
            label if not place else "",
            engine,
            f"{one['mean']:.3f} ± {one['sd']:.3f}",
            f"{one['against_random']:.3f}",
            str(one["runs"]),
        ]
        for label, steps in stored().items()
        for place, (engine, one) in enumerate(steps["engines"]["engines"].items())
    ]
    return table(["faces", "engine", "hypervolume ↑", "of random search's", "runs × images"], rows)


def audits() -> str:
    """Mean |δ| of each attribute under both predictors."""
    rows = []
    for label, steps in stored().items():
        found = steps["audit"]
        pairs = found["fair_minus_biased"].get("attributes", {})
        for place, (name, one) in enumerate(found["biased"]["attributes"].items()):
            other, pair = found["fair"]["attributes"][name], pairs.get(name)
            rows.append(
                [
                    label if not place else "",
                    name,
                    _with_interval(one, "mean_abs_delta", "low", "high"),
                    _with_interval(other, "mean_abs_delta", "low", "high"),
                    "" if pair is None else _with_interval(pair, "difference", "low", "high", "+"),
                    f"{one['needed']:.2f} / {other['needed']:.2f}",
                ]
            )
    head = [
        "faces",
        "attribute",
        "biased predictor",
        "fair predictor",
        "fair − biased, same images",
    ]
    return table([*head, "needed, biased / fair"], rows)


def counts() -> str:
    """What became of the audited images."""
    rows = [
        [
            label,
            predictor,
            f"{steps['predictors'][predictor]['accuracy']:.3f}",
            str(steps["audit"]["images"]),
            ", ".join(f"{n} {name}" for name, n in steps["audit"][predictor]["counts"].items()),
            steps["audit"][predictor]["strongest"],
        ]
        for label, steps in stored().items()
        for predictor in ("biased", "fair")
    ]
    return table(
        ["faces", "predictor", "accuracy", "audited", "of them", "largest mean \\|δ\\|"], rows
    )


def _with_interval(found: dict[str, float], name: str, low: str, high: str, sign: str = "") -> str:
    return f"{found[name]:{sign}.3f} [{found[low]:{sign}.3f}, {found[high]:{sign}.3f}]"


TABLES: dict[str, Callable[[], str]] = {
    "attgan": attgan,
    "engines": engines,
    "audits": audits,
    "counts": counts,
}


def rendered(page: str) -> str:
    """Return the page with its tables made afresh."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- begin {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end {match[1]} -->"

    return re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->", fill, page, flags=re.DOTALL)


def main() -> int:
    """Rewrite the page, or compare it."""
    before = PAGE.read_text()
    after = rendered(before)
    if "--check" in sys.argv[1:]:
        sys.stdout.write("" if before == after else f"{PAGE.name} is not what the JSON says\n")
        return int(before != after)
    PAGE.write_text(after)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
