"""Import the function that makes a model, named as ``"package.module:factory"``.

Programs and job files name a model so: text that a person can read, and code that the user has
installed or that lies in the working directory. A model file of unknown origin is never loaded.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dice_extended_plugin.errors import InvalidInputError, did_you_mean

__all__ = ["importable_from", "load_factory"]

_FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def load_factory(text: str, folders: Sequence[str | Path] = (".",)) -> Callable[..., Any]:
    """Import a factory.

    Parameters
    ----------
    text : str
        ``"package.module:function"``.
    folders : sequence of path, default the working directory
        Where modules are looked for first, as ``python -m`` does with the working directory.

    Returns
    -------
    callable

    Raises
    ------
    InvalidInputError
        `text` has another form, the module or the function is not there, or it is no function.
        An error that the module itself raises while it is imported is given as the cause.
    """
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        raise InvalidInputError(
            f"a model is named as 'package.module:function', not {text!r}; files with pickled "
            "models are not loaded: write a function that makes or reads yours"
        )
    module_name, _, name = text.partition(":")
    with importable_from(folders):
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # the user's module may raise anything
            places = ", ".join(str(Path(folder).resolve()) for folder in folders)
            raise InvalidInputError(
                f"cannot import {module_name!r} for the model {text!r}: "
                f"{type(error).__name__}: {error}; looked in {places or 'no folder'} and in the "
                "installed packages"
            ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        public = [other for other in vars(module) if callable(getattr(module, other))]
        what = "has no" if factory is None else "has no function"
        raise InvalidInputError(
            f"module {module_name!r} {what} {name!r}{did_you_mean(name, public)}"
        )
    return factory


@contextmanager
def importable_from(folders: Sequence[str | Path]) -> Iterator[None]:
    """Put folders before the import path while a block runs."""
    first = [str(Path(folder).resolve()) for folder in folders]
    before = list(sys.path)
    sys.path[:0] = first
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
