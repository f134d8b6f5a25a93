"""Keras models in a torch search: tensors cross by DLPack, gradients by one autograd Function."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from torch import Tensor
from torch.utils import dlpack

from dice_extended_plugin.differentiable import TorchScores, pick_device
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["KerasModule", "KerasScores", "check_keras", "double"]

logger = logging.getLogger(__name__)

#: A double-precision copy must agree with the model to this, relative to the size of its answers.
_AGREES = 1e-3
#: Bytes; what torch allocates itself always is.
_ALIGNED = 64
#: Outputs up to which the slopes of all are formed with the answers, in one call of TensorFlow.
_FEW_OUTPUTS = 4


class KerasModule:
    """A Keras model as a function of torch rows that autograd can differentiate.

    Parameters
    ----------
    model : keras.Model
        Called with ``training=False``; never changed.
    dtype : torch.dtype
        Precision in which the model is called; results come back in the precision of the rows.
    """

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32) -> None:
        self.model, self.dtype = model, dtype
        self.forward = _traced(model)
        self._sloped: Callable[[Any], Any] | None = None
        self._width = -1

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the model's answers to rows (n, d), with a gradient where rows need one."""
        return _Call.apply(rows, self)

    def sloped(self, width: int) -> Callable[[Any], Any] | None:
        """Return the function that gives answers and slopes at once; None where there is none."""
        if self._width != width:
            self._width, self._sloped = width, _with_slopes(self.model, width, self.dtype)
        return self._sloped


#: What belongs to a model and outlives a search: its traced function and its double-precision
#: copy. Tracing takes longer than many a search.
_kept: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def _traced(model: Any) -> Callable[[Any], Any]:
    """Return the model's forward pass as a TensorFlow function, traced once."""
    kept = _kept.setdefault(model, {})
    if "forward" not in kept:
        own = weakref.ref(model)  # what is kept must not keep the model

        def forward(rows: Any) -> Any:
            alive: Any = own()
            return alive(rows, training=False)

        kept["forward"] = tf.function(forward, reduce_retracing=True)
    traced: Callable[[Any], Any] = kept["forward"]
    return traced


def _with_slopes(model: Any, width: int, dtype: torch.dtype) -> Callable[[Any], Any] | None:
    """Return ``rows -> [answers, slopes of output 0, ...]``, traced once; None where it cannot be.

    An answer to a row depends on that row alone, so that the slope of a column's sum is every row's
    own. One call instead of a forward and a backward one, which for a small network are nearly all
    overhead.
    """
    kept = _kept.setdefault(model, {})
    key = ("slopes", width, dtype)
    if key not in kept:
        own = weakref.ref(model)

        def both(rows: Any) -> Any:
            alive: Any = own()
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch(rows)
                out = alive(rows, training=False)
                outputs = tf.unstack(out, axis=1) if len(out.shape) == 2 else [out]
            if len(outputs) > _FEW_OUTPUTS:
                raise InvalidInputError("too many outputs")
            return [out, *(tape.gradient(column, rows) for column in outputs)]

        kind = tf.float64 if dtype == torch.float64 else tf.float32
        try:
            traced = tf.function(both).get_concrete_function(tf.TensorSpec((None, width), kind))
            known = all(part is not None for part in traced.structured_outputs)
            kept[key] = traced if known else None
        except Exception as error:  # the tape does what can be done
            logger.info("the Keras model's slopes are taken from the tape: %s", error)
            kept[key] = None
    sloped: Callable[[Any], Any] | None = kept[key]
    return sloped


