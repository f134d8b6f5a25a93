"""Train AttGAN on procedural faces and print, as JSON, what it cost and what it can do.

The faces have eight attributes; the class is the shape of the jaw. In the biased set most light
hair goes with round jaws. Two target classifiers are trained, one on biased faces and one on their
unbiased twin, and each attribute of held-out faces is turned round: how often does a classifier
change its mind, and where it does not, how far does its probability move?

    python examples/reproduce/plausible_faces.py            # about 5 CPU-minutes
    python examples/reproduce/plausible_faces.py --steps 500 --out /tmp/faces
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from alibi_bridge.attgan import AttGAN
from alibi_bridge.faces import FACE_ATTRIBUTES, Faces, procedural_faces
from alibi_bridge.target import TargetClassifier


def flip_rates(model: AttGAN, target: TargetClassifier, faces: Faces) -> dict[str, dict]:
    """Effect of each attribute, turned round alone, on the target's answers."""
    before = target.predict(model.edit(faces.images, faces.attributes).round().astype(np.uint8))
    effects = {}
    for place, name in enumerate(FACE_ATTRIBUTES):
        wanted = faces.attributes.copy()
        wanted[:, place] = 1 - wanted[:, place]
        after = target.predict(model.edit(faces.images, wanted).round().astype(np.uint8))
        effects[name] = {
            "flipped": float(((after > 0.5) != (before > 0.5)).mean()),
            "mean_change": float(np.abs(after - before).mean()),
        }
    return effects


def edit_picture(model: AttGAN, faces: Faces, rows: int = 8, scale: int = 4) -> np.ndarray:
    """Originals, reconstructions, and each attribute turned round: a row per face."""
    strips = []
    for row in range(rows):
        wanted = np.repeat(faces.attributes[row : row + 1], len(FACE_ATTRIBUTES) + 1, axis=0)
        places = np.arange(len(FACE_ATTRIBUTES))
        wanted[places + 1, places] = 1 - wanted[places + 1, places]
        same = np.repeat(faces.images[row : row + 1], len(wanted), axis=0)
        edited = model.edit(same, wanted).round().astype(np.uint8)
        strips.append(np.concatenate([faces.images[row], *edited], axis=1))
    return np.concatenate(strips).repeat(scale, axis=0).repeat(scale, axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=4000, help="training faces")
    parser.add_argument("--steps", type=int, default=3000, help="generator updates")
    parser.add_argument("--size", type=int, default=32, choices=(32, 64, 128))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unbiased", action="store_true", help="train AttGAN on the twin")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for figures.json, model and edits.png")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    torch.set_num_threads(options.threads)
    seed = options.seed

    train = procedural_faces(
        options.faces, options.size, biased=not options.unbiased, random_state=seed
    )
    held_out = procedural_faces(500, options.size, biased=False, random_state=seed + 1)
    model = AttGAN.small(FACE_ATTRIBUTES, options.size, random_state=seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the figures name the dead attributes
        model.fit(
            train.images,
            train.attributes,
            validation=(held_out.images, held_out.attributes),
            steps=options.steps,
            checkpoint=options.out and options.out / "checkpoint",
            verbose=options.verbose,
        )
    seconds = time.process_time() - start
    report = model.report_
    edits = {name: values["edit_accuracy"] for name, values in report["attributes"].items()}
    figures = {
        "cpu_seconds": round(seconds, 1),
        "threads": options.threads,
        "steps": options.steps,
        "reconstruction_l1": report["reconstruction_l1"],
        "critic_gap": report["critic_gap"],
        "edit_accuracy": edits,
        "edited_with_80_percent": sum(share >= 0.8 for share in edits.values()),
        "dead": report["dead"],
        "targets": {},
    }
    for name, biased in (("biased", True), ("twin", False)):
        known = procedural_faces(4000, options.size, biased=biased, random_state=seed + 2)
        test = procedural_faces(1000, options.size, biased=False, random_state=seed + 3)
        target = TargetClassifier(random_state=seed).fit(known.images, known.labels)
        right = (target.predict(test.images) > 0.5) == test.labels
        figures["targets"][name] = {
            "accuracy_on_unbiased_faces": float(right.mean()),
            "effects": flip_rates(model, target, held_out),
        }
    if options.out is not None:
        from PIL import Image

        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "figures.json").write_text(json.dumps(figures, indent=1))
        model.save(options.out / "model")
        Image.fromarray(edit_picture(model, held_out)).save(options.out / "edits.png")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
