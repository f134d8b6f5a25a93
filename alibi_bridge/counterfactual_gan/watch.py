"""Looks at the validation images during training: figures, choice of checkpoint, collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from alibi_bridge.counterfactual_gan.losses import FAKE, sparsity
from alibi_bridge.counterfactual_gan.settings import Settings

__all__ = ["Collapse", "Look", "ModeCollapseError", "ModeCollapseWarning", "find_collapse", "look"]

#: Looks in a row that must show the same failure before it is reported.
_PATIENCE = 4
#: Updates of G before which standing still is no failure: it begins as the identity.
_BEGINNING = 150
#: Rows of one forward pass.
_CHUNK = 64


class ModeCollapseError(RuntimeError):
    """Training has failed; the text says at which step and what to change."""


class ModeCollapseWarning(UserWarning):
    """The same, when the settings ask to go on."""


@dataclass(frozen=True)
class Look:
    """What validation showed after a step. No masks are used.

    Attributes
    ----------
    step : int
        Steps done.
    accuracy : float
        Of D's p0 against p1, mean over the two classes (imbalance must not hide a lost class).
    g_accuracy : float
        Of G's class head, likewise.
    flips : float
        Share of counterfactuals that D reads as the opposite class and as real.
    turned : float
        Of the images that D reads right, the share whose counterfactual it reads as the opposite
        class, p_fake aside; mean over the two classes. A D that calls everything one class turns
        nothing.
    l1 : float
        Mean |x − x̂| in units of each image's spread.
    p_fake : float
        Mean of D on counterfactuals.
    sameness : float
        Mean correlation of the changes of two images of a class, in [−1, 1]: near 1, G writes one
        pattern on everything.
    trained_g : bool
        Whether G has been trained yet.
    way : float
        Which way images of class 1 are changed, in [−1, 1]: Σ d³ / Σ |d|³ of their pixels' change
        of brightness d. 1: only brighter, −1: only darker.
    """

    step: int
    accuracy: float
    g_accuracy: float
    flips: float
    turned: float
    l1: float
    p_fake: float
    sameness: float
    trained_g: bool
    way: float = 0.0

    def score(self, settings: Settings) -> float:
        """Return how good a checkpoint of this step is; larger is better.

        Enough flips come first, then accuracy, then small changes: flips rise as long as G may
        change more and more, and what it changes last has little to do with the class.
        """
        if not self.trained_g:
            return self.accuracy - 10.0
        enough = min(self.turned, settings.min_flips) - settings.min_flips
        return self.accuracy + 4.0 * enough - 0.5 * self.l1

    def to_dict(self) -> dict[str, Any]:
        """Return the figures; JSON can write them."""
        return asdict(self)


@dataclass(frozen=True)
class Collapse:
    """A failure of training.

    Attributes
    ----------
    step : int
        Where it was first seen.
    kind : str
        ``"not finite"``, ``"identity"``, ``"one pattern"``, ``"all fake"`` or ``"one class"``.
    text : str
        What was seen and what to change.
    """

    step: int
    kind: str
    text: str


@torch.no_grad()
def look(
    generator: Any,
    discriminator: nn.Module,
    x: Tensor,
    y: Tensor,
    step: int,
    trained_g: bool,
) -> Look:
    """Measure the networks on validation images (n, channels, H, W) in [−1, 1]."""
    modes = generator.training, discriminator.training
    generator.eval()
    discriminator.eval()
    real, fake, scores, change, size = [], [], [], [], []
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        real.append(discriminator(part).float().softmax(dim=1))
        if trained_g:
            z = part.new_zeros(len(part), generator.noise_dim)
            x_hat, logits = generator(part, z)
            fake.append(discriminator(x_hat).float().softmax(dim=1))
            scores.append(logits.float())
            change.append((x_hat - part).mean(dim=1).flatten(1))
            size.append(sparsity(part, x_hat) * len(part))
    generator.train(modes[0])
    discriminator.train(modes[1])
    own = torch.cat(real)[:, :FAKE]
    seen = own.argmax(dim=1)
    # The largest of NaNs is the first one: a broken D would pass for one that knows class 0.
    accuracy = _balanced(seen, y) if bool(own.isfinite().all()) else float("nan")
    if not trained_g:
        return Look(step, accuracy, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, False)
    read, changes = torch.cat(fake), torch.cat(change)
    return Look(
        step,
        accuracy,
        _balanced(torch.cat(scores).argmax(dim=1), y),
        float((read.argmax(dim=1) == 1 - y).float().mean()),
        _turned(read[:, :FAKE].argmax(dim=1), seen, y),
        float(torch.stack(size).sum() / len(x)),
        float(read[:, FAKE].mean()),
        _sameness(changes, y),
        True,
        _way(changes[y == 1]),
    )


def find_collapse(looks: Sequence[Look], settings: Settings) -> Collapse | None:
    """Return the failure that the last looks show, if they all show the same one."""
    after = [entry for entry in looks if entry.step > settings.warmup]
    last = [entry for entry in after if entry.trained_g][-_PATIENCE:]
    if looks and not isfinite(looks[-1].l1 + looks[-1].p_fake + looks[-1].accuracy):
        return not_finite(looks[-1].step)
    if len(after) >= 2 * _PATIENCE and all(e.accuracy <= 0.52 for e in after[-2 * _PATIENCE :]):
        first = after[-2 * _PATIENCE].step
        return Collapse(
            first,
            "one class",
            f"since step {first} D tells the classes apart no better than chance on validation: "
            "give more steps of warmup, a lower learning_rate_d, a larger discriminator, or check "
            "that y belongs to X",
        )
    if len(last) < _PATIENCE:
        return None
    first = last[0].step
    begun = first - settings.warmup >= _BEGINNING * settings.g_every
    if begun and all(e.l1 < 0.002 for e in last) and last[-1].turned < 0.6:
        return Collapse(
            first,
            "identity",
            f"since step {first} G returns its input (mean change {last[-1].l1:.2g} of a standard "
            f"deviation): lower l1_weight (now {settings.l1_weight:g}), lengthen cycle_ramp or set "
            "cycles=0, or raise learning_rate_g",
        )
    if all(e.sameness > 0.95 for e in last):
        return Collapse(
            first,
            "one pattern",
            f"mode collapse: since step {first} G makes the same change on every image of a class "
            f"(correlation {last[-1].sameness:.3f}): raise l1_weight (now {settings.l1_weight:g}), "
            "add cycles=1, lower learning_rate_g, or use another generator",
        )
    if all(e.p_fake > 0.97 and e.flips < 0.02 for e in last):
        return Collapse(
            first,
            "all fake",
            f"since step {first} D finds every counterfactual fake (mean p_fake "
            f"{last[-1].p_fake:.2f}) and G no way out: lower l1_weight (now "
            f"{settings.l1_weight:g}), raise d_every (now {settings.d_every}) or instance_noise "
            f"(now {settings.instance_noise:g}), lower learning_rate_d, or add cycles=1",
        )
    return None


def not_finite(step: int) -> Collapse:
    """Return the failure of a loss that is not a number."""
    return Collapse(
        step,
        "not finite",
        f"a loss or an image became NaN or infinite at step {step}: lower learning_rate_g and "
        "learning_rate_d, use objective='corrected', or switch mixed_precision off",
    )


def _balanced(predicted: Tensor, y: Tensor) -> float:
    right = (predicted == y).float()
    shares = [right[y == c].mean() for c in (0, 1) if (y == c).any()]
    return float(torch.stack(shares).mean())


def _turned(read: Tensor, seen: Tensor, y: Tensor) -> float:
    shares = []
    for c in (0, 1):
        right = (seen == y) & (y == c)
        if (y == c).any():
            shares.append(((read == 1 - c) & right).sum() / right.sum().clamp_min(1))
    return float(torch.stack(shares).mean())


def _way(change: Tensor) -> float:
    """Return by the third power: few strong changes count, many faint ones beside do not."""
    cubes = change.double() ** 3
    return float(cubes.sum() / cubes.abs().sum().clamp_min(1e-30))


def _sameness(change: Tensor, y: Tensor) -> float:
    """Mean correlation of two images' changes within a class, the larger of the two classes."""
    found = []
    for c in (0, 1):
        rows = change[y == c][:_CHUNK]
        if len(rows) < 3:
            continue
        rows = rows - rows.mean(dim=1, keepdim=True)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
        total = rows.sum(dim=0).square().sum()
        own = rows.square().sum()
        found.append(float((total - own) / (len(rows) * (len(rows) - 1))))
    return max(found, default=0.0)
