"""The parameters of the defence, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from art_bridge.choice import Floors
from art_bridge.inputs import norm_order
from art_bridge.strategies import find_strategy
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The trainer's parameters, checked when it is made."""

    vulnerable_class: int | Literal["auto"]
    strategy: Any
    choose_by: str
    expansion: Any
    n_neighbors: int
    probability_cap: float | None
    floors: Floors
    max_rounds: int
    balance_tolerance: float
    validation_size: float
    max_analysis_rows: int | None
    norm: float | str
    random_state: int

    @property
    def order(self) -> float:
        """The norm as a number."""
        return norm_order(self.norm)

    def __post_init__(self) -> None:
        """Check every parameter.

        Raises
        ------
        InvalidInputError
            That names the parameter.
        """
        find_strategy(self.strategy)
        norm_order(self.norm)
        if self.choose_by not in ("balance", "margin"):
            raise InvalidInputError(
                f"choose_by must be 'balance' or 'margin', it is {self.choose_by!r}"
            )
        if self.vulnerable_class != "auto" and not _is_whole(self.vulnerable_class, 0):
            raise InvalidInputError(
                f"vulnerable_class must be a class number or 'auto': {self.vulnerable_class!r}"
            )
        for name in ("n_neighbors", "max_rounds", "max_analysis_rows"):
            value = getattr(self, name)
            if not (_is_whole(value, 1) or (name == "max_analysis_rows" and value is None)):
                raise InvalidInputError(f"{name} must be a positive whole number, it is {value!r}")
        if not _is_whole(self.random_state, 0):
            raise InvalidInputError(f"random_state must be a whole number: {self.random_state!r}")
        shares = {
            "probability_cap": self.probability_cap,
            "accuracy_drop": self.floors.accuracy_drop,
            "recall_drop": self.floors.recall_drop,
            "validation_size": self.validation_size,
        }
        for name, value in shares.items():
            optional = name in ("probability_cap", "recall_drop")
            if value is None and optional:
                continue
            if not _is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]
                raise InvalidInputError(f"{name} must lie in [0, 1], it is {value!r}")
        if not 0 < self.validation_size < 1:
            raise InvalidInputError("validation_size must lie between 0 and 1")
        if not isinstance(self.floors.keep_overall, bool):
            raise InvalidInputError(f"keep_overall must be a bool: {self.floors.keep_overall!r}")
        if not _is_number(self.balance_tolerance) or self.balance_tolerance < 0:
            raise InvalidInputError(
                f"balance_tolerance must be 0 or more: {self.balance_tolerance}"
            )
        if not _is_expansion(self.expansion):
            raise InvalidInputError(
                f"expansion must be 'auto' or positive numbers, it is {self.expansion!r}"
            )


def _is_whole(value: Any, least: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and bool(value >= least)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_expansion(value: Any) -> bool:
    if isinstance(value, str):
        return value == "auto"
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return False
    return numbers.ndim <= 1 and numbers.size > 0 and bool((numbers > 0).all())
