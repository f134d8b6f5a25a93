"""What the explainers without gradients share: one call, any model, all queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from tqdm.auto import tqdm

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer
from dice_extended_plugin.candidate_options import CandidateOptions
from dice_extended_plugin.candidates import Preference, Problem
from dice_extended_plugin.explainers.batched import BatchedExplainer, Task, dice_errors
from dice_extended_plugin.explainers.finish import Finish
from dice_extended_plugin.found import Budget, Found
from dice_extended_plugin.native_scores import NativeScores
from dice_extended_plugin.neighbours import Neighbours, TrainingSet
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.options import check_integer
from dice_extended_plugin.results import RobustCounterfactualExamples
from dice_extended_plugin.rules import Rules

__all__ = ["CandidateExplainer"]

#: A call's time must allow so many model calls before one is spent on measuring the model's speed.
_CALIBRATION_COST = 5


class CandidateExplainer(BatchedExplainer):
    """An explainer that asks the model about candidates, and never for a gradient.

    Subclasses name their options and write :meth:`_find`.

    Parameters
    ----------
    data_interface : dice_ml.Data
        PublicData or PrivateData.
    model_interface : dice_ml.Model
        Any back-end.
    robustness : {"dice", "validity", None}, default "dice"
        "dice": Dice-Sorensen coefficient times label kept under noise; "validity": the label
        alone; None: plain.
    robustness_weight : float >= 0, default 0.4
    noise : NoiseModel, optional
        The changes to survive; ``NoiseModel()`` by default.
    rules : Rules, optional
        What every counterfactual must obey besides the arguments of a call.
    random_state : int or None, default 0
        Seed. Equal seeds give equal rows, however queries are batched.
    max_seconds, max_model_calls : optional
        Default budgets of a call.
    max_rows : int, default 65536
        Most rows in one model call, and in memory.
    report_draws : int, default 64
        Held-out noise draws behind ``noise_validity`` in the results; 0 leaves it out.
    """

    options: type[CandidateOptions]

    def __init__(
        self,
        data_interface: Any,
        model_interface: Any,
        *,
        rules: Rules | None = None,
        robustness: str | None = "dice",
        robustness_weight: float = 0.4,
        noise: NoiseModel | None = None,
        random_state: int | None = 0,
        max_seconds: float | None = None,
        max_model_calls: int | None = None,
        max_rows: int = 65_536,
        report_draws: int = 64,
    ) -> None:
        self._prepare(
            data_interface,
            rules,
            report_draws,
            robustness=robustness,
            robustness_weight=robustness_weight,
            noise=NoiseModel() if noise is None else noise,
            random_state=random_state,
            max_seconds=max_seconds,
            max_model_calls=max_model_calls,
        )
        with dice_errors():
            check_integer("max_rows", max_rows, least=1)
            self._check_data(data_interface)
        self.max_rows = max_rows
        self._training: TrainingSet | None = None
        self.predicted_outcome_name = f"{data_interface.outcome_name}_pred"
        self.final_cfs_df = self.final_cfs_df_sparse = self.cfs_preds = None
        ExplainerBase.__init__(self, data_interface, model_interface)

    def _check_data(self, data: Any) -> None:
        """Raise where the method cannot work on this data object."""

    def _remember(self, example: RobustCounterfactualExamples) -> None:
        self.final_cfs_df, self.final_cfs_df_sparse = (
            example.final_cfs_df,
            example.final_cfs_df_sparse,
        )
        self.cfs_preds = example.final_cfs_df[self.data_interface.outcome_name].to_numpy()

    def _find(
        self,
        problem: Problem,
        options: Any,
        scores: NativeScores,
        progress: Callable[[int], object],
    ) -> Found:
        raise NotImplementedError("an explainer says how it finds candidates")

    def _neighbours(self, problem: Problem, scores: NativeScores) -> Neighbours | None:
        """Return the training rows, read once; None where there is no time to ask about them.

        What is kept on the explainer does not depend on a call.
        """
        training = self._training_set(problem, scores)
        return None if training is None else Neighbours(problem, training, scores)

    def _training_set(self, problem: Problem, scores: NativeScores) -> TrainingSet | None:
        """Return the training rows; None where there is no time to ask the model about them."""
        if self._training is None:
            self._training = TrainingSet.read(self.data_interface, self.space)
        known = self._training.known(scores)
        return self._training if known or not problem.hurry(len(self._training.u)) else None

    def _search(self, task: Task) -> Answer:
        options = self.options.read(self.defaults, task.keywords)
        options.noise.check_names(task.space)
        budget = Budget(options.max_seconds, options.max_model_calls)
        seed = options.seed()
        scores = NativeScores(self.model, task.space, task.frame, task.x, self.max_rows)
        with scores.open():
            own, n_classes = scores.check()
            if options.max_seconds is not None and not budget.out_of_time(
                _CALIBRATION_COST * scores.pace.estimate(len(own))
            ):
                scores.calibrate()
            target = task.targets(own.argmax(axis=1), n_classes)
            problem = Problem(
                x=task.x,
                space=task.space,
                target=target,
                scores=scores,
                total_CFs=task.total_CFs,
                weights=host.column_weights(
                    self.data_interface, task.space, options.feature_weights
                ),
                preference=self._preference(options),
                noise=options.noise,
                bank=options.noise.bank(task.space, seed),
                budget=budget,
                pace=scores.pace,
                random_state=seed,
                max_rows=self.max_rows,
            )
            with tqdm(total=len(task.x), disable=not task.verbose, desc="queries") as bar:
                found = self._find(problem, options, scores, bar.update)
            return Finish(
                task=task,
                target=target,
                data=self.data_interface,
                scores=scores,
                native=scores.native,
                query_scores=own,
                noise=options.noise,
                robust=options.robust,
                seed=seed,
                report_draws=self.report_draws,
                limit_steps=options.limit_steps_ls,
                limits=options.limits(),
                budget=budget,
                max_rows=self.max_rows,
                classes=_classes(self.model, n_classes),
                pace=scores.pace,
            ).answer(found)

    @staticmethod
    def _preference(options: CandidateOptions) -> Preference:
        return Preference(
            proximity=options.proximity_weight,
            sparsity=options.sparsity_weight,
            diversity=options.diversity_weight,
            robustness=options.robustness_weight,
            mode=options.robustness,
            kernel=options.diversity_loss_type,
        )


def _classes(model: Any, n_classes: int) -> np.ndarray | None:
    """Return the names of a model's classes, which dice-ml writes into the outcome column."""
    classes = getattr(model.model, "classes_", None)
    if classes is None or len(classes) != n_classes:
        return None
    return np.asarray(classes)
