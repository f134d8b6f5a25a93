"""DiceExtendedPyTorch: dice-ml's gradient method for torch models, batched and robust."""

from __future__ import annotations

from typing import Any

from dice_ml.explainer_interfaces.dice_pytorch import DicePyTorch
from torch import nn

from dice_extended_plugin.differentiable import pick_device
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.explainers.differentiable import GradientExplainer

__all__ = ["DiceExtendedPyTorch"]


class DiceExtendedPyTorch(GradientExplainer, DicePyTorch):
    """Robust, batched counterfactuals for PyTorch models.

    A drop-in for ``dice_ml``'s ``DicePyTorch``: the same arguments and results. The objective is
    DiCE's plus a robustness term; all queries, counterfactuals and noise draws are searched in one
    tensor. ``robustness=None`` or ``robustness_weight=0`` is plain DiCE.

    Parameters
    ----------
    data_interface : dice_ml.Data
        PublicData or PrivateData.
    model_interface : dice_ml.Model
        ``backend="PYT"`` and a ``torch.nn.Module``.
    **keywords
        See :class:`~dice_extended_plugin.explainers.differentiable.GradientExplainer`.

    References
    ----------
    DiCE-Extended (Bakir, Goktas, Ozogur-Akyuz); DiCE (Mothilal, Sharma, Tan 2020).
    """

    backend = "PYT"
    framework = "differentiable PyTorch model"

    def _module(self) -> Any:
        module = self.model.model
        if not isinstance(module, nn.Module):
            module = self._adapted(module)
        return self._on_encoded_rows(module)

    def _adapted(self, model: Any) -> Any:
        from dice_extended_plugin.plugins import get_manager

        options = {
            "differentiable": True,
            "n_features": self.space.n_columns,
            "device": str(pick_device(self.device)),
        }
        adapted = get_manager().hook.dice_extended_adapt_model(model=model, options=options)
        if adapted is None:
            raise InvalidInputError(
                f"the model is a {type(model).__name__}, not a torch.nn.Module, and no plugin "
                f"adapts it; wrap it in a module"
            )
        return adapted
