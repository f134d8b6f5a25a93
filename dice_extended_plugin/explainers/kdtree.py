"""DiceExtendedKD: dice-ml's kd-tree method, batched and robust."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dice_ml.dice
from dice_ml.explainer_interfaces.dice_KD import DiceKD

from dice_extended_plugin import host, neighbours
from dice_extended_plugin.candidate_options import NeighbourOptions
from dice_extended_plugin.candidates import Problem
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.candidate_search import CandidateExplainer
from dice_extended_plugin.explainers.host_words import in_host_words
from dice_extended_plugin.found import Found
from dice_extended_plugin.native_scores import NativeScores

__all__ = ["DiceExtendedKD"]


class DiceExtendedKD(CandidateExplainer, DiceKD):
    """Robust, batched counterfactuals among the training rows, for any model.

    A drop-in for ``dice_ml``'s ``DiceKD``: the same arguments and results. The training table is
    predicted once and one kd-tree is built per target. Where features may not change or a range
    is permitted, neighbours take the query's own values there and the model is asked again.
    Keywords of a call are those of
    :class:`~dice_extended_plugin.candidate_options.NeighbourOptions`; the constructor's are those
    of :class:`~dice_extended_plugin.explainers.candidate_search.CandidateExplainer`.
    """

    options = NeighbourOptions

    def _check_data(self, data: Any) -> None:
        stand_in = SimpleNamespace(backend="sklearn")
        with in_host_words(lambda: dice_ml.dice.Dice(data, stand_in, method="kdtree")):
            if not host.has_table(data):
                raise InvalidInputError(
                    "the method needs training rows: give dice_ml.Data a dataframe, or use "
                    "method='random'"
                )

    def _find(
        self,
        problem: Problem,
        options: Any,
        scores: NativeScores,
        progress: Callable[[int], object],
    ) -> Found:
        near = self._neighbours(problem, scores)
        if near is None:
            return Found.nothing(len(problem.x), problem.total_CFs, problem.x.shape[1])
        return neighbours.search(problem, near, progress)
