"""From rows found to an answer, for every search: sparsity, decoding, and the model's own word.

found rows -> post-hoc sparsity -> decoded rows -> a fresh call of the user's model, which alone
decides what is returned -> robustness columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer, explain_shortfall
from dice_extended_plugin.dice_sorensen import noise_validity
from dice_extended_plugin.distinct import distinct, row_codes
from dice_extended_plugin.explainers.batched import Task
from dice_extended_plugin.found import Budget, Found
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.pace import Pace
from dice_extended_plugin.scoring import model_columns, robustness_columns
from dice_extended_plugin.sparsity import Guard, enhance_sparsity
from dice_extended_plugin.targets import ClassTarget, Target

__all__ = ["Finish"]


@dataclass(frozen=True)
class Finish:
    """The last steps of one call.

    Parameters
    ----------
    task : Task
    target : Target
    data : dice_ml data object
    scores : callable
        ``(n, d), (n,) -> (n, C)``: encoded rows and the query of each, as the search asks.
    native : callable
        Rows as written, a DataFrame -> (n, C) scores of the user's own model.
    query_scores : ndarray of shape (Q, C)
        The model's own scores of the queries.
    noise : NoiseModel
    robust : bool
        Whether sparsity must leave noise validity as it is.
    seed : int
    report_draws : int
        Held-out draws behind noise validity in the results.
    limit_steps : int
        Most steps of a linear sparsity search.
    limits : mapping
        The call's limits, for the reason why a query got fewer rows than asked for.
    budget : Budget
        When its time is spent, sparsity stops and noise validity is not measured.
    max_rows : int
    classes : ndarray of shape (C,), optional
        Names of the classes, for models that have some.
    pace : Pace
        Of the model's calls, to stop in time.
    """

    task: Task
    target: Target
    data: Any
    scores: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    native: Callable[[pd.DataFrame], np.ndarray]
    query_scores: np.ndarray
    noise: NoiseModel
    robust: bool
    seed: int
    report_draws: int
    limit_steps: int
    limits: Mapping[str, Any]
    budget: Budget
    max_rows: int = 65_536
    classes: np.ndarray | None = None
    pace: Pace = field(default_factory=Pace)

    def answer(self, found: Found) -> Answer:
        """Take small changes back, decode, ask the model afresh, and keep what it confirms."""
        task, target, space = self.task, self.target, self.task.space
        sparse = self._sparsify(found)
        query, _ = np.nonzero(found.valid)
        x, queries = task.x[query], task.frame.iloc[query].reset_index(drop=True)
        dense = found.u[found.valid]
        origin = None if found.origin is None else found.origin[found.valid]
        last = dense if sparse is None else sparse[found.valid]
        first = second = np.empty((0, self.query_scores.shape[1]))
        if len(query):
            first = self.native(space.decode(dense, x, queries))
            good = target.met(first, query)
            query, x, queries = query[good], x[good], queries[good].reset_index(drop=True)
            dense, last, first = dense[good], last[good], first[good]
            origin = None if origin is None else origin[good]
            last, second = self._confirmed(dense, last, first, x, query, queries)
        dense_table = space.decode(dense, x, queries)
        sparse_table = None if sparse is None else space.decode(last, x, queries)
        final = dense_table if sparse_table is None else sparse_table
        count = np.bincount(query, minlength=len(task.x))
        columns = robustness_columns(
            last,
            x,
            query,
            space,
            self.noise,
            self.seed,
            lambda rows: self.scores(rows, None),
            target,
            self._draws(len(last)),
        )
        wanted = target.index if isinstance(target, ClassTarget) else None
        columns |= model_columns(
            queries, final, None if wanted is None else wanted[query], self.native
        )
        return Answer(
            query=query,
            dense=dense_table,
            sparse=sparse_table,
            dense_label=self._outcome(first),
            sparse_label=self._outcome(second),
            scores=pd.DataFrame(columns),
            query_label=self._outcome(self.query_scores),
            desired_class=None if wanted is None else self._named(wanted),
            desired_range=task.desired_range,
            status=[_status(n, task.total_CFs) for n in count],
            reason=[
                explain_shortfall(
                    int(n), task.total_CFs, target.describe(i), stopped, self.limits, why
                )
                for i, (n, stopped, why) in enumerate(
                    zip(count, found.stopped, space.contradictions(task.x), strict=True)
                )
            ],
            origin=origin,
        )

    def _confirmed(
        self,
        dense: np.ndarray,
        last: np.ndarray,
        first: np.ndarray,
        x: np.ndarray,
        query: np.ndarray,
        queries: pd.DataFrame,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take sparsity back where the model denies the row or it repeats another."""
        space, second = self.task.space, first.copy()
        moved = (last != dense).any(axis=1)
        if moved.any():
            table = space.decode(last[moved], x[moved], queries[moved].reset_index(drop=True))
            second[moved] = self.native(table)
        kept = self.target.met(second, query)
        last = np.where(kept[:, None], last, dense)  # a last-digit tie: the row before it
        last = _without_repeats(dense, last, query, space)
        back = (last == dense).all(axis=1)
        return last, np.where(back[:, None], first, second)

    def _outcome(self, scores: np.ndarray) -> np.ndarray:
        """Return the model's own answers, by name where its classes have names."""
        answers = self.target.outcome(scores)
        return self._named(answers) if isinstance(self.target, ClassTarget) else answers

    def _named(self, index: np.ndarray) -> np.ndarray:
        return index if self.classes is None else self.classes[index]

    def _is_target(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        found = len(self.task.x) * self.task.total_CFs
        if self.budget.out_of_time(self.pace.estimate(len(rows), found, found, found)):
            return np.zeros(len(rows), dtype=bool)
        return self.target.met(self.scores(rows, query), query)

    def _draws(self, n: int) -> int:
        """Held-out draws that there is time for: all or none."""
        ahead = self.pace.estimate(n, n * self.report_draws)
        return 0 if self.budget.out_of_time(ahead) else self.report_draws

    def _sparsify(self, found: Found) -> np.ndarray | None:
        """Take small changes back; None where the call or the data rules it out."""
        task = self.task
        if not task.posthoc_sparsity_param:
            return None
        deviation = host.sparsity_deviation(self.data, task.space, task.posthoc_sparsity_param)
        if deviation is None:
            return None
        return enhance_sparsity(
            found.u,
            task.x,
            found.valid,
            task.space,
            deviation,
            self._is_target,
            task.posthoc_sparsity_algorithm,
            self._guard() if self.robust else None,
            self.limit_steps,
            self.max_rows,
        )

    def _guard(self) -> Guard:
        """Measure noise validity on the search's own bank."""
        noise, space, x = self.noise, self.task.space, self.task.x
        bank = noise.bank(space, self.seed)

        def stability(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
            def is_target(disturbed: np.ndarray, index: np.ndarray) -> np.ndarray:
                return self._is_target(disturbed, query[index])

            return noise_validity(rows, x[query], space, noise, bank, is_target, self.max_rows)

        return Guard(stability)


def _without_repeats(
    dense: np.ndarray, sparse: np.ndarray, query: np.ndarray, space: Any
) -> np.ndarray:
    """Give rows that sparsity made equal to another of their query their former values back.

    The rows before sparsity differ, so a row can meet at most one that went back already.
    """
    last = sparse.copy()
    back = np.zeros(len(last), dtype=bool)
    while True:
        codes = np.concatenate([row_codes(last, space), query[:, None]], axis=1)
        # Rows that went back stand first in their group, and stay.
        order = np.argsort(~back, kind="stable")
        first, _ = distinct(codes[order])
        repeats = np.ones(len(last), dtype=bool)
        repeats[order[first]] = False
        repeats &= ~back
        if not repeats.any():
            return last
        back |= repeats
        last[repeats] = dense[repeats]


def _status(count: int, wanted: int) -> str:
    return "ok" if count >= wanted else "partial" if count else "none"
