"""Tables 1 to 5 and Figures 3 to 5 of the joint counterfactual GAN, in kind, on crack crops.

    python examples/reproduce/counterfactual_gan.py                  # 64 px, for a GPU
    python examples/reproduce/counterfactual_gan.py --size 32 --generator unet --discriminator cnn
    python examples/reproduce/counterfactual_gan.py --data bright --size 32
    python examples/reproduce/counterfactual_gan.py --render         # only write the tables again

``OUT/counterfactual_gan.json`` holds every cell and is written after each; a cell that is there is
not run again, so a run that was stopped goes on where it was. Networks are kept in ``--work``, an
ignored folder, and so are pictures of real crops.

The paper's data (apples, concrete) are not at hand. Here: CrackForest crops (research licence, not
part of the package) or procedural cracks. Where we differ on purpose: thresholds of saliency maps
are chosen on validation images, not on test images; FID compares counterfactuals with real images
of the same class by features trained on this data; the paper's objective is read with the signs
that make sense.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("USE_TF", "0")  # transformers would import TensorFlow for nothing

import counterfactual_gan_pictures as pictures
import numpy as np
import torch
from counterfactual_gan_cells import (
    difference,
    mask_logits,
    measure_ceiling,
    measure_joint,
    measure_twin,
    plain,
)
from counterfactual_gan_data import DATA, REAL, load
from counterfactual_gan_models import FEATURES, TRAININGS, Models
from counterfactual_gan_render import (
    DISCRIMINATORS,
    GENERATORS,
    RESULTS,
    STORE,
    load_cells,
    render,
)

from alibi_bridge.gradcam import grad_cam
from dice_extended_plugin.errors import InvalidInputError

PARTS = ("twin", "ceiling", "joint", "pictures")
HERE = Path(__file__).resolve().parent

logger = logging.getLogger("counterfactual_gan")


class Run:
    """One call of the script: what was asked for, the data, the networks and the cells."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.store = options.out / STORE
        self.data = load(options.data, options.size, options.path, options.limit)
        self.models = Models(self.data, options)

    def cell(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        """Run a cell and store it, unless it is stored already."""
        if name in load_cells(self.store):
            logger.info("%s: there already", name)
            return
        begin = time.process_time()
        found = plain({**self.common(), **make()})
        # Read again: another run may have stored cells meanwhile.
        cells = {**load_cells(self.store), name: found}
        self.store.parent.mkdir(parents=True, exist_ok=True)
        partial = self.store.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(dict(sorted(cells.items())), indent=1) + "\n")
        partial.rename(self.store)
        logger.info("%s: %.0f CPU-s", name, time.process_time() - begin)

    def common(self) -> dict[str, Any]:
        """Return what every cell says of itself."""
        options = self.options
        return {"data": options.data, "size": options.size, "machine": self.machine()}

    def machine(self) -> dict[str, Any]:
        """Return what the figures depend on besides the code."""
        names = ("adversarial-robustness-toolbox", "captum", "numpy", "torch", "torchmetrics")
        cuda = self.models.device.type == "cuda"
        return {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "device": torch.cuda.get_device_name() if cuda else "CPU",
            "versions": {name: version(name) for name in names},
        }

    def twins(self, seed: int) -> None:
        """Train and measure the conventional twins."""
        options = self.options
        for network in (*options.discriminator, *options.generator):
            name = f"twin-{options.data}-{options.size}-{network}-{options.steps}-{seed}"

            def make(network: str = network) -> dict[str, Any]:
                twin = self.models.twin(network, seed)
                return {
                    **{"kind": "twin", "network": network, "seed": seed, "steps": options.steps},
                    **twin.about,
                    **measure_twin(
                        twin.network, self.data, seed, options.attacked, options.queries
                    ),
                }

            self.cell(name, make)

    def ceilings(self, seed: int) -> None:
        """Train and measure networks that see masks."""
        options = self.options
        for network in options.generator:
            name = f"ceiling-{options.data}-{options.size}-{network}-{options.steps}-{seed}"

            def make(network: str = network) -> dict[str, Any]:
                ceiling = self.models.ceiling(network, seed)
                return {
                    **{"kind": "ceiling", "network": network, "seed": seed},
                    **{"steps": options.steps, **ceiling.about},
                    **measure_ceiling(ceiling.network, self.data, seed),
                }

            self.cell(name, make)

    def joint(self, seed: int) -> None:
        """Train and measure G and D together."""
        options = self.options
        for g, d, cycles, training in (
            (g, d, cycles, training)
            for g in options.generator
            for d in options.discriminator
            for cycles in options.cycles
            for training in options.training
        ):
            name = f"joint-{options.data}-{options.size}-{g}-{d}-{training}-{cycles}"

            def make(
                g: str = g, d: str = d, cycles: int = cycles, training: str = training
            ) -> dict[str, Any]:
                found = self.models.joint(g, d, cycles, training, seed)
                about = {
                    **{"kind": "joint", "generator": g, "discriminator": d, "cycles": cycles},
                    **{"training": training, "seed": seed, "steps": options.steps},
                    **found.about,
                }
                try:
                    return about | measure_joint(
                        *(found, self.data),
                        twin=self.models.twin(d, seed).network,
                        features=self.models.features(),
                        seed=seed,
                        attacked=options.attacked,
                        queries=options.queries,
                    )
                except InvalidInputError:
                    if not about["collapsed"]:
                        raise
                    return about  # nothing to measure: the tables show a dash, as the paper's do

            self.cell(f"{name}-{options.steps}-{seed}", make)

    def draw(self) -> None:
        """Draw Figures 3, 4 and 5 of the first networks asked for."""
        options = self.options
        cells = list(load_cells(self.store).values())
        base = {
            **{"data": options.data, "size": options.size, "cycles": options.cycles[0]},
            **{"generator": options.generator[0], "discriminator": options.discriminator[0]},
            "training": "ours" if "ours" in options.training else options.training[0],
        }
        stem = f"{options.data}-{options.size}"
        pictures.figure3(cells, options.out / f"figure3-{stem}.png", base)
        pictures.figure5(cells, options.out / f"figure5-{stem}.png", base)
        self.draw_crops(base, stem)

    def draw_crops(self, base: dict[str, Any], stem: str) -> None:
        """Draw Figure 4: maps beside each other. Real crops stay in the ignored folder."""
        options, seed = self.options, self.options.seed[0]
        test = self.data["test"]
        rows = test.cracked()[:: max(1, len(test.cracked()) // 6)][:6]
        X = test.X[rows]
        found = self.models.joint(
            *(base["generator"], base["discriminator"], base["cycles"], base["training"], seed)
        )
        made = self.models.counterfactuals(found.generator, X, seed)
        columns: dict[str, np.ndarray] = {"x̂ = G(x)": made, "|x − x̂|": difference(X, made)}
        columns["Grad-CAM"] = grad_cam(self.models.twin(FEATURES, seed).network, X)
        for network in options.generator:
            ceiling = self.models.ceiling(network, seed).network
            columns[f"masks: {GENERATORS[network]}"] = mask_logits(ceiling, X)
        folder = options.work if options.data == "real" else options.out
        pictures.figure4(X, test.masks[rows], columns, folder / f"figure4-{stem}.png")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=list(PARTS))
    add("--data", choices=DATA, default="real")
    add("--path", type=Path, default=REAL, help="the real crops")
    add("--size", type=int, choices=(32, 64), default=64)
    add("--generator", nargs="+", choices=list(GENERATORS), default=list(GENERATORS))
    add("--discriminator", nargs="+", choices=list(DISCRIMINATORS), default=list(DISCRIMINATORS))
    add("--cycles", nargs="+", type=int, default=[0, 1])
    add("--training", nargs="+", choices=list(TRAININGS), default=list(TRAININGS))
    add("--steps", type=int, default=2000)
    add("--width", type=int, default=8, help="channels of the U-Net's first level")
    add("--seed", nargs="+", type=int, default=[0, 1, 2])
    add("--attacked", type=int, default=432, help="test images that are attacked")
    add("--queries", type=int, default=300, help="of the black-box attack")
    add("--limit", type=int, help="images of each part, for a trial")
    add("--device", default="auto")
    add("--verbose", action="store_true")
    add("--out", type=Path, default=RESULTS)
    add("--work", type=Path, default=HERE / "output" / "counterfactual_gan")
    add("--render", action="store_true", help="only write the tables from the cells")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for and write the tables."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    if not options.render:
        run = Run(options)
        for seed in options.seed:
            if "twin" in options.part:
                run.twins(seed)
            if "ceiling" in options.part:
                run.ceilings(seed)
            if "joint" in options.part:
                run.joint(seed)
            render(options.out)
        if "pictures" in options.part:
            run.draw()
    render(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
