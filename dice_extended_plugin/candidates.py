"""Robust choice among valid candidates, for searches without gradients (methods page, (c)).

A search collects more counterfactuals than it was asked for. Each gets its robustness R on the
bank of noise that serves the whole call, and a greedy choice keeps k of them: near the query,
robust, and different from each other. All queries are worked through together, in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dice_extended_plugin.dice_sorensen import codes, coefficient
from dice_extended_plugin.found import Budget
from dice_extended_plugin.noise import NoiseBank, NoiseModel
from dice_extended_plugin.pace import Pace
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import Target

__all__ = [
    "POOL",
    "Preference",
    "Problem",
    "Rows",
    "choose",
    "cost",
    "robustness",
    "select",
]

#: Valid candidates collected per counterfactual asked for.
POOL = 10
#: Candidates per counterfactual whose robustness is measured, which costs a model call per draw.
SHORTLIST = 4
#: Share of a call's time that is left to what follows the search.
AFTER_SEARCH = 0.2
#: Values closer than this are a tie, which the earlier candidate wins: sums in another order, in
#: another batch, must not decide.
_DIGITS = 9

#: Encoded rows (n, d) and the query of each (n,) -> scores (n, C).
Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Preference:
    """What makes one counterfactual better than another.

    Parameters
    ----------
    proximity, sparsity, diversity, robustness : float, >= 0
        Weights.
    mode : {"dice", "validity", None}
        Which R; None leaves it out.
    kernel : {"dpp_style:inverse_dist", "dpp_style:exponential_dist", "avg_dist"}
    """

    proximity: float = 0.5
    sparsity: float = 0.0
    diversity: float = 1.0
    robustness: float = 0.4
    mode: str | None = "dice"
    kernel: str = "dpp_style:inverse_dist"

    @property
    def robust(self) -> bool:
        """Whether R counts."""
        return self.mode is not None and self.robustness > 0


@dataclass(frozen=True)
class Problem:
    """What to search, for any method without gradients.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Encoded queries.
    space : FeatureSpace
        With the constraints of this call.
    target : Target
    scores : callable
        ``(n, d), (n,) -> (n, C)``: encoded rows and the query of each.
    total_CFs : int
        Counterfactuals per query, k.
    weights : ndarray of shape (d,)
        Column weights of distances.
    preference : Preference
    noise : NoiseModel
    bank : NoiseBank
        The draws behind R.
    budget : Budget
    pace : Pace
        Of the model's calls.
    random_state : int
    max_rows : int
        Most candidates in memory at once.
    """

    x: np.ndarray
    space: FeatureSpace
    target: Target
    scores: Scores
    total_CFs: int
    weights: np.ndarray
    preference: Preference
    noise: NoiseModel
    bank: NoiseBank
    budget: Budget
    pace: Pace = field(default_factory=Pace)
    random_state: int = 0
    max_rows: int = 65_536

    def hurry(self, *rows: int) -> bool:
        """Tell whether model calls about so many rows would use up the time of the search.

        Some is kept for what comes after it: sparsity, and three calls about the rows found.
        """
        found = len(self.x) * self.total_CFs
        rest = AFTER_SEARCH * (self.budget.max_seconds or 0.0)
        return self.budget.out_of_time(self.pace.estimate(*rows, found, found, found) + rest)

    def met(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Tell which rows are counterfactuals of their query."""
        return self.target.met(self.scores(rows, query), query)

    def legal(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Tell which projected rows keep every rule of the call."""
        if not self.space.ruled:
            return np.ones(len(rows), dtype=bool)
        return self.space.legal(rows, self.x[query])


@dataclass
class Rows:
    """Candidates of many queries, growing.

    Attributes
    ----------
    u : list of ndarray of shape (n, d)
    query : list of ndarray of int, shape (n,)
    """

    u: list[np.ndarray] = field(default_factory=list)
    query: list[np.ndarray] = field(default_factory=list)

    def add(self, u: np.ndarray, query: np.ndarray) -> None:
        """Put rows at the end."""
        self.u.append(u)
        self.query.append(query)

    def sorted(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows by query, each query's in the order they came."""
        if not self.u:
            return np.empty((0, d)), np.empty(0, dtype=int)
        u, query = np.concatenate(self.u), np.concatenate(self.query)
        order = np.argsort(query, kind="stable")
        return u[order], query[order]


def cost(
    u: np.ndarray, x: np.ndarray, space: FeatureSpace, weights: np.ndarray, preference: Preference
) -> np.ndarray:
    """Weighted distance to the query per feature plus share of features changed; (..., d) -> (...).

    The distance is that of DiCE's proximity term (weighted L1), as a mean over features instead of
    one-hot columns, so that a table with long level lists does not make every change cheap.
    """
    away = (np.abs(u - x) * weights).sum(-1) / space.n_features
    total: np.ndarray = preference.proximity * away
    if preference.sparsity > 0:
        total = total + preference.sparsity * space.changed(u, x).mean(-1)
    return total


def robustness(
    u: np.ndarray, query: np.ndarray, problem: Problem, max_rows: int | None = None
) -> np.ndarray:
    """Return R of each row: mean over the bank of ``D(c, T c)^alpha * 1[f(T c) is the target]``.

    Parameters
    ----------
    u : ndarray of shape (n, d)
        Rows that can be written down.
    query : ndarray of int, shape (n,)
    problem : Problem
        Its mode "dice" is alpha = 1, "validity" alpha = 0.

    Returns
    -------
    ndarray of shape (n,)
        In [0, 1], higher is better.
    """
    x, space, bank = problem.x, problem.space, problem.bank
    value = np.empty(len(u))
    step = max(1, (max_rows or problem.max_rows) // len(bank.noise))
    for start in range(0, len(u), step):
        part = slice(start, start + step)
        rows, own = u[part], query[part]
        disturbed = problem.noise.perturb(rows, x[own], space, bank)
        flat = disturbed.reshape(-1, disturbed.shape[-1])
        kept = problem.met(flat, np.tile(own, len(disturbed))).reshape(disturbed.shape[:2])
        if problem.preference.mode == "dice":
            agree = coefficient(codes(rows, space), codes(disturbed, space))
            value[part] = (agree * kept).mean(axis=0)
        else:
            value[part] = kept.mean(axis=0)
    return value


def choose(
    u: np.ndarray,
    value: np.ndarray,
    usable: np.ndarray,
    k: int,
    weights: np.ndarray,
    diversity_weight: float,
    kernel: str = "dpp_style:inverse_dist",
) -> np.ndarray:
    """Pick k candidates of each query, one after the other, each the best beside those before it.

    A candidate's worth is `value` plus `diversity_weight` / k times what it adds to the
    log-determinant of the similarity kernel (with "avg_dist": `diversity_weight` times minus its
    mean similarity to those picked). The log-determinant falls about with k, so that the weight
    means the same for any k.

    Parameters
    ----------
    u : ndarray of shape (Q, n, d)
        Candidates, distinct within a query.
    value : ndarray of shape (Q, n)
        Higher is better.
    usable : ndarray of bool, shape (Q, n)
        False for padding.
    weights : ndarray of shape (d,)
        Column weights of the kernel's distance.

    Returns
    -------
    ndarray of int, shape (Q, k)
        Places in the pool, best first; -1 where there is no further candidate.

    References
    ----------
    Chen, Zhang, Zhou (2018), "Fast greedy MAP inference for determinantal point process".
    """
    n_queries, n, _ = u.shape
    chosen = np.full((n_queries, k), -1)
    if n == 0:
        return chosen
    scaled, every = u * weights, np.arange(n_queries)
    free = usable.copy()
    # Variance of each candidate given those picked, and its coordinates in their space.
    variance = np.ones((n_queries, n))
    coordinates = np.zeros((n_queries, n, k))
    similar = np.zeros((n_queries, n))
    for turn in range(k):
        if kernel == "avg_dist":
            gain = -similar / max(turn, 1)
        else:
            gain = np.log(np.maximum(variance, 1e-12)) / k
        total = np.where(free, np.round(value + diversity_weight * gain, _DIGITS), -np.inf)
        pick = total.argmax(axis=1)
        left = free[every, pick]
        if not left.any():
            break
        chosen[:, turn] = np.where(left, pick, -1)
        free[every, pick] = False
        if diversity_weight == 0 or turn + 1 == k:
            continue
        apart = scaled - scaled[every, pick][:, None]
        distance = np.abs(apart, out=apart).sum(-1)
        likeness = np.exp(-distance) if kernel.endswith("exponential_dist") else 1 / (1 + distance)
        similar += likeness
        known = (coordinates[..., :turn] * coordinates[every, pick][:, None, :turn]).sum(-1)
        spread = np.sqrt(np.maximum(variance[every, pick], 1e-12))
        coordinates[..., turn] = (likeness - known) / spread[:, None]
        variance = variance - coordinates[..., turn] ** 2
    return chosen


def select(
    problem: Problem, u: np.ndarray, query: np.ndarray, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Keep k of each query's candidates.

    Parameters
    ----------
    problem : Problem
    u : ndarray of shape (n, d)
        Counterfactuals, distinct within a query.
    query : ndarray of int, shape (n,)
        Ascending.
    known : ndarray of shape (n,), optional
        R of the candidates where it has been measured, NaN elsewhere.

    Returns
    -------
    u : ndarray of shape (Q, k, d)
    valid : ndarray of bool, shape (Q, k)
        False where a query has fewer candidates.
    """
    preference, k = problem.preference, problem.total_CFs
    value = -cost(u, problem.x[query], problem.space, problem.weights, preference)
    place = np.arange(len(u))
    draws = min(len(u), SHORTLIST * k * len(problem.x)) * len(problem.bank.noise)
    if preference.robust and not problem.hurry(draws):
        place = _pick(problem, u, query, value, place, SHORTLIST * k)
        stable = np.full(len(u), np.nan) if known is None else known.copy()
        open_ = place[np.isnan(stable[place])]
        stable[open_] = robustness(u[open_], query[open_], problem)
        value[place] += preference.robustness * stable[place]
    place = _pick(problem, u, query, value, place, k)
    n, d = problem.x.shape
    out, valid = np.zeros((n, k, d)), np.zeros((n, k), dtype=bool)
    rank = _rank(query[place])
    out[query[place], rank], valid[query[place], rank] = u[place], True
    return out, valid


def _pick(
    problem: Problem,
    u: np.ndarray,
    query: np.ndarray,
    value: np.ndarray,
    place: np.ndarray,
    k: int,
) -> np.ndarray:
    """Choose k of the candidates at `place` for each query; their places, by query, best first."""
    picked = []
    owners = query[place]
    present, count = np.unique(owners, return_counts=True)
    first = np.cumsum(count) - count
    step = max(1, problem.max_rows // max(1, int(count.max(initial=1))))
    for start in range(0, len(present), step):
        part = slice(start, start + step)
        width = int(count[part].max())
        usable = np.arange(width) < count[part][:, None]
        padded = place[np.minimum(first[part][:, None] + np.arange(width), len(place) - 1)]
        chosen = choose(
            u[padded],
            value[padded],
            usable,
            min(k, width),
            problem.weights,
            problem.preference.diversity,
            problem.preference.kernel,
        )
        rows = np.take_along_axis(padded, np.maximum(chosen, 0), axis=1)
        picked.append(rows[chosen >= 0])
    return np.concatenate(picked) if picked else place[:0]


def _rank(query: np.ndarray) -> np.ndarray:
    """Return the number of each row within its query, from 0; `query` ascends."""
    _, first, count = np.unique(query, return_index=True, return_counts=True)
    return np.arange(len(query)) - np.repeat(first, count)
