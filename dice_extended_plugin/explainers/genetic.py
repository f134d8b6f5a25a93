"""DiceExtendedGenetic: dice-ml's genetic algorithm, batched and robust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dice_ml.explainer_interfaces.dice_genetic import DiceGenetic

from dice_extended_plugin import genetic, host
from dice_extended_plugin.breeding import Breeding
from dice_extended_plugin.candidate_options import GeneticOptions
from dice_extended_plugin.candidates import Problem
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.candidate_search import CandidateExplainer
from dice_extended_plugin.found import Found
from dice_extended_plugin.native_scores import NativeScores

__all__ = ["DiceExtendedGenetic"]


class DiceExtendedGenetic(CandidateExplainer, DiceGenetic):
    """Robust, batched counterfactuals by a genetic algorithm, for any model.

    A drop-in for ``dice_ml``'s ``DiceGenetic``: the same arguments and results. The fittest breed,
    mutation reaches every permitted value, diversity and robustness count, and a run always ends.
    Keywords of a call are those of
    :class:`~dice_extended_plugin.candidate_options.GeneticOptions`; the constructor's are those of
    :class:`~dice_extended_plugin.explainers.candidate_search.CandidateExplainer`.
    """

    options = GeneticOptions
    repeats_dense = True

    def _find(
        self,
        problem: Problem,
        options: Any,
        scores: NativeScores,
        progress: Callable[[int], object],
    ) -> Found:
        start = "random" if options.algorithm == "RandomInitCF" else options.initialization
        if start == "kdtree" and not host.has_table(self.data_interface):
            raise InvalidInputError(
                "initialization='kdtree' needs training rows, which PrivateData does not hold; "
                "give dice_ml.Data a dataframe, or use initialization='random'"
            )
        if options.algorithm == "RandomInitCF":
            problem = replace(problem, preference=replace(problem.preference, diversity=0.0))
        breeding = Breeding(
            max_generations=options.maxiterations,
            thresh=options.thresh,
            yloss_type=options.yloss_type,
        )
        near = self._neighbours(problem, scores) if start == "kdtree" else None
        return genetic.search(problem, breeding, near, progress)
