"""How training tables with larger class margins are made: one function per strategy.

A strategy takes a :class:`Situation` and yields recipes (:class:`Recipe`), training tables
to try. The trainer fits a model on each, measures it on rows held out, and chooses. Strategies
know nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from art_bridge.inputs import predict
from art_bridge.perturbation import nearest_distance
from art_bridge.robustness import aim
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["STRATEGIES", "Recipe", "Situation", "algorithm_2", "smooth"]

#: Values of λ that are tried where none are given.
_N_EXPANSIONS = 7


@dataclass(frozen=True, eq=False)
class Situation:
    """What a strategy may use.

    Attributes
    ----------
    classifier : art classifier
        Fitted on `table_x`, `table_y`; to be left as it is.
    x : ndarray of float32, shape (n, d)
    y : ndarray of int64, shape (n,)
        The user's training rows and labels.
    n_classes : int
    vulnerable : int
        Class whose margin is to grow.
    attack : callable
        Returns a targeted boundary attack on `classifier`.
    expansion : "auto", float or sequence of float
        λ: a value, or several to try.
    n_neighbors : int
        K of η.
    probability_cap : float or None
        Only rows whose highest score is at most this get boundary counterfactuals.
    norm : float
        1, 2 or inf.
    random_state : int
    table_x, table_y : ndarray, optional
        What the classifier was trained on where it is not `x`, `y`: the table that the round
        before made.
    """

    classifier: Any
    x: np.ndarray
    y: np.ndarray
    n_classes: int
    vulnerable: int
    attack: Callable[[], Any]
    expansion: Any = "auto"
    n_neighbors: int = 5
    probability_cap: float | None = None
    norm: float = 2.0
    random_state: int = 0
    table_x: np.ndarray | None = None
    table_y: np.ndarray | None = None

    @property
    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels that the classifier was trained on."""
        if self.table_x is None or self.table_y is None:
            return self.x, self.y
        return self.table_x, self.table_y


@dataclass(frozen=True, eq=False)
class Recipe:
    """One training table to try.

    Attributes
    ----------
    x : ndarray of float32, shape (m, d)
    y : ndarray of int64, shape (m,)
    settings : mapping
        What made it, for the record.
    """

    x: np.ndarray
    y: np.ndarray
    settings: Mapping[str, Any] = field(default_factory=dict)


def algorithm_2(situation: Situation) -> Iterator[Recipe]:
    """Add boundary counterfactuals of the vulnerable class, labelled with it (Algorithm 2).

    For every correctly predicted row x of the vulnerable class and every other class j: the
    boundary counterfactual x' toward j, and η = ‖x − x'‖ / mean distance of x' to the K nearest
    correctly predicted training rows of j. Points with η ≤ λ are added, in later rounds to the
    points added before. One recipe per λ; a λ that adds what a smaller one added is left out.

    References
    ----------
    Rasouli and Yu, Algorithm 2. The probability cap is in the authors' code only (0.65).
    """
    points, eta = boundary_points(situation)
    if not len(points):
        return
    seen, (x, y) = 0, situation.table
    for expansion in _expansions(situation.expansion, eta):
        chosen = eta <= expansion
        if chosen.sum() <= seen:
            continue
        seen = int(chosen.sum())
        yield Recipe(
            np.concatenate([x, points[chosen]]),
            np.concatenate([y, np.full(seen, situation.vulnerable)]),
            {"expansion": float(expansion), "added": seen},
        )


