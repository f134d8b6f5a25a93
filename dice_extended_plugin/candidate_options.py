"""Options of the methods without gradients: dice-ml's names and defaults, checked before work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.options import ROBUSTNESS_MODES, check_integer, check_number

__all__ = ["CandidateOptions", "GeneticOptions", "NeighbourOptions", "RandomOptions"]

_Options = TypeVar("_Options", bound="CandidateOptions")
_KERNELS = ("dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "algorithm": ("DiverseCF", "RandomInitCF"),
    "diversity_loss_type": _KERNELS,
    "initialization": ("kdtree", "random"),
    "robustness": ROBUSTNESS_MODES,
    "yloss_type": ("hinge_loss", "l2_loss", "log_loss"),
}
_WEIGHTS = (
    "proximity_weight",
    "sparsity_weight",
    "diversity_weight",
    "categorical_penalty",
    "robustness_weight",
)


@dataclass(frozen=True)
class CandidateOptions:
    """Keywords that random, genetic and kd-tree share.

    Parameters
    ----------
    proximity_weight, sparsity_weight, diversity_weight : float, >= 0
        What a unit of weighted distance per feature, the share of features changed, and the gain
        in log-determinant weigh when counterfactuals are chosen.
    diversity_loss_type : {"dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist"}
    feature_weights : "inverse_mad" or mapping of feature or column to weight >= 0
    limit_steps_ls : int, >= 1
        Most steps of a linear sparsity search.
    robustness : {"dice", "validity", None}
        "dice": Dice-Sorensen coefficient times label kept under noise; "validity": the label
        alone; None: plain.
    robustness_weight : float, >= 0
        0 is plain.
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

    proximity_weight: float = 0.5
    sparsity_weight: float = 0.0
    diversity_weight: float = 1.0
    diversity_loss_type: str = "dpp_style:inverse_dist"
    feature_weights: str | Mapping[str, float] = "inverse_mad"
    limit_steps_ls: int = 10_000
    robustness: str | None = "dice"
    robustness_weight: float = 0.4
    noise: NoiseModel = field(default_factory=NoiseModel)
    random_state: int | None = 0
    max_seconds: float | None = None
    max_model_calls: int | None = None

    def __post_init__(self) -> None:
        names = {entry.name for entry in fields(self)}
        for name in sorted(names & set(_CHOICES)):
            if getattr(self, name) not in _CHOICES[name]:
                raise InvalidInputError(
                    f"{name} must be one of {_CHOICES[name]}, not {getattr(self, name)!r}"
                )
        for name in _WEIGHTS:
            if name in names:
                check_number(name, getattr(self, name), least=0.0)
        check_integer("limit_steps_ls", self.limit_steps_ls, least=1)
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
class RandomOptions(CandidateOptions):
    """Keywords of the random method.

    Parameters
    ----------
    sample_size : int, >= 1
        Candidates per query and round.
    random_seed : int or None
        dice-ml's name for `random_state`, which it overrides.
    """

    proximity_weight: float = 1.0
    sample_size: int = 1000
    random_seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("sample_size", self.sample_size, least=1)
        if self.random_seed is not None:
            check_integer("random_seed", self.random_seed, least=0)
            object.__setattr__(self, "random_state", self.random_seed)


@dataclass(frozen=True)
class NeighbourOptions(CandidateOptions):
    """Keywords of the kd-tree method."""

    sparsity_weight: float = 1.0


@dataclass(frozen=True)
class GeneticOptions(CandidateOptions):
    """Keywords of the genetic method.

    Parameters
    ----------
    initialization : {"kdtree", "random"}
        Where populations start.
    categorical_penalty : float, >= 0
        Weight of levels that do not sum to one. Rows here always have one level per feature, so
        the term is 0 whatever its weight.
    algorithm : {"DiverseCF", "RandomInitCF"}
        "RandomInitCF" starts at random and leaves diversity to it.
    yloss_type : {"hinge_loss", "l2_loss", "log_loss"}
    maxiterations : int, >= 1
        Most generations.
    thresh : float, >= 0
        A query stops when five generations bring less than this.
    """

    proximity_weight: float = 0.2
    sparsity_weight: float = 0.2
    initialization: str = "kdtree"
    categorical_penalty: float = 0.1
    algorithm: str = "DiverseCF"
    yloss_type: str = "hinge_loss"
    maxiterations: int = 500
    thresh: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("maxiterations", self.maxiterations, least=1)
        check_number("thresh", self.thresh, least=0.0)

    def limits(self) -> dict[str, Any]:
        """Return what may end a search, under the names that its reasons use."""
        return {**super().limits(), "max_iter": self.maxiterations}
