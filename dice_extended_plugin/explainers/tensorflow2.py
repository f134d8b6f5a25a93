"""DiceExtendedTensorFlow2: dice-ml's gradient method for Keras models, batched and robust."""

from __future__ import annotations

from dataclasses import replace

from dice_ml.explainer_interfaces.dice_tensorflow2 import DiceTensorFlow2

from dice_extended_plugin import host
from dice_extended_plugin.assemble import Answer
from dice_extended_plugin.explainers.batched import Task
from dice_extended_plugin.explainers.differentiable import GradientExplainer
from dice_extended_plugin.keras_scores import KerasScores, check_keras

__all__ = ["DiceExtendedTensorFlow2"]

_OURS, _THEIRS = "pytorch:", "tensorflow:"


class DiceExtendedTensorFlow2(GradientExplainer, DiceTensorFlow2):
    """Robust, batched counterfactuals for Keras models (TensorFlow 2).

    A drop-in for ``dice_ml``'s ``DiceTensorFlow2``: the same arguments and results. The search is
    that of :class:`~dice_extended_plugin.explainers.pytorch.DiceExtendedPyTorch`, torch tensors
    and optimisers; only the model runs in TensorFlow.

    Parameters
    ----------
    data_interface : dice_ml.Data
        PublicData or PrivateData.
    model_interface : dice_ml.Model
        ``backend="TF2"`` and a Sequential, functional or subclassed Keras model, or a
        ``model_path`` to a saved one.
    **keywords
        See :class:`~dice_extended_plugin.explainers.differentiable.GradientExplainer`.

    Notes
    -----
    ``optimizer`` takes dice-ml's names here, "tensorflow:adam" and "tensorflow:rmsprop", as well
    as torch's; the rules are torch's.

    References
    ----------
    DiCE-Extended (Bakir, Goktas, Ozogur-Akyuz); DiCE (Mothilal, Sharma, Tan 2020).
    """

    backend = "TF2"
    framework = "Keras model"

    def _scores(self) -> KerasScores:
        check_keras(self.model.model)
        return KerasScores(
            self.model.model,
            self._on_encoded_rows,
            self.space.n_columns,
            self.device,
            self.dtype,
            regression=host.is_regression(self.model),
        )

    def _search(self, task: Task) -> Answer:
        keywords = dict(task.keywords)
        optimizer = keywords.get("optimizer")
        if isinstance(optimizer, str) and optimizer.startswith(_THEIRS):
            keywords["optimizer"] = _OURS + optimizer.removeprefix(_THEIRS)
        return super()._search(replace(task, keywords=keywords))
