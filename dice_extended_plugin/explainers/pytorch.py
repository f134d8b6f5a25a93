"""DiceExtendedPyTorch: dice-ml's gradient method for torch models, batched and robust."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from dice_ml.explainer_interfaces.dice_pytorch import DicePyTorch
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from torch import nn
from tqdm.auto import tqdm

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer, explain_shortfall
from dice_extended_plugin.differentiable import TorchScores, UnitInput, pick_device
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.batched import BatchedExplainer, Task, dice_errors
from dice_extended_plugin.gradient import Budget, Found, Problem, Settings, optimise
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.objective import Objective, Weights
from dice_extended_plugin.options import GradientOptions, check_integer
from dice_extended_plugin.scoring import model_columns, robustness_columns
from dice_extended_plugin.soft_robustness import Robustness
from dice_extended_plugin.sparsity import Guard, enhance_sparsity
from dice_extended_plugin.targets import ClassTarget

__all__ = ["DiceExtendedPyTorch"]


class DiceExtendedPyTorch(BatchedExplainer, DicePyTorch):
    """Robust, batched counterfactuals for PyTorch classifiers.

    A drop-in for ``dice_ml``'s ``DicePyTorch``: the same arguments and results. The objective is
    DiCE's plus a robustness term; all queries, counterfactuals and noise draws are searched in one
    tensor. ``robustness=None`` or ``robustness_weight=0`` is plain DiCE.

    Parameters
    ----------
    data_interface : dice_ml.Data
        PublicData or PrivateData.
    model_interface : dice_ml.Model
        ``backend="PYT"``; ``func="ohe-min-max"``, or None for a model on raw continuous features.
        The module returns probabilities: one sigmoid output, or one column per class.
    robustness : {"dice", "validity", None}, default "dice"
        "dice": Dice-Sorensen coefficient times probability of the wanted class under noise;
        "validity": that probability alone; None: no term.
    robustness_weight : float >= 0, default 0.4
    noise : NoiseModel, optional
        The changes to survive; ``NoiseModel()`` by default.
    random_state : int or None, default 0
        Seed. Equal seeds give equal rows, however queries are batched.
    device : str, default "auto"
        Where the search runs; "auto" is CUDA if there is one.
    dtype : torch.dtype, optional
        Precision of the search, float64 by default; see the docs page on reproducibility.
    max_seconds, max_model_calls : optional
        Default budgets of a call.
    max_memory : float, default 0.1
        Memory in GiB that one step of the search may use, about; more queries are chunked. Larger
        chunks leave the processor's cache and are slower.
    report_draws : int, default 256
        Held-out noise draws behind ``noise_validity`` in the results; 0 leaves it out.

    References
    ----------
    DiCE-Extended (Bakir, Goktas, Ozogur-Akyuz); DiCE (Mothilal, Sharma, Tan 2020).
    """

    def __init__(
        self,
        data_interface: Any,
        model_interface: Any,
        *,
        robustness: str | None = "dice",
        robustness_weight: float = 0.4,
        noise: NoiseModel | None = None,
        random_state: int | None = 0,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        max_seconds: float | None = None,
        max_model_calls: int | None = None,
        max_memory: float = 0.1,
        report_draws: int = 256,
    ) -> None:
        with dice_errors():
            _check_model(model_interface)
            self.space = host.feature_space(data_interface)
            defaults: dict[str, Any] = {
                "robustness": robustness,
                "robustness_weight": robustness_weight,
                "noise": NoiseModel() if noise is None else noise,
                "random_state": random_state,
                "max_seconds": max_seconds,
                "max_model_calls": max_model_calls,
            }
            GradientOptions(**defaults).noise.check_names(self.space)
            check_integer("report_draws", report_draws, least=0)
        self.defaults = defaults
        self.device, self.dtype = device, dtype
        self.max_memory, self.report_draws = max_memory, report_draws
        ExplainerBase.__init__(self, data_interface, model_interface)
        self._set_host_attributes()

    def _set_host_attributes(self) -> None:
        """Set what DicePyTorch's own methods read, without its faults on odd tables."""
        space = self.space
        self.data_interface.ohe_encoded_feature_names = list(space.columns)
        self.minx, self.maxx = np.zeros((1, space.n_columns)), np.ones((1, space.n_columns))
        self.encoded_continuous_feature_indexes = list(range(space.n_continuous))
        self.encoded_categorical_feature_indexes = [
            [int(column) for column in block if column >= 0] for block in space.blocks
        ]
        self.cont_minx, self.cont_maxx = list(space.low), list(space.high)
        self.cont_precisions = [int(digits) for digits in space.precision]
        with dice_errors():
            scores = self._scores()
            with scores.open():
                self.num_output_nodes = scores.n_outputs()
        self.cfs: list[Any] = []
        self.features_to_vary: list[str] = []
        self.cf_init_weights: list[Any] = []
        self.loss_weights: list[Any] = []
        self.feature_weights_input = ""
        self.hyperparameters: list[Any] = []
        self.optimizer_weights: list[Any] = []

    def _scores(self) -> TorchScores:
        """Wrap the model for one search."""
        module = _module(self.model, self.space, self.device)
        return TorchScores(module, self.space.n_columns, self.device, self.dtype)

    def _search(self, task: Task) -> Answer:
        options = GradientOptions.read(self.defaults, task.keywords)
        options.noise.check_names(task.space)
        seed = options.random_state
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        weights = host.column_weights(self.data_interface, task.space, options.feature_weights)
        deviation = self._deviation(task)
        scores = self._scores()
        with scores.open():
            n_classes = scores.check(task.x)
            labels = self._native(scores, task, task.frame).argmax(axis=1)
            target = task.targets(labels, n_classes)
            budget = Budget(options.max_seconds, options.max_model_calls)
            found = self._optimise(task, options, seed, weights, scores, target, budget)
            sparse = self._sparsify(task, options, seed, scores, target, found, deviation)
            return self._answer(task, options, seed, scores, target, labels, found, sparse)

    def _deviation(self, task: Task) -> np.ndarray | None:
        if not task.posthoc_sparsity_param:
            return None
        return host.sparsity_deviation(self.data_interface, task.space, task.posthoc_sparsity_param)

    def _optimise(
        self,
        task: Task,
        options: GradientOptions,
        seed: int,
        weights: np.ndarray,
        scores: TorchScores,
        target: ClassTarget,
        budget: Budget,
    ) -> Found:
        like = torch.zeros((), dtype=scores.dtype, device=scores.device)
        robustness = None
        if options.robust and options.robustness is not None:
            bank = options.noise.bank(task.space, seed)
            robustness = Robustness(task.space, options.noise, bank, options.robustness, like)
        objective = Objective(
            scores,
            task.space,
            weights,
            Weights(
                options.proximity_weight,
                options.diversity_weight,
                options.categorical_penalty,
                options.robustness_weight,
            ),
            options.yloss_type,
            options.diversity_loss_type,
            robustness,
            like,
        )
        settings = Settings(
            task.total_CFs,
            options.algorithm,
            options.optimizer,
            options.learning_rate,
            options.min_iter,
            options.max_iter,
            options.project_iter,
            options.loss_diff_thres,
            options.loss_converge_maxiter,
            options.init_near_query_instance,
            options.tie_random,
        )
        with tqdm(total=len(task.x), disable=not task.verbose, desc="queries") as bar:
            return optimise(
                Problem(task.x, task.space, target, objective, settings, budget, seed, like),
                max_rows=scores.rows_within(self.max_memory * 2**30),
                progress=bar.update,
            )

    def _sparsify(
        self,
        task: Task,
        options: GradientOptions,
        seed: int,
        scores: TorchScores,
        target: ClassTarget,
        found: Found,
        deviation: np.ndarray | None,
    ) -> np.ndarray | None:
        if deviation is None:
            return None
        max_rows = scores.rows_within(self.max_memory * 2**30)

        def is_target(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
            return target.met(scores.numpy(rows), query)

        guard = _guard(task, options, seed, is_target, max_rows) if options.robust else None
        return enhance_sparsity(
            found.u,
            task.x,
            found.valid,
            task.space,
            deviation,
            is_target,
            task.posthoc_sparsity_algorithm,
            guard,
            options.limit_steps_ls,
            max_rows,
        )

    def _native(self, scores: TorchScores, task: Task, table: pd.DataFrame) -> np.ndarray:
        """Ask the user's own model about rows as written, by way of dice-ml's transformation."""
        return scores.native(host.model_input(self.model, task.space, table))

    def _answer(
        self,
        task: Task,
        options: GradientOptions,
        seed: int,
        scores: TorchScores,
        target: ClassTarget,
        labels: np.ndarray,
        found: Found,
        sparse: np.ndarray | None,
    ) -> Answer:
        """Decode, ask the model afresh about the decoded rows, and keep what holds."""
        query, _ = np.nonzero(found.valid)
        x, queries = task.x[query], task.frame.iloc[query].reset_index(drop=True)
        dense = found.u[found.valid]
        last = dense if sparse is None else sparse[found.valid]

        def holds(rows: np.ndarray) -> np.ndarray:
            table = task.space.decode(rows, x, queries)
            return target.met(self._native(scores, task, table), query)

        if len(query):
            good, kept = holds(dense), holds(last)
            last = np.where(kept[:, None], last, dense)  # a last-digit tie: the row before it
            query, x, queries = query[good], x[good], queries[good].reset_index(drop=True)
            dense, last = dense[good], last[good]
        dense_table = task.space.decode(dense, x, queries)
        sparse_table = None if sparse is None else task.space.decode(last, x, queries)
        final = dense_table if sparse_table is None else sparse_table
        count = np.bincount(query, minlength=len(task.x))
        columns = robustness_columns(
            last, x, query, task.space, options.noise, seed, scores.numpy, target, self.report_draws
        )
        columns = columns | model_columns(
            queries, final, target.index[query], lambda table: self._native(scores, task, table)
        )
        return Answer(
            query=query,
            dense=dense_table,
            sparse=sparse_table,
            label=target.index[query],
            scores=pd.DataFrame(columns),
            query_label=labels,
            desired_class=target.index,
            status=[_status(n, task.total_CFs) for n in count],
            reason=[
                explain_shortfall(int(n), task.total_CFs, int(t), stopped, vars(options))
                for n, t, stopped in zip(count, target.index, found.stopped, strict=True)
            ],
        )


def _status(count: int, wanted: int) -> str:
    return "ok" if count >= wanted else "partial" if count else "none"


def _guard(
    task: Task,
    options: GradientOptions,
    seed: int,
    is_target: Callable[[np.ndarray, np.ndarray], np.ndarray],
    max_rows: int,
) -> Guard:
    """Measure noise validity on the search's own bank, for post-hoc sparsity."""
    from dice_extended_plugin.dice_sorensen import noise_validity

    bank = options.noise.bank(task.space, seed)

    def stability(rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        return noise_validity(
            rows,
            task.x[query],
            task.space,
            options.noise,
            bank,
            lambda disturbed, index: is_target(disturbed, query[index]),
            max_rows,
        )

    return Guard(stability)


def _check_model(model: Any) -> None:
    if getattr(model, "backend", None) != "PYT":
        raise InvalidInputError(
            f"the gradient method needs a differentiable model: dice_ml.Model(model=module, "
            f"backend='PYT', func='ohe-min-max'), not backend "
            f"{getattr(model, 'backend', None)!r}; for other models use method='random', "
            f"'genetic' or 'kdtree'"
        )
    if getattr(model, "model_type", "classifier") != "classifier":
        raise InvalidInputError(
            "regression models are not supported by this method yet; use method='random' or "
            "'genetic' of dice-ml"
        )


def _module(model: Any, space: Any, device: str) -> Any:
    """Return the model as a function of encoded rows."""
    module, func = model.model, model.transformer.func
    if not isinstance(module, nn.Module):
        from dice_extended_plugin.plugins import get_manager

        options = {
            "differentiable": True,
            "n_features": space.n_columns,
            "device": str(pick_device(device)),
        }
        adapted = get_manager().hook.dice_extended_adapt_model(model=module, options=options)
        if adapted is None:
            raise InvalidInputError(
                f"the model is a {type(module).__name__}, not a torch.nn.Module, and no plugin "
                f"adapts it; wrap it in a module"
            )
        module = adapted
    if func == "ohe-min-max":
        return module
    if func is None and not space.categorical:
        return UnitInput(module, space)
    raise InvalidInputError(
        f"func = {func!r} cannot be differentiated; give dice_ml.Model func='ohe-min-max' and a "
        f"module that takes scaled and one-hot encoded columns"
    )
