"""Count the calls of a model while an explainer runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CallCounter", "counted"]


class CallCounter:
    """Calls so far, and rows in them.

    Attributes
    ----------
    calls, rows : int
    """

    def __init__(self) -> None:
        self.calls = self.rows = 0

    def add(self, rows: Any) -> None:
        """Count one call."""
        self.calls += 1
        shape = getattr(rows, "shape", None) or (len(rows),)
        # dice-ml asks torch models about one row without a batch axis.
        self.rows += int(shape[0]) if len(shape) > 1 or not _is_tensor(rows) else 1


def _is_tensor(rows: Any) -> bool:
    return type(rows).__module__.partition(".")[0] == "torch"


@contextmanager
def counted(model: Any) -> Iterator[CallCounter | None]:
    """Count calls of a dice-ml model: torch modules (and copies made meanwhile) and scikit-learn.

    The model is as it was afterwards. A fused step counts as the calls it makes.

    Yields
    ------
    CallCounter or None
        None for a model that cannot be counted.
    """
    inner: Any = getattr(model, "model", None)
    backend = getattr(model, "backend", None)
    counter = CallCounter()
    if backend == "PYT" and hasattr(inner, "register_forward_pre_hook"):

        def hook(module: Any, arguments: Any) -> None:  # a function: copies of the module share it
            counter.add(arguments[0])

        handle = inner.register_forward_pre_hook(hook)
        try:
            yield counter
        finally:
            handle.remove()
    elif backend == "sklearn" and hasattr(inner, "__dict__"):
        with _watched(inner, counter):
            yield counter
    else:
        yield None


@contextmanager
def _watched(model: Any, counter: CallCounter) -> Iterator[None]:
    """Put counting functions before a model's own for a while."""
    names = [name for name in ("predict_proba", "predict") if hasattr(model, name)]
    inside = [False]  # predict of a classifier may call predict_proba: one call

    def watch(own: Any) -> Any:
        def ask(rows: Any, *args: Any, **kwargs: Any) -> Any:
            if inside[0]:
                return own(rows, *args, **kwargs)
            inside[0] = True
            try:
                counter.add(rows)
                return own(rows, *args, **kwargs)
            finally:
                inside[0] = False

        return ask

    for name in names:
        object.__setattr__(model, name, watch(getattr(model, name)))
    try:
        yield
    finally:
        for name in names:
            object.__delattr__(model, name)
