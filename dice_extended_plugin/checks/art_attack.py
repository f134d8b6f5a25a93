"""Checks of ART attacks: classes derived from ``art.attacks.attack.EvasionAttack``."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from dice_extended_plugin.checks.arrays import Arrays, arrays, weights_of
from dice_extended_plugin.checks.case import (
    Case,
    Check,
    Skip,
    arguments_for,
    ensure,
    need,
    recommended,
    refuses,
    required,
)

__all__ = ["BACKENDS", "CHECKS"]

#: Frameworks of the suite's classifiers.
BACKENDS = ("sklearn", "PYT", "TF2")


def problem(case: Case, **options: Any) -> Arrays:
    """Make the suite's problem for a case."""
    return arrays(case.backend or "sklearn", max_calls=case.max_calls, **options)


def make(case: Case, given: Arrays, **more: Any) -> Any:
    """Make the attack: the classifier comes first, training rows by their names."""
    offered = {"x_train": given.x_train.copy(), "y_train": given.y_train.copy()}
    known = arguments_for(case.subject.__init__, offered)
    try:
        return case.subject(given.classifier, **{**known, **case.own["init"], **more})
    except Exception as error:
        if type(error).__name__ == "EstimatorError":
            raise Skip(f"it does not take this classifier: {error}") from error
        raise


def run(case: Case, attack: Any, x: np.ndarray, y: Any = None, **keywords: Any) -> np.ndarray:
    """Attack rows."""
    found: np.ndarray = attack.generate(x, y=y, **{**case.own["call"], **keywords})
    return found


def _same_weights(given: Arrays, before: list[np.ndarray]) -> None:
    for one, two in zip(before, weights_of(given.classifier), strict=True):
        ensure(np.array_equal(one, two), "the classifier's weights were changed")


# -- required -----------------------------------------------------------------------------------


@required
def check_class(case: Case) -> None:
    """Check that it derives from EvasionAttack, and names its parameters and what it needs."""
    need("art")
    from art.attacks.attack import EvasionAttack

    ensure(
        isinstance(case.subject, type) and issubclass(case.subject, EvasionAttack),
        "it must be a class derived from art's EvasionAttack",
    )
    names = case.subject.attack_params
    ensure(isinstance(names, list), f"attack_params must be a list, it is a {type(names).__name__}")
    ensure(
        isinstance(case.subject._estimator_requirements, tuple),
        "_estimator_requirements must be a tuple of ART's classes",
    )
    known = inspect.signature(case.subject.generate).parameters
    ensure(
        list(known)[:3] == ["self", "x", "y"], f"generate takes x, y, **kwargs, not {list(known)}"
    )
    ensure(known["y"].default is None, "y must be None by default")


@required
def check_parameters(case: Case) -> None:
    """Check that every name of ``attack_params`` is an attribute, and ``set_params`` takes it."""
    attack = make(case, problem(case))
    for name in type(attack).attack_params:
        if name in ("tensor_board", "summary_writer"):  # ART's own, written elsewhere
            continue
        ensure(hasattr(attack, name), f"attack_params names {name!r}, which is no attribute")
        attack.set_params(**{name: getattr(attack, name)})


@required
def check_estimator_requirements(case: Case) -> None:
    """Check that what is no classifier of ART's is refused with ART's EstimatorError."""
    need("art")
    from art.exceptions import EstimatorError

    given = problem(case)
    known = arguments_for(case.subject.__init__, {"x_train": given.x_train})
    refuses(
        lambda: case.subject(object(), **{**known, **case.own["init"]}),
        "an object that is no ART classifier",
        (EstimatorError,),
    )


