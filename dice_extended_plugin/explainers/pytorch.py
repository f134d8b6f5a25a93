"""DiceExtendedPyTorch: dice-ml's gradient method for torch models, batched and robust."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from dice_ml.explainer_interfaces.dice_pytorch import DicePyTorch
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from torch import nn

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer
from dice_extended_plugin.differentiable import TorchScores, UnitInput, pick_device
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.batched import BatchedExplainer, Task, dice_errors
from dice_extended_plugin.explainers.gradient_search import GradientSearch
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.options import GradientOptions, check_integer

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
        scores = self._scores()

        def native(table: pd.DataFrame) -> np.ndarray:
            return scores.native(host.model_input(self.model, task.space, table))

        with scores.open():
            return GradientSearch(
                task,
                GradientOptions.read(self.defaults, task.keywords),
                self.data_interface,
                scores,
                native,
                self.max_memory,
                self.report_draws,
            ).run()


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
