"""Run the plausible-counterfactuals experiments: two predictors, one AttGAN, four engines, audits.

    python examples/reproduce/plausible_counterfactuals.py --data procedural
    python examples/reproduce/plausible_counterfactuals.py --data celeba --size 64
    python examples/reproduce/plausible_counterfactuals.py --data celeba --size 32

The first predictor is trained on biased faces, the second on faces without the bias: procedural
faces and their unbiased twin, or real faces with and without blond women (the paper's experiments 1
and 2). An AttGAN edits attributes, the engines search, the audit asks which attributes flip each
predictor. Every finished step is written to OUT/DATA_SIZE.json at once, and a run with the same
settings goes on where the last one stopped; AttGAN's training goes on from its checkpoint. Pictures
of real faces go to OUT only, which git ignores.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import plausible_data as data
import plausible_steps as steps

logger = logging.getLogger("reproduce")


def main() -> int:
    """Run what is not done yet."""
    arguments = read_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    path = arguments.out / f"{arguments.data}_{arguments.size}.json"
    wanted = {key: value for key, value in vars(arguments).items() if key not in ("out", "force")}
    result = resume(path, wanted, arguments.force)
    try:
        faces = data.load(arguments.data, arguments.size, arguments.seed, arguments.faces)
    except data.NotThereError as error:
        logger.error("%s", error)
        return 1
    run = steps.Run(faces, arguments, arguments.out / f"{arguments.data}_{arguments.size}")
    for name, step in steps.PLAN.items():
        if name in result["steps"]:
            continue
        logger.info("%s, %d px: %s", arguments.data, arguments.size, name)
        result["steps"][name] = step(run)
        write(path, result)
    logger.info("written: %s", path)
    return 0


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("procedural", "celeba"), default="procedural")
    parser.add_argument("--size", type=int, choices=(32, 64, 128), default=32)
    parser.add_argument("--faces", type=int, default=8000, help="training faces")
    parser.add_argument("--steps", type=int, default=3000, help="updates of AttGAN's generator")
    parser.add_argument("--width", type=int, default=16, help="of AttGAN's first layer")
    parser.add_argument("--audited", type=int, default=100, help="images in the audits")
    parser.add_argument("--budget", type=int, default=2000, help="predictor calls an image")
    parser.add_argument("--runs", type=int, default=10, help="per engine and image")
    parser.add_argument("--images", type=int, default=5, help="in the engines' comparison")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("reproduce_output"))
    parser.add_argument("--force", action="store_true", help="begin anew")
    return parser.parse_args()


def resume(path: Path, settings: dict[str, Any], force: bool) -> dict[str, Any]:
    """Return the stored result of a run with the same settings, or an empty one."""
    if path.exists() and not force:
        stored = json.loads(path.read_text())
        if stored["settings"] == settings:
            return stored
        logger.warning("%s is of other settings and is replaced", path)
    return {"settings": settings, "machine": steps.machine(), "steps": {}}


def write(path: Path, result: dict[str, Any]) -> None:
    """Write the result so that an interruption leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result, indent=1) + "\n")
    new.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
