"""What a search for plausible counterfactuals found, image by image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alibi_bridge.objectives import OBJECTIVES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["STATUSES", "ImageFront", "SearchResult"]

#: Status of an image and what it means.
STATUSES = {
    "ok": "a counterfactual was found",
    "none": "no edit within the budget changed the class",
    "misread": "the predictor does not give the image its own class",
    "reconstruction_misread": "the predictor misreads the image when it is decoded without an edit",
    "unstable": "the predictor gave another class when asked again",
}


@dataclass(frozen=True, eq=False)
class ImageFront:
    """The non-dominated edits of one image, by decreasing probability of the original class.

    Attributes
    ----------
    status : str
        A key of :data:`STATUSES`.
    reason : str or None
        Why it is not "ok", in words.
    original_class : int
        What the predictor says of the image.
    original_proba : ndarray of shape (K,)
    reconstruction_proba : ndarray of shape (K,) or None
        Of the image decoded without an edit.
    attributes : ndarray of shape (m,)
        a.
    delta : ndarray of shape (P, m)
        δ of each point; b = a + δ.
    F : ndarray of shape (P, 3)
        f_gan, f_adv, f_att.
    proba : ndarray of shape (P, K)
    chosen, knee, crossing : int or None
        Rows of the points taken as the counterfactual, at the knee and at the crossing; the knee
        and the chosen point are successful ones.
    reference : ndarray of shape (3,)
        Of the hypervolume.
    hypervolume : float
    calls : int
        Images that the predictor was asked about.
    undone : ndarray of shape (m, K) or None
        What the predictor says of the chosen edit when the change of one attribute is taken back.
    image : ndarray or None
        The chosen edit as an image.
    images : ndarray of shape (P, ...) or None
        Those of the front.
    """

    status: str
    reason: str | None
    original_class: int
    original_proba: np.ndarray
    attributes: np.ndarray
    delta: np.ndarray
    F: np.ndarray
    proba: np.ndarray
    reference: np.ndarray
    calls: int
    reconstruction_proba: np.ndarray | None = None
    chosen: int | None = None
    knee: int | None = None
    crossing: int | None = None
    hypervolume: float = 0.0
    undone: np.ndarray | None = None
    image: np.ndarray | None = None
    images: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.F)

    @property
    def ok(self) -> bool:
        """Whether there is a counterfactual."""
        return self.status == "ok"

    @property
    def classes(self) -> np.ndarray:
        """Most probable class of each point, (P,)."""
        return self.proba.argmax(axis=1)

    @property
    def successful(self) -> np.ndarray:
        """Which points changed the class, bool (P,)."""
        return self.classes != self.original_class

    @property
    def needed(self) -> np.ndarray:
        """Attributes without whose change the chosen edit fails, bool (m,)."""
        if self.undone is None:
            return np.zeros(len(self.attributes), dtype=bool)
        return self.undone.argmax(axis=1) == self.original_class


@dataclass(frozen=True, eq=False)
class SearchResult:
    """One :class:`ImageFront` per image, in the order they came.

    Attributes
    ----------
    fronts : list of ImageFront
    attributes : tuple of str
    settings : dict
        What the search was asked for.
    """

    fronts: list[ImageFront]
    attributes: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.fronts)

    @property
    def success(self) -> np.ndarray:
        """Which images have a counterfactual, bool (n,)."""
        return np.array([front.ok for front in self.fronts], dtype=bool)

    @property
    def calls(self) -> int:
        """Images that the predictor was asked about, in all."""
        return sum(front.calls for front in self.fronts)

    def counts(self) -> dict[str, int]:
        """Return how many images have each status; those that none has are left out."""
        found = Counter(front.status for front in self.fronts)
        return {status: found[status] for status in STATUSES if found[status]}

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per point: image, class, objectives, δ by attribute name."""
        import pandas as pd

        tables = []
        for i, front in enumerate(self.fronts):
            table = pd.DataFrame({"image": i, "point": range(len(front)), "class": front.classes})
            table["success"] = front.successful
            table["chosen"] = [row == front.chosen for row in range(len(front))]
            table[list(OBJECTIVES)] = front.F
            table[[f"delta_{name}" for name in self.attributes]] = front.delta
            tables.append(table)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, table, titled

        head = facts({"images": len(self), **self.counts(), "predictor calls": self.calls})
        rows = [[i, *_summary(front, self.attributes)] for i, front in enumerate(self.fronts)]
        names = ["image", "status", "class", "points", "hypervolume", "moves most", "reason"]
        return titled("Search for plausible counterfactuals", head, table(names, rows))


def _summary(front: ImageFront, attributes: tuple[str, ...]) -> list[Any]:
    """Return what a notebook shows of one front."""
    moved = ""
    if front.chosen is not None:
        delta = front.delta[front.chosen]
        most = int(np.abs(delta).argmax())
        moved = f"{attributes[most]} {delta[most]:+.2f}"
    return [
        front.status,
        front.original_class,
        len(front),
        front.hypervolume,
        moved,
        front.reason or "",
    ]
