"""What gradient explainers of all frameworks share: one constructor, one search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer
from dice_extended_plugin.differentiable import TorchScores, UnitInput
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.batched import BatchedExplainer, Task, dice_errors
from dice_extended_plugin.explainers.gradient_search import GradientSearch
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.options import GradientOptions
from dice_extended_plugin.rules import Rules

__all__ = ["GradientExplainer"]


class GradientExplainer(BatchedExplainer):
    """Robust, batched counterfactuals by gradient descent, whatever the model's framework.

    A subclass names its framework in :attr:`backend` and :attr:`framework` and turns the model
    into a function of encoded rows in :meth:`_module`.

    Parameters
    ----------
    data_interface : dice_ml.Data
        PublicData or PrivateData.
    model_interface : dice_ml.Model
        ``func="ohe-min-max"``, or None for a model on raw continuous features. The model returns
        probabilities: one sigmoid output, or one column per class. With
        ``model_type="regressor"`` it returns one number, and calls need ``desired_range``.
    robustness : {"dice", "validity", None}, default "dice"
        "dice": Dice-Sorensen coefficient times probability of the wanted class under noise;
        "validity": that probability alone; None: no term.
    robustness_weight : float >= 0, default 0.4
    noise : NoiseModel, optional
        The changes to survive; ``NoiseModel()`` by default.
    rules : Rules, optional
        What every counterfactual must obey besides the arguments of a call.
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

    #: dice-ml's name of the framework, and what a model of it is called in messages.
    backend: str
    framework: str

    options = GradientOptions

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
        device: str = "auto",
        dtype: torch.dtype | None = None,
        max_seconds: float | None = None,
        max_model_calls: int | None = None,
        max_memory: float = 0.1,
        report_draws: int = 256,
    ) -> None:
        with dice_errors():
            self._check_model(model_interface)
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
        self.device, self.dtype, self.max_memory = device, dtype, max_memory
        ExplainerBase.__init__(self, data_interface, model_interface)
        self._set_host_attributes()

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        call = {"min_iter": 10, "max_iter": 30, "learning_rate": 0.1}
        return {"init": {"report_draws": 16}, "call": call}

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

    def _module(self) -> Any:
        """Return the model as a function of encoded rows; raise for one that cannot be searched."""
        raise NotImplementedError("a gradient explainer wraps the models of its framework")

    def _scores(self) -> TorchScores:
        """Wrap the model for one search."""
        return TorchScores(
            self._module(),
            self.space.n_columns,
            self.device,
            self.dtype,
            regression=host.is_regression(self.model),
        )

    def _search(self, task: Task) -> Answer:
        options = GradientOptions.read(self.defaults, task.keywords)  # before the model is asked
        scores = self._scores()

        def native(table: pd.DataFrame) -> np.ndarray:
            return scores.native(host.model_input(self.model, task.space, table))

        with scores.open():
            return GradientSearch(
                task,
                options,
                self.data_interface,
                scores,
                native,
                self.max_memory,
                self.report_draws,
            ).run()

    def _check_model(self, model: Any) -> None:
        if getattr(model, "backend", None) != self.backend:
            raise InvalidInputError(
                f"this method needs a {self.framework}: dice_ml.Model(model=..., "
                f"backend={self.backend!r}, func='ohe-min-max'), not backend "
                f"{getattr(model, 'backend', None)!r}; for models without gradients use "
                f"method='random', 'genetic' or 'kdtree'"
            )

    def _on_encoded_rows(self, module: Any) -> Any:
        """Fit a module to encoded rows: as it is, or behind the undoing of the scaling.

        Raises
        ------
        InvalidInputError
            A transformation that cannot be differentiated.
        """
        func = self.model.transformer.func
        if host.takes_encoded_rows(self.model, self.space):
            return module
        if func is None and not self.space.categorical:
            return UnitInput(module, self.space)
        raise InvalidInputError(
            f"func = {func!r} cannot be differentiated; give dice_ml.Model func='ohe-min-max' and "
            f"a model that takes scaled and one-hot encoded columns"
        )
