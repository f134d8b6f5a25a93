"""What there is to use: components that plugins have named, imported when they are asked for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from dice_extended_plugin import DISTRIBUTION
from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = [
    "BACKENDS",
    "KINDS",
    "Component",
    "ComponentClashError",
    "Registry",
    "UnknownComponentError",
    "import_public",
    "import_target",
]

#: What a component can be.
KINDS = (
    "dice_method",
    "art_attack",
    "art_defence",
    "art_metric",
    "alibi_explainer",
    "search_engine",
    "gan_generator",
    "gan_discriminator",
    "metric",
    "job_task",
)
#: The names dice-ml gives to the frameworks of a model.
BACKENDS = ("PYT", "TF1", "TF2", "sklearn")

_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class ComponentClashError(ValueError):
    """Two plugins registered the same kind and name for the same backend."""


class UnknownComponentError(InvalidInputError):
    """Nothing is registered under this name, or nothing that serves this backend."""


@dataclass(frozen=True)
class Component:
    """One thing that can be chosen by name.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    name : str
        What users write to choose it, for example ``"gradient"``.
    target : str
        Where it is, as ``"package.module:Class"``. Imported on first use, not before.
    extra : str, optional
        The extra of the registering distribution that brings what the target imports. It appears
        in the error text of an import that fails.
    summary : str, optional
        One line for listings.
    backends : tuple of str, optional
        The names of the dice-ml backends (:data:`BACKENDS`) that it serves, None for all.

    Raises
    ------
    InvalidInputError
        A ``ValueError`` that names the argument.
    """

    kind: str
    name: str
    target: str
    extra: str | None = None
    summary: str = ""
    backends: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check every argument, so that a mistake shows at the plugin's own line."""
        _check_kind(self.kind)
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidInputError(
                f"name must be letters, digits, '_', '-' or '.', it is {self.name!r}"
            )
        if not isinstance(self.target, str) or not _TARGET.fullmatch(self.target):
            raise InvalidInputError(
                f"target of {self.kind} {self.name!r} must be 'package.module:Class', "
                f"it is {self.target!r}"
            )
        if self.extra is not None and (
            not isinstance(self.extra, str) or not _NAME.fullmatch(self.extra)
        ):
            raise InvalidInputError(
                f"extra of {self.kind} {self.name!r} must be the name of an extra, or None, "
                f"it is {self.extra!r}"
            )
        if not isinstance(self.summary, str) or len(self.summary.splitlines()) > 1:
            raise InvalidInputError(f"summary of {self.kind} {self.name!r} must be one line")
        if self.backends is not None:
            self._check_backends()

    def _check_backends(self) -> None:
        if not isinstance(self.backends, tuple) or not self.backends:
            raise InvalidInputError(
                f"backends of {self.kind} {self.name!r} must be a tuple of names, such as "
                f"('PYT',), or None for all, it is {self.backends!r}"
            )
        for backend in self.backends:
            if backend not in BACKENDS:
                raise InvalidInputError(
                    f"backends of {self.kind} {self.name!r} holds {backend!r}; known are "
                    f"{', '.join(BACKENDS)}{did_you_mean(str(backend), BACKENDS)}"
                )

    def serves(self, backend: str | None) -> bool:
        """Whether it can be used with this dice-ml backend; None asks for no particular one."""
        return backend is None or self.backends is None or backend in self.backends

    def overlaps(self, other: Component) -> bool:
        """Whether a look-up could not tell the two apart."""
        if (self.kind, self.name) != (other.kind, other.name):
            return False
        if self.backends is None or other.backends is None:
            return True
        return not set(self.backends).isdisjoint(other.backends)


class _Owner(NamedTuple):
    """Who registered a component."""

    plugin: str
    distribution: str

    def __str__(self) -> str:
        return f"distribution {self.distribution!r} (plugin {self.plugin!r})"


class _Entry(NamedTuple):
    component: Component
    owner: _Owner


