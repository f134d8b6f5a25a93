"""Run DiCE-Extended's experiments: stock dice-ml beside ours, same models, same queries.

    python examples/reproduce/dice_extended.py --data german --backend torch --n 50 --k 10

For each data set and back-end: the quality suite with paired tests, 1-NN fidelity (the paper's
tables 2 and 3), the classification tables of the preprint (2 to 4), the losses along a search, and
a grid of robustness weights. Every finished step is written to OUT/DATA_BACKEND.json at once, and a
run with the same settings goes on where the last one stopped. Tables go to OUT/DATA_BACKEND.md,
pictures beside it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import dice_extended_models as models
import dice_extended_steps as steps
import dice_extended_tables as tables

logger = logging.getLogger("reproduce")


def main() -> int:
    """Run what is not done yet, then write tables and pictures."""
    arguments = read_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for noisy in ("dice_extended_plugin", "matplotlib", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    failed = 0
    for data in arguments.data:
        for backend in arguments.backend:
            try:
                run(data, backend, arguments)
            except steps.NotThereError as error:
                logger.error("%s, %s: %s", data, backend, error)
                failed = 1
    return failed


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=models.DATA, default=list(models.DATA))
    parser.add_argument("--backend", nargs="+", choices=models.BACKENDS, default=["torch"])
    parser.add_argument("--methods", nargs="+", help="of the back-end's methods; all by default")
    parser.add_argument("--n", type=int, default=50, help="queries")
    parser.add_argument("--k", type=int, default=10, help="counterfactuals per query")
    parser.add_argument(
        "--stock-n", type=int, help="queries for stock dice-ml (slow); all by default, 0: none"
    )
    parser.add_argument("--draws", type=int, default=1000, help="held-out noise draws")
    parser.add_argument("--retrained", type=int, default=3, help="models per kind of change")
    parser.add_argument("--moves", type=int, default=3, help="moved copies of each query")
    parser.add_argument("--grid-n", type=int, default=20, help="queries of the weight grid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("reproduce_output"))
    parser.add_argument("--force", action="store_true", help="begin anew")
    arguments = parser.parse_args()
    if arguments.stock_n is None or arguments.stock_n > arguments.n:
        arguments.stock_n = arguments.n
    return arguments


def run(data: str, backend: str, arguments: argparse.Namespace) -> None:
    """Do the steps of one data set and back-end that its file does not hold yet."""
    wanted = {
        name: getattr(arguments, name)
        for name in ("n", "k", "stock_n", "draws", "retrained", "moves", "grid_n", "seed")
    }
    path = arguments.out / f"{data}_{backend}.json"
    result = resume(path, {"data": data, "backend": backend, **wanted}, arguments.force)
    plan = steps.plan(backend, arguments.methods, stock=arguments.stock_n > 0)
    missing = [name for name in plan if name not in result["steps"]]
    if missing:
        steps.check_methods(backend, arguments.methods)
        setting = models.prepare(data, backend, arguments.seed)
        for name in missing:
            logger.info("%s, %s: %s", data, backend, name)
            result["steps"][name] = plan[name](setting, arguments)
            save(path, result)
    tables.write(result, path)
    logger.info("written: %s", path.with_suffix(".md"))


def resume(path: Path, settings: dict[str, Any], force: bool) -> dict[str, Any]:
    """Return what the file holds, if it was made with these settings."""
    if path.exists() and not force:
        result: dict[str, Any] = json.loads(path.read_text())
        if result["settings"] == settings:
            return result
        changed = [name for name in settings if result["settings"].get(name) != settings[name]]
        raise SystemExit(
            f"{path} was made with other settings ({', '.join(changed)}); choose another --out, "
            f"or begin anew with --force"
        )
    return {"settings": settings, "machine": steps.machine(), "steps": {}}


def save(path: Path, result: dict[str, Any]) -> None:
    """Write whole or not at all: a run that is stopped must find the last state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
