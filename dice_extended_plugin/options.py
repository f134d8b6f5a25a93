"""Keywords of a call: dice-ml's names and defaults, checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.noise import NoiseModel

__all__ = ["CallOptions", "GradientOptions", "check_integer", "check_number"]

_Options = TypeVar("_Options", bound="CallOptions")

#: Keywords that name one of a few ways; those that a class of options lacks are passed over.
_CHOICES: dict[str, tuple[Any, ...]] = {
    "algorithm": ("DiverseCF", "RandomInitCF"),
    "yloss_type": ("hinge_loss", "l2_loss", "log_loss"),
    "diversity_loss_type": (
        "dpp_style:inverse_dist",
        "dpp_style:exponential_dist",
        "avg_dist",
    ),
    "optimizer": ("pytorch:adam", "pytorch:rmsprop"),
    "robustness": ("dice", "validity", None),
    "initialization": ("kdtree", "random"),
}


#: Keywords that weigh something.
_WEIGHTS = (
    "proximity_weight",
    "sparsity_weight",
    "diversity_weight",
    "categorical_penalty",
    "robustness_weight",
)


@dataclass(frozen=True)
class CallOptions:
    """Keywords that every method of ours takes.

    Parameters
    ----------
    robustness : {"dice", "validity", None}
        Mode of the robustness term: the Dice-Sorensen coefficient times the wanted outcome under
        noise, that outcome alone, or plain DiCE.
    robustness_weight : float, >= 0
        0 is plain DiCE.
    noise : NoiseModel
        Changes the counterfactuals must survive.
    random_state : int or None
        None draws fresh entropy.
    max_seconds : float or None, > 0
        Wall time for the call; what was found by then is returned.
    max_model_calls : int or None, >= 1
        Model calls each query may take part in while it is searched.

    Raises
    ------
    InvalidInputError
        Naming the argument.
    """

    robustness: str | None = "dice"
    robustness_weight: float = 0.4
    noise: NoiseModel = field(default_factory=NoiseModel)
    random_state: int | None = 0
    max_seconds: float | None = None
    max_model_calls: int | None = None

    def __post_init__(self) -> None:
        names = [entry.name for entry in fields(self)]
        for name, choices in _CHOICES.items():
            if name in names and getattr(self, name) not in choices:
                raise InvalidInputError(
                    f"{name} must be one of {choices}, not {getattr(self, name)!r}"
                )
        for name in _WEIGHTS:
            if name in names:
                check_number(name, getattr(self, name), least=0.0)
        if self.max_seconds is not None:
            check_number("max_seconds", self.max_seconds, above=0.0)
        if self.max_model_calls is not None:
            check_integer("max_model_calls", self.max_model_calls, least=1)
        if self.random_state is not None:
            check_integer("random_state", self.random_state, least=0)
        if not isinstance(self.noise, NoiseModel):
            raise InvalidInputError(
                f"noise must be a NoiseModel, not {type(self.noise).__name__}; "
                f"write NoiseModel(scale={self.noise!r}) for a scale"
            )

    @property
    def robust(self) -> bool:
        """Whether robustness counts."""
        return self.robustness is not None and self.robustness_weight > 0

    def limits(self) -> dict[str, Any]:
        """Return what may end a search, under the names that its reasons use."""
        return {"max_seconds": self.max_seconds, "max_model_calls": self.max_model_calls}

    def seed(self) -> int:
        """Return the seed, or fresh entropy for None."""
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])
        return self.random_state

    @classmethod
    def read(
        cls: type[_Options], defaults: Mapping[str, Any], given: Mapping[str, Any]
    ) -> _Options:
        """Make options from an explainer's defaults and a call's keywords.

        Raises
        ------
        InvalidInputError
            A keyword that does not exist, with the nearest that does.
        """
        known = [entry.name for entry in fields(cls)]
        for name in given:
            if name not in known:
                raise InvalidInputError(
                    f"unknown keyword {name!r}{did_you_mean(name, known)}; known are "
                    f"{', '.join(known)}"
                )
        return cls(**{**defaults, **given})


@dataclass(frozen=True)
class GradientOptions(CallOptions):
    """Keywords of the gradient methods: dice-ml's, with its defaults, beside our own.

    Parameters
    ----------
    proximity_weight, diversity_weight, categorical_penalty : float, >= 0
    algorithm : {"DiverseCF", "RandomInitCF"}
    yloss_type : {"hinge_loss", "l2_loss", "log_loss"}
    diversity_loss_type : {"dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist"}
    feature_weights : "inverse_mad" or mapping of feature or column to weight >= 0
    optimizer : {"pytorch:adam", "pytorch:rmsprop"}
    learning_rate : float, > 0
    min_iter, max_iter : int
        At least and at most so many steps, ``1 <= min_iter <= max_iter``.
    project_iter : int
        Round the candidates every so many steps; 0 never.
    loss_diff_thres : float, >= 0
    loss_converge_maxiter : int, >= 1
    init_near_query_instance, tie_random : bool
    limit_steps_ls : int, >= 1
        Most steps of a linear sparsity search.

    Raises
    ------
    InvalidInputError
        Naming the argument.
    """

    proximity_weight: float = 0.5
    diversity_weight: float = 1.0
    categorical_penalty: float = 0.1
    algorithm: str = "DiverseCF"
    yloss_type: str = "hinge_loss"
    diversity_loss_type: str = "dpp_style:inverse_dist"
    feature_weights: str | Mapping[str, float] = "inverse_mad"
    optimizer: str = "pytorch:adam"
    learning_rate: float = 0.05
    min_iter: int = 500
    max_iter: int = 5000
    project_iter: int = 0
    loss_diff_thres: float = 1e-5
    loss_converge_maxiter: int = 1
    init_near_query_instance: bool = True
    tie_random: bool = False
    limit_steps_ls: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("loss_diff_thres", self.loss_diff_thres, least=0.0)
        check_number("learning_rate", self.learning_rate, above=0.0)
        for name in ("min_iter", "max_iter", "loss_converge_maxiter", "limit_steps_ls"):
            check_integer(name, getattr(self, name), least=1)
        check_integer("project_iter", self.project_iter, least=0)
        if self.min_iter > self.max_iter:
            raise InvalidInputError(
                f"min_iter = {self.min_iter} is larger than max_iter = {self.max_iter}"
            )

    def limits(self) -> dict[str, Any]:
        """Return what may end a search, under the names that its reasons use."""
        return {**super().limits(), "max_iter": self.max_iter}


def check_number(
    name: str, value: Any, least: float | None = None, above: float | None = None
) -> None:
    """Raise unless `value` is a finite number within its limits."""
    limit = f"at least {least:g}" if least is not None else f"above {above:g}"
    fits = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if fits and least is not None:
        fits = value >= least
    if fits and above is not None:
        fits = value > above
    if not fits:
        raise InvalidInputError(f"{name} must be a finite number {limit}, not {value!r}")


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise unless `value` is an integer of at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InvalidInputError(f"{name} must be an integer of at least {least}, not {value!r}")
