"""Any image classifier as one function: images in, class probabilities out, every call counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from alibi_bridge.formats import ImageFormat
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["OUTPUTS", "Predictor", "as_predictor", "check_answers"]

#: What a predictor may return.
OUTPUTS = ("scores", "labels", "logits")
#: How far the probabilities of an image may be from a sum of 1: half precision is.
_SUM_SLACK = 5e-3


class Predictor:
    """A classifier as a batched function that gives class probabilities; see :func:`as_predictor`.

    Attributes
    ----------
    n_classes : int or None
        Known from the first call on.
    calls, images : int
        How often it was called, and with how many images, since it was made or reset.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], Any],
        format: ImageFormat,
        outputs: str,
        n_classes: int | None,
    ) -> None:
        self._function = function
        self.format = format
        self.outputs = outputs
        self.n_classes = n_classes
        self.reset()

    def reset(self) -> None:
        """Set the counters to 0."""
        self.calls = self.images = 0

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the class probabilities of images.

        Parameters
        ----------
        X : ndarray of shape (n, *format.shape)
            In the user's layout and range.

        Returns
        -------
        ndarray of float64, shape (n, K)
            Rows that sum to 1.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: the classifier's answer has another shape, is not a number, or is not
            what `outputs` says.
        """
        self.calls += 1
        self.images += len(X)
        # A copy, and floats like the edits that come later: many functions scale their argument in
        # place, and arithmetic on uint8 wraps round.
        answer = _as_array(self._function(np.array(X, dtype=np.float32)))
        if answer.shape[:1] != (len(X),):
            raise InvalidInputError(
                f"the predictor must return one row per image: shape ({len(X)}, classes), its "
                f"answer has shape {answer.shape}"
            )
        if self.outputs == "labels":
            return self._from_labels(answer)
        probabilities = self._from_scores(answer)
        if self.n_classes is None:
            self.n_classes = probabilities.shape[1]
        if probabilities.shape[1] != self.n_classes:
            raise InvalidInputError(
                f"the predictor gave {probabilities.shape[1]} classes, {self.n_classes} were "
                f"expected"
            )
        return probabilities

    def _from_scores(self, answer: np.ndarray) -> np.ndarray:
        if answer.ndim == 1:
            answer = answer[:, None]
        if answer.ndim != 2 or not answer.shape[1]:
            raise InvalidInputError(
                f"the predictor must return shape (n, classes), its answer has shape {answer.shape}"
            )
        scores = _numbers(answer)
        if self.outputs == "logits":
            if scores.shape[1] == 1:
                scores = np.column_stack([np.zeros(len(scores)), scores])
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            return scores / scores.sum(axis=1, keepdims=True)
        if scores.size and (scores.min() < -_SUM_SLACK or scores.max() > 1 + _SUM_SLACK):
            raise InvalidInputError(
                f"the predictor's scores reach from {scores.min():.4g} to {scores.max():.4g}; "
                f"probabilities lie in [0, 1]. Say outputs='logits' if they are logits"
            )
        scores = scores.clip(0.0, 1.0)
        if scores.shape[1] == 1:
            return np.column_stack([1.0 - scores[:, 0], scores[:, 0]])
        sums = scores.sum(axis=1, keepdims=True)
        if scores.size and np.abs(sums - 1).max() > _SUM_SLACK:
            raise InvalidInputError(
                f"the predictor's probabilities of an image sum to {float(sums.min()):.4g} to "
                f"{float(sums.max()):.4g}, not to 1: classes must exclude each other. Say "
                f"outputs='logits' if they are logits"
            )
        return scores / sums

    def _from_labels(self, answer: np.ndarray) -> np.ndarray:
        if answer.ndim == 2 and answer.shape[1] == 1:
            answer = answer[:, 0]
        if answer.ndim != 1:
            raise InvalidInputError(
                f"outputs='labels' means one class number per image, the answer has shape "
                f"{answer.shape}; say 'scores' or 'logits' for a column per class"
            )
        labels = _numbers(answer)
        classes = self.n_classes or 2
        if (labels != np.round(labels)).any() or (labels < 0).any() or (labels >= classes).any():
            raise InvalidInputError(
                f"the predictor's labels must be whole numbers from 0 to {classes - 1}, they reach "
                f"from {labels.min():g} to {labels.max():g}; give n_classes if there are more"
            )
        return np.eye(classes)[labels.astype(int)]


def as_predictor(
    predictor: Any,
    format: ImageFormat,
    outputs: Literal["scores", "labels", "logits"] = "scores",
    n_classes: int | None = None,
) -> Predictor:
    """Return any classifier as a batched function that gives class probabilities.

    Parameters
    ----------
    predictor : object
        * a function: float32 array (n, ``*format.shape``) in the user's layout and range, its own
          to write to -> answer;
        * a ``torch.nn.Module``: gets float32 (n, channels, height, width) in ``value_range`` on its
          own device, in evaluation mode; its mode is put back;
        * a Keras model: gets float32 in the user's layout;
        * a scikit-learn classifier or pipeline: gets float32 (n, height · width · channels).
    format : ImageFormat
        The images that the classifier knows.
    outputs : {"scores", "labels", "logits"}, default "scores"
        What it answers: probabilities (n, K); class numbers (n,); logits (n, K). One column, or
        none, of scores or logits is the second of two classes.
    n_classes : int, optional
        Number of classes K. Labels need it where there are more than two.

    Returns
    -------
    Predictor
        Classes are numbers, 0 to K − 1: the columns of the answer.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: not a classifier, or arguments that are none of the above.
    """
    check_answers(outputs, n_classes)
    if isinstance(predictor, Predictor):
        predictor, outputs, n_classes = (
            predictor._function,
            predictor.outputs,
            predictor.n_classes,
        )
        return Predictor(predictor, format, outputs, n_classes)
    return Predictor(_function_of(predictor, format, outputs), format, outputs, n_classes)


def check_answers(outputs: Any, n_classes: Any) -> None:
    """Raise InvalidInputError for kinds of answers that no predictor gives."""
    if outputs not in OUTPUTS:
        raise InvalidInputError(f"outputs must be one of {OUTPUTS}, it is {outputs!r}")
    if n_classes is not None and (
        isinstance(n_classes, bool) or not isinstance(n_classes, int) or n_classes < 2
    ):
        raise InvalidInputError(f"n_classes must be a whole number from 2 on: {n_classes!r}")


def _function_of(predictor: Any, format: ImageFormat, outputs: str) -> Callable[[np.ndarray], Any]:
    if isinstance(predictor, type):
        raise InvalidInputError(
            f"predictor is the class {predictor.__name__}; give an object of it, trained"
        )
    # The frameworks are recognised by name, so that none is imported for a plain function.
    bases = [base.__module__.partition(".")[0] for base in type(predictor).__mro__]
    if "torch" in bases and hasattr(predictor, "named_parameters"):
        return _TorchFunction(predictor, format)
    if "keras" in bases or "tf_keras" in bases:
        return lambda X: predictor(np.asarray(X, dtype=np.float32), training=False)
    if hasattr(predictor, "predict_proba") or (
        "sklearn" in bases and hasattr(predictor, "predict")
    ):
        return _sklearn_function(predictor, outputs)
    if callable(predictor):
        return predictor
    raise InvalidInputError(
        f"predictor must be a function, a torch module, a Keras model or a scikit-learn "
        f"classifier, it is {type(predictor).__name__}"
    )


class _TorchFunction:
    """A torch module called with arrays."""

    def __init__(self, module: Any, format: ImageFormat) -> None:
        self.module = module
        self.channels_last = format.channels_last

    def __call__(self, X: np.ndarray) -> np.ndarray:
        import torch

        first = next(iter(self.module.parameters()), None)
        device = torch.device("cpu") if first is None else first.device
        batch = torch.as_tensor(np.asarray(X, dtype=np.float32)).to(device)
        if self.channels_last:
            batch = batch.permute(0, 3, 1, 2).contiguous()
        with torch.inference_mode(), _evaluating(self.module):
            answer: np.ndarray = self.module(batch).float().cpu().numpy()
        return answer


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    training = [part for part in module.modules() if part.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


def _sklearn_function(predictor: Any, outputs: str) -> Callable[[np.ndarray], Any]:
    name = {"scores": "predict_proba", "labels": "predict", "logits": "decision_function"}[outputs]
    method = getattr(predictor, name, None)
    if method is None:
        raise InvalidInputError(
            f"{type(predictor).__name__} has no {name}, which outputs={outputs!r} needs; say "
            f"outputs='labels' for a classifier without probabilities"
        )

    def function(X: np.ndarray) -> Any:
        answer = method(np.asarray(X, dtype=np.float32).reshape(len(X), -1))
        classes = getattr(predictor, "classes_", None)
        if outputs != "labels" or classes is None:
            return answer
        return np.searchsorted(classes, answer)  # class numbers, whatever the labels are

    return function


def _as_array(answer: Any) -> np.ndarray:
    if hasattr(answer, "detach"):  # a torch tensor
        answer = answer.detach().cpu()
        if answer.is_floating_point():
            answer = answer.double()  # NumPy has no bfloat16
    if isinstance(answer, (list, tuple)) and len(answer) and not np.isscalar(answer[0]):
        answer = [_as_array(row) for row in answer]
    try:
        return np.asarray(answer)
    except ValueError as error:
        raise InvalidInputError(f"the predictor's answer is not an array: {error}") from error


def _numbers(answer: np.ndarray) -> np.ndarray:
    if np.iscomplexobj(answer):
        raise InvalidInputError("the predictor must return real numbers, not complex ones")
    try:
        values = answer.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"the predictor must return numbers: {error}") from error
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise InvalidInputError(
            f"the predictor returned NaN or infinity for {int(bad.sum())} of {len(values)} images"
        )
    return values
