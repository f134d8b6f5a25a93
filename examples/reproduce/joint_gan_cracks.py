"""Train the joint counterfactual GAN on cracks, and print its figures as JSON.

    python examples/reproduce/joint_gan_cracks.py --data real --size 32 --seeds 3 --budget 60

For each seed: IoU of the saliency against the masks of the test images beside the baselines
(threshold chosen on validation), accuracy of D and of G's head, flips, Pearson(NLL, p_fake), AUROC
of p_fake under Gaussian noise. With --twin also D's architecture trained alone for as many steps,
and the F1 of both under PGD of ten steps. CPU seconds are those of the joint training, on one
thread. Every other table is in counterfactual_gan.py. Real crops need the data folder; nothing that
shows them is written but into --pictures.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alibi_bridge.attacks import attack_curve
from alibi_bridge.counterfactual_gan.batches import augment
from alibi_bridge.counterfactual_gan.model import JointGAN
from alibi_bridge.counterfactual_gan.names import make_discriminator
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.cracks import CrackImages, draw_cracks, load_cracks
from alibi_bridge.metrics import label_scores
from alibi_bridge.saliency import MaskedImages, compare_saliency
from alibi_bridge.seeds import seeded
from alibi_bridge.twins import train_twin
from alibi_bridge.uncertainty import auroc, pearson_nll
from dice_extended_plugin.datasets import data_folder

logger = logging.getLogger("reproduce")
#: Shares of the value range.
EPSILONS = (0.005, 0.015, 0.03)
STEPS = {32: 700, 64: 1500}


def main() -> int:
    """Run every seed and print the summary."""
    arguments = read_arguments()
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING, stream=sys.stderr
    )
    torch.set_num_threads(1)
    data = read_data(arguments)
    results = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        results.append(one_seed(data, arguments, seed))
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    report = {"settings": vars(arguments) | {"pictures": None}, "seeds": results}
    report["mean"], report["spread"] = (
        {
            key: round(float(f([row[key] for row in results])), 4)
            for key, value in results[0].items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        for f in (np.mean, np.std)
    )
    report["within_budget"] = all(row["cpu_seconds"] <= arguments.budget for row in results)
    print(json.dumps(report, indent=1))
    return 0


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("real", "dark", "bright"), default="dark")
    parser.add_argument("--size", type=int, choices=(32, 64), default=32)
    parser.add_argument("--n", type=int, default=2000, help="drawn images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="training steps; by size by default")
    parser.add_argument("--budget", type=float, default=60, help="CPU seconds of training")
    parser.add_argument("--generator", default="unet")
    parser.add_argument("--discriminator", default="cnn")
    parser.add_argument("--generator-options", type=json.loads, default={"grey_changes": True})
    parser.add_argument("--discriminator-options", type=json.loads, default={})
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON")
    presets = parser.add_mutually_exclusive_group()
    presets.add_argument("--fine", action="store_true", help="Settings.fine()")
    presets.add_argument("--hardened", action="store_true", help="Settings.hardened()")
    parser.add_argument("--twin", action="store_true", help="compare with D trained alone")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or STEPS[arguments.size]
    if arguments.hardened or arguments.fine:
        preset = Settings.hardened if arguments.hardened else Settings.fine
        arguments.settings = preset(**arguments.settings).to_dict()
    return arguments


def read_data(arguments: argparse.Namespace) -> CrackImages:
    """Return real or drawn images."""
    if arguments.data == "real":
        folder = data_folder()
        if folder is None:
            raise SystemExit("no data folder: name it in DICE_EXTENDED_DATA, or try --data dark")
        return load_cracks(folder / "images", arguments.size)
    return draw_cracks(arguments.n, arguments.size, bright=arguments.data == "bright")


def one_seed(data: CrackImages, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train once and measure."""
    train, validation, test = (data.part(name) for name in ("train", "validation", "test"))
    model, seconds = trained(arguments, train, validation, seed)
    result: dict[str, Any] = {"seed": seed, "cpu_seconds": round(seconds, 1)}
    result |= judged(model, validation, test, arguments)
    if arguments.twin:
        result |= beside_the_twin(model, data, arguments, seed)
    if arguments.pictures:
        draw(model, test, arguments.pictures / f"{arguments.data}{arguments.size}_{seed}.png")
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}


def trained(
    arguments: argparse.Namespace, train: CrackImages, validation: CrackImages, seed: int
) -> tuple[JointGAN, float]:
    """Return a trained model and the CPU seconds it took."""
    model = JointGAN(
        generator=arguments.generator,
        discriminator=arguments.discriminator,
        generator_options=arguments.generator_options,
        discriminator_options=arguments.discriminator_options,
        settings=Settings.from_dict(arguments.settings),
        random_state=seed,
    )
    start = time.process_time()
    model.fit(
        train.images,
        train.labels,
        validation=(validation.images, validation.labels),
        steps=arguments.steps,
        verbose=arguments.verbose,
    )
    return model, time.process_time() - start


