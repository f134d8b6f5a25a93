"""Checks of ART metrics: functions that measure a classifier or an attack.

A metric is called with those of the suite's values that its parameters name; see
:data:`NAMES`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dice_extended_plugin.checks.arrays import Arrays, arrays, weights_of
from dice_extended_plugin.checks.case import (
    Case,
    Check,
    Skip,
    arguments_for,
    ensure,
    recommended,
    refuses,
    required,
)

__all__ = ["BACKENDS", "CHECKS", "NAMES"]

#: Frameworks of the suite's classifiers.
BACKENDS = ("sklearn", "PYT", "TF2")
#: Parameter names that the suite has values for.
NAMES = (
    "classifier", "attack", "x", "y", "x_adv", "target", "epsilons", "x_train", "y_train",
    "n_bootstrap",
)  # fmt: skip
#: Measured time differs from run to run.
_TIMES = ("seconds", "T_exe", "time")


class _Halfway:
    """An attack of the suite's own: each row goes to the nearest training row of another class."""

    attack_params = ("targeted",)
    targeted = False
    norm = 2

    def __init__(self, given: Arrays) -> None:
        self.estimator, self.given = given.classifier, given

    def generate(self, x: np.ndarray, y: Any = None, **more: Any) -> np.ndarray:
        given = self.given
        own = given.labels(x)
        distance = np.linalg.norm(x[:, None] - given.x_train[None], axis=2)
        train = given.labels(given.x_train)
        distance[own[:, None] == train[None]] = np.inf
        return given.x_train[distance.argmin(axis=1)].astype(np.float32)


def problem(case: Case, **options: Any) -> tuple[Arrays, dict[str, Any]]:
    """Make the suite's problem and the arguments of a call."""
    given = arrays(case.backend or "sklearn", max_calls=case.max_calls, **options)
    attack = _Halfway(given)
    offered = {
        "classifier": given.classifier,
        "attack": attack,
        "x": given.x,
        "y": given.y,
        "x_adv": attack.generate(given.x),
        "target": 1 - given.y,
        "epsilons": np.array([0.0, 0.2, 0.5, 1.0]),
        "x_train": given.x_train,
        "y_train": given.y_train,
        "n_bootstrap": 20,
    }
    return given, arguments_for(case.subject, offered)


def run(case: Case, known: Mapping[str, Any], **changed: Any) -> Any:
    """Call the metric."""
    return case.subject(**{**known, **case.own["call"], **changed})


def numbers(thing: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every number within a result, under a name, measured times left out."""
    if name.rpartition(".")[2] in _TIMES:
        return
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield from numbers(getattr(thing, field.name), f"{name}.{field.name}")
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from numbers(value, f"{name}.{key}")
    elif hasattr(thing, "to_numpy"):
        yield from numbers(thing.to_numpy(), name)
    elif isinstance(thing, (tuple, list)):
        for place, value in enumerate(thing):
            yield from numbers(value, f"{name}.{place}")
    elif isinstance(thing, (bool, int, float, np.generic, np.ndarray)):
        array = np.asarray(thing)
        if array.dtype.kind in "biuf":
            yield name, array.astype(float)


@required
def check_signature(case: Case) -> None:
    """Check that it is a function of a classifier or an attack, and the suite can call it."""
    ensure(callable(case.subject), f"it must be a function, it is {case.subject!r}")
    parameters = inspect.signature(case.subject).parameters
    first = next(iter(parameters), "")
    ensure(
        first in ("classifier", "attack"),
        f"the first parameter must be classifier or attack, it is {first!r}",
    )
    needed = [
        name
        for name, one in parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    unknown = sorted(set(needed) - set(NAMES) - set(case.own["call"]))
    ensure(not unknown, f"the suite has no value for {unknown}; give it in call={{...}}")


@required
def check_result_type(case: Case) -> None:
    """Check that it returns a number, or a mapping, table or dataclass of numbers."""
    _, known = problem(case)
    found = list(numbers(run(case, known)))
    ensure(found, "the result holds no number")
    values = np.concatenate([array.ravel() for _, array in found])
    ensure(not np.isnan(values).all(), "every number is NaN on an easy problem")


@required
def check_input_untouched(case: Case) -> None:
    """Check that arrays and classifier are what they were."""
    given, known = problem(case)
    arrays_ = {name: value for name, value in known.items() if isinstance(value, np.ndarray)}
    before = {name: value.copy() for name, value in arrays_.items()}
    weights = weights_of(given.classifier)
    run(case, known)
    for name, value in before.items():
        ensure(np.array_equal(value, arrays_[name]), f"{name} was changed")
    for one, two in zip(weights, weights_of(given.classifier), strict=True):
        ensure(np.array_equal(one, two), "the classifier's weights were changed")


@required
def check_same_result_again(case: Case) -> None:
    """Check that called twice, it returns the same numbers (times left out)."""
    results = [list(numbers(run(case, problem(case)[1]))) for _ in range(2)]
    ensure(len(results[0]) == len(results[1]), "the second result has another form")
    for (name, one), (_, two) in zip(*results, strict=True):
        same = one.shape == two.shape and np.allclose(one, two, rtol=1e-6, equal_nan=True)
        ensure(same, f"{name.lstrip('.') or 'the result'} differs the second time")


@required
def check_label_forms(case: Case) -> None:
    """Check that labels as one-hot rows mean the same as class numbers."""
    _, known = problem(case)
    labels = [name for name in ("y", "target", "y_train") if name in known]
    if not labels:
        raise Skip("it takes no labels")
    one_hot = {name: np.eye(2, dtype=np.float32)[known[name]] for name in labels}
    pairs = zip(numbers(run(case, known)), numbers(run(case, known, **one_hot)), strict=True)
    for (name, one), (_, two) in pairs:
        same = one.shape == two.shape and np.allclose(one, two, rtol=1e-6, equal_nan=True)
        ensure(same, f"one-hot labels change {name.lstrip('.') or 'the result'}")


@required
def check_error_classes(case: Case) -> None:
    """Check that rows that are no table, and too few labels, are ValueErrors."""
    _, known = problem(case)
    if "x" in known:
        refuses(lambda: run(case, known, x=known["x"][0]), "a row without its axis")
        refuses(lambda: run(case, known, x=known["x"][:0]), "no rows")
    for name in ("y", "target", "y_train"):
        if name in known:
            short = known[name][:2]
            refuses(lambda n=name, s=short: run(case, known, **{n: s}), f"too few {name}")  # type: ignore[misc]


@recommended
def check_estimator_requirements(case: Case) -> None:
    """Check that what is no classifier of ART's is refused with ART's EstimatorError."""
    _, known = problem(case)
    if "classifier" not in known:
        raise Skip("it takes no classifier")
    from art.exceptions import EstimatorError

    bad = {"classifier": object()}
    refuses(lambda: run(case, known, **bad), "an object that is no classifier", (EstimatorError,))


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's global random generator is left alone."""
    _, known = problem(case)
    before = np.random.get_state()
    run(case, known)
    same = all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state(), strict=True))
    ensure(same, "NumPy's global generator was used")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
