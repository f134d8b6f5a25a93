"""One call of a gradient explainer, whatever the model's framework.

checked task -> objective -> descent -> post-hoc sparsity -> decoded rows that the model confirms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer, explain_shortfall
from dice_extended_plugin.dice_sorensen import noise_validity
from dice_extended_plugin.differentiable import TorchScores
from dice_extended_plugin.explainers.batched import Task
from dice_extended_plugin.gradient import Budget, Found, Problem, optimise
from dice_extended_plugin.objective import Objective, Weights
from dice_extended_plugin.options import GradientOptions
from dice_extended_plugin.scoring import model_columns, robustness_columns
from dice_extended_plugin.soft_robustness import Robustness
from dice_extended_plugin.sparsity import Guard, enhance_sparsity
from dice_extended_plugin.targets import ClassTarget

__all__ = ["GradientSearch"]


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
        self.report_draws = report_draws
        self.seed = (
            int(np.random.SeedSequence().generate_state(1)[0])
            if options.random_state is None
            else options.random_state
        )
        self.weights = host.column_weights(data, task.space, options.feature_weights)
        self.deviation = (
            host.sparsity_deviation(data, task.space, task.posthoc_sparsity_param)
            if task.posthoc_sparsity_param
            else None
        )
        n_classes = scores.check(task.x)
        self.labels = native(task.frame).argmax(axis=1)
        self.target: ClassTarget = task.targets(self.labels, n_classes)
        self.max_rows = scores.rows_within(max_memory * 2**30)

    def run(self) -> Answer:
        """Search, take small changes back, and keep what the model confirms."""
        found = self._optimise()
        return self._answer(found, self._sparsify(found))

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
            budget=Budget(options.max_seconds, options.max_model_calls),
            random_state=self.seed,
            like=like,
        )
        with tqdm(total=len(task.x), disable=not task.verbose, desc="queries") as bar:
            return optimise(problem, self.max_rows, bar.update)

    def _is_target(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        return self.target.met(self.scores.numpy(rows), query)

    def _sparsify(self, found: Found) -> np.ndarray | None:
        """Take small changes back; None where the call or the data rules it out."""
        if self.deviation is None:
            return None
        return enhance_sparsity(
            found.u,
            self.task.x,
            found.valid,
            self.task.space,
            self.deviation,
            self._is_target,
            self.task.posthoc_sparsity_algorithm,
            self._guard() if self.options.robust else None,
            self.options.limit_steps_ls,
            self.max_rows,
        )

    def _guard(self) -> Guard:
        """Measure noise validity on the search's own bank."""
        noise, space, x = self.options.noise, self.task.space, self.task.x
        bank = noise.bank(space, self.seed)

        def stability(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
            def is_target(disturbed: np.ndarray, index: np.ndarray) -> np.ndarray:
                return self._is_target(disturbed, query[index])

            return noise_validity(rows, x[query], space, noise, bank, is_target, self.max_rows)

        return Guard(stability)

    def _answer(self, found: Found, sparse: np.ndarray | None) -> Answer:
        """Decode, ask the model afresh about the decoded rows, and keep what holds."""
        task, target = self.task, self.target
        query, _ = np.nonzero(found.valid)
        x, queries = task.x[query], task.frame.iloc[query].reset_index(drop=True)
        dense = found.u[found.valid]
        last = dense if sparse is None else sparse[found.valid]
        if len(query):
            good, kept = (
                target.met(self.native(task.space.decode(rows, x, queries)), query)
                for rows in (dense, last)
            )
            last = np.where(kept[:, None], last, dense)  # a last-digit tie: the row before it
            query, x, queries = query[good], x[good], queries[good].reset_index(drop=True)
            dense, last = dense[good], last[good]
        dense_table = task.space.decode(dense, x, queries)
        sparse_table = None if sparse is None else task.space.decode(last, x, queries)
        final = dense_table if sparse_table is None else sparse_table
        count = np.bincount(query, minlength=len(task.x))
        columns = robustness_columns(
            last,
            x,
            query,
            task.space,
            self.options.noise,
            self.seed,
            self.scores.numpy,
            target,
            self.report_draws,
        )
        columns |= model_columns(queries, final, target.index[query], self.native)
        return Answer(
            query=query,
            dense=dense_table,
            sparse=sparse_table,
            label=target.index[query],
            scores=pd.DataFrame(columns),
            query_label=self.labels,
            desired_class=target.index,
            status=[_status(n, task.total_CFs) for n in count],
            reason=[
                explain_shortfall(int(n), task.total_CFs, int(wanted), stopped, vars(self.options))
                for n, wanted, stopped in zip(count, target.index, found.stopped, strict=True)
            ],
        )


def _status(count: int, wanted: int) -> str:
    return "ok" if count >= wanted else "partial" if count else "none"
