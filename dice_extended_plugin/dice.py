"""Dice(...): dice-ml's factory with our methods; enable() for code that cannot be edited.

dice-ml's two other names, Data and Model, are its own: ``import dice_extended_plugin as dice_ml``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import dice_ml
import dice_ml.dice
from dice_ml import Data, Model

from dice_extended_plugin.host import DiceInputError
from dice_extended_plugin.plugins import get_registry
from dice_extended_plugin.registry import Component, UnknownComponentError

__all__ = ["Data", "Dice", "Model", "disable", "enable", "upgrade"]

#: Names dice-ml itself owns; :func:`enable` never answers to them.
HOST_METHODS = ("random", "genetic", "kdtree", "gradient")
_PREFIX = "extended-"


class Dice(dice_ml.Dice):
    """Make an explainer: dice-ml's ``Dice`` with our methods first.

    Parameters
    ----------
    data_interface : dice_ml.Data
    model_interface : dice_ml.Model
    method : str or None, default "auto"
        A registered method ("gradient", "nsga3", ...), else one of dice-ml's. "auto" is
        "gradient" for a differentiable model and dice-ml's default, "random", for others. None
        is dice-ml's way to custom back-ends.
    **kwargs
        Keywords of the explainer, for example ``robustness``, ``robustness_weight``, ``noise``
        and ``random_state`` of :class:`~dice_extended_plugin.explainers.pytorch.\
DiceExtendedPyTorch`.

    Returns
    -------
    An instance of the explainer's class, as with dice-ml.

    Raises
    ------
    DiceInputError
        Unknown method, or keywords for a method of dice-ml's, which take none.
    """

    def __init__(
        self,
        data_interface: Any,
        model_interface: Any,
        method: str | None = "auto",
        **kwargs: Any,
    ) -> None:
        self.decide_implementation_type(data_interface, model_interface, method, **kwargs)

    def decide_implementation_type(
        self, data_interface: Any, model_interface: Any, method: str | None, **kwargs: Any
    ) -> None:
        """Become the explainer that `method` names, as dice-ml's factory does."""
        backend = getattr(model_interface, "backend", None)
        if method == "auto":
            method = "gradient" if _find("gradient", backend) else "random"
        component = _find(method, backend) if isinstance(method, str) else None
        if component is None:
            self._become_stock(data_interface, model_interface, method, kwargs)
            return
        target = get_registry().load("dice_method", component.name, backend=backend)
        self.__class__ = target
        self.__init__(data_interface, model_interface, **kwargs)  # type: ignore[misc]

    def _become_stock(
        self, data: Any, model: Any, method: str | None, kwargs: dict[str, Any]
    ) -> None:
        if isinstance(method, str) and method not in HOST_METHODS:
            # Raises with the known names and the nearest one.
            try:
                get_registry().find("dice_method", method, backend=getattr(model, "backend", None))
            except UnknownComponentError as error:
                raise DiceInputError(
                    f"{error}; dice-ml's own methods are {', '.join(HOST_METHODS)}"
                ) from None
        if kwargs:
            raise DiceInputError(
                f"method {method!r} is dice-ml's own here and takes no keyword(s) "
                f"{sorted(kwargs)}; leave them out or choose a method of dice-extended"
            )
        super().decide_implementation_type(data, model, method)


def _find(method: str, backend: Any) -> Component | None:
    """Return the registered method of this name (or ``extended-`` name) for a backend.

    A back-end of the user's own (a dictionary) is served by methods for all back-ends only.
    """
    registry = get_registry()
    named = backend if isinstance(backend, str) else None
    for name in (method, method.removeprefix(_PREFIX)):
        try:
            component = registry.find("dice_method", name, backend=named)
        except UnknownComponentError:
            continue
        if named is not None or component.backends is None:
            return component
    return None


_lock = threading.Lock()
_host_decide: Callable[[Any, Any], type] | None = None
_answering = False


def _decide(model_interface: Any, method: Any) -> type:
    """Answer new method names; hand everything else to dice-ml."""
    if _answering and isinstance(method, str) and method not in HOST_METHODS:
        backend = getattr(model_interface, "backend", None)
        component = _find(method, backend)
        if component is not None:
            target: type = get_registry().load("dice_method", component.name, backend=backend)
            return target
    if _host_decide is None:  # disabled while a call was under way
        return dice_ml.dice.decide(model_interface, method)
    return _host_decide(model_interface, method)


class _Enabled:
    """What :func:`enable` returns: leaving it brings back the state before that call."""

    def __init__(self, before: bool) -> None:
        self._before = before

    def __enter__(self) -> _Enabled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._before:
            disable()


def enable() -> _Enabled:
    """Make the registered methods selectable in code that calls ``dice_ml.Dice`` itself.

    For programs that cannot be edited, such as dashboards: pass them a method name. Only new
    names are answered: a registered name that dice-ml does not own ("nsga3"), and ``extended-``
    before any registered name ("extended-gradient"). dice-ml's own names keep their meaning.
    Calling it twice is calling it once. Use as a context manager to limit it to a block.

    Returns
    -------
    A context manager; leaving it calls :func:`disable`, unless it was enabled before.
    """
    global _host_decide, _answering
    with _lock:
        before, _answering = _answering, True
        if _host_decide is None:
            _host_decide = dice_ml.dice.decide
            dice_ml.dice.decide = _decide
    return _Enabled(before)


def disable() -> None:
    """Undo :func:`enable`; does nothing if it was not called.

    A wrapper that someone else has put around ours in the meantime stays in place and keeps
    working; ours then passes every call on.
    """
    global _host_decide, _answering
    with _lock:
        _answering = False
        if _host_decide is not None and dice_ml.dice.decide is _decide:
            dice_ml.dice.decide = _host_decide
            _host_decide = None


#: dice-ml's explainer classes, and our method for each.
_UPGRADES = {
    "DicePyTorch": "gradient",
    "DiceTensorFlow2": "gradient",
    "DiceRandom": "random",
    "DiceGenetic": "genetic",
    "DiceKD": "kdtree",
}


def _is_hosts(kind: type) -> bool:
    return kind.__module__.startswith("dice_ml.")


def upgrade(explainer: Any, **kwargs: Any) -> Any:
    """Turn an explainer of dice-ml's into ours, in place.

    Parameters
    ----------
    explainer : dice_ml explainer
        For example the result of ``dice_ml.Dice(data, model, method="gradient")``.
    **kwargs
        Keywords of our explainer's class.

    Returns
    -------
    The same object, now of our class.

    Raises
    ------
    DiceInputError
        There is no method of ours for this explainer. It is left as it was.
    """
    # By name: importing dice-ml's TensorFlow class would import TensorFlow.
    bases = [kind.__name__ for kind in type(explainer).__mro__ if _is_hosts(kind)]
    method = next((_UPGRADES[name] for name in bases if name in _UPGRADES), None)
    if method is None:
        raise DiceInputError(
            f"nothing to upgrade a {type(explainer).__name__} to; upgrade takes dice-ml's "
            f"explainers: {', '.join(_UPGRADES)}"
        )
    target = get_registry().load("dice_method", method, backend=explainer.model.backend)
    fresh = target(explainer.data_interface, explainer.model, **kwargs)
    explainer.__class__ = target
    explainer.__dict__.clear()
    explainer.__dict__.update(fresh.__dict__)
    return explainer
