"""Find the plugins, load each behind a guard, and say what became of it.

A plugin is one of the modules in :data:`BUILTINS`, or an entry point of the group
``dice_extended`` of any installed distribution. One that cannot be used is a row in
:func:`list_plugins`, never an exception for the caller. Two environment variables hold
comma-separated names of plugins or of distributions:

``DICE_EXTENDED_PLUGINS``
    Load only these third-party plugins. Set but empty: none. Not set: all.
``DICE_EXTENDED_BLOCK``
    Do not load these, built-in ones included.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from typing import Any, Literal, NamedTuple

import pluggy

from dice_extended_plugin import DISTRIBUTION, __version__, hookspecs
from dice_extended_plugin.registry import Component, Registry

__all__ = [
    "ALLOW_VARIABLE",
    "BLOCK_VARIABLE",
    "BUILTINS",
    "PluginInfo",
    "get_manager",
    "get_registry",
    "list_plugins",
    "reset",
]

logger = logging.getLogger(__name__)

ALLOW_VARIABLE = "DICE_EXTENDED_PLUGINS"
BLOCK_VARIABLE = "DICE_EXTENDED_BLOCK"
#: Our own plugins: name and module.
BUILTINS = {
    "dice_extended_plugin": "dice_extended_plugin.builtin",
    "art_bridge": "art_bridge.plugin",
    "alibi_bridge": "alibi_bridge.plugin",
}


@dataclass(frozen=True)
class PluginInfo:
    """What became of one plugin.

    Parameters
    ----------
    name : str
        Name of the entry point.
    distribution, version : str
        What was installed to bring it.
    state : {"ok", "failed", "blocked"}
        Failed: its import or its registration raised. Blocked: not even imported.
    reason : str or None
        One line that says why it is not ok.
    components : tuple of Component
        What it registered.
    """

    name: str
    distribution: str
    version: str
    state: Literal["ok", "failed", "blocked"]
    reason: str | None = None
    components: tuple[Component, ...] = ()


class _Candidate(NamedTuple):
    """A plugin before it is loaded."""

    distribution: str
    name: str
    version: str
    builtin: bool
    load: Callable[[], Any]

    @property
    def key(self) -> str:
        """Two distributions may use the same entry-point name; pluggy wants unique ones."""
        return f"{self.distribution}:{self.name}"


class _Loaded(NamedTuple):
    manager: pluggy.PluginManager
    registry: Registry
    plugins: tuple[PluginInfo, ...]


_lock = threading.RLock()
_loaded: _Loaded | None = None
_loading = False


def get_registry() -> Registry:
    """Return the registry of this process; the first call loads the plugins."""
    return _get().registry


def get_manager() -> pluggy.PluginManager:
    """Return pluggy's manager with the loaded plugins, for calling hooks."""
    return _get().manager


def list_plugins() -> list[PluginInfo]:
    """Return every plugin that was found, built-in ones first, also failed and blocked ones."""
    return list(_get().plugins)


def reset() -> None:
    """Forget everything, so that the next call looks for plugins again."""
    global _loaded
    with _lock:
        _loaded = None


def _get() -> _Loaded:
    global _loaded, _loading
    with _lock:
        if _loaded is not None:
            return _loaded
        if _loading:  # only a plugin can come here, the lock keeps other threads out
            raise RuntimeError(
                "the plugins are still being loaded; a plugin registers its components in "
                "dice_extended_register(registry)"
            )
        _loading = True
        try:
            _loaded = _load_all()
        finally:
            _loading = False
        return _loaded


def _load_all() -> _Loaded:
    manager, registry = pluggy.PluginManager(hookspecs.PROJECT), Registry()
    manager.add_hookspecs(hookspecs)
    plugins = tuple(_load(c, manager, registry) for c in [*_built_in(), *_third_party()])
    registry.absent = {p.name: f"{p.state}: {p.reason}" for p in plugins if p.state != "ok"}
    return _Loaded(manager, registry, plugins)


def _built_in() -> Iterator[_Candidate]:
    for name, module in BUILTINS.items():
        load = partial(importlib.import_module, module)
        yield _Candidate(DISTRIBUTION, name, __version__, True, load)


def _third_party() -> list[_Candidate]:
    """List the entry points of our group in a fixed order, whatever the order of sys.path.

    Each distribution is read by itself: ``importlib.metadata.entry_points`` raises for all when
    the file of one, be it a stranger's, is damaged.
    """
    found: dict[str, list[_Candidate]] = {}
    for distribution in distributions():
        try:
            points = distribution.entry_points.select(group=hookspecs.PROJECT)
            if points:
                name, version = distribution.name, str(distribution.version)
                candidates = [
                    _Candidate(name, point.name, version, False, point.load)
                    for point in points
                    if point.module not in BUILTINS.values()
                ]
                # The first one on sys.path is the one that an import finds.
                found.setdefault(_normal(name), candidates)
        except Exception as error:
            logger.warning("cannot read the entry points of a distribution: %s", _one_line(error))
    return sorted(
        (candidate for group in found.values() for candidate in group), key=lambda c: c[:2]
    )


def _load(candidate: _Candidate, manager: pluggy.PluginManager, registry: Registry) -> PluginInfo:
    """Load one plugin so that nothing of it stays behind when it fails."""
    info = partial(PluginInfo, candidate.name, candidate.distribution, candidate.version)
    refusal = _refusal(candidate)
    if refusal:
        return info("blocked", refusal)
    before = len(registry.components())
    try:
        plugin = candidate.load()
        with (
            registry.transaction(candidate.name, candidate.distribution),
            _registered(manager, plugin, candidate.key),
        ):
            others = [other for other in manager.get_plugins() if other is not plugin]
            manager.subset_hook_caller("dice_extended_register", others)(registry=registry)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() in a plugin, panics of compiled extensions
        reason = _one_line(error)
        logger.warning("plugin %s of %s failed: %s", candidate.name, candidate.distribution, reason)
        logger.debug("plugin %s:", candidate.key, exc_info=True)
        return info("failed", reason)
    return info("ok", components=tuple(registry.components()[before:]))


@contextmanager
def _registered(manager: pluggy.PluginManager, plugin: Any, key: str) -> Iterator[None]:
    """Register with pluggy; unregister if that, or the block, raises."""
    if manager.is_registered(plugin):
        raise ValueError(f"the same module is plugin {manager.get_name(plugin)!r} already")
    try:
        manager.register(plugin, key)
        manager.check_pending()  # a misspelt hook would otherwise never be called
        if not manager.get_hookcallers(plugin):
            raise ValueError("it implements no hook; mark its functions with @hookimpl")
        yield
    except BaseException:
        if manager.has_plugin(key):
            manager.unregister(name=key)
        raise


def _refusal(candidate: _Candidate) -> str | None:
    """Say which environment variable keeps the plugin out, if one does."""
    names = {_normal(candidate.name), _normal(candidate.distribution)}
    if names & _names(os.environ.get(BLOCK_VARIABLE, "")):
        return f"in {BLOCK_VARIABLE}"
    allowed = os.environ.get(ALLOW_VARIABLE)
    if allowed is not None and not candidate.builtin and not names & _names(allowed):
        return f"not in {ALLOW_VARIABLE}"
    return None


def _names(value: str) -> set[str]:
    return {_normal(name) for name in value.split(",") if name.strip()}


def _normal(name: str) -> str:
    """Compare names as package indexes do: case and the kind of separator do not matter."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
