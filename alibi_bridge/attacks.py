"""F1 against the strength of an attack or of noise, and whether the attack can be believed.

Sizes (ε, step, standard deviation) are shares of the value range: 0.1 is 25 of 255 grey levels.
The networks' own range [−1, 1] is twice as wide; that factor is inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from alibi_bridge.metrics import check_labels, label_scores
from alibi_bridge.probing import ClassView, check_images, outputs, undisturbed
from alibi_bridge.seeds import check_random_state, numpy_stream
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.repeat import repeatable

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ATTACKS",
    "PAPER_EPSILON",
    "PAPER_STEP_SIZES",
    "StrengthCurve",
    "art_classifier",
    "attack_curve",
    "masking_report",
    "noise_curve",
    "paper_curve",
]

#: The paper's Figure 3a: 10 steps, at most 0.1, the step size on the axis. Which sizes is not
#: printed; these go from next to nothing to all lost.
PAPER_EPSILON = 0.1
PAPER_STEP_SIZES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.01)
#: Names that :func:`attack_curve` takes.
ATTACKS = ("pgd", "autopgd", "square", "transfer")
#: [−1, 1] is so many times as wide as [0, 1].
_WIDTH = 2.0


@dataclass(frozen=True, eq=False)
class StrengthCurve:
    """Labels of images changed more and more.

    Attributes
    ----------
    kind : str
        An attack's name, or "noise".
    strengths : ndarray of float, shape (S,)
        ε, step size or standard deviation, as a share of the value range.
    y : ndarray of int, shape (n,)
        True classes.
    predicted : ndarray of int, shape (S, n)
        argmax(p0, p1) of the changed images.
    p_fake : ndarray of float or None, shape (S, n)
        Of the changed images, where the network has a third output.
    details : dict
        How the images were changed.
    """

    kind: str
    strengths: np.ndarray
    y: np.ndarray
    predicted: np.ndarray
    p_fake: np.ndarray | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def f1(self) -> np.ndarray:
        """F1 of class 1 at each strength, in [0, 1]; higher is more robust (Figure 3).

        0 is no chance value: an attack can have every label wrong. A network that calls everything
        1 keeps F1 = 2s/(1 + s), s the share of class 1, at any strength; see `accuracy` beside it.
        """
        return np.array([label_scores(self.y, row)["F1"] for row in self.predicted])

    @property
    def accuracy(self) -> np.ndarray:
        """Share of right labels at each strength, in [0, 1]; higher is more robust."""
        shares: np.ndarray = (self.predicted == self.y).mean(axis=1)
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return the figures (not the labels of the images) as JSON can write them."""
        found = {
            "kind": self.kind,
            "strengths": self.strengths.tolist(),
            "F1": self.f1.tolist(),
            "accuracy": self.accuracy.tolist(),
            **self.details,
        }
        if self.p_fake is not None:
            found["p_fake"] = self.p_fake.mean(axis=1).tolist()
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return columns ``strength``, ``F1``, ``accuracy`` and, where there is one, ``p_fake``."""
        import pandas as pd

        columns = {"strength": self.strengths, "F1": self.f1, "accuracy": self.accuracy}
        if self.p_fake is not None:
            columns["p_fake"] = self.p_fake.mean(axis=1)
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import frame_table

        return frame_table(self.to_frame(), f"{len(self.y)} images changed by {self.kind}")


def attack_curve(
    network: nn.Module,
    X: Any,
    y: Any,
    epsilons: Any,
    attack: str = "pgd",
    *,
    step_sizes: Any = None,
    steps: int = 10,
    queries: int = 500,
    source: nn.Module | None = None,
    batch_size: int = 128,
    random_state: int = 0,
) -> StrengthCurve:
    """Attack a network at several strengths, L∞.

    Parameters
    ----------
    network : torch.nn.Module
        D, G, or a classifier; see :class:`~alibi_bridge.probing.ClassView`. The attack sees its two
        class logits, never p_fake. Evaluation mode; left as it was.
    X : array-like of float, shape (n, C, H, W)
        In [−1, 1].
    y : array-like of shape (n,)
        True classes, 0 or 1. Every image is sent to its opposite class.
    epsilons : array-like of shape (S,)
        Largest change of a pixel as a share of the value range; 0 is no attack.
    attack : {"pgd", "autopgd", "square", "transfer"}, optional
        ``"pgd"``: ART's ProjectedGradientDescentPyTorch, targeted, from the image itself, as in
        the paper. ``"autopgd"``: ART's AutoProjectedGradientDescent, untargeted, from a random
        start; with two classes that is the same aim, and ART 1.20 compares its first step the
        wrong way round when targeted. ``"square"``: ART's SquareAttack, which sees scores only.
        ``"transfer"``: PGD on `source`, shown to `network`.
    step_sizes : array-like of shape (S,), optional
        Of PGD and AutoPGD, as a share of the value range. Default: ε/4 (2.5 ε over 10 steps), and
        2 ε for AutoPGD, which halves it by itself.
    steps : int, optional
        Of PGD and AutoPGD.
    queries : int, optional
        Iterations of the square attack.
    source : torch.nn.Module, optional
        For "transfer".
    batch_size : int, optional
    random_state : int, optional

    Returns
    -------
    StrengthCurve
        Images after the attack are put back into the ε-ball and [−1, 1].

    Raises
    ------
    InvalidInputError
        An unknown attack, images, labels or sizes that cannot be worked with.

    References
    ----------
    Madry et al. (ICLR 2018); Croce and Hein (ICML 2020); Andriushchenko et al. (ECCV 2020);
    the paper, section 4.5.
    """
    images = check_images(X)
    labels = check_labels(y, len(images))
    seed = check_random_state(random_state)
    sizes = _sizes(epsilons, "epsilons")
    if attack not in ATTACKS:
        raise InvalidInputError(f"unknown attack {attack!r}{did_you_mean(attack, ATTACKS)}")
    if (source is None) == (attack == "transfer"):
        raise InvalidInputError("source is the network of a transfer attack, and of no other")
    moves = sizes * (2.0 if attack == "autopgd" else 0.25) if step_sizes is None else None
    moves = _sizes(step_sizes, "step_sizes") if moves is None else moves
    if moves.shape != sizes.shape:
        raise InvalidInputError(f"{len(sizes)} epsilons need as many step_sizes, not {len(moves)}")
    victim = network if source is None else source
    changed = []
    with undisturbed(victim):
        classifier = art_classifier(victim, images.shape[1:])
        for place, (size, move) in enumerate(zip(sizes, moves, strict=True)):
            if size == 0 or (move == 0 and attack != "square"):
                changed.append(images)
                continue
            limits = {"eps": _WIDTH * float(size), "batch_size": batch_size, "verbose": False}
            aim = labels if attack in ("autopgd", "square") else 1 - labels
            with repeatable(seed, ATTACKS.index(attack), place):  # ART draws when it predicts, too
                made = _attack(attack, classifier, limits, _WIDTH * float(move), steps, queries)
                found = made.generate(images.copy(), y=np.eye(2, dtype=np.float32)[aim])
            reach = _WIDTH * size
            changed.append(np.clip(found, images - reach, images + reach).clip(-1, 1))
    details = {"step_sizes": moves.tolist(), "steps": steps, "norm": "inf"}
    if attack == "square":
        details = {"queries": queries, "norm": "inf"}
    return _labelled(network, attack, sizes, labels, changed, details, random_state)


def paper_curve(
    network: nn.Module,
    X: Any,
    y: Any,
    step_sizes: Any = PAPER_STEP_SIZES,
    *,
    batch_size: int = 128,
    random_state: int = 0,
) -> StrengthCurve:
    """Return Figure 3a: targeted PGD, 10 steps, ε = 0.1, step sizes on the axis.

    Parameters
    ----------
    network, X, y, batch_size, random_state
        See :func:`attack_curve`.
    step_sizes : array-like, optional
        As a share of the value range.

    Returns
    -------
    StrengthCurve
        Its strengths are the step sizes. While 10 steps stay below ε this is an attack of size
        10 x step.
    """
    moves = _sizes(step_sizes, "step_sizes")
    curve = attack_curve(
        *(network, X, y, np.full(len(moves), PAPER_EPSILON)),
        step_sizes=moves,
        batch_size=batch_size,
        random_state=random_state,
    )
    details = {**curve.details, "epsilon": PAPER_EPSILON}
    return StrengthCurve("pgd", moves, curve.y, curve.predicted, curve.p_fake, details)


def noise_curve(
    network: nn.Module, X: Any, y: Any, stds: Any, *, random_state: int = 0
) -> StrengthCurve:
    """Add Gaussian noise of several strengths (the paper's Figure 3b).

    Parameters
    ----------
    network, X, y
        See :func:`attack_curve`.
    stds : array-like of shape (S,)
        Standard deviations as a share of the value range.
    random_state : int, optional
        Every strength and every network gets the same noise, scaled.

    Returns
    -------
    StrengthCurve
        The images are clipped to [−1, 1], as a camera would.
    """
    images = check_images(X)
    labels = check_labels(y, len(images))
    sizes = _sizes(stds, "stds")
    noise = numpy_stream(random_state, "noise").standard_normal(images.shape, dtype=np.float32)
    changed = [(images + np.float32(_WIDTH * size) * noise).clip(-1, 1) for size in sizes]
    return _labelled(network, "noise", sizes, labels, changed, {}, random_state)


def masking_report(
    pgd: StrengthCurve, others: Mapping[str, StrengthCurve], tolerance: float = 0.05
) -> dict[str, Any]:
    """Look for signs that gradients are hidden and PGD flatters the network.

    Parameters
    ----------
    pgd : StrengthCurve
        By the network's own gradients.
    others : mapping of str to StrengthCurve
        Attacks on the same images at the same strengths, stronger or without gradients.
    tolerance : float, optional
        How much more another attack may fool.

    Returns
    -------
    dict
        ``"fooled"``: share of images wrong under each attack, by strength; ``"fooled by any"``:
        worst case over the attacks, the figure to believe; ``"excess"``: the largest amount by
        which each other attack fools more than PGD; ``"suspect"``: names of those above the
        tolerance. A stronger gradient attack (AutoPGD) may fool a little more; an attack without
        gradients that does is a sign of masking (Athalye et al. 2018, Carlini et al. 2019).

    Raises
    ------
    InvalidInputError
        Curves of other strengths or images.
    """
    wrong = {"pgd": pgd.predicted != pgd.y}
    for name, curve in others.items():
        same = np.array_equal(curve.strengths, pgd.strengths) and np.array_equal(curve.y, pgd.y)
        if not same:
            raise InvalidInputError(f"curve {name!r} has other strengths or images than PGD's")
        wrong[name] = curve.predicted != curve.y
    fooled = {name: found.mean(axis=1) for name, found in wrong.items()}
    excess = {name: float((fooled[name] - fooled["pgd"]).max()) for name in others}
    return {
        "strengths": pgd.strengths.tolist(),
        "fooled": {name: found.tolist() for name, found in fooled.items()},
        "fooled by any": np.any(list(wrong.values()), axis=0).mean(axis=1).tolist(),
        "excess": excess,
        "suspect": [name for name, value in excess.items() if value > tolerance],
    }


def art_classifier(network: nn.Module, shape: tuple[int, ...]) -> Any:
    """Return an ART ``PyTorchClassifier`` over a network's two class logits, images in [−1, 1]."""
    from art.estimators.classification import PyTorchClassifier

    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    return PyTorchClassifier(
        model=ClassView(network),
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(shape),
        nb_classes=2,
        clip_values=(-1.0, 1.0),
        device_type="cpu" if device.type == "cpu" else "gpu",
    )


def _attack(
    name: str, classifier: Any, limits: dict[str, Any], move: float, steps: int, queries: int
) -> Any:
    if name in ("pgd", "transfer"):
        from art.attacks.evasion import ProjectedGradientDescentPyTorch

        return ProjectedGradientDescentPyTorch(
            classifier, eps_step=move, max_iter=steps, targeted=True, num_random_init=0, **limits
        )
    if name == "autopgd":
        from art.attacks.evasion import AutoProjectedGradientDescent

        return AutoProjectedGradientDescent(
            classifier, eps_step=move, max_iter=steps, nb_random_init=1, **limits
        )
    from art.attacks.evasion import SquareAttack

    return SquareAttack(classifier, max_iter=queries, p_init=0.3, **limits)


def _labelled(
    network: nn.Module,
    kind: str,
    strengths: np.ndarray,
    labels: np.ndarray,
    changed: list[np.ndarray],
    details: dict[str, Any],
    random_state: int,
) -> StrengthCurve:
    logits = [outputs(network, images, random_state=random_state) for images in changed]
    predicted = np.stack([found[:, :2].argmax(axis=1) for found in logits])
    fake = None
    if logits[0].shape[1] > 2:
        shares = np.exp(np.stack(logits).astype(float) - np.stack(logits).max(-1, keepdims=True))
        fake = shares[..., 2] / shares.sum(axis=-1)
    return StrengthCurve(kind, strengths, labels, predicted, fake, details)


def _sizes(values: Any, name: str) -> np.ndarray:
    sizes = np.asarray(values, dtype=float)
    if sizes.ndim != 1 or not sizes.size or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise InvalidInputError(f"{name} must be a list of finite numbers from 0 on")
    return sizes
