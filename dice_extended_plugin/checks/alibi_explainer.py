"""Checks of Alibi explainers of images: ``fit`` where there is one, ``explain``, saving."""

from __future__ import annotations

import copy
import inspect
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dice_extended_plugin.checks.case import (
    Case,
    Check,
    Overrun,
    Skip,
    arguments_for,
    ensure,
    need,
    recommended,
    refuses,
    required,
)
from dice_extended_plugin.checks.limits import Watch

__all__ = ["CHECKS"]

_SIDE, _TRAIN, _QUERIES = 32, 40, 3
#: One explainer may run on several batch sizes; networks differ in the last digits there.
_RTOL, _ATOL = 1e-3, 1e-4


@dataclass(frozen=True, eq=False)
class Images:
    """Bright and dark images, and a predictor that tells them apart.

    Parameters
    ----------
    X : ndarray of shape (3, 32, 32, 3), float32 in [0, 1]
        Images to explain.
    X_train : ndarray of shape (40, 32, 32, 3), float32 in [0, 1]
    y_train : ndarray of shape (40,), of int
        Class of each.
    A_train : ndarray of shape (40, 2), of int
        Attributes "bright" and "striped".
    watch : Watch
        Counts the predictor's calls.
    """

    X: np.ndarray
    X_train: np.ndarray
    y_train: np.ndarray
    A_train: np.ndarray
    watch: Watch

    def score(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, 2) of dark and bright; not counted."""
        mean = np.asarray(X, dtype=float).mean(axis=(1, 2, 3))
        bright = 1 / (1 + np.exp(-40 * (mean - 0.5)))
        return np.column_stack([1 - bright, bright])

    def predictor(self, X: np.ndarray) -> np.ndarray:
        """Return the same, and count the call."""
        self.watch.add(len(X))
        return self.score(X)


@lru_cache
def _pictures() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(12)
    A = np.array([[place % 2, place // 2 % 2] for place in range(_TRAIN + _QUERIES)])
    X = draw.uniform(0.4, 0.6, (len(A), _SIDE, _SIDE, 3))
    X += (0.25 * A[:, 0] - 0.125)[:, None, None, None]
    X[:, ::4] += (0.2 * A[:, 1])[:, None, None, None] - 0.1
    return X.clip(0, 1).astype(np.float32), A


def problem(case: Case) -> Images:
    """Make the suite's problem."""
    need("alibi")
    X, A = _pictures()
    return Images(
        X[_TRAIN:].copy(), X[:_TRAIN].copy(), A[:_TRAIN, 0].copy(), A[:_TRAIN].copy(),
        Watch(case.max_calls),
    )  # fmt: skip


def make(case: Case, given: Images) -> Any:
    """Make the explainer, not fitted."""
    offered = {"predictor": given.predictor, "attributes": ["bright", "striped"]}
    own = copy.deepcopy(case.own["init"])  # networks among them would stay trained
    return case.subject(**{**arguments_for(case.subject.__init__, offered), **own})


def explain(case: Case, made: Any, X: np.ndarray) -> Any:
    """Explain images."""
    return made.explain(X, **case.own["call"])


@dataclass(frozen=True, eq=False)
class _Fit:
    """An explainer after ``fit``, and what was wrong with that call."""

    explainer: Any
    given: Images
    faults: tuple[str, ...]


#: One per case: training is the slow part, and ``explain`` must not change an explainer.
_fits: dict[tuple[str, Any], _Fit | BaseException] = {}


def _fit(case: Case) -> _Fit:
    key = (case.id, case.subject)
    if key not in _fits:
        try:
            _fits[key] = _fit_now(case)
        except (Exception, Overrun) as error:
            _fits[key] = error  # a training that fails is not begun again by every check
    fit = _fits[key]
    if isinstance(fit, BaseException):
        raise fit
    return fit


def _fit_now(case: Case) -> _Fit:
    given = problem(case)
    made = make(case, given)
    if not hasattr(made, "fit"):
        return _Fit(made, given, ())
    before = {name: getattr(given, name).copy() for name in ("X_train", "y_train", "A_train")}
    offered = {"y": given.y_train, "Y": given.y_train, "A": given.A_train}
    found = made.fit(given.X_train, **{**arguments_for(made.fit, offered), **case.own["fit"]})
    faults = [
        f"fit changed {name.partition('_')[0]}"
        for name, value in before.items()
        if not np.array_equal(value, getattr(given, name))
    ]
    if found is not made:
        faults.append("fit must return the explainer itself")
    return _Fit(made, given, tuple(faults))