class Registry:
    """The components that are there, by kind and name.

    ``registry.add(Component(...))`` also works outside a plugin, for this process only; the
    target of a class written in a notebook is ``"__main__:MyClass"``.

    Attributes
    ----------
    absent : dict of str to str
        Plugins that did not load, and why. Only for the text of look-up errors: who misses a
        name should read that its plugin failed.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._owner = _Owner("this session", DISTRIBUTION)
        self.absent: dict[str, str] = {}

    def add(self, component: Component) -> None:
        """Register a component.

        Parameters
        ----------
        component : Component
            What to add.

        Raises
        ------
        ComponentClashError
            If its kind and name are taken for one of its backends.
        """
        if not isinstance(component, Component):
            raise InvalidInputError(
                f"add() takes a Component(kind, name, target), not {component!r}"
            )
        for entry in self._entries:
            if component.overlaps(entry.component):
                raise ComponentClashError(
                    f"{component.kind} {component.name!r} of {self._owner} is already registered "
                    f"by {entry.owner}; rename one, uninstall one, or name one of the plugins in "
                    f"DICE_EXTENDED_BLOCK"
                )
        self._entries.append(_Entry(component, self._owner))

    @contextmanager
    def transaction(self, plugin: str, distribution: str) -> Iterator[None]:
        """Register in the name of a plugin; take everything back if the block raises."""
        before, length = self._owner, len(self._entries)
        self._owner = _Owner(plugin, distribution)
        try:
            yield
        except BaseException:
            del self._entries[length:]  # entries are only ever appended
            raise
        finally:
            self._owner = before

    def components(self, kind: str | None = None) -> list[Component]:
        """Return the components of a kind, or all, in the order of registration."""
        if kind is not None:
            _check_kind(kind)
        return [e.component for e in self._entries if kind in (None, e.component.kind)]

    def find(self, kind: str, name: str, backend: str | None = None) -> Component:
        """Look a component up.

        Parameters
        ----------
        kind, name : str
            What it is and what it is called.
        backend : str, optional
            dice-ml backend of the model. Needed only where a name has one component per backend.

        Returns
        -------
        Component
            The only one that fits.

        Raises
        ------
        UnknownComponentError
            A ``ValueError`` that lists what there is.
        """
        return self._entry(kind, name, backend).component

    def load(self, kind: str, name: str, backend: str | None = None) -> Any:
        """Look a component up as :meth:`find` does, and import its target.

        Returns
        -------
        object
            The class or function that the component names.

        Raises
        ------
        UnknownComponentError
            As in :meth:`find`.
        ImportError
            If a module is missing; the text names the extra that brings it.
        """
        component, owner = self._entry(kind, name, backend)
        return import_target(
            component.target, f"{kind} {name!r} of {owner}", component.extra, owner.distribution
        )

    def _entry(self, kind: str, name: str, backend: str | None) -> _Entry:
        _check_kind(kind)
        named = [e for e in self._entries if (e.component.kind, e.component.name) == (kind, name)]
        fitting = [e for e in named if e.component.serves(backend)]
        if len(fitting) == 1:
            return fitting[0]

        served = ", ".join(b for e in named for b in e.component.backends or ())
        if fitting:
            raise UnknownComponentError(
                f"there is one {kind} {name!r} for each of {served}: say which backend"
            )
        names = sorted({c.name for c in self.components(kind) if c.serves(backend)})
        where = "" if backend is None else f" for backend {backend!r}"
        listing = f"there is{where}: {', '.join(names) or 'nothing'}"
        if named:
            problem = f"{kind} {name!r} serves {served}, not {backend!r}"
        else:
            problem = f"no {kind} is called {name!r}{did_you_mean(str(name), names)}"
        absent = "; ".join(f"{plugin} ({why})" for plugin, why in self.absent.items())
        raise UnknownComponentError(
            f"{problem}; {listing}" + (f". Plugins that are not loaded: {absent}" if absent else "")
        )


def import_public(package: str, name: str, lazy: Mapping[str, tuple[str, str | None]]) -> Any:
    """Import a public name of a package when it is first asked for.

    Parameters
    ----------
    package, name : str
    lazy : mapping of str to (str, str or None)
        Public name -> the module of the package it comes from, and the extra which that needs.

    Raises
    ------
    AttributeError
        If the package has no such name.
    ImportError
        As from :func:`import_target`.
    """
    if name not in lazy:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    module, extra = lazy[name]
    return import_target(f"{package}.{module}:{name}", f"{package}.{name}", extra)


def import_target(
    target: str, user: str, extra: str | None = None, distribution: str = DISTRIBUTION
) -> Any:
    """Import an object named as ``"module:name"``.

    Parameters
    ----------
    target : str
        What to import.
    user : str
        Who needs it, for error texts.
    extra, distribution : str, optional
        What to install if a module that the target imports is missing.

    Returns
    -------
    object
        The attribute of the module.

    Raises
    ------
    ImportError
        If the target is not there, or a module that it imports is not installed. Whatever else
        the import raises passes through.
    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not missing or missing.partition(".")[0] == module_name.partition(".")[0]:
            raise ImportError(f"{user}: cannot import {target!r}: {error}") from error
        remedy = f"; run: pip install '{distribution}[{extra}]'" if extra else ""
        raise ImportError(
            f"{user} needs {missing!r}, which is not installed{remedy}", name=missing
        ) from error
    try:
        return getattr(module, name)
    except AttributeError:
        raise ImportError(f"{user}: module {module_name!r} has no {name!r}") from None


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidInputError(
            f"unknown kind {kind!r}{did_you_mean(str(kind), KINDS)}; known are {', '.join(KINDS)}"
        )
