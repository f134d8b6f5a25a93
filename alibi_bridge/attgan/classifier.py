"""A classifier of the attributes, trained apart from the GAN, that its edits are measured by.

AttGAN's own classifier takes part in the training: the generator learns to please it, also with
changes that nobody sees. So it cannot be the judge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from alibi_bridge.attgan.networks import Architecture
from alibi_bridge.seeds import numpy_stream, seeded
from alibi_bridge.training import Progress, epoch_batches

__all__ = ["train_judge"]

_EPOCHS, _BATCH, _LEARNING_RATE = 6, 64, 1e-3


def train_judge(
    draw: Callable[[np.ndarray], tuple[torch.Tensor, np.ndarray]],
    n: int,
    architecture: Architecture,
    device: torch.device,
    random_state: int,
    steps: int = 600,
    verbose: bool = False,
) -> nn.Module:
    """Train a small convolutional network to tell all attributes.

    Parameters
    ----------
    draw : callable
        Takes row numbers, returns images (float32 tensor in [−1, 1]) and attributes (0 and 1).
    n : int
        Number of training rows.
    architecture : Architecture
        Of the GAN; its size, channels and number of attributes are used.
    device : torch.device
    random_state : int
    steps : int, default 600
        At least; large sets get 6 epochs.
    verbose : bool, default False

    Returns
    -------
    torch.nn.Module
        Images to logits (n, m); in evaluation mode.
    """
    with seeded(random_state, "judge"):
        judge = _network(architecture).to(device)
    optimizer = torch.optim.Adam(judge.parameters(), lr=_LEARNING_RATE)
    batch = min(_BATCH, n)
    steps = max(steps, _EPOCHS * n // batch)
    seed = int(numpy_stream(random_state, "judge").integers(1 << 31))
    judge.train()
    with Progress(steps, verbose, "attribute classifier") as progress:
        for step, rows in epoch_batches(n, batch, seed):
            if step == steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * min(1.0, 2 * (steps - step) / steps)
            x, a = draw(rows)
            target = torch.as_tensor(np.asarray(a, dtype=np.float32)).to(device)
            with seeded(random_state, "judge", step):  # for the dropout
                logits = judge(x)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            progress.update(step + 1, {"loss": float(loss.detach())})
    return judge.eval()


def _network(architecture: Architecture) -> nn.Sequential:
    """Convolutions that halve the image down to 4 x 4 pixels, then two dense layers."""
    layers: list[nn.Module] = []
    before, after, side = architecture.channels, 16, architecture.size
    while side > 4:
        layers += [
            nn.Conv2d(before, after, 4, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.1),
        ]
        before, after, side = after, min(2 * after, 128), side // 2
    layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(before * side**2, 64), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.Linear(64, architecture.attributes))
