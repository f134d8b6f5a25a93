"""How much of the joint GAN's training time is the networks' own work.

    python examples/benchmarks/joint_gan_training.py --size 32 --steps 40

Compares steps of the trainer (batches, augmentation, noise, optimisers, running average included)
with the forward and backward passes alone that such a step needs: G forward and backward, D forward
and backward on real and generated images, D forward and backward to its input for G. The two are
timed in turn, in process time on one thread (on a GPU: wall time between synchronisations). Prints
JSON; fails if the share is below --least.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from alibi_bridge.counterfactual_gan.losses import discriminator_loss, generator_loss
from alibi_bridge.counterfactual_gan.names import make_discriminator, make_generator
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.counterfactual_gan.training import Trainer
from alibi_bridge.cracks import draw_cracks
from alibi_bridge.formats import ImageFormat
from alibi_bridge.training import pick_device


def main() -> int:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--generator", default="unet")
    parser.add_argument("--discriminator", default="cnn")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--least", type=float, default=0.8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = pick_device(arguments.device)
    torch.manual_seed(0)
    step, bare = both(arguments, device)
    step(), bare()  # the first calls choose kernels
    times: dict[str, list[float]] = {"trainer": [], "networks": []}
    each = max(1, arguments.steps // arguments.rounds)
    for _ in range(arguments.rounds):  # in turn, so that a busy machine slows both
        for name, call in (("trainer", step), ("networks", bare)):
            start = clock(device)
            for _ in range(each):
                call()
            times[name].append((clock(device) - start) / each)
    medians = {name: statistics.median(values) for name, values in times.items()}
    share = medians["networks"] / medians["trainer"]
    report = {
        **{k: v for k, v in vars(arguments).items() if k != "device"},
        "device": str(device),
        "seconds_per_step": {name: round(value, 5) for name, value in medians.items()},
        "images_per_second": round(arguments.batch_size / medians["trainer"], 1),
        "throughput_share": round(share, 3),
        "passed": share >= arguments.least,
    }
    print(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


def both(
    arguments: argparse.Namespace, device: torch.device
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a step of the trainer, and the same passes without anything else."""
    size = (arguments.size, arguments.size)
    cracks = draw_cracks(4 * arguments.batch_size, arguments.size)
    form = ImageFormat.of(cracks.images)
    settings = Settings(
        batch_size=arguments.batch_size, warmup=0, noise_weight=0.0, attack_weight=0.0
    )
    generator = make_generator(arguments.generator, 3, size).to(device)
    discriminator = make_discriminator(arguments.discriminator, 3, size).to(device)
    labels = torch.as_tensor(cracks.labels, device=device)
    trainer = Trainer(generator, discriminator, settings, 10**6, cracks.labels, device, 0)

    def step() -> None:
        rows = trainer.batches.rows(trainer.step)
        trainer.advance(form.to_tensor(cracks.images[rows], device), labels[rows])

    g = make_generator(arguments.generator, 3, size).to(device).train()
    d = make_discriminator(arguments.discriminator, 3, size).to(device).train()
    x = form.to_tensor(cracks.images[: arguments.batch_size], device)
    y = labels[: arguments.batch_size]

    def bare() -> None:
        for network in (g, d):
            network.zero_grad(set_to_none=True)
        x_hat, scores = g(x)
        real, fake = d(torch.cat([x, x_hat.detach()])).chunk(2)
        discriminator_loss(real, y, fake).backward()
        for parameter in d.parameters():
            parameter.requires_grad_(False)
        loss = generator_loss(d(x_hat), y) + (x - x_hat).abs().mean()
        (loss + torch.nn.functional.cross_entropy(scores, y)).backward()
        for parameter in d.parameters():
            parameter.requires_grad_(True)

    return step, bare


def clock(device: torch.device) -> float:
    """Process time, or on a GPU the wall time after everything queued is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


if __name__ == "__main__":
    sys.exit(main())
