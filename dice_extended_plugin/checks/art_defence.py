"""Checks of ART defences: trainers, and detectors of adversarial inputs."""

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


def _is(case: Case, *names: str) -> bool:
    known = {base.__name__ for base in getattr(case.subject, "__mro__", ())}
    return bool(known & set(names))


def _make(case: Case, given: Arrays) -> Any:
    """Make the defence: a trainer of the classifier, a detector of a module or classifier."""
    if "module" in inspect.signature(case.subject.__init__).parameters:
        if case.backend != "PYT":
            raise Skip("it takes a torch module")
        return case.subject(_module(given), **case.own["init"])
    known = arguments_for(case.subject.__init__, {"x_train": given.x_train})
    try:
        return case.subject(given.classifier, **{**known, **case.own["init"]})
    except Exception as error:
        if type(error).__name__ == "EstimatorError":
            raise Skip(f"it does not take this classifier: {error}") from error
        raise


def _module(given: Arrays) -> Any:
    """Return a network with one output more than classes, the last one for "fake"."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = given.classifier.model

        def forward(self, rows: Any) -> Any:
            return torch.cat([self.own(rows), 4 * rows[:, :1] - 2], dim=1)

    return Network()


def trainer(case: Case, fit: bool = True, **options: Any) -> tuple[Any, Arrays]:
    """Make a trainer and let it train."""
    need("art")
    if not _is(case, "Trainer"):
        raise Skip("it is no trainer")
    given = problem(case, **options)
    made = _make(case, given)
    if fit:
        _fit(case, made, given.x_train.copy(), given.y_train.copy())
    return made, given


def _fit(case: Case, made: Any, x: Any, y: Any) -> None:
    keywords = {} if case.backend == "sklearn" else {"nb_epochs": 2, "batch_size": 32}
    made.fit(x, y, **{**keywords, **case.own["fit"]})


def detector(case: Case, fit: bool = True) -> tuple[Any, Arrays]:
    """Make a detector and let it learn from clean rows."""
    need("art")
    if not _is(case, "EvasionDetector"):
        raise Skip("it is no detector")
    given = problem(case)
    made = _make(case, given)
    if fit:
        made.fit(given.x_train.copy(), given.y_train.copy(), **case.own["fit"])
    return made, given


@required
def check_class(case: Case) -> None:
    """Check that it derives from one of ART's defence classes, and ``fit`` has their arguments."""
    need("art")
    ensure(
        _is(case, "Trainer", "EvasionDetector", "Preprocessor", "Postprocessor"),
        "it must derive from ART's Trainer, EvasionDetector, Preprocessor or Postprocessor",
    )
    known = list(inspect.signature(case.subject.fit).parameters)
    ensure(known[:3] == ["self", "x", "y"], f"fit takes x and y first, not {known}")


@required
def check_estimator_requirements(case: Case) -> None:
    """Check that what is neither a classifier nor a network is refused."""
    refuses(
        lambda: case.subject(object(), **case.own["init"]),
        "an object that is no model",
        (TypeError, ValueError),
    )


# -- trainers -----------------------------------------------------------------------------------


@required
def check_trainer_result_type(case: Case) -> None:
    """Check that after ``fit`` it has a classifier of ART's that predicts one score per class."""
    made, given = trainer(case)
    classifier = made.get_classifier()
    scores = np.asarray(classifier.predict(given.x))
    shape = (len(given.x), given.n_classes)
    ensure(scores.shape == shape, f"its classifier predicts shape {scores.shape}, not {shape}")
    ensure(np.isfinite(scores).all(), "its classifier predicts NaN or infinity")
    kept = float((scores.argmax(axis=1) == given.y).mean())
    ensure(kept >= 0.5, f"its classifier has {kept:.0%} of easy rows right")


@required
def check_trainer_input_untouched(case: Case) -> None:
    """Check that training rows and labels are what they were."""
    made, given = trainer(case, fit=False)
    x, y = given.x_train.copy(), given.y_train.copy()
    _fit(case, made, x, y)
    ensure(np.array_equal(x, given.x_train), "x was changed")
    ensure(np.array_equal(y, given.y_train), "y was changed")


