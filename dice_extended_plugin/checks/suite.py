"""check_component and parametrize_with_checks: which checks a component gets, and their run."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from dice_extended_plugin.checks.case import Case, Check, CheckFailed, Overrun, Skip
from dice_extended_plugin.checks.limits import time_limit
from dice_extended_plugin.checks.report import CheckOutcome, CheckReport
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.registry import (
    BACKENDS,
    KINDS,
    Component,
    UnknownComponentError,
    import_target,
)

__all__ = ["cases", "check_component", "checks_of", "parametrize_with_checks", "run_check"]

#: A class of the host in the bases of a component -> its kind.
_HOST_CLASSES = {
    "dice_ml.explainer_interfaces.explainer_base.ExplainerBase": "dice_method",
    "art.attacks.attack.EvasionAttack": "art_attack",
    "art.defences.trainer.trainer.Trainer": "art_defence",
    "art.defences.detector.evasion.evasion_detector.EvasionDetector": "art_defence",
    "art.defences.preprocessor.preprocessor.Preprocessor": "art_defence",
    "art.defences.postprocessor.postprocessor.Postprocessor": "art_defence",
    "alibi.api.interfaces.Explainer": "alibi_explainer",
    "pymoo.core.algorithm.Algorithm": "search_engine",
    "alibi_bridge.counterfactual_gan.generator.ResidualGenerator": "gan_generator",
    "alibi_bridge.counterfactual_gan.discriminator.Discriminator": "gan_discriminator",
}
#: How long a reason in a report may be.
_LONGEST = 400


def checks_of(kind: str) -> tuple[Check, ...]:
    """Return the checks of a kind, in the order of their run."""
    found: tuple[Check, ...] = _module(kind).CHECKS
    return found


def _module(kind: str) -> Any:
    return importlib.import_module(f"dice_extended_plugin.checks.{kind}")


def check_component(
    target: Any,
    *,
    kind: str | None = None,
    backend: str | None = None,
    init: Mapping[str, Any] | None = None,
    fit: Mapping[str, Any] | None = None,
    call: Mapping[str, Any] | None = None,
    recommended: bool = True,
    max_calls: int = 20_000,
    max_seconds: float = 120.0,
) -> CheckReport:
    """Run the conformance suite on a component.

    Every check is run, whatever the others found. The suite makes its own small problems and
    models.

    Parameters
    ----------
    target : str, type, callable, Metric or Component
        A registered name (``"random"``, ``"dice_method:random"``), ``"package.module:Class"`` of
        something not registered, or the thing itself.
    kind : str, optional
        One of :data:`~dice_extended_plugin.registry.KINDS`; told from the host class in its bases
        by default.
    backend : {"sklearn", "PYT", "TF2"}, optional
        Only on this framework; by default on all that it serves.
    init, fit, call : mapping, optional
        Keywords for the constructor, for ``fit`` and for the main call, to make the component
        small and quick, as ``{"max_iter": 50}``. They go over those of the component's own
        ``conformance()``.
    recommended : bool, default True
        Whether to run the recommended checks too; they do not count for ``report.ok``.
    max_calls : int, default 20000
        Model calls after which a check is stopped, and failed.
    max_seconds : float, default 120
        Seconds after which a check is stopped, and failed; only in the main thread.

    Returns
    -------
    CheckReport

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no such component, kind or backend.
    ImportError
        The module of an unregistered target cannot be imported.
    """
    given = {"init": init, "fit": fit, "call": call}
    limits: dict[str, Any] = {"max_calls": max_calls, "max_seconds": max_seconds}
    asked = cases(target, kind=kind, backend=backend, given=given, **limits)
    outcomes = [
        run_check(check, case)
        for case in asked
        for check in checks_of(case.kind)
        if recommended or check.level == "required"
    ]
    return CheckReport(_name(target), tuple(outcomes))


def run_check(check: Check, case: Case) -> CheckOutcome:
    """Run one check and say what came of it; only an interrupt of the user passes through."""
    began = time.monotonic()
    status: Literal["ok", "failed", "skipped"] = "ok"
    reason = ""
    try:
        with time_limit(case.max_seconds):
            check.run(case)
    except Skip as skip:
        status, reason = "skipped", str(skip)
    except KeyboardInterrupt:
        raise
    except (CheckFailed, Overrun) as failure:
        status, reason = "failed", str(failure)
    except BaseException as error:  # sys.exit() of a component, panics of compiled extensions
        status, reason = "failed", f"it raised {type(error).__name__}: {error}"
    seconds = round(time.monotonic() - began, 3)
    text = " ".join(reason.split())[:_LONGEST]
    return CheckOutcome(
        case.kind, case.name, case.backend, check.name, check.level, status, text, seconds
    )


def parametrize_with_checks(
    targets: Any,
    *,
    kind: str | None = None,
    backend: str | None = None,
    recommended: bool = False,
    options: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    max_calls: int = 20_000,
    max_seconds: float = 120.0,
) -> Any:
    """Make a pytest test of the suite: one test per component, framework and check.

    ::

        @parametrize_with_checks(["my_package.explainer:Mine"])
        def test_mine(case, check):
            check(case)

    Parameters
    ----------
    targets : sequence
        As `target` of :func:`check_component`, each.
    kind, backend, max_calls, max_seconds
        As for :func:`check_component`.
    recommended : bool, default False
        Whether to test what is only recommended, too.
    options : mapping, optional
        Name of a component, as in the test's id, to its ``{"init": ..., "fit": ..., "call": ...}``.

    Returns
    -------
    A pytest mark for a function with the arguments ``case`` and ``check``. Where a framework is
    not installed, the tests are skipped with the reason.
    """
    import pytest

    if isinstance(targets, str) or not isinstance(targets, Sequence):
        raise InvalidInputError(f"targets must be a list of components, not {targets!r}")
    limits: dict[str, Any] = {"max_calls": max_calls, "max_seconds": max_seconds}
    found = [
        case
        for target in targets
        for case in cases(target, kind=kind, backend=backend, options=options, **limits)
    ]
    return pytest.mark.parametrize(
        ("case", "check"),
        [
            pytest.param(case, check, id=f"{case.id}-{check.name}")
            for case in found
            for check in checks_of(case.kind)
            if recommended or check.level == "required"
        ],
    )


# -- from a target to cases ---------------------------------------------------------------------


def cases(
    target: Any,
    *,
    kind: str | None = None,
    backend: str | None = None,
    given: Mapping[str, Any] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    **limits: Any,
) -> list[Case]:
    """Return a case for each component that a target names and each framework it serves.

    Raises
    ------
    InvalidInputError, ImportError
        As :func:`check_component`.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidInputError(
            f"unknown kind {kind!r}{did_you_mean(str(kind), KINDS)}; known are {', '.join(KINDS)}"
        )
    if backend is not None and backend not in BACKENDS:
        raise InvalidInputError(
            f"unknown backend {backend!r}{did_you_mean(str(backend), BACKENDS)}; known are "
            f"{', '.join(BACKENDS)}"
        )
    found: list[Case] = []
    named = _named(target, kind)
    for what, name, load, serves in named:
        known = getattr(_module(what), "BACKENDS", (None,))
        kept = [one for one in known if serves is None or one is None or one in serves]
        if backend is not None:
            kept = [one for one in kept if one in (backend, None)]
        given_here = {**(options or {}).get(name, {}), **(given or {})}
        steps = {step: value for step, value in given_here.items() if value}
        found += [Case(what, name, load, one, **steps, **limits) for one in kept]
    if not found:
        raise InvalidInputError(f"{_name(target)} does not serve backend {backend!r}")
    return found


