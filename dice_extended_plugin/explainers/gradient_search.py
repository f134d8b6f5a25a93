"""One call of a gradient explainer, whatever the model's framework.

checked task -> objective -> descent -> :class:`Finish`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer
from dice_extended_plugin.differentiable import TorchScores
from dice_extended_plugin.explainers.batched import Task
from dice_extended_plugin.explainers.finish import Finish
from dice_extended_plugin.found import Budget, Found
from dice_extended_plugin.gradient import Problem, optimise
from dice_extended_plugin.objective import Objective, Weights
from dice_extended_plugin.options import GradientOptions
from dice_extended_plugin.soft_robustness import Robustness

__all__ = ["GradientSearch"]

#: Share of a call's seconds that the descent may take; the rest is for what comes after it.
_SEARCH_SHARE = 0.85


class GradientSearch:
    """A task with everything that its steps need.

    Parameters
    ----------
    task : Task
    options : GradientOptions
    data : dice_ml data object
    scores : TorchScores
        The model in the search's precision.
    native : callable
        Rows as written, a DataFrame -> (n, C) probabilities of the user's own model.
    max_memory : float
        GiB that one step may use, about.
    report_draws : int
        Held-out draws behind noise validity in the results.

    Raises
    ------
    InvalidInputError
        Options that do not fit the data, or a model that cannot be searched.
    """

    def __init__(
        self,
        task: Task,
        options: GradientOptions,
        data: Any,
        scores: TorchScores,
        native: Callable[[pd.DataFrame], np.ndarray],
        max_memory: float,
        report_draws: int,
    ) -> None:
        options.noise.check_names(task.space)
        self.task, self.options, self.scores, self.native = task, options, scores, native
        self.data, self.report_draws = data, report_draws
        self.seed = options.seed()
        self.weights = host.column_weights(data, task.space, options.feature_weights)
        n_classes = scores.check(task.x)
        own = native(task.frame)
        self.target = task.targets(own.argmax(axis=1), n_classes)
        self.query_scores = own
        self.budget = Budget(options.max_seconds, options.max_model_calls)
        self.max_rows = scores.rows_within(max_memory * 2**30)

    def run(self) -> Answer:
        """Search, take small changes back, and keep what the model confirms."""
        options = self.options
        return Finish(
            task=self.task,
            target=self.target,
            data=self.data,
            scores=lambda rows, query: self.scores.numpy(rows),
            native=self.native,
            query_scores=self.query_scores,
            noise=options.noise,
            robust=options.robust,
            seed=self.seed,
            report_draws=self.report_draws,
            limit_steps=options.limit_steps_ls,
            limits=options.limits(),
            budget=self.budget,
            max_rows=self.max_rows,
        ).answer(self._optimise())

    def _optimise(self) -> Found:
        task, options = self.task, self.options
        like = torch.zeros((), dtype=self.scores.dtype, device=self.scores.device)
        robustness = None
        if options.robust and options.robustness is not None:
            bank = options.noise.bank(task.space, self.seed)
            robustness = Robustness(task.space, options.noise, bank, options.robustness, like)
        weights = Weights(
            proximity=options.proximity_weight,
            diversity=options.diversity_weight,
            category=options.categorical_penalty,
            robustness=options.robustness_weight,
        )
        objective = Objective(
            self.scores,
            task.space,
            self.weights,
            weights,
            options.yloss_type,
            options.diversity_loss_type,
            robustness,
            like,
        )
        problem = Problem(
            x=task.x,
            space=task.space,
            target=self.target,
            objective=objective,
            total_CFs=task.total_CFs,
            options=options,
            budget=self.budget.part(_SEARCH_SHARE),
            random_state=self.seed,
            like=like,
        )
        with tqdm(total=len(task.x), disable=not task.verbose, desc="queries") as bar:
            return optimise(problem, self.max_rows, bar.update)
