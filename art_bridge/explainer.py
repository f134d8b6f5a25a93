"""DiCE method "nsga3": the search of the counterfactual attacks behind a dice-ml explainer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from scipy.special import expit

from art_bridge import nsga3
from art_bridge.box import SpaceBox
from art_bridge.problem import Aim, Options, Problem
from art_bridge.reference import Reference
from dice_extended_plugin import candidates, host
from dice_extended_plugin.candidate_options import CandidateOptions
from dice_extended_plugin.distinct import first_of_each, row_codes
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.candidate_search import CandidateExplainer
from dice_extended_plugin.found import Found
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.options import check_integer
from dice_extended_plugin.targets import ClassTarget

__all__ = ["DiceExtendedNSGA3", "NSGA3Options"]

#: Queries searched together: what they find is held in memory until the nearest are kept.
_QUERIES = 64
#: Nearest counterfactuals kept per counterfactual asked for; the choice is made among them.
_KEPT = 30
#: What a search asks before it can stop: training rows, then twice the middle of the way to them.
_FIRST_CALLS, _FIRST_ROWS = 3, 20
#: Share of a call's time that the search may take.
_SEARCH = 1.0 - candidates.AFTER_SEARCH
#: A column of weight 0 costs nothing to change; the search needs a finite scale.
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class NSGA3Options(CandidateOptions):
    """Keywords of the NSGA-III method.

    Parameters
    ----------
    population, generations : int
        Of each query's NSGA-III; the population is even and at least 4. Fast mode makes eight
        offspring a member and ends with `max_rows_per_query`.
    mode : {"fast", "faithful"}
        "faithful" is the search of the robustness paper; "fast" seeds a smaller one by local moves.
    max_rows_per_query : int or None
        Model rows that the search of a query may take.
    """

    proximity_weight: float = 0.2
    population: int = 16
    generations: int = 60
    mode: Literal["fast", "faithful"] = "fast"
    max_rows_per_query: int | None = 3000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("fast", "faithful"):
            raise InvalidInputError(f"mode must be 'fast' or 'faithful', not {self.mode!r}")
        check_integer("generations", self.generations, least=1)
        check_integer("population", self.population, least=4)
        if self.population % 2:
            raise InvalidInputError(f"population must be even, got {self.population}")
        if self.max_rows_per_query is not None:
            check_integer("max_rows_per_query", self.max_rows_per_query, least=1)


class DiceExtendedNSGA3(CandidateExplainer, ExplainerBase):
    """Robust, batched counterfactuals by NSGA-III, for any classifier.

    Label, probability and distance are minimised together (Rasouli and Yu 2021); every row with
    the label that the search has met is a candidate, and of them the near, robust and diverse ones
    are returned. With robustness on the search aims at log-odds 1, as dice-ml's gradient method
    does, since rows on the border do not survive noise. Keywords of a call are those of
    :class:`NSGA3Options`; the constructor's are those of
    :class:`~dice_extended_plugin.explainers.candidate_search.CandidateExplainer`.
    """

    options = NSGA3Options

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        return {"call": {"population": 8, "generations": 3, "max_rows_per_query": 120}}

    def _find(
        self,
        problem: candidates.Problem,
        options: Any,
        scores: NativeScores,
        progress: Callable[[int], object],
    ) -> Found:
        target = problem.target
        if not isinstance(target, ClassTarget):
            raise InvalidInputError(
                "method='nsga3' searches for a class and cannot explain regression models; use "
                "method='random' or 'genetic'"
            )
        n, d = problem.x.shape
        found = Found.nothing(n, problem.total_CFs, d)
        scale = 1.0 / np.maximum(problem.weights, _LEAST_WEIGHT)
        reference = self._reference(problem, scores, scale)
        if reference is None:
            return found
        aim = expit(target.aim()) if problem.preference.robust else np.maximum(target.least, 0.5)
        box = SpaceBox.build(problem.x, problem.space)
        pool = candidates.Rows()
        for start in range(0, n, _QUERIES):
            queries = np.arange(start, min(start + _QUERIES, n))
            # The search looks at the clock only after its first calls.
            if problem.hurry(*[len(queries) * _FIRST_ROWS] * _FIRST_CALLS):
                break
            met = _Met(problem, target)
            result = nsga3.search(
                Problem(
                    box=box.take(queries),
                    target=target.index[queries],
                    score=scores,
                    aim=Aim(aim[queries], norm=1, scale=scale),
                    reference=reference,
                    options=self._options(problem, options),
                    random_state=problem.random_state,
                    name=queries,
                    seen=met.add,
                ),
                progress,
            )
            pool.add(*met.nearest(_KEPT * problem.total_CFs))
            found.calls[queries] += result.calls
            found.steps[queries] += options.generations
            found.stopped[queries] = np.where(result.begun, "stalled", "max_seconds")
            spent = ~problem.budget.affords(found.calls[queries], 1)
            found.stopped[queries[spent]] = "max_model_calls"
        found.u, found.valid = candidates.select(problem, *pool.sorted(d))
        found.stopped[found.valid.all(axis=1)] = "converged"
        if problem.hurry():
            found.stopped[found.stopped == "stalled"] = "max_seconds"
        return found

    def _reference(
        self, problem: candidates.Problem, scores: NativeScores, scale: np.ndarray
    ) -> Reference | None:
        """Return the training rows by the model's class; None where there is no time to ask."""
        if not host.has_table(self.data_interface):
            return Reference(np.empty((0, len(scale))), np.empty(0, dtype=int), 1, scale)
        training = self._training_set(problem, scores)
        if training is None:
            return None
        return Reference(training.u, training.scores(scores).argmax(axis=1), 1, scale)

    def _options(self, problem: candidates.Problem, options: NSGA3Options) -> Options:
        budget, seconds = problem.budget, None
        if budget.max_seconds is not None:
            gone = time.monotonic() - budget.started
            seconds = max(0.0, _SEARCH * budget.max_seconds - gone)
        return Options(
            mode=options.mode,
            population=options.population,
            generations=options.generations,
            max_rows=options.max_rows_per_query,
            max_calls=budget.max_model_calls,
            max_seconds=seconds,
            batch_rows=problem.max_rows,
        )


class _Met:
    """The counterfactuals that a search has come upon."""

    def __init__(self, problem: candidates.Problem, target: ClassTarget) -> None:
        self.problem, self.target, self.rows = problem, target, candidates.Rows()

    def add(self, u: np.ndarray, query: np.ndarray, probability: np.ndarray) -> None:
        """Keep what is a counterfactual under the rules of the call."""
        problem = self.problem
        good = (probability >= self.target.least[query]) & problem.legal(u, query)
        good &= problem.space.changed(u, problem.x[query]).any(axis=1)
        if good.any():
            self.rows.add(u[good], query[good])

    def nearest(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest distinct rows of each query, at most so many."""
        problem = self.problem
        u, query = self.rows.sorted(problem.x.shape[1])
        codes = np.concatenate([row_codes(u, problem.space), query[:, None]], axis=1)
        new = first_of_each(codes)
        u, query = u[new], query[new]
        away = candidates.cost(
            u, problem.x[query], problem.space, problem.weights, problem.preference
        )
        order = np.lexsort((np.round(away, 9), query))
        u, query = u[order], query[order]
        first = np.searchsorted(query, query)  # place of the query's first row
        near = np.arange(len(query)) - first < most
        return u[near], query[near]
