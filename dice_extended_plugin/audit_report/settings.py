"""What can be set about an audit report, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.options import check_integer, check_number

__all__ = ["ReportSettings"]


@dataclass(frozen=True)
class ReportSettings:
    """How much is asked and measured; the defaults take a minute or two on one core.

    Parameters
    ----------
    n_queries : int, default 50
        Rows drawn to be explained, where none are given.
    k : int, default 4
        Changes asked for each row.
    method : str, default "auto"
        Method of :class:`~dice_extended_plugin.dice.Dice`; "auto" is "gradient" where the model
        has gradients, else "genetic".
    noise : NoiseModel
        The errors that a change has to survive.
    survive_at : float, default 0.95
        Share of the held-out disturbances from which on a change counts as one that survives.
    noise_factors : sequence of float
        Sizes of the errors in the curve, as multiples of `noise`, ascending.
    n_draws : int, default 1000
        Held-out disturbances of each change.
    compare_plain : bool, default True
        Whether the same search without regard for noise stands beside.
    immutable : sequence of str
        Features that must not change.
    permitted_range : mapping, optional
        dice-ml's: ``[low, high]`` of a continuous feature, permitted levels of another.
    groups : sequence of str
        Features by whose values the results are told apart.
    n_tables : int, default 20
        Tables of single rows in the HTML file; the JSON form has all of them.
    n_attacked : int, default 50
        Rows for class margins and success rates; 0 leaves that section out.
    n_retrained : int, default 0
        Models trained again in each of three ways, where a `retrain` function is given.
    noun : (str, str), default ("case", "cases")
        What a row is, one and many: ("person", "people").
    random_state : int, default 0
        Of the choice of rows and of the searches. What measures draws from another seed.

    Raises
    ------
    InvalidInputError
        Naming the argument.
    """

    n_queries: int = 50
    k: int = 4
    method: str = "auto"
    noise: NoiseModel = field(default_factory=NoiseModel)
    survive_at: float = 0.95
    noise_factors: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
    n_draws: int = 1000
    compare_plain: bool = True
    immutable: Sequence[str] = ()
    permitted_range: Mapping[str, Any] | None = None
    groups: Sequence[str] = ()
    n_tables: int = 20
    n_attacked: int = 50
    n_retrained: int = 0
    noun: tuple[str, str] = ("case", "cases")
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("n_queries", 1),
            ("k", 1),
            ("n_draws", 1),
            ("n_tables", 0),
            ("n_attacked", 0),
            ("n_retrained", 0),
            ("random_state", 0),
        ):
            check_integer(name, getattr(self, name), least=least)
        check_number("survive_at", self.survive_at, above=0.0)
        if self.survive_at > 1:
            raise InvalidInputError(f"survive_at must be at most 1, not {self.survive_at!r}")
        if not isinstance(self.noise, NoiseModel):
            raise InvalidInputError(f"noise must be a NoiseModel, not {type(self.noise).__name__}")
        factors = list(self.noise_factors)
        for factor in factors:
            check_number("noise_factors", factor, least=0.0)
        if not factors or factors != sorted(set(factors)):
            raise InvalidInputError(f"noise_factors must be ascending numbers, not {factors}")
        for name in ("immutable", "groups"):
            if isinstance(getattr(self, name), str):
                raise InvalidInputError(f"{name} must be a list of features, not a text")
        if len(self.noun) != 2 or not all(isinstance(word, str) and word for word in self.noun):
            raise InvalidInputError(f"noun must be two words, one and many, not {self.noun!r}")