def boundary_points(situation: Situation) -> tuple[np.ndarray, np.ndarray]:
    """Return boundary counterfactuals of the vulnerable class and the η of each.

    Returns
    -------
    points : ndarray of float32, shape (m, d)
        Only those that the attack found.
    eta : ndarray of shape (m,)
        NaN where class j has no correctly predicted row.
    """
    scores = predict(situation.classifier, situation.x)
    right = scores.argmax(axis=1) == situation.y
    mine = right & (situation.y == situation.vulnerable)
    if situation.probability_cap is not None:
        mine &= scores.max(axis=1) <= situation.probability_cap
    others = [j for j in range(situation.n_classes) if j != situation.vulnerable]
    rows = np.repeat(situation.x[mine], len(others), axis=0)
    if not len(rows):
        return rows, np.empty(0)
    target = np.tile(others, int(mine.sum()))
    source = np.full(len(rows), situation.vulnerable)
    points, success, _ = aim(
        situation.attack(), situation.classifier, rows, source, target, situation.n_classes
    )
    rows, points, target = rows[success], points[success], target[success]
    if not len(rows):
        return points, np.empty(0)
    near = nearest_distance(
        points,
        target,
        situation.x[right],
        situation.y[right],
        situation.n_neighbors,
        situation.norm,
    )
    moved = np.linalg.norm(points.astype(float) - rows, ord=situation.norm, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return points, moved / near


def _expansions(expansion: Any, eta: np.ndarray) -> np.ndarray:
    """Return the values of λ to try, ascending.

    The authors try seven values from the smallest η to 1, evenly spaced. Most η are far below 1,
    so that the second of these may add nearly all points there are; "auto" spaces them by the
    points that they add.
    """
    if isinstance(expansion, str):
        known = eta[eta <= 1]
        shares = np.arange(1, _N_EXPANSIONS + 1) / _N_EXPANSIONS
        return np.quantile(known, shares, method="inverted_cdf") if len(known) else np.empty(0)
    return np.unique(np.asarray(expansion, dtype=float))


@dataclass(frozen=True)
class Smooth:
    """Teach a fresh model the old one's decision, averaged over a neighbourhood.

    Not of the paper. Algorithm 2 moves the boundary away from one class and toward the other, so
    what one gains the other loses. Trees' margins are small mostly because their decision regions
    are ragged: thin slabs and isolated pockets lie close to almost every row. This strategy
    removes them. Training rows and `n_copies` noisy copies of each are labelled by the old
    model's scores, averaged over `n_draws` draws of the same noise (randomised smoothing), and a
    fresh model learns those labels, which form one smooth boundary.

    Averaging pulls every score toward the larger class. Therefore the scores may be weighted class
    by class so that, on the training rows, the vulnerable class has a given multiple of the share
    that the old model gave it, and the others share the rest as before.

    Parameters
    ----------
    noise : tuple of float
        Standard deviations to try, as parts of each feature's range in the training rows.
    shares : tuple of float or None
        Multiples to try; None: the label is the class of the highest averaged score.
    n_copies, n_draws : int
    """

    noise: tuple[float, ...] = (0.03, 0.05, 0.1)
    shares: tuple[float | None, ...] = (None, 1.2)
    n_copies: int = 4
    n_draws: int = 8

    def __call__(self, situation: Situation) -> Iterator[Recipe]:
        """Yield one recipe per noise and share."""
        predicted = predict(situation.classifier, situation.x).argmax(axis=1)
        share = np.bincount(predicted, minlength=situation.n_classes) / len(predicted)
        for noise in self.noise:
            rows, scores = self._averaged(situation, noise)
            for factor in self.shares:
                weights = np.ones(situation.n_classes)
                if factor is not None:
                    wanted = _scaled_share(share, situation.vulnerable, factor)
                    weights = _class_weights(scores[: len(situation.x)], wanted)
                settings = {"noise": noise, "share": factor}
                yield Recipe(rows, (scores * weights).argmax(axis=1), settings)

    def _averaged(self, situation: Situation, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the training rows with their copies, and the scores averaged over the noise."""
        rng = np.random.default_rng(situation.random_state)
        low, high = situation.x.min(axis=0), situation.x.max(axis=0)

        def disturbed(rows: np.ndarray) -> np.ndarray:
            moved = rows + rng.normal(size=rows.shape) * noise * (high - low)
            return np.clip(moved, low, high).astype(np.float32)

        copies = [disturbed(situation.x) for _ in range(self.n_copies)]
        rows = np.concatenate([situation.x, *copies])
        scores = np.zeros((len(rows), situation.n_classes))
        for _ in range(self.n_draws):
            scores += predict(situation.classifier, disturbed(rows)) / self.n_draws
        return rows, scores


def _scaled_share(share: np.ndarray, vulnerable: int, factor: float) -> np.ndarray:
    """Return the shares with the vulnerable class's multiplied, the rest scaled to sum to 1."""
    mine = min(share[vulnerable] * factor, 0.5 * (1 + share[vulnerable]))
    rest = share * (1 - mine) / max(1 - share[vulnerable], 1e-12)
    rest[vulnerable] = mine
    return rest


def _class_weights(scores: np.ndarray, wanted: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Return weights (C,) under which the weighted scores' labels have the wanted shares.

    A class whose share should be zero keeps its weight. Damped multiplicative updates; the weights
    that came closest are returned.
    """
    weights = np.ones(len(wanted))
    best, least = weights, np.inf
    floor = 0.5 / len(scores)
    for step in range(rounds):
        labels = (scores * weights).argmax(axis=1)
        share = np.bincount(labels, minlength=len(wanted)) / len(labels)
        gap = np.abs(share - wanted).max()
        if gap < least:
            best, least = weights, gap
        if gap <= floor:
            break
        ratio = np.where(wanted > 0, np.maximum(wanted, floor) / np.maximum(share, floor), 1.0)
        weights = weights * ratio ** (0.5 / (1 + step / 20))
    return best


smooth = Smooth()

#: Name of a strategy -> what yields its recipes.
STRATEGIES: dict[str, Callable[[Situation], Iterator[Recipe]]] = {
    "paper": algorithm_2,
    "smooth": smooth,
}


def find_strategy(strategy: Any) -> Callable[[Situation], Iterator[Recipe]]:
    """Return the strategy of a name, or the callable given.

    Raises
    ------
    InvalidInputError
        An unknown name.
    """
    if callable(strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise InvalidInputError(
            f"strategy must be one of {', '.join(STRATEGIES)} or a callable, it is {strategy!r}"
        )
    return STRATEGIES[strategy]
