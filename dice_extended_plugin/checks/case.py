"""What a check is, and what it is given. Imports no framework."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any

__all__ = [
    "Case",
    "Check",
    "CheckFailed",
    "Overrun",
    "Skip",
    "arguments_for",
    "ensure",
    "need",
    "recommended",
    "refuses",
    "required",
]


class CheckFailed(AssertionError):
    """The component broke a promise; the text says which, where and with what value."""


class Skip(Exception):
    """The check cannot be run here, or has no meaning for this component."""


class Overrun(BaseException):
    """The component went on beyond the limit of the suite.

    No ``Exception``: a component that catches those must not swallow it.
    """


@dataclass(frozen=True)
class Check:
    """One promise.

    Parameters
    ----------
    run : callable
        ``run(case)``; returns if the promise is kept, raises :class:`CheckFailed` or anything
        else if not, and :class:`Skip` if it cannot tell.
    level : {"required", "recommended"}
    """

    run: Callable[[Case], None]
    level: str

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """The promise, from the first line of the docstring."""
        line = (self.run.__doc__ or "").strip().partition("\n")[0]
        text = line.removeprefix("Check that ")
        return text[:1].upper() + text[1:]

    def __call__(self, case: Case) -> None:
        """Run the check, as a pytest test does: a :class:`Skip` becomes pytest's."""
        from dice_extended_plugin.checks.limits import time_limit

        try:
            with time_limit(case.max_seconds):
                self.run(case)
        except Skip as skip:
            import pytest

            pytest.skip(str(skip))
        except Overrun as overrun:
            raise CheckFailed(str(overrun)) from None


def required(run: Callable[[Case], None]) -> Check:
    """Mark a function as a check that every component has to pass."""
    return Check(run, "required")


def recommended(run: Callable[[Case], None]) -> Check:
    """Mark a function as a check that a good component passes; hosts themselves do not ask it."""
    return Check(run, "recommended")


@dataclass(frozen=True, eq=False)
class Case:
    """One component on one framework.

    Parameters
    ----------
    kind : str
        One of :data:`~dice_extended_plugin.registry.KINDS`.
    name : str
        For the report.
    load : callable
        Imports and returns the component, at the first use of :attr:`subject`.
    backend : str or None
        Framework of the suite's model, in dice-ml's names; None where it has no meaning.
    init, fit, call : mapping, optional
        Further keywords of the constructor, of ``fit`` and of the main call, to make the component
        small and quick. By default those of the component's own ``conformance()``, a static or
        class method that returns a mapping with these keys.
    max_calls : int
        Model calls after which the suite stops a component.
    max_seconds : float
        Seconds after which the suite stops a check (only in the main thread).
    """

    kind: str
    name: str
    load: Callable[[], Any]
    backend: str | None = None
    init: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    max_calls: int = 20_000
    max_seconds: float = 120.0

    @cached_property
    def subject(self) -> Any:
        """The class, function or Metric that is checked.

        Raises
        ------
        Skip
            If a framework that it imports is not installed.
        """
        try:
            return self.load()
        except ModuleNotFoundError as error:
            raise Skip(str(error)) from error
        except ImportError as error:
            if error.name or "which cannot be imported here" in str(error):
                raise Skip(str(error)) from error
            raise

    @cached_property
    def own(self) -> dict[str, dict[str, Any]]:
        """Keywords of each step: the component's own, and those given over them."""
        offered: Mapping[str, Any] = {}
        if isinstance(self.subject, type) and hasattr(self.subject, "conformance"):
            offered = self.subject.conformance()
        return {
            step: {**offered.get(step, {}), **getattr(self, step)}
            for step in ("init", "fit", "call")
        }

    @property
    def id(self) -> str:
        """Kind, name and backend, as pytest shows them."""
        return "-".join(part for part in (self.kind, self.name, self.backend) if part)


def ensure(condition: object, text: str) -> None:
    """Raise :class:`CheckFailed` with a text unless the condition holds."""
    if not condition:
        raise CheckFailed(text)


def need(*modules: str) -> None:
    """Raise :class:`Skip` if one of the modules is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise Skip(f"{module} is not installed")


def refuses(
    call: Callable[[], object], what: str, errors: tuple[type[BaseException], ...] = (ValueError,)
) -> str:
    """Check that a call raises one of the errors, and return its text."""
    names = " or ".join(error.__name__ for error in errors)
    try:
        call()
    except Skip:
        raise
    except errors as error:
        ensure(str(error).strip(), f"{what}: the {type(error).__name__} has no text")
        return str(error)
    except Exception as error:
        raise CheckFailed(
            f"{what} must raise {names}, it raised {type(error).__name__}: {error}"
        ) from error
    raise CheckFailed(f"{what} must raise {names}, it raised nothing")


def arguments_for(function: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the offered arguments that a function names."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in offered.items() if name in names}