@required
def check_result_type(case: Case) -> None:
    """Check that a new float32 array of the same shape comes back, within the clip values."""
    given = problem(case)
    attack = make(case, given)
    for x in (given.x, given.x[:1], given.x.astype(np.float64)):
        out = run(case, attack, x)
        ensure(isinstance(out, np.ndarray), f"it returned a {type(out).__name__}, not an ndarray")
        ensure(out.dtype == np.float32, f"it returned {out.dtype}, ART's arrays are float32")
        ensure(out.shape == x.shape, f"x has shape {x.shape}, the result {out.shape}")
        ensure(not np.shares_memory(out, x), "the result is the memory of x")
        ensure(np.isfinite(out).all(), "the result holds NaN or infinity")
        ensure(
            out.min() >= -1e-6 and out.max() <= 1 + 1e-6,
            f"clip_values are (0, 1), the result reaches from {out.min():g} to {out.max():g}",
        )


@required
def check_input_untouched(case: Case) -> None:
    """Check that rows, labels, training rows and the classifier are what they were."""
    given = problem(case)
    x, y = given.x.copy(), given.y.copy()
    train, weights = given.x_train.copy(), weights_of(given.classifier)
    known = arguments_for(case.subject.__init__, {"x_train": train, "y_train": given.y_train})
    attack = make(case, given, **known)
    run(case, attack, given.x, given.y)
    ensure(np.array_equal(given.x, x), "x was changed")
    ensure(np.array_equal(given.y, y), "y was changed")
    ensure(np.array_equal(train, given.x_train), "x_train was changed")
    _same_weights(given, weights)


@required
def check_validity(case: Case) -> None:
    """Check that what it reports as a success is one when the classifier is asked again."""
    given = problem(case)
    attack = make(case, given)
    out = run(case, attack, given.x)
    result = getattr(attack, "result_", None)
    if result is None or not hasattr(result, "success"):
        raise Skip("it reports nothing: there is no result_.success")
    claimed = np.asarray(result.success)
    ensure(claimed.shape == (len(given.x),), f"result_.success has shape {claimed.shape}")
    changed = given.labels(out) != given.labels(given.x)
    ensure(
        (changed[claimed]).all(),
        f"rows {np.flatnonzero(claimed & ~changed).tolist()} are reported as fooled and are not",
    )


@required
def check_label_forms(case: Case) -> None:
    """Check that labels as class numbers and as one-hot rows give the same result."""
    given = problem(case, n_classes=3)
    attack = make(case, given)
    one_hot = np.eye(3, dtype=np.float32)[given.y]
    outs = [run(case, attack, given.x, y) for y in (given.y, one_hot)]
    ensure(np.allclose(outs[0], outs[1], atol=1e-6), "one-hot labels give another result")


@required
def check_targeted(case: Case) -> None:
    """Check that a targeted attack goes for the class it is given."""
    if "targeted" not in inspect.signature(case.subject.__init__).parameters:
        raise Skip("it cannot be targeted")
    given = problem(case, n_classes=3)
    attack = make(case, given, targeted=True)
    ensure(attack.targeted is True, "targeted=True, and attack.targeted is not True")
    wanted = (given.labels(given.x) + 1) % 3
    out = run(case, attack, given.x, wanted)
    result = getattr(attack, "result_", None)
    found = given.labels(out)
    claimed = getattr(result, "success", np.zeros(len(out), dtype=bool))
    ensure(
        (found[claimed] == wanted[claimed]).all(),
        f"classes {wanted.tolist()} were wanted, the classifier gives {found.tolist()}",
    )


@required
def check_same_result_again(case: Case) -> None:
    """Check that the same call gives the same rows, from the same attack and from a new one."""
    given = problem(case)
    attack = make(case, given)
    first = run(case, attack, given.x)
    ensure(np.array_equal(first, run(case, attack, given.x)), "a second call gave other rows")
    fresh = problem(case)
    again = run(case, make(case, fresh), fresh.x)
    ensure(np.array_equal(first, again), "a new attack gave other rows")


@required
def check_batch_splits(case: Case) -> None:
    """Check that rows one at a time, in two parts and turned round give the rows of one call."""
    given = problem(case)
    attack = make(case, given)
    whole = run(case, attack, given.x)
    n = len(given.x)
    for parts in ([[i] for i in range(n)], [[0, 1], list(range(2, n))], [list(range(n))[::-1]]):
        for part in parts:
            out = run(case, attack, given.x[part])
            ensure(
                np.allclose(out, whole[part], atol=1e-6),
                f"rows {part} come out differently when attacked by themselves",
            )


