"""DiceExtendedRandom: dice-ml's random sampling, batched and robust."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dice_ml.explainer_interfaces.dice_random import DiceRandom

from dice_extended_plugin import random_search
from dice_extended_plugin.candidate_options import RandomOptions
from dice_extended_plugin.candidates import Problem
from dice_extended_plugin.explainers.candidate_search import CandidateExplainer
from dice_extended_plugin.found import Found
from dice_extended_plugin.native_scores import NativeScores

__all__ = ["DiceExtendedRandom"]


class DiceExtendedRandom(CandidateExplainer, DiceRandom):
    """Robust, batched counterfactuals by random sampling, for any model.

    A drop-in for ``dice_ml``'s ``DiceRandom``: the same arguments and results, and the same scheme
    of changing few features first. Features are drawn independently, from a seeded stream of each
    query's own; of the valid candidates the near, robust and diverse ones are returned. Keywords
    of a call are those of :class:`~dice_extended_plugin.candidate_options.RandomOptions`; the
    constructor's are those of
    :class:`~dice_extended_plugin.explainers.candidate_search.CandidateExplainer`.
    """

    options = RandomOptions
    repeats_dense = True

    def _find(
        self,
        problem: Problem,
        options: Any,
        scores: NativeScores,
        progress: Callable[[int], object],
    ) -> Found:
        return random_search.search(problem, options.sample_size, progress)
