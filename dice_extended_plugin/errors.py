"""The errors a user can meet, each raised at the border before any work starts."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InvalidInputError", "did_you_mean"]


class InvalidInputError(ValueError):
    """An argument, a table or a model that cannot be worked with.

    The text says what was wrong, where (column or argument), and what to do. The dice-ml
    explainers raise a subclass that is also dice-ml's ``UserConfigValidationException``, so that
    code written for dice-ml catches it unchanged.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to `word`, else ``""``."""
    close = get_close_matches(word, [str(name) for name in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
