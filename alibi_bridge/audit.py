"""The verdict over many images: which attributes flip a predictor, and another one.

The measure is the paper's (Barredo-Arrieta and Del Ser, 2020, section IV): how far the attributes
move in the edits that change the class. The images are the sample; intervals are bootstrap
percentiles over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from alibi_bridge.search_result import ImageFront, SearchResult
from alibi_bridge.seeds import check_random_state, numpy_stream
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Audit", "AuditComparison", "audit", "audit_result", "compare_audits"]

#: A change beyond this counts as "moved": more than half way to the other value.
MOVED = 0.5


@dataclass(frozen=True, eq=False)
class Audit:
    """How the attributes moved in the counterfactuals of one predictor.

    Attributes
    ----------
    attributes : tuple of str
        Those that the search could move.
    rows : ndarray of int, shape (s,)
        Images with a counterfactual, by their place among the n audited.
    delta : ndarray of shape (s, m)
        Their changes. With ``points="front"`` the means over the successful points of the front,
        of absolute values.
    signed : ndarray of shape (s, m)
        The same with their signs.
    needed : ndarray of bool, shape (s, m)
        Whether the counterfactual fails when the attribute's change is taken back.
    moved : ndarray of shape (s, m)
        Whether, or in which share of the points, an attribute moved by more than :data:`MOVED`.
    original_class : ndarray of int, shape (n,)
    counts : dict of str to int
        Images by status.
    level : float
        Of the intervals.
    n_bootstrap, random_state : int
    """

    attributes: tuple[str, ...]
    rows: np.ndarray
    delta: np.ndarray
    signed: np.ndarray
    needed: np.ndarray
    moved: np.ndarray
    original_class: np.ndarray
    counts: dict[str, int]
    level: float = 0.95
    n_bootstrap: int = 2000
    random_state: int = 0

    @property
    def strength(self) -> np.ndarray:
        """|δ| of each image and attribute, (s, m)."""
        return np.abs(self.delta)

    @property
    def strongest(self) -> str:
        """The attribute with the largest mean |δ|."""
        return self.attributes[int(self.strength.mean(axis=0).argmax())]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per attribute, the strongest first.

        Returns
        -------
        pandas.DataFrame
            Index ``attribute``; ``mean_abs_delta`` with ``low`` and ``high``; ``mean_delta``, with
            its sign; ``moved``, the share of counterfactuals where it changed by more than half,
            with ``moved_low`` and ``moved_high``; ``needed``, the share that fails without it, with
            its interval; ``leads``, the share where nothing moved more;
            ``first``, the share of bootstrap samples in which it is the strongest of all.
        """
        import pandas as pd

        # One resampling of the images for everything that is said of them.
        together = np.concatenate([self.strength, self.moved, self.needed], axis=1)
        every = _bootstrap_means(together, self.n_bootstrap, self.random_state)
        draws, moved, needed = np.split(every, 3, axis=1)
        low, high = _interval(draws, self.level)
        moved_low, moved_high = _interval(moved, self.level)
        needed_low, needed_high = _interval(needed, self.level)
        m = len(self.attributes)
        table = pd.DataFrame(
            {
                "mean_abs_delta": self.strength.mean(axis=0),
                "low": low,
                "high": high,
                "mean_delta": self.signed.mean(axis=0),
                "moved": self.moved.mean(axis=0),
                "moved_low": moved_low,
                "moved_high": moved_high,
                "needed": self.needed.mean(axis=0),
                "needed_low": needed_low,
                "needed_high": needed_high,
                "leads": np.bincount(self.strength.argmax(axis=1), minlength=m) / len(self.rows),
                "first": np.bincount(draws.argmax(axis=1), minlength=m) / len(draws),
            },
            index=pd.Index(self.attributes, name="attribute"),
        )
        return table.sort_values("mean_abs_delta", ascending=False, kind="stable")

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        head = facts({**self.counts, "moves most": self.strongest})
        return titled("Audit of a predictor", head, frame_table(self.to_frame()))

    def plot(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw mean |δ| per attribute with its interval."""
        from alibi_bridge.pictures import plot_audit

        return plot_audit(self.to_frame(), ax, label)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and table as JSON can write them."""
        table = self.to_frame().round(6)
        return {
            "counts": self.counts,
            "counterfactuals": len(self.rows),
            "strongest": self.strongest,
            "attributes": table.to_dict(orient="index"),
        }


@dataclass(frozen=True, eq=False)
class AuditComparison:
    """Two audits of the same images, one per predictor.

    Attributes
    ----------
    attributes : tuple of str
    first, second : ndarray of shape (p, m)
        |δ| of the images that have a counterfactual under both.
    left_out : int
        Images that have one under only one of them, or under none.
    level : float
    n_bootstrap, random_state : int
    """

    attributes: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    left_out: int
    level: float = 0.95
    n_bootstrap: int = 2000
    random_state: int = 0

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per attribute, the largest fall first.

        Returns
        -------
        pandas.DataFrame
            Index ``attribute``; ``first`` and ``second``, the mean |δ|; ``difference`` = second −
            first, of the same images, with ``low`` and ``high``; ``verdict``: "less" or "more"
            where the interval leaves out 0, else "".
        """
        import pandas as pd

        difference = self.second - self.first
        draws = _bootstrap_means(difference, self.n_bootstrap, self.random_state)
        low, high = _interval(draws, self.level)
        table = pd.DataFrame(
            {
                "first": self.first.mean(axis=0),
                "second": self.second.mean(axis=0),
                "difference": difference.mean(axis=0),
                "low": low,
                "high": high,
                "verdict": np.where(high < 0, "less", np.where(low > 0, "more", "")),
            },
            index=pd.Index(self.attributes, name="attribute"),
        )
        return table.sort_values("difference", kind="stable")

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        head = facts({"pairs": len(self.first), "left out": self.left_out})
        return titled("Two audits of the same images", head, frame_table(self.to_frame()))

    def plot(self, ax: Axes | None = None, labels: Sequence[str] = ("first", "second")) -> Axes:
        """Draw the difference of mean |δ| per attribute with its interval."""
        from alibi_bridge.pictures import plot_comparison

        return plot_comparison(self.to_frame(), ax, labels)

    def to_dict(self) -> dict[str, Any]:
        """Return pairs and table as JSON can write them."""
        return {
            "pairs": len(self.first),
            "left_out": self.left_out,
            "attributes": self.to_frame().round(6).to_dict(orient="index"),
        }


def audit(
    explainer: Any,
    X: np.ndarray,
    Y: Any = None,
    attributes: Any = None,
    *,
    against: Any = None,
    points: Literal["chosen", "nearest", "front"] = "chosen",
    level: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: int = 0,
) -> Any:
    """Audit a predictor over many images, or two predictors over the same images.

    Parameters
    ----------
    explainer : PlausibleCounterfactual
        With a predictor; anything with its method ``search`` will do.
    X, Y, attributes
        As for its ``explain``.
    against : object, optional
        A second predictor, of the same kind of outputs.
    points : {"chosen", "nearest", "front"}, default "chosen"
        Which edits of an image count: its counterfactual, the successful edit with the least
        change, or the mean over all successful points of its front. ``needed`` is always of the
        counterfactual.
    level : float, default 0.95
        Of the intervals.
    n_bootstrap : int, default 2000
    random_state : int, default 0
        Of the bootstrap.

    Returns
    -------
    Audit
        Or, with `against`, a tuple of two audits and their :class:`AuditComparison`.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: no images, or none with a counterfactual; the text counts the reasons.
    """
    if not hasattr(X, "__len__"):
        raise InvalidInputError(f"X must be an array of images, it is {type(X).__name__}")
    if len(X) == 0:
        raise InvalidInputError("there are no images to audit")
    if not hasattr(explainer, "search"):
        raise InvalidInputError(
            f"explainer must be a PlausibleCounterfactual, it is {type(explainer).__name__}"
        )
    check_options(points, level, n_bootstrap)
    check_random_state(random_state)
    if against is not None:  # nothing to explain: only whether it is a predictor at all
        explainer.search(np.asarray(X)[:0], keep="none", predictor=against)
    options: dict[str, Any] = {
        "points": points,
        "level": level,
        "n_bootstrap": n_bootstrap,
        "random_state": random_state,
    }
    first = audit_result(explainer.search(X, Y, attributes, keep="none"), **options)
    if against is None:
        return first
    found = explainer.search(X, Y, attributes, keep="none", predictor=against)
    try:
        second = audit_result(found, **options)
    except InvalidInputError as error:
        raise InvalidInputError(f"under the second predictor there is {error}") from error
    return first, second, compare_audits(first, second)


def audit_result(
    result: SearchResult,
    *,
    points: Literal["chosen", "nearest", "front"] = "chosen",
    level: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: int = 0,
) -> Audit:
    """Return the audit of a finished search; the parameters are those of :func:`audit`."""
    check_options(points, level, n_bootstrap)
    rows = np.flatnonzero(result.success)
    if not len(rows):
        counts = ", ".join(f"{n} {status}" for status, n in result.counts().items())
        raise InvalidInputError(
            f"nothing to audit: none of the {len(result)} images has a counterfactual "
            f"({counts or 'no images'})"
        )
    kept = movable(result)
    changes = [image_changes(result.fronts[row], kept, points) for row in rows]
    absolute, signed, needed, moved = zip(*changes, strict=True)
    return Audit(
        tuple(result.attributes[j] for j in kept),
        rows,
        np.stack(absolute),
        np.stack(signed),
        np.stack(needed),
        np.stack(moved),
        np.array([front.original_class for front in result.fronts]),
        result.counts(),
        level,
        n_bootstrap,
        check_random_state(random_state),
    )


def compare_audits(first: Audit, second: Audit) -> AuditComparison:
    """Compare two audits of the same images, image by image.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: other images or attributes, or fewer than two images have a
        counterfactual under both.
    """
    if first.attributes != second.attributes or len(first.original_class) != len(
        second.original_class
    ):
        raise InvalidInputError("the audits are of other attributes or of other images")
    both, one, two = np.intersect1d(first.rows, second.rows, return_indices=True)
    if len(both) < 2:
        raise InvalidInputError(
            f"{len(both)} images have a counterfactual under both predictors; a comparison needs "
            f"two or more"
        )
    return AuditComparison(
        first.attributes,
        first.strength[one],
        second.strength[two],
        len(first.original_class) - len(both),
        first.level,
        first.n_bootstrap,
        first.random_state,
    )


def image_changes(
    front: ImageFront, kept: list[int], points: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what one counterfactual adds to an audit: |δ|, δ, needed and moved, each (m,)."""
    delta = front.delta[_taken(front, points)][:, kept]
    return (
        np.abs(delta).mean(axis=0),
        delta.mean(axis=0),
        front.needed[kept],
        (np.abs(delta) > MOVED).mean(axis=0),
    )


def _taken(front: ImageFront, points: str) -> np.ndarray:
    """Return the rows of the front that the audit counts."""
    successful = np.flatnonzero(front.successful)
    if points == "front":
        return successful
    if points == "nearest":
        return successful[[front.F[successful, 2].argmin()]]
    return np.array([front.chosen])


def check_options(points: Any, level: Any, n_bootstrap: Any) -> None:
    """Raise InvalidInputError for options that no audit has."""
    if points not in ("chosen", "nearest", "front"):
        raise InvalidInputError(f"points must be 'chosen', 'nearest' or 'front', it is {points!r}")
    number = isinstance(level, int | float) and not isinstance(level, bool)
    if not number or not 0 < level < 1:
        raise InvalidInputError(f"level must lie between 0 and 1: {level!r}")
    if isinstance(n_bootstrap, bool) or not isinstance(n_bootstrap, int) or n_bootstrap < 100:
        raise InvalidInputError(f"n_bootstrap must be a whole number from 100 on: {n_bootstrap!r}")


def movable(result: SearchResult) -> list[int]:
    """Return the columns that the search could move."""
    held = set(result.settings.get("immutable", ()))
    if result.settings.get("exclude_target", True) and result.settings.get("target"):
        held.add(result.settings["target"])
    return [j for j, name in enumerate(result.attributes) if name not in held]


def _bootstrap_means(values: np.ndarray, n_bootstrap: int, random_state: int) -> np.ndarray:
    """Return the means of resampled rows, (n_bootstrap, m)."""
    draw = numpy_stream(random_state, "audit")
    n = len(values)
    # Counts of how often a row is drawn, so that a sample is one row of a matrix product.
    counts = draw.multinomial(n, np.full(n, 1.0 / n), size=n_bootstrap)
    means: np.ndarray = counts @ values / n
    return means


def _interval(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
