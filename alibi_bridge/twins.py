"""Conventionally trained twins: the discriminators' architectures with two classes and no GAN."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.metrics import check_labels
from alibi_bridge.probing import check_images, outputs
from alibi_bridge.seeds import check_random_state, seeded
from alibi_bridge.training import Callback, Progress, epoch_batches, pick_device, precision
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Twin", "train_twin"]


@dataclass(frozen=True, eq=False)
class Twin:
    """A classifier after plain training.

    Attributes
    ----------
    network : torch.nn.Module
        Evaluation mode, weights of the chosen step.
    step : int
        Steps after which those weights stood.
    accuracy : float
        On the validation images, NaN without any.
    history : list of dict
        ``step``, ``loss``, ``accuracy`` at every check.
    """

    network: nn.Module
    step: int
    accuracy: float
    history: list[dict[str, float]]


def train_twin(
    network: nn.Module,
    X: Any,
    y: Any,
    validation: tuple[Any, Any] | None = None,
    *,
    steps: int = 600,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    instance_noise: float = 0.0,
    check_every: int = 50,
    mixed_precision: bool = False,
    random_state: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
    verbose: bool = False,
) -> Twin:
    """Train a classifier by cross-entropy, with the steps and augmentation of the joint training.

    Parameters
    ----------
    network : torch.nn.Module
        Returns logits of which the first two are the classes. It is trained in place.
    X : array-like of float, shape (n, C, H, W)
        In [−1, 1].
    y : array-like of shape (n,)
        0 or 1.
    validation : tuple of array-like, optional
        (X, y): the weights with the best accuracy at a check are kept. Without it the last.
    steps, batch_size, learning_rate, weight_decay
        Of AdamW.
    augment : callable, optional
        Tensor to tensor; draws from torch's generator.
    instance_noise : float, optional
        Standard deviation of noise on the images, on [−1, 1].
    check_every : int, optional
        Steps between checks.
    mixed_precision : bool, optional
        bfloat16 on a GPU.
    random_state : int, optional
        The result is a function of it and of the arguments; the first weights are `network`'s.
    device : str, optional
    callback : Callback, optional
    verbose : bool, optional

    Returns
    -------
    Twin

    Raises
    ------
    InvalidInputError
        One class only, labels other than 0 and 1, images that cannot be worked with, fewer images
        than a batch, a loss that is not finite.
    """
    images, labels = _checked(X, y)
    seed = check_random_state(random_state)
    for name, value in (("steps", steps), ("check_every", check_every), ("batch_size", batch_size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidInputError(f"{name} must be a positive whole number, not {value!r}")
    held = None if validation is None else _checked(*validation)
    place = pick_device(device)
    network.to(place).train()
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    everything, truth = torch.from_numpy(images).to(place), torch.from_numpy(labels).to(place)
    history: list[dict[str, float]] = []
    best: tuple[float, int, dict[str, torch.Tensor]] | None = None
    batches = epoch_batches(len(images), min(batch_size, len(images)), seed)
    with Progress(steps, verbose, "twin") as progress:
        for step, rows in batches:
            with seeded(seed, "twin", step), precision(place, mixed_precision):
                picked = torch.from_numpy(rows).to(place)
                x = everything[picked]
                if augment is not None:
                    x = augment(x)
                if instance_noise:
                    x = x + instance_noise * torch.randn_like(x)
                loss = nn.functional.cross_entropy(network(x)[:, :2].float(), truth[picked])
            if not bool(torch.isfinite(loss)):
                raise InvalidInputError(f"the loss is not finite at step {step}: lower the rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            done, losses = step + 1, {"classification": float(loss.detach())}
            progress.update(done, losses)
            if callback is not None:
                sample = {"X": x.detach(), "y": truth[picked]}
                callback(step=step, update=0, model=network, sample=sample, losses=losses)
            if done % check_every == 0 or done == steps:
                score = float("nan") if held is None else _accuracy(network, *held)
                history.append({"step": done, "loss": losses["classification"], "accuracy": score})
                if held is None or best is None or score > best[0]:
                    best = (score, done, copy.deepcopy(network.state_dict()))
            if done == steps:
                break
    assert best is not None
    network.load_state_dict(best[2])
    return Twin(network.eval(), best[1], best[0], history)


def _accuracy(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs(network, images)[:, :2].argmax(axis=1) == labels).mean())


def _checked(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    images = check_images(X)
    labels = check_labels(y, len(images))
    if len(np.unique(labels)) < 2:
        raise InvalidInputError("y holds one class only; a classifier needs both")
    return images, labels
