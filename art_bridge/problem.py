"""What a search is given and what it gives back. No host is known here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np

from art_bridge.box import Box
from art_bridge.reference import Reference
from art_bridge.variation import Rates

__all__ = ["Aim", "Options", "Problem", "SearchResult"]


@dataclass(frozen=True)
class Aim:
    """What a good counterfactual is.

    Parameters
    ----------
    probability : ndarray of shape (Q,)
        Wanted probability p of the target class, in [0, 1].
    boundary : bool
        Whether the probability shall be near p (boundary) or at least p (unconstrained).
    pick : {"closest", "lexicographic"}
        "lexicographic" takes the best label, then the best O_prob, then the least distance.
        "closest" takes the nearest row of the label whose O_prob is at most `tolerance`.
    tolerance : float
        Only for "closest".
    norm : {1, 2, inf}
        Of the distance.
    scale : ndarray of shape (d,) or None
        Distances are measured on columns divided by it.
    """

    probability: np.ndarray
    boundary: bool = False
    pick: Literal["closest", "lexicographic"] = "closest"
    tolerance: float = 0.0
    norm: float = 2
    scale: np.ndarray | None = None


@dataclass(frozen=True)
class Options:
    """How much a search may spend, and on what.

    Parameters
    ----------
    mode : {"fast", "faithful"}
        "faithful" is the paper's NSGA-III; "fast" seeds a smaller one by local moves.
    population, generations : int
        Size of each NSGA-III population, and the number of populations, the first included.
        Fast mode makes eight offspring a member and ends with `max_rows`.
    max_rows, max_calls : int or None
        Model rows each query may take, and model calls it may take part in.
    max_seconds : float or None
        Wall time of the whole search.
    minimal : bool
        False stops as soon as a query has a counterfactual.
    rates : Rates
        Of crossover and mutation.
    partitions : int
        Divisions of the Das–Dennis directions; 10 makes 66.
    batch_rows : int
        Most rows in one model call.
    """

    mode: Literal["fast", "faithful"] = "fast"
    population: int = 16
    generations: int = 50
    max_rows: int | None = 2750
    max_calls: int | None = None
    max_seconds: float | None = None
    minimal: bool = True
    rates: Rates = field(default_factory=Rates)
    partitions: int = 10
    batch_rows: int = 16_384


@dataclass(frozen=True)
class Problem:
    """What to search.

    Parameters
    ----------
    box : Box
        The encoded queries (Q, d) and what may change in them.
    target : ndarray of int, shape (Q,)
        Class each is to become.
    score : callable
        ``(n, d), (n,) -> (n, classes)``: class probabilities of rows, given the query each row
        belongs to by its name; called with whole batches.
    aim : Aim
    reference : Reference
        Rows of the training data to start from.
    starts : ndarray of shape (Q, s, d), optional
        Further rows to start from; NaN rows are left out.
    options : Options
    random_state : int
        Seed; each query draws from a stream of its own.
    name : ndarray of int, shape (Q,), optional
        What `score` knows each query by; its place by default.
    seen : callable, optional
        ``seen(rows, names, probability)``, told every row (n, d) that was asked for and has the
        label. Without it only the best row is known in the end.
    single : bool, optional
        Whether `score` works in single precision, where a row's answer may depend on its place.
        None: as its first answer's dtype says.
    """

    box: Box
    target: np.ndarray
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]
    aim: Aim
    reference: Reference
    starts: np.ndarray | None = None
    options: Options = field(default_factory=Options)
    random_state: int = 0
    name: np.ndarray | None = None
    seen: Callable[[np.ndarray, np.ndarray, np.ndarray], object] | None = None
    single: bool | None = None

    def names(self, query: np.ndarray) -> np.ndarray:
        """Return the names of queries."""
        return query if self.name is None else self.name[query]

    def take(self, index: np.ndarray) -> Problem:
        """Return the problem of some of the queries."""
        return replace(
            self,
            box=self.box.take(index),
            target=self.target[index],
            aim=replace(self.aim, probability=self.aim.probability[index]),
            starts=None if self.starts is None else self.starts[index],
            name=self.names(index),
        )


@dataclass
class SearchResult:
    """What a search found, for Q queries.

    Attributes
    ----------
    u : ndarray of shape (Q, d)
        The counterfactual; the query itself where there is none.
    success : ndarray of bool, shape (Q,)
        Whether the model answers the target class, strictly.
    reached : ndarray of bool, shape (Q,)
        Whether O_prob is within the tolerance besides.
    distance, probability : ndarray of shape (Q,)
        Norm of the change, and probability of the target class; NaN where there is none.
    rows, calls : ndarray of int, shape (Q,)
        Model rows used, and model calls taken part in.
    begun : ndarray of bool, shape (Q,)
        False where time ran out before the query's turn.
    """

    u: np.ndarray
    success: np.ndarray
    reached: np.ndarray
    distance: np.ndarray
    probability: np.ndarray
    rows: np.ndarray
    calls: np.ndarray
    begun: np.ndarray

    @classmethod
    def nothing(cls, x: np.ndarray) -> SearchResult:
        """Make the result of a search not begun."""
        n = len(x)
        return cls(
            u=x.copy(),
            success=np.zeros(n, dtype=bool),
            reached=np.zeros(n, dtype=bool),
            distance=np.full(n, np.nan),
            probability=np.full(n, np.nan),
            rows=np.zeros(n, dtype=np.int64),
            calls=np.zeros(n, dtype=np.int64),
            begun=np.zeros(n, dtype=bool),
        )

    def put(self, index: np.ndarray, part: SearchResult) -> None:
        """Write the result of some of the queries."""
        for field_ in fields(self):
            getattr(self, field_.name)[index] = getattr(part, field_.name)