@required
def check_trainer_same_result_again(case: Case) -> None:
    """Check that two trainers of the same parameters give classifiers that predict the same."""
    if case.backend == "TF2":
        raise Skip("Keras draws first weights from a global generator")
    scores = []
    for _ in range(2):
        _seed_torch(case)
        made, given = trainer(case)
        scores.append(np.asarray(made.get_classifier().predict(given.x)))
    ensure(
        np.allclose(scores[0], scores[1], atol=1e-6), "the second trainer gave another classifier"
    )


def _seed_torch(case: Case) -> None:
    """Start both trainings from one state: ART shuffles by the global generators."""
    if case.backend == "PYT":
        import torch

        torch.manual_seed(0)
    np.random.seed(0)


@required
def check_trainer_error_classes(case: Case) -> None:
    """Check that labels that do not fit the rows, one class only, and NaN are refused."""
    made, given = trainer(case, fit=False)
    x, y = given.x_train, given.y_train
    holes = x.copy()
    holes[3, 1] = np.nan
    errors = (ValueError, TypeError)
    refuses(lambda: _fit(case, made, x, y[:5]), "fewer labels than rows", errors)
    refuses(lambda: _fit(case, made, holes, y), "a row with NaN", errors)
    refuses(lambda: _fit(case, made, x, np.zeros_like(y)), "one class only", errors)


@recommended
def check_trainer_keeps_the_classifier(case: Case) -> None:
    """Check that the classifier that was given is not changed."""
    made, given = trainer(case, fit=False)
    before = weights_of(given.classifier)
    _fit(case, made, given.x_train, given.y_train)
    for one, two in zip(before, weights_of(given.classifier), strict=True):
        ensure(np.array_equal(one, two), "the classifier's weights were changed")


@recommended
def check_trainer_no_state_after_error(case: Case) -> None:
    """Check that after a ``fit`` that was refused, the classifier is the one that was given."""
    made, given = trainer(case, fit=False)
    before = np.asarray(made.get_classifier().predict(given.x))
    try:
        _fit(case, made, given.x_train, given.y_train[:5])
    except (ValueError, TypeError):
        after = np.asarray(made.get_classifier().predict(given.x))
        ensure(np.array_equal(before, after), "the refused fit changed the classifier")


# -- detectors ----------------------------------------------------------------------------------


@required
def check_detector_result_type(case: Case) -> None:
    """Check that ``detect`` returns a dictionary and one truth value per row."""
    made, given = detector(case)
    report, found = made.detect(given.x)
    ensure(isinstance(report, dict), f"the report is a {type(report).__name__}, not a dict")
    found = np.asarray(found)
    ensure(found.shape == (len(given.x),), f"{len(given.x)} rows, the answer has {found.shape}")
    ensure(found.dtype == bool, f"the answer is {found.dtype}, not bool")


@required
def check_detector_input_untouched(case: Case) -> None:
    """Check that rows are what they were, after ``fit`` and after ``detect``."""
    made, given = detector(case, fit=False)
    train, x = given.x_train.copy(), given.x.copy()
    made.fit(train, given.y_train, **case.own["fit"])
    made.detect(x)
    ensure(np.array_equal(train, given.x_train), "fit changed x")
    ensure(np.array_equal(x, given.x), "detect changed x")


@required
def check_detector_batch_splits(case: Case) -> None:
    """Check that a row is called adversarial or not whatever other rows are there."""
    made, given = detector(case)
    x = np.concatenate([given.x, given.x_train])
    whole = np.asarray(made.detect(x)[1])
    alone = np.concatenate([np.asarray(made.detect(row[None])[1]) for row in x])
    ensure(np.array_equal(whole, alone), "rows by themselves get other answers")


@required
def check_detector_error_classes(case: Case) -> None:
    """Check that rows with NaN and a single row without its axis are refused."""
    made, given = detector(case)
    holes = given.x.copy()
    holes[1, 2] = np.nan
    errors = (ValueError, TypeError)
    refuses(lambda: made.detect(given.x[0]), "a row without its axis", errors)
    refuses(lambda: made.fit(holes), "fit on a row with NaN", errors)


@recommended
def check_detector_before_fit(case: Case) -> None:
    """Check that ``detect`` before ``fit`` says what is missing."""
    made, given = detector(case, fit=False)
    refuses(lambda: made.detect(given.x), "detect before fit")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
