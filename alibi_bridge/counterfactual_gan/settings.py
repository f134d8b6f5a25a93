"""Every choice of the joint GAN's training, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Literal

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.options import check_integer

__all__ = ["Settings"]

_CHOICES = {
    "objective": ("corrected", "printed"),
    "noise_label": ("fake", "class"),
    "attack_label": ("class", "fake"),
    "on_collapse": ("warn", "raise"),
    "augmentation": ("full", "flips", "none"),
}


@dataclass(frozen=True)
class Settings:
    """How the joint GAN is trained.

    Lengths are in images scaled to [−1, 1]. The paper gives λ and the update frequency only; the
    rest is ours, see docs/counterfactual_gan.md.

    Parameters
    ----------
    batch_size : int
        Real images per step.
    learning_rate_g, learning_rate_d : float
        Of Adam; halved over the last third of the steps on a line.
    betas : tuple of float
        Of Adam.
    warmup : int
        First steps in which D and G's class head learn the two classes, and G changes nothing.
    objective : {"corrected", "printed"}
        G's loss, see :func:`~alibi_bridge.counterfactual_gan.losses.generator_loss`.
    adversarial_weight, class_weight, l1_weight : float
        The paper's λ1, λ2, λ3.
    tv_weight : float
        Weight of the total variation of x̂ − x, which makes changes hang together, see
        :func:`~alibi_bridge.counterfactual_gan.losses.roughness`; 0 as in the paper.
    l1_start, l1_ramp : float
        λ3 and `tv_weight` rise on a line from `l1_start` times their value over the share `l1_ramp`
        of the steps after the warm-up. With all of it from the first step G can stay at the
        identity for good.
    least_flips : float
        While fewer images than this share are turned in training, λ3 and `tv_weight` fall, down to
        0, and rise again when more are: so that G leaves the identity. 0: they never fall.
    cycles : int
        Passes of G after the first one (0: none).
    cycle_weight : float
        λc.
    cycle_ramp : float
        Share of the steps after the warm-up over which the cycles' weight rises from 0; without a
        ramp G stays at the identity.
    g_every, d_every : int
        G (D) is updated at every so-many-th step.
    instance_noise : float
        Standard deviation of noise on everything that D sees in training, in units of each image's
        own spread.
    smoothing : float
        Label smoothing of D.
    balance : bool
        Draw both classes equally often.
    class_weights : {"balanced"}, tuple of float or None
        Weights of the classes in D's and G's class losses, beside or instead of `balance`.
    augmentation : {"full", "flips", "none"}
        Flips and quarter turns; "full" adds shifts, brightness, contrast and slight blur.
    average : float
        Decay of the running averages of G's and D's weights, which are what is used; 0 uses the
        last ones. D's swings less so: on validation images of two seeds of 64 px cracks its mean
        accuracy over the last steps was 0.912 against 0.893.
    mixed_precision : bool
        bfloat16 on GPUs.
    noise_weight, noise_level, noise_label
        A second term of D: real images with Gaussian noise of standard deviation up to
        `noise_level`. Labelled ``"fake"``, p_fake rises with the noise: the label's share of fake
        is the noise's share of `noise_level`. Labelled ``"class"``, D learns to read through it.
    attack_weight, attack_eps, attack_steps, attack_label
        A third term of D: real images moved against D within L∞ balls of radius up to
        `attack_eps` by `attack_steps` gradient steps, labelled with their class (adversarial
        training) or as fake.
    original_weight : float
        A fourth term of D: counterfactuals labelled with the class of their original among the two
        classes (p0 and p1 given not fake), so that D does not follow G's small changes.
    penalty_weight : float
        Weight of the gradient penalty on the class margin.
    extras_start : float
        Share of the steps after the warm-up before these terms begin; 0: from the first step of
        all. A D that is hard to fool from the start can leave G at the identity.
    validate_every : int
        Steps between two looks at the validation images.
    min_flips : float
        Checkpoints with fewer flips on validation are not chosen while others have more.
    on_collapse : {"warn", "raise"}
        What to do when training has failed beyond recovery.

    Raises
    ------
    InvalidInputError
        A ``ValueError`` that names the parameter.
    """

    batch_size: int = 16
    learning_rate_g: float = 2e-3
    learning_rate_d: float = 2e-3
    betas: tuple[float, float] = (0.5, 0.99)
    warmup: int = 150
    objective: Literal["corrected", "printed"] = "corrected"
    adversarial_weight: float = 1.0
    class_weight: float = 1.0
    l1_weight: float = 1.6
    tv_weight: float = 2.0
    l1_start: float = 0.0
    l1_ramp: float = 0.7
    least_flips: float = 0.5
    cycles: int = 0
    cycle_weight: float = 0.5
    cycle_ramp: float = 0.3
    g_every: int = 1
    d_every: int = 1
    instance_noise: float = 0.1
    smoothing: float = 0.0
    balance: bool = True
    class_weights: Any = None
    augmentation: Literal["full", "flips", "none"] = "full"
    average: float = 0.99
    mixed_precision: bool = False
    noise_weight: float = 0.5
    noise_level: float = 0.3
    noise_label: Literal["fake", "class"] = "fake"
    attack_weight: float = 0.0
    attack_eps: float = 0.06
    attack_steps: int = 1
    attack_label: Literal["class", "fake"] = "class"
    original_weight: float = 0.0
    penalty_weight: float = 0.0
    extras_start: float = 0.3
    validate_every: int = 50
    min_flips: float = 0.75
    on_collapse: Literal["warn", "raise"] = "warn"

    def __post_init__(self) -> None:
        whole = {
            **dict.fromkeys(("g_every", "d_every", "validate_every", "attack_steps"), 1),
            **dict.fromkeys(("warmup", "cycles"), 0),
            "batch_size": 2,  # D cannot learn two classes from one image
        }
        for name, least in whole.items():
            check_integer(name, getattr(self, name), least)
            object.__setattr__(self, name, int(getattr(self, name)))
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise InvalidInputError(
                    f"{name} must be one of {', '.join(allowed)}, it is {value!r}"
                    f"{did_you_mean(str(value), allowed)}"
                )
        for field in fields(self):
            if field.type == "float":
                _check_number(field.name, getattr(self, field.name))
        for name in (
            "average",
            "smoothing",
            "cycle_ramp",
            "l1_ramp",
            "l1_start",
            "extras_start",
            "least_flips",
            "min_flips",
        ):
            if getattr(self, name) >= 1 and name in ("average", "smoothing"):
                raise InvalidInputError(f"{name} must be below 1, it is {getattr(self, name)!r}")
            if getattr(self, name) > 1:
                raise InvalidInputError(f"{name} must be 1 at most, it is {getattr(self, name)!r}")
        for name in ("learning_rate_g", "learning_rate_d"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidInputError(
                    f"{name} must lie between 0 and 1, it is {getattr(self, name)!r}"
                )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InvalidInputError(f"betas must be two numbers in [0, 1): {self.betas!r}")
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        weights = self.class_weights
        if weights is None or weights == "balanced":
            return
        try:
            weights = tuple(float(weight) for weight in weights)
        except (TypeError, ValueError):
            weights = ()
        if len(weights) != 2 or not all(isfinite(w) and w > 0 for w in weights):
            raise InvalidInputError(
                "class_weights must be None, 'balanced' or two positive numbers, it is "
                f"{self.class_weights!r}"
            )
        object.__setattr__(self, "class_weights", weights)

    @classmethod
    def paper(cls, **changes: Any) -> Settings:
        """Return settings with the paper's loss alone: no extra term in D's loss or in G's."""
        alone = dict.fromkeys(("noise_weight", "attack_weight", "tv_weight", "least_flips"), 0.0)
        return cls(**{**alone, "l1_weight": 7.0, **changes})

    @classmethod
    def fine(cls, **changes: Any) -> Settings:
        """Return settings for images of 64 pixels and more, where classes differ by thin lines.

        Smoothness costs less and change more, and the classes get a longer warm-up. On validation
        images of one seed of 64 px cracks: IoU 0.417 against 0.406 with the defaults.
        """
        thin = {"l1_weight": 4.0, "tv_weight": 1.0, "warmup": 300, "batch_size": 32}
        return cls(**{**thin, **changes})

    @classmethod
    def hardened(cls, **changes: Any) -> Settings:
        """Return settings with adversarial training of D besides the noise.

        Small radii, one step and a long warm-up. On validation images of one seed a radius of 0.05
        taught D to see through one-step attacks only, and two steps of 0.04 or 0.06 gained less at
        the smallest strength for more time.
        """
        terms = {"attack_weight": 2.0, "attack_eps": 0.03, "attack_steps": 1}
        return cls(**{**terms, "extras_start": 0.0, "warmup": 300, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters; JSON can write them."""
        values = asdict(self)
        values["betas"] = list(self.betas)
        if isinstance(self.class_weights, tuple):
            values["class_weights"] = list(self.class_weights)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings of a dict; unknown names are refused.

        Raises
        ------
        InvalidInputError
            A name that is no setting.
        """
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise InvalidInputError(
                    f"there is no setting {name!r}{did_you_mean(str(name), known)}"
                )
        return cls(**values)


def _check_number(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < float("inf"):
        raise InvalidInputError(f"{name} must be a number of 0 or more, it is {value!r}")