_Found = tuple[str, str, Callable[[], Any], Iterable[str] | None]


def _named(target: Any, kind: str | None) -> list[_Found]:
    """Kind, name, import and backends of everything that a target names."""
    if isinstance(target, Component):
        return [_registered(target)]
    if isinstance(target, str):
        return _by_name(target, kind)
    return [_unregistered(target, _name(target), kind)]


def _by_name(target: str, kind: str | None) -> list[_Found]:
    from dice_extended_plugin.plugins import get_registry

    registry = get_registry()
    first, colon, rest = target.partition(":")
    if colon and first in KINDS:
        if kind not in (None, first):
            raise InvalidInputError(f"{target!r} says kind {first!r}, and kind={kind!r} was given")
        kind, name = first, rest
    elif colon:
        return [_unregistered(import_target(target, "the check"), rest, kind)]
    else:
        name = target
    found = [one for one in registry.components(kind) if one.name == name]
    if not found:
        names = sorted({one.name for one in registry.components(kind)})
        absent = "; ".join(f"{plugin} ({why})" for plugin, why in registry.absent.items())
        raise UnknownComponentError(
            f"nothing is registered as {target!r}{did_you_mean(name, names)}; there are "
            f"{', '.join(names)}. Something that is not registered is named "
            f"'package.module:Class'"
            + (f". Plugins that are not loaded: {absent}" if absent else "")
        )
    return [_registered(one) for one in found]


def _registered(component: Component) -> _Found:
    user = f"{component.kind} {component.name!r}"
    load = partial(import_target, component.target, user, component.extra)
    return component.kind, component.name, load, component.backends


def _unregistered(thing: Any, name: str, kind: str | None) -> _Found:
    kind = kind or _kind_of(thing)
    own = getattr(thing, "backend", None)
    serves = (own,) if isinstance(own, str) and own in BACKENDS else None
    return kind, name, lambda: thing, serves


def _kind_of(thing: Any) -> str:
    bases = {f"{base.__module__}.{base.__qualname__}" for base in getattr(thing, "__mro__", ())}
    bases |= {f"{base.__module__}.{base.__qualname__}" for base in type(thing).__mro__}
    if "dice_extended_plugin.metric.Metric" in bases:
        return "metric"
    for name, kind in _HOST_CLASSES.items():
        if name in bases:
            return kind
    raise InvalidInputError(
        f"cannot tell what kind of component {_name(thing)} is: it derives from no class of a "
        f"host; say which kind: {', '.join(KINDS)}"
    )


def _name(target: Any) -> str:
    if isinstance(target, Component):
        return f"{target.kind}:{target.name}"
    if isinstance(target, str):
        return target
    return str(getattr(target, "__name__", None) or getattr(target, "name", None) or target)
