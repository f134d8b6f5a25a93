"""What a trained AttGAN can do, measured on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.attgan.exclusive import flip_attribute, force_exclusive
from alibi_bridge.attgan.networks import Critic, Generator
from alibi_bridge.seeds import numpy_stream

__all__ = ["DeadAttributesWarning", "edit_report"]

#: A classifier that is right on fewer than this share of each value cannot judge an edit.
_BLIND_BELOW = 0.6
_MOST, _BATCH = 1000, 100


class DeadAttributesWarning(UserWarning):
    """Some attributes hardly change when they are edited; a search over them finds nothing."""


def edit_report(
    generator: Generator,
    critic: Critic,
    judge: nn.Module,
    draw: Callable[[np.ndarray], tuple[torch.Tensor, np.ndarray]],
    n: int,
    attributes: Sequence[str],
    groups: Sequence[Sequence[int]],
    random_state: int,
    dead_below: float = 0.6,
) -> dict[str, Any]:
    """Measure reconstruction, critic gap and the edits, each attribute turned round alone.

    Parameters
    ----------
    generator : Generator
    critic : Critic
    judge : torch.nn.Module
        Images to attribute logits; not part of the GAN's training.
    draw : callable
        Takes row numbers, returns held-out images and attributes.
    n : int
        Number of held-out images; 1,000 of them at most are used.
    attributes : sequence of str
    groups : sequence of column indices
        Exclusive attributes: turning one on turns the others of its group off.
    random_state : int
    dead_below : float, default 0.6
        An attribute with a lower edit accuracy, or a lower mean of ``on`` and ``off``, is dead.

    Returns
    -------
    dict
        ``images``; ``reconstruction_l1``, the mean |x − G(x, a)| on the scale [−1, 1];
        ``critic_gap``, the mean of D(x) − D(G(x, b)) with b another image's attributes;
        ``attributes``, by name: ``edit_accuracy`` (share of images whose edited version the judge
        reads as edited), ``on`` and ``off`` (the same for those that were turned on and off, None
        where there are none), ``kept`` (share of the other attributes that the judge reads as they
        were), ``judge_accuracy`` (mean of the judge's accuracy on images with and without it);
        ``dead``, by name: why an attribute cannot be used.
    """
    device = next(generator.parameters()).device
    rows = numpy_stream(random_state, "report").permutation(n)[:_MOST]
    m = len(attributes)
    table, read = np.empty((len(rows), m)), np.empty((len(rows), m))
    edited_read = np.empty((m, len(rows), m))
    copied, gap = 0.0, 0.0
    generator.eval()
    critic.eval()
    judge.eval()

    def tensor(a: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(a.astype(np.float32)).to(device) * 2 - 1

    with torch.no_grad():
        for start in range(0, len(rows), _BATCH):
            part = slice(start, start + _BATCH)
            x, a = draw(np.sort(rows[part]))
            z = generator.encode(x)
            copied += float((generator.decode(z, tensor(a)) - x).abs().mean(dim=(1, 2, 3)).sum())
            shuffled = force_exclusive(np.roll(a, 1, axis=0), groups)
            gap += float(
                (critic.value(x) - critic.value(generator.decode(z, tensor(shuffled)))).sum()
            )
            table[part] = a
            read[part] = (judge(x) > 0).cpu().numpy()
            for column in range(m):
                b = flip_attribute(a, column, groups)
                y = generator.decode(z, tensor(b))
                edited_read[column, part] = (judge(y) > 0).cpu().numpy()
    figures = {
        name: _figures(column, table, read, edited_read[column], groups)
        for column, name in enumerate(attributes)
    }
    return {
        "images": len(rows),
        "reconstruction_l1": copied / len(rows),
        "critic_gap": gap / len(rows),
        "attributes": figures,
        "dead": _dead(figures, dead_below),
    }


def _figures(
    column: int,
    table: np.ndarray,
    read: np.ndarray,
    edited: np.ndarray,
    groups: Sequence[Sequence[int]],
) -> dict[str, float | None]:
    wanted = flip_attribute(table, column, groups)
    right = edited == wanted
    was_on = table[:, column] == 1
    others = np.arange(table.shape[1]) != column
    judged = [_mean((read == table)[was_on, column]), _mean((read == table)[~was_on, column])]
    known = [share for share in judged if share is not None]
    return {
        "edit_accuracy": _mean(right[:, column]),
        "on": _mean(right[~was_on, column]),
        "off": _mean(right[was_on, column]),
        "kept": _mean(right[:, others]),
        "judge_accuracy": float(np.mean(known)),
    }


def _dead(figures: dict[str, dict[str, Any]], dead_below: float) -> dict[str, str]:
    dead = {}
    for name, values in figures.items():
        if values["judge_accuracy"] < _BLIND_BELOW:
            dead[name] = (
                f"a classifier trained on the same images does not learn it (accuracy "
                f"{values['judge_accuracy']:.2f}), so its edits cannot be measured"
            )
            continue
        ways = [values[way] for way in ("on", "off") if values[way] is not None]
        share = min(values["edit_accuracy"], float(np.mean(ways)))
        if share < dead_below:
            dead[name] = f"{share:.2f} of its edits show, fewer than {dead_below:g}"
    return dead


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