def fitted(case: Case) -> tuple[Any, Images]:
    """Return an explainer that was fitted once for all checks of a case."""
    fit = _fit(case)
    return fit.explainer, fit.given


# -- required -----------------------------------------------------------------------------------


@required
def check_class(case: Case) -> None:
    """Check that it derives from Alibi's Explainer; ``fit``, where there is one, takes X first."""
    need("alibi")
    from alibi.api.interfaces import Explainer

    ensure(
        isinstance(case.subject, type) and issubclass(case.subject, Explainer),
        "it must be a class derived from alibi's Explainer",
    )
    for name in ("fit", "explain"):
        method = getattr(case.subject, name, None)
        if name == "explain" or method is not None:
            known = list(inspect.signature(method).parameters)  # type: ignore[arg-type]
            ensure(known[:2] == ["self", "X"], f"{name} takes X first, not {known}")


@required
def check_meta(case: Case) -> None:
    """Check that ``meta`` has Alibi's keys, and JSON can write it."""
    made, _ = fitted(case)
    for key in ("name", "type", "explanations", "params", "version"):
        ensure(key in made.meta, f"meta has no {key!r}")
    ensure(made.meta["name"] == type(made).__name__, f"meta['name'] is {made.meta['name']!r}")
    json.dumps(made.meta)


@required
def check_fit(case: Case) -> None:
    """Check that ``fit`` returns the explainer, and leaves images and labels as they were."""
    if not hasattr(case.subject, "fit"):
        raise Skip("it has no fit")
    faults = _fit(case).faults
    ensure(not faults, "; ".join(faults))


@required
def check_result_type(case: Case) -> None:
    """Check that ``explain`` returns an Explanation whose arrays have a row per image."""
    need("alibi")
    from alibi.api.interfaces import Explanation

    made, given = fitted(case)
    found = explain(case, made, given.X)
    ensure(isinstance(found, Explanation), f"explain returned a {type(found).__name__}")
    ensure(found.meta["name"] == type(made).__name__, "the explanation has another name in meta")
    data = found.data
    ensure("cf" in data, "data has no 'cf'")
    cf = data["cf"]["X"]
    if cf is not None:
        ensure(np.shape(cf) == given.X.shape, f"cf['X'] has shape {np.shape(cf)}")


@required
def check_input_untouched(case: Case) -> None:
    """Check that images are what they were, and the metadata of the explainer too."""
    made, given = fitted(case)
    before, meta = given.X.copy(), json.dumps(made.meta, sort_keys=True)
    explain(case, made, given.X)
    ensure(np.array_equal(before, given.X), "explain changed X")
    ensure(json.dumps(made.meta, sort_keys=True) == meta, "explain changed meta")


@required
def check_validity(case: Case) -> None:
    """Check that what it reports as a success has another class for the predictor."""
    made, given = fitted(case)
    data = explain(case, made, given.X).data
    if "success" not in data:
        raise Skip("it reports no success")
    success = np.asarray(data["success"], dtype=bool)
    ensure(success.shape == (len(given.X),), f"success has shape {success.shape}")
    cf = np.asarray(data["cf"]["X"], dtype=np.float32)
    if getattr(made, "predictor", None) is None:
        raise Skip("it explains a model of its own")
    own, new = (given.score(images).argmax(axis=1) for images in (given.X, cf))
    wrong = np.flatnonzero(success & (own == new))
    ensure(not len(wrong), f"images {wrong.tolist()} are reported as changed and are not")
    claimed = np.asarray(data["cf"]["class"]).reshape(-1)
    ensure(
        (claimed[success] == new[success]).all(),
        f"classes {claimed.tolist()} are claimed, the predictor gives {new.tolist()}",
    )


@required
def check_same_result_again(case: Case) -> None:
    """Check that the same images give the same explanation."""
    made, given = fitted(case)
    one, two = (explain(case, made, given.X).to_json() for _ in range(2))
    ensure(one == two, "a second call gave another explanation")


