"""What we rely on in a host, as rows of a table, and the one check of a row."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Moved", "Reliance", "check", "equals", "has", "is_true", "named", "takes"]


class Moved(AssertionError):
    """A host is no longer what we wrote our code for."""


@dataclass(frozen=True)
class Reliance:
    """`target` is ``module:name.of.thing``; `needs` say what `where` of ours wants of it."""

    distribution: str
    target: str
    where: str
    needs: tuple[Callable[[Any], str], ...] = ()

    def __str__(self) -> str:
        return self.target


def check(reliance: Reliance) -> None:
    """Raise :class:`Moved`, naming host, version, what moved and where we use it."""
    found: Any = None
    try:
        module, _, names = reliance.target.partition(":")
        found = importlib.import_module(module)
        for name in filter(None, names.split(".")):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise Moved(_text(reliance, f"is gone: {error}")) from error
    for need in reliance.needs:
        if problem := need(found):
            raise Moved(_text(reliance, problem))


def _text(reliance: Reliance, problem: str) -> str:
    try:
        number = version(reliance.distribution)
    except PackageNotFoundError:
        number = "?"
    return (
        f"{reliance.distribution} {number}: {reliance.target} {problem}. We rely on it in "
        f"{reliance.where}; adapt that, or leave this version out in pyproject.toml"
    )


def has(*names: str) -> Callable[[Any], str]:
    """Attributes must be there."""

    def need(found: Any) -> str:
        missing = [name for name in names if not hasattr(found, name)]
        return f"has lost {', '.join(missing)}" if missing else ""

    return need


def takes(*names: str, only: bool = False) -> Callable[[Any], str]:
    """Parameters must be there, in this order; with `only` there are no others.

    ``*x`` and ``**x`` stand for themselves; ``x=1`` asks for the default 1 too.
    """

    def need(found: Any) -> str:
        parameters = inspect.signature(found).parameters.values()
        there = [_name(parameter) for parameter in parameters]
        defaults = {_name(parameter): parameter.default for parameter in parameters}
        wanted = [name.partition("=")[0] for name in names]
        order = [name for name in there if name in wanted]
        if order != wanted or (only and there != wanted):
            return f"takes {there}, not {wanted}"
        for name in names:
            bare, is_default, value = name.partition("=")
            if is_default and repr(defaults[bare]) != value:
                return f"has the default {bare}={defaults[bare]!r}, not {value}"
        return ""

    return need


def named(*names: str) -> Callable[[Any], str]:
    """Parameters must be there, in any order: we give them by name."""

    def need(found: Any) -> str:
        there = inspect.signature(found).parameters
        missing = [name for name in names if name not in there]
        return f"no longer takes {', '.join(missing)}" if missing else ""

    return need


def _name(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    return stars.get(parameter.kind, "") + parameter.name


def equals(value: Any) -> Callable[[Any], str]:
    """A constant must have this value."""
    return lambda found: "" if found == value else f"is {found!r}, not {value!r}"


def is_true(test: Callable[[Any], Any], text: str) -> Callable[[Any], str]:
    """`test` of it must be true, else it `text`."""
    return lambda found: "" if test(found) else text
