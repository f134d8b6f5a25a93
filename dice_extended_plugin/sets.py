"""CounterfactualSets: the counterfactuals of many queries, of any number each, ready to measure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.columns import write_levels
from dice_extended_plugin.dice_sorensen import literal_robustness, noise_validity
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.plausibility import Plausibility
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.stability import Explain
from dice_extended_plugin.targets import Target

__all__ = ["CounterfactualSets", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """How robustness and fidelity are measured.

    Parameters
    ----------
    noise : NoiseModel
        Of noise validity and the literal coefficient.
    n_draws : int, default 1000
        Held-out draws.
    random_state : int, default 2026
        Seed of everything that is drawn to measure. Not the seed of a search.
    n_neighbours : int, default 1000
        Points of 1-NN fidelity.
    categories : {"uniform", "keep"}
        Levels of these points, see :func:`~dice_extended_plugin.fidelity.neighbours`.
    n_moves : int, default 5
        Moved copies of a query for regeneration stability.
    """

    noise: NoiseModel = field(default_factory=NoiseModel)
    n_draws: int = 1000
    random_state: int = 2026
    n_neighbours: int = 1000
    categories: str = "uniform"
    n_moves: int = 5


@dataclass(frozen=True, eq=False)
class CounterfactualSets:
    """Counterfactuals of Q queries; row i belongs to query ``query[i]``.

    Parameters
    ----------
    frame : DataFrame of n rows
        Feature columns, as returned.
    u : ndarray of shape (n, d)
        The same encoded.
    query : ndarray of int, shape (n,)
        Ascending.
    queries : DataFrame of Q rows
    x : ndarray of shape (Q, d)
    target : Target
        What was wanted of each query.
    k : int
        Counterfactuals asked for per query.
    judge : Judge
    protocol : Protocol
    seconds : ndarray of shape (Q,), optional
        Time each query took.
    model_calls, model_rows : ndarray of shape (Q,), optional
        Calls of the model, and rows in them.
    explain : callable, optional
        ``explain(frame, random_state)``, to ask again for regeneration stability.
    """

    frame: pd.DataFrame
    u: np.ndarray
    query: np.ndarray
    queries: pd.DataFrame
    x: np.ndarray
    target: Target
    k: int
    judge: Judge
    protocol: Protocol = field(default_factory=Protocol)
    seconds: np.ndarray | None = None
    model_calls: np.ndarray | None = None
    model_rows: np.ndarray | None = None
    explain: Explain | None = None
    _memory: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def collect(
        cls,
        tables: Sequence[pd.DataFrame | None],
        queries: pd.DataFrame,
        target: Target,
        k: int,
        judge: Judge,
        protocol: Protocol | None = None,
        **rest: Any,
    ) -> CounterfactualSets:
        """Gather one table per query; columns that are no features are left out.

        Every row must be one that the space can encode
        (:func:`~dice_extended_plugin.rows.check_rows`).
        """
        names = list(judge.space.names)
        parts = [queries.iloc[:0] if table is None else table[names] for table in tables]
        count = [len(part) for part in parts]
        there = [part for part in parts if len(part)] or parts[:1]
        frame = pd.concat(there, ignore_index=True)[names] if parts else queries.iloc[:0]
        query = np.repeat(np.arange(len(parts)), count)
        queries = queries[names].reset_index(drop=True)
        frame = _in_own_types(frame, queries.iloc[query].reset_index(drop=True), judge.space)
        return cls(
            frame=frame,
            u=judge.space.encode(frame),
            query=query,
            queries=queries,
            x=judge.space.encode(queries),
            target=target,
            k=k,
            judge=judge,
            protocol=protocol or Protocol(),
            **rest,
        )

    @property
    def n_queries(self) -> int:
        """Number of queries Q."""
        return len(self.x)

    @property
    def own(self) -> np.ndarray:
        """Encoded query of each counterfactual, (n, d)."""
        return self.x[self.query]

    @cached_property
    def valid(self) -> np.ndarray:
        """Which rows, as written, are counterfactuals by the model's own answer; bool (n,)."""
        if len(self.frame) == 0:
            return np.zeros(0, dtype=bool)
        return self.target.met(self.judge.predict(self.frame), self.query)

    def only(self, keep: np.ndarray) -> CounterfactualSets:
        """Return the sets without the rows that `keep` (n,) does not flag."""
        frame = self.frame[keep].reset_index(drop=True)
        return replace(self, frame=frame, u=self.u[keep], query=self.query[keep])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of one value per row over each query's rows, (n,) -> (Q,); NaN for no rows."""
        count = np.bincount(self.query, minlength=self.n_queries)
        total = np.bincount(self.query, values, minlength=self.n_queries)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def labels(self, u: np.ndarray) -> np.ndarray:
        """Return the model's class of encoded rows; regression: 1 within the range, else 0."""
        scores = self.judge.scores(u)
        if scores.shape[1] == 1:
            return self.target.met(scores, np.zeros(len(u), dtype=int)).astype(int)
        return scores.argmax(axis=1)

    def is_target(self, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Whether encoded rows are what the query of counterfactual `index` wants; bool."""
        return self.target.met(self.judge.scores(rows), self.query[index])

    @cached_property
    def literal(self) -> dict[str, np.ndarray]:
        """Literal Dice-Sorensen coefficient of each row."""
        return literal_robustness(self.u, self.judge.space, self.protocol.noise)

    def held(self, noise: NoiseModel) -> np.ndarray:
        """Noise validity of each row under held-out draws of `noise`, (n,)."""
        if len(self.u) == 0:
            return np.empty(0)
        space, protocol = self.judge.space, self.protocol
        bank = noise.held_out(space, protocol.n_draws, protocol.random_state)
        return noise_validity(self.u, self.own, space, noise, bank, self.is_target)

    @cached_property
    def noise_validity(self) -> np.ndarray:
        """Noise validity of each row under the protocol's noise, (n,)."""
        return self.held(self.protocol.noise)

    @cached_property
    def lof(self) -> np.ndarray:
        """Local outlier factor of each row, (n,); NaN where its class has too few rows."""
        return self._ask_data(lambda data, rows: data.lof(rows))

    @cached_property
    def knn_distance(self) -> np.ndarray:
        """Distance of each row to the data of its class, (n,); NaN as for :attr:`lof`."""
        return self._ask_data(lambda data, rows: data.knn_distance(rows))

    def _ask_data(self, question: Callable[[Plausibility, np.ndarray], np.ndarray]) -> np.ndarray:
        answer = np.full(len(self.u), np.nan)
        wanted = getattr(self.target, "index", np.zeros(self.n_queries, dtype=int))[self.query]
        for one in np.unique(wanted):
            rows = np.flatnonzero(wanted == one)
            data = self.judge.plausibility(self.target, int(self.query[rows[0]]))
            if data is not None:
                answer[rows] = question(data, self.u[rows])
        return answer

    def once(self, name: Hashable, measure: Callable[[], Any]) -> Any:
        """Measure what several metrics share, the first time it is asked for."""
        if name not in self._memory:
            self._memory[name] = measure()
        return self._memory[name]


def _in_own_types(frame: pd.DataFrame, own: pd.DataFrame, space: FeatureSpace) -> pd.DataFrame:
    """Write returned rows in their queries' column types, which the model knows.

    Stock dice-ml returns levels as text whatever they were.
    """
    columns: dict[str, Any] = {}
    for feature in space.names:
        if feature in space.continuous:
            columns[feature] = pd.to_numeric(frame[feature])
            continue
        levels = space.levels[space.categorical.index(feature)]
        index = space.level_index(feature, frame[feature].tolist())
        everything = np.ones(len(frame), dtype=bool)
        columns[feature] = write_levels(levels, index, everything, own[feature])
    return pd.DataFrame(columns)
