"""The search engines: algorithms of pymoo that take ``pop_size`` and ``sampling``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.operators.sampling.rnd import FloatRandomSampling

from alibi_bridge.fronts import non_dominated, thin_out
from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = ["RandomSearch", "check_engine_options", "load_engine"]

#: Arguments of an engine that the search itself gives.
_GIVEN = ("pop_size", "sampling", "seed", "self", "termination")


class RandomSearch(Algorithm):
    """Points drawn uniformly from the box, the non-dominated kept: what an engine has to beat.

    Parameters
    ----------
    pop_size : int, default 100
        Points per generation.
    archive_size : int, default 100
        Points kept; beyond it the most crowded are taken out.
    sampling : pymoo sampling or ndarray, optional
        First points. Default: uniform, as all later ones.
    """

    def __init__(
        self, pop_size: int = 100, archive_size: int = 100, sampling: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("pop_size", pop_size), ("archive_size", archive_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInputError(f"{name} must be a whole number from 1 on: {value!r}")
        self.pop_size = pop_size
        self.archive_size = archive_size
        self.sampling = sampling
        self._uniform = FloatRandomSampling()

    def _initialize_infill(self) -> Population:
        if isinstance(self.sampling, np.ndarray):
            return Population.new(X=self.sampling)
        sampling = self.sampling or self._uniform
        return sampling(self.problem, self.pop_size, random_state=self.random_state)

    def _infill(self) -> Population:
        return self._uniform(self.problem, self.pop_size, random_state=self.random_state)

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        self.pop = Population.empty()
        self._advance(infills)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        pool = Population.merge(self.pop, infills)
        F = pool.get("F")
        kept = np.flatnonzero(non_dominated(F))
        self.pop = pool[kept[thin_out(F[kept], self.archive_size)]]

    def _set_optimum(self) -> None:
        self.opt = self.pop


def check_engine_options(engine: Any, options: Mapping[str, Any]) -> None:
    """Refuse options that an engine does not know; pymoo's algorithms would not say so.

    Parameters
    ----------
    engine : callable
        As :func:`load_engine` returns it. Only a class tells what it takes.
    options : mapping

    Raises
    ------
    InvalidInputError
        A ``ValueError``: an unknown option, or one that the search gives itself.
    """
    for name in options:
        if name in _GIVEN:
            raise InvalidInputError(
                f"engine_options: {name!r} is not one of them; the settings pop_size and "
                f"random_state say how many candidates there are and what is drawn"
            )
    if not inspect.isclass(engine):
        return
    known: set[str] = set()
    for base in engine.__mro__:
        if "__init__" in vars(base) and base is not object:
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            known |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    known -= set(_GIVEN)
    for name in options:
        if name not in known:
            raise InvalidInputError(
                f"engine_options: {engine.__name__} takes no {name!r}{did_you_mean(name, known)}; "
                f"it takes {', '.join(sorted(known))}"
            )


def load_engine(name: Any) -> Any:
    """Return the engine of a name, from the registry of dice-extended.

    Parameters
    ----------
    name : str or callable
        A registered ``search_engine``, or itself something that takes ``pop_size`` and
        ``sampling`` and returns an algorithm of pymoo.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: nothing of this name is registered; the text lists what is.
    """
    if not isinstance(name, str):
        if callable(name):
            return name
        raise InvalidInputError(f"engine must be a name or a pymoo algorithm class, got {name!r}")
    from dice_extended_plugin.plugins import get_registry

    return get_registry().load("search_engine", name)