def judged(
    model: JointGAN, validation: CrackImages, test: CrackImages, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return IoU beside the baselines, accuracy, flips, and the figures of p_fake."""
    maps: dict[str, list[np.ndarray]] = {"raw": [], "blurred": [], "8 views": []}
    maps |= {"removed": [], "8 views, blurred": [], "8 views, removed": [], "brightness": []}
    parts = []
    for part in (validation, test):
        cracked = part.rows(part.labels == 1)
        found = model.generate(
            cracked.images, cycles=0, views=arguments.views, sigma=arguments.sigma
        )
        maps["raw"].append(found.saliency.raw)
        maps["blurred"].append(found.saliency.blurred)
        maps["removed"].append(found.saliency.removed)
        steady = model.generate(cracked.images, cycles=0, views=8, sigma=arguments.sigma)
        maps["8 views"].append(steady.saliency.raw)
        maps["8 views, blurred"].append(steady.saliency.blurred)
        maps["8 views, removed"].append(steady.saliency.removed)
        maps["brightness"].append(
            cracked.images.mean(axis=3)
        )  # darkness is no rival of bright cracks
        channels_first = cracked.images.transpose(0, 3, 1, 2)
        parts.append(MaskedImages(channels_first, cracked.masks, cracked.groups))
    table = compare_saliency({k: (v[0], v[1]) for k, v in maps.items()}, *parts).rows
    every = model.generate(test.images, cycles=0, views=arguments.views)
    read = every.probabilities
    noisy = model.predict(with_noise(test.images, 0.2))
    faint = model.predict(with_noise(test.images, 0.05))
    right = every.d_class == test.labels
    return {
        "iou": table["raw"]["IoU"],
        "iou_blurred": table["blurred"]["IoU"],
        "iou_8_views": table["8 views"]["IoU"],
        "iou_8_views_blurred": table["8 views, blurred"]["IoU"],
        "iou_removed": table["removed"]["IoU"],
        "iou_8_views_removed": table["8 views, removed"]["IoU"],
        "iou_validation": table["raw"]["IoU_validation"],
        "way": 0.0 if model.chosen is None else model.chosen.way,
        "darkness": table["darkness"]["IoU"],
        "darkness_blurred": table["darkness, blurred 5x5"]["IoU"],
        "brightness": table["brightness"]["IoU"],
        "accuracy": float(right.mean()),
        "g_accuracy": float((every.g_class == test.labels).mean()),
        "f1": label_scores(test.labels, every.d_class)["F1"],
        "flips": float((every.cf_class != test.labels).mean()),
        "success": float(every.success.mean()),
        "read_as_real": float(every.real.mean()),
        "pearson": pearson_nll(read, test.labels),
        "auroc_misread": auroc(every.p_fake[right], every.p_fake[~right]),
        "auroc_noise_0.05": auroc(every.p_fake, faint[:, 2]),
        "auroc_noise_0.2": auroc(every.p_fake, noisy[:, 2]),
        "p_fake": float(every.p_fake.mean()),
        "chosen_step": 0 if model.chosen is None else model.chosen.step,
        "chosen_flips": 0.0 if model.chosen is None else model.chosen.turned,
        "chosen_l1": 0.0 if model.chosen is None else model.chosen.l1,
        "collapse": None if model.collapse is None else model.collapse.kind,
    }


def beside_the_twin(
    model: JointGAN, data: CrackImages, arguments: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Return accuracy and F1 under PGD of D and of its architecture trained alone."""
    parts = {name: data.part(name) for name in ("train", "validation", "test")}
    X = {name: in_networks_range(part.images) for name, part in parts.items()}
    y = {name: part.labels for name, part in parts.items()}
    with seeded(seed, "init"):
        alone = make_discriminator(
            arguments.discriminator,
            3,
            (arguments.size, arguments.size),
            {**arguments.discriminator_options, "outputs": 2},
        )
    train_twin(
        alone,
        X["train"],
        y["train"],
        (X["validation"], y["validation"]),
        steps=arguments.steps,
        batch_size=32,
        augment=lambda images: augment(images, "full"),
        random_state=seed,
    )
    found = {}
    for name, network in (("", model.discriminator), ("twin_", alone)):
        curve = attack_curve(network, X["test"], y["test"], (0.0, *EPSILONS), random_state=seed)
        found[f"{name}pgd_f1"] = [round(float(value), 4) for value in curve.f1]
        found[f"{name}pgd_accuracy"] = [round(float(value), 4) for value in curve.accuracy]
    return found


def in_networks_range(images: np.ndarray) -> np.ndarray:
    """Return images (n, 3, H, W) in [−1, 1]."""
    high = 255.0 if images.dtype == np.uint8 else 1.0
    return (images.transpose(0, 3, 1, 2) / high * 2 - 1).astype(np.float32)


def with_noise(images: np.ndarray, std: float) -> np.ndarray:
    """Add Gaussian noise; `std` is in units of images in [−1, 1]."""
    high = 255.0 if images.dtype == np.uint8 else 1.0
    noise = np.random.default_rng(0).normal(0, std * high / 2, images.shape)
    return np.clip(images + noise, 0, high).astype(np.float32)


def draw(model: JointGAN, test: CrackImages, path: Path) -> None:
    """Write rows of image, counterfactual, saliency, mask, and the way back."""
    from PIL import Image

    rows = np.r_[np.flatnonzero(test.labels == 1)[::27][:8], np.flatnonzero(test.labels == 0)[:4]]
    part = test.rows(rows)
    found = model.generate(part.images, cycles=1)
    scale = 255.0 if part.images.dtype == np.uint8 else 1.0
    grey = (found.saliency.normalised, part.masks.astype(float))
    columns = [part.images / scale, found.cycles[0] / scale, found.cycles[1] / scale]
    columns += [np.repeat(map_[..., None], 3, axis=3) for map_ in grey]
    sheet = np.concatenate([np.concatenate(list(c), axis=0) for c in columns], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.uint8(np.clip(sheet, 0, 1) * 255))
    picture.resize((picture.width * 3, picture.height * 3), Image.NEAREST).save(path)


if __name__ == "__main__":
    sys.exit(main())