@required
def check_ends(case: Case) -> None:
    """Check that a constant classifier ends the attack, and no success is claimed."""
    given = problem(case, constant=True)
    attack = make(case, given)
    out = run(case, attack, given.x)
    ensure(out.shape == given.x.shape and np.isfinite(out).all(), "the result is no table of x")
    success = getattr(getattr(attack, "result_", None), "success", np.zeros(1, dtype=bool))
    ensure(not np.any(success), "it claims to have fooled a constant classifier")


@required
def check_no_state_after_error(case: Case) -> None:
    """Check that after calls that were refused, a good one gives what a new attack gives."""
    given = problem(case)
    attack = make(case, given)
    for x, y in ((given.x[:, :2], None), (given.x, given.y[:2]), (None, None)):
        try:
            run(case, attack, x, y)  # type: ignore[arg-type]
        except Exception as error:  # another check tells of its class
            _ = error
    fresh = problem(case)
    ensure(
        np.array_equal(run(case, attack, given.x), run(case, make(case, fresh), fresh.x)),
        "a call that was refused changed what the next one gives",
    )


# -- recommended --------------------------------------------------------------------------------


@recommended
def check_succeeds(case: Case) -> None:
    """Check that it fools at least half of the rows of an easy problem."""
    given = problem(case)
    out = run(case, make(case, given), given.x)
    fooled = given.labels(out) != given.labels(given.x)
    ensure(fooled.mean() >= 0.5, f"it fooled {int(fooled.sum())} of {len(fooled)} rows")


@recommended
def check_mask(case: Case) -> None:
    """Check that where ``mask`` is 0 the value stays, for masks of a row and of all rows."""
    given = problem(case)
    attack = make(case, given)
    mask = np.array([1, 0, 1, 0], dtype=np.float32)
    for form in (mask, np.tile(mask, (len(given.x), 1))):
        out = run(case, attack, given.x, mask=form)
        ensure(
            np.array_equal(out[:, mask == 0], given.x[:, mask == 0]),
            f"a value changed where mask is 0 (mask of shape {form.shape})",
        )


@recommended
def check_error_classes(case: Case) -> None:
    """Check that rows and labels of a wrong shape, and classes there are not, are ValueErrors."""
    given = problem(case)
    attack = make(case, given)
    bad = {
        "rows of another width": (given.x[:, :2], None),
        "fewer labels than rows": (given.x, given.y[:2]),
        "a class the model does not have": (given.x, given.y + 5),
        "no array": ("rows", None),
    }
    for what, (x, y) in bad.items():
        refuses(lambda x=x, y=y: run(case, attack, x, y), what)  # type: ignore[misc]


@recommended
def check_budgets(case: Case) -> None:
    """Check that ``max_rows`` and ``max_seconds`` are taken and kept."""
    known = type(make(case, problem(case))).attack_params
    if not {"max_rows", "max_seconds"} & set(known):
        raise Skip("it has neither max_rows nor max_seconds")
    if "max_rows" in known:
        for most in (1, 40):
            given = problem(case)
            run(case, make(case, given, max_rows=most), given.x)
            # Besides: the training rows, the rows themselves, the check of what was found; calls
            # may be filled up to round sizes.
            limit = 2 * most * len(given.x) + len(given.x_train) + 8 * len(given.x)
            ensure(
                given.watch.rows <= limit,
                f"max_rows={most}: {given.watch.rows} rows were asked about",
            )
    if "max_seconds" in known:
        given = problem(case)
        out = run(case, make(case, given, max_seconds=0.0), given.x)
        ensure(out.shape == given.x.shape, f"max_seconds=0 returned shape {out.shape}")


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's global random generator is left alone."""
    given = problem(case)
    attack = make(case, given)
    before = np.random.get_state()
    run(case, attack, given.x)
    same = all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state(), strict=True))
    ensure(same, "NumPy's global generator was used")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