class _Call(torch.autograd.Function):
    """Forward through TensorFlow, vector-Jacobian product by its slopes or through its tape."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, module: KerasModule) -> Tensor:
        x = _to_tf(rows.detach().to(module.dtype))
        ctx.slopes = None
        sloped = module.sloped(rows.shape[1]) if ctx.needs_input_grad[0] else None
        if sloped is not None:
            out, *slopes = sloped(x)
            ctx.slopes = [_to_torch(slope) for slope in slopes]
        elif ctx.needs_input_grad[0]:
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch(x)
                out = module.forward(x)
            ctx.tape, ctx.x, ctx.out = tape, x, out
        else:
            out = module.forward(x)
        ctx.like, ctx.dtype = rows, module.dtype
        return _to_torch(out).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, None]:
        if ctx.slopes is not None:
            given = upstream[0].to(ctx.dtype).reshape(len(upstream[0]), -1)
            total = given[:, :1] * ctx.slopes[0]
            for column, slope in enumerate(ctx.slopes[1:], start=1):
                total += given[:, column : column + 1] * slope
            return total.to(ctx.like.dtype), None
        gradient = _to_tf(upstream[0].to(ctx.dtype))
        slope = ctx.tape.gradient(ctx.out, ctx.x, output_gradients=gradient)
        if slope is None:
            return None, None
        return _to_torch(slope).to(ctx.like.dtype), None


def _to_tf(tensor: Tensor) -> Any:
    own = tensor.contiguous()
    # TensorFlow ends the process on memory that is not aligned: views, and NumPy's arrays.
    own = own.clone() if own.data_ptr() % _ALIGNED else own
    return tf.experimental.dlpack.from_dlpack(own.__dlpack__())


def _to_torch(tensor: Any) -> Tensor:
    return dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(tensor))


class KerasScores(TorchScores):
    """:class:`~dice_extended_plugin.differentiable.TorchScores` of a Keras model.

    The search runs on a double-precision copy of the model where one can be made, for the same
    reasons as with torch; what counts as a counterfactual is decided by the model itself.

    Parameters
    ----------
    model : keras.Model
    behind : callable
        Puts a module on encoded rows, see
        :meth:`~dice_extended_plugin.explainers.differentiable.GradientExplainer._on_encoded_rows`.
    n_columns, device, dtype, regression
        As for TorchScores; "auto" is the CPU unless both frameworks see a GPU.
    """

    def __init__(
        self,
        model: Any,
        behind: Callable[[Any], Any],
        n_columns: int,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        regression: bool = False,
    ) -> None:
        self.model, self.behind = model, behind
        if str(device) == "auto" and not tf.config.list_physical_devices("GPU"):
            device = "cpu"
        super().__init__(
            behind(KerasModule(model)), n_columns, pick_device(device), dtype, regression
        )

    def _copy(self) -> tuple[Any, bool]:
        if self.dtype != torch.float64:
            return self.module, False
        twin = double(self.model, self.n_columns)
        if twin is None:
            return self.module, False
        return self.behind(KerasModule(twin, torch.float64)), True

    def rows_within(self, n_bytes: float) -> int:
        """Rows of a model call whose tensors fit into `n_bytes`, about."""
        widths = [int(w.shape[-1]) for w in self.model.weights if len(w.shape) >= 2]
        per_row = torch.finfo(self.dtype).bits // 8 * (8 * self.n_columns + 4 * sum(widths))
        return int(max(1024, n_bytes // per_row))


def double(model: Any, n_columns: int) -> Any | None:
    """Return a double-precision copy of a Keras model, None where there is none that agrees.

    Layers that insist on single precision, subclassed models without a configuration and the like
    cannot be copied; they are searched as they are.
    """
    import keras

    if not isinstance(model, (keras.Sequential, keras.models.Model)):
        return None
    kept = _kept.setdefault(model, {})
    try:
        if "twin" not in kept:
            own = {type(layer).__name__: type(layer) for layer in model.layers}
            kept["twin"] = type(model).from_config(
                _in_double(model.get_config()), custom_objects=own
            )
        twin = kept["twin"]
        if not twin.built:
            twin.build((None, n_columns))
        twin.set_weights([weight.astype(np.float64) for weight in model.get_weights()])
        probe = np.linspace(0.0, 1.0, 3 * n_columns).reshape(3, n_columns)
        ours = np.asarray(twin(tf.constant(probe), training=False))
        theirs = np.asarray(model(tf.constant(probe.astype(np.float32)), training=False))
    except Exception as error:
        logger.info("the Keras model is searched in its own precision: %s", error)
        return None
    same = ours.dtype == np.float64 and ours.shape == theirs.shape
    scale = 1.0 + np.abs(theirs).max(initial=0.0)
    return twin if same and np.abs(ours - theirs).max(initial=0.0) <= _AGREES * scale else None


def _in_double(config: Any) -> Any:
    """Replace every floating dtype of a Keras configuration by float64."""
    if isinstance(config, dict):
        return {
            key: "float64" if key == "dtype" and _is_float(value) else _in_double(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_in_double(part) for part in config)
    return config


def _is_float(dtype: Any) -> bool:
    """Tell a floating dtype or dtype policy, in any form Keras writes, from others."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return isinstance(dtype, str) and "float" in dtype


def check_keras(model: Any) -> None:
    """Raise unless the object is a Keras model or at least can be called like one."""
    if not callable(model) or not hasattr(model, "weights"):
        raise InvalidInputError(
            f"the model is a {type(model).__name__}, not a Keras model; give dice_ml.Model a "
            f"keras.Model, or model_path to a saved .keras file"
        )