@required
def check_batch_splits(case: Case) -> None:
    """Check that an image by itself has the counterfactual that it has among others."""
    made, given = fitted(case)
    whole = np.asarray(explain(case, made, given.X).data["cf"]["X"], dtype=float)
    for place in range(len(given.X)):
        alone = explain(case, made, given.X[place : place + 1]).data["cf"]["X"]
        same = np.allclose(np.asarray(alone, dtype=float)[0], whole[place], rtol=_RTOL, atol=_ATOL)
        ensure(same, f"image {place} has another counterfactual when explained by itself")


@required
def check_json_round_trip(case: Case) -> None:
    """Check that any parser reads what ``to_json`` writes, and ``from_json`` gives it back."""
    need("alibi")
    from alibi.api.interfaces import Explanation

    made, given = fitted(case)
    found = explain(case, made, given.X)
    text = found.to_json()

    def refuse(name: str) -> None:
        ensure(False, f"it writes {name}, which is no JSON")

    json.loads(text, parse_constant=refuse)
    again = Explanation.from_json(text)
    ensure(again.meta == json.loads(json.dumps(found.meta)), "meta came back differently")
    ensure(set(again.data) == set(found.data), "data came back with other keys")
    one, two = (np.asarray(each.data["cf"]["X"], dtype=float) for each in (found, again))
    ensure(np.allclose(one, two), "cf['X'] came back differently")


@required
def check_save_and_load(case: Case) -> None:
    """Check that Alibi's own save and load give an explainer that explains the same."""
    need("alibi")
    from alibi.saving import load_explainer

    made, given = fitted(case)
    before = explain(case, made, given.X).to_json()
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder) / "saved")
        again = load_explainer(Path(folder) / "saved", given.predictor)
    ensure(type(again) is type(made), f"load gave a {type(again).__name__}")
    ensure(explain(case, again, given.X).to_json() == before, "the loaded one explains differently")


@required
def check_error_classes(case: Case) -> None:
    """Check that images of another shape, and images with NaN, are ValueErrors."""
    made, given = fitted(case)
    errors = (ValueError, TypeError)
    refuses(lambda: explain(case, made, given.X[0]), "an image without its axis", errors)
    refuses(lambda: explain(case, made, given.X[:, :16]), "images of another size", errors)
    holes = given.X.copy()
    holes[0, 0, 0, 0] = np.nan
    refuses(lambda: explain(case, made, holes), "an image with NaN", errors)
    before = explain(case, made, given.X).to_json()
    ensure(before == explain(case, made, given.X).to_json(), "an error changed the explainer")


@required
def check_before_fit(case: Case) -> None:
    """Check that ``explain`` before ``fit`` is an error that says so."""
    if not hasattr(case.subject, "fit"):
        raise Skip("it has no fit")
    given = problem(case)
    errors: tuple[type[BaseException], ...] = (ValueError,)
    try:
        from alibi.exceptions import NotFittedError

        errors = (ValueError, NotFittedError)
    except ImportError:
        pass
    made = make(case, given)
    text = refuses(lambda: explain(case, made, given.X), "explain before fit", errors)
    ensure("fit" in text or "train" in text, f"the error does not speak of fit: {text}")


# -- recommended --------------------------------------------------------------------------------


@recommended
def check_safe_saving(case: Case) -> None:
    """Check that it can be saved without code: ``save_safe`` and ``load_safe``."""
    made, given = fitted(case)
    ensure(
        hasattr(made, "save_safe"), "it has no save_safe; Alibi's own files run code when loaded"
    )
    before = explain(case, made, given.X).to_json()
    with tempfile.TemporaryDirectory() as folder:
        made.save_safe(Path(folder) / "saved")
        again = type(made).load_safe(Path(folder) / "saved", made.predictor)
    ensure(explain(case, again, given.X).to_json() == before, "the loaded one explains differently")


@recommended
def check_budgets(case: Case) -> None:
    """Check that the predictor is asked about no more images than ``budget`` for each."""
    made, given = fitted(case)
    parameters: Mapping[str, Any] = made.meta["params"]
    if not isinstance(parameters.get("budget"), int):
        raise Skip("it states no budget")
    before = given.watch.rows
    explain(case, made, given.X)
    asked, most = given.watch.rows - before, parameters["budget"] * len(given.X)
    ensure(asked <= most, f"budget={parameters['budget']}: {asked} images were asked about")


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's global random generator is left alone by ``explain``."""
    made, given = fitted(case)
    before = np.random.get_state()
    explain(case, made, given.X)
    same = all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state(), strict=True))
    ensure(same, "NumPy's global generator was used")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
