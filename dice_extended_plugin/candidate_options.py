"""Options of the methods without gradients: dice-ml's names and defaults, checked before work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dice_extended_plugin.options import CallOptions, check_integer, check_number

__all__ = ["CandidateOptions", "GeneticOptions", "NeighbourOptions", "RandomOptions"]


@dataclass(frozen=True)
class CandidateOptions(CallOptions):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("limit_steps_ls", self.limit_steps_ls, least=1)


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
    maxiterations : int, >= 0
        Most generations; with 0 the starts are all there is.
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
        check_integer("maxiterations", self.maxiterations, least=0)
        check_number("thresh", self.thresh, least=0.0)

    def limits(self) -> dict[str, Any]:
        """Return what may end a search, under the names that its reasons use."""
        return {**super().limits(), "max_iter": self.maxiterations}
