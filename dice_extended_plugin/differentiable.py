"""Models as differentiable score functions: checked once, never changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import two_columns

__all__ = ["TorchScores", "UnitInput", "evaluating", "pick_device"]


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to search on: "auto" is CUDA if there is one, else the CPU."""
    if str(device) != "auto":
        try:
            return torch.device(device)
        except RuntimeError as error:
            raise InvalidInputError(f"device {device!r} is unknown to torch: {error}") from None
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put a module (dropout, batch norm) in eval mode and give every part its mode back."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


class UnitInput(nn.Module):
    """A module on raw continuous features, as a module on scaled ones.

    Parameters
    ----------
    module : torch.nn.Module or callable
        Takes raw values in the table's column order.
    space : FeatureSpace
        Without categorical features.
    """

    low: Tensor
    scale: Tensor

    def __init__(self, module: Any, space: FeatureSpace) -> None:
        super().__init__()
        self.module = module
        order = [space.continuous.index(name) for name in space.names]
        place = next(module.parameters(), None) if isinstance(module, nn.Module) else None
        like = place if place is not None else torch.zeros(())
        self.order = order
        low, scale = space.low[order], space.scale[order]
        self.register_buffer("low", torch.as_tensor(low).to(like))
        self.register_buffer("scale", torch.as_tensor(scale).to(like))

    def forward(self, rows: Tensor) -> Tensor:
        """Undo the scaling and call the module."""
        return self.module(self.low + rows[:, self.order] * self.scale)


class TorchScores:
    """A torch module as a function of encoded rows, for the length of one search.

    The search runs on a double-precision copy of the module: the user's parameters, gradients
    and modes stay untouched, and the order of rows in a batch no longer shows in the result.
    What counts as a counterfactual is decided by the module itself, through :meth:`native`.

    Parameters
    ----------
    module : torch.nn.Module or callable
        Maps (n, d) float tensors to probabilities: (n,), (n, 1) or (n, C).
    n_columns : int
        Number of encoded columns d.
    device : str or torch.device, default "auto"
    dtype : torch.dtype or None
        Precision of the search; float64 by default (float32 on devices without it).
    regression : bool, default False
        The module returns one predicted number a row, (n,) or (n, 1), instead of probabilities.

    Attributes
    ----------
    calls, rows : int
        Model calls and rows so far.

    Raises
    ------
    InvalidInputError
        The model returns NaN, values outside [0, 1], a wrong shape, or has no gradient.
    """

    def __init__(
        self,
        module: Any,
        n_columns: int,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        regression: bool = False,
    ) -> None:
        self.module, self.n_columns, self.regression = module, n_columns, regression
        self.device = pick_device(device)
        self.dtype = dtype or (torch.float32 if self.device.type == "mps" else torch.float64)
        self.calls = self.rows = 0
        self.searched, self.private = self._copy()

    def _copy(self) -> tuple[Any, bool]:
        """Copy the module in the search's precision; use it as it is where it cannot be copied."""
        if not isinstance(self.module, nn.Module):
            return self.module, False
        try:
            twin = copy.deepcopy(self.module).to(self.device, self.dtype).eval()
            probe = torch.zeros(2, self.n_columns, device=self.device, dtype=self.dtype)
            with torch.no_grad():
                twin(probe)
            return twin.requires_grad_(False), True
        except Exception:  # layers that insist on float32, compiled or scripted modules, ...
            place = next(self.module.parameters(), None)
            self.device = place.device if place is not None else torch.device("cpu")
            self.dtype = place.dtype if place is not None else torch.float32
            return self.module, False

    @contextmanager
    def open(self) -> Iterator[TorchScores]:
        """Hold the module in eval mode while it is searched or asked."""
        if isinstance(self.module, nn.Module):
            with evaluating(self.module):
                yield self
        else:
            yield self

    def __call__(self, rows: Tensor) -> Tensor:
        """Return scores of encoded rows: probabilities (n, C >= 2), or predictions (n, 1)."""
        self.calls += 1
        self.rows += len(rows)
        out = self.searched(rows)
        if out.ndim == 1:
            out = out.unsqueeze(1)
        two = out.shape[1] == 1 and not self.regression
        return torch.cat([1.0 - out, out], 1) if two else out

    def numpy(self, rows: np.ndarray) -> np.ndarray:
        """Return scores in the search's precision, NumPy in and out."""
        with torch.no_grad():
            tensor = torch.as_tensor(rows, device=self.device).to(self.dtype)
            return self(tensor).cpu().numpy().astype(np.float64)

    def native(self, rows: np.ndarray, max_rows: int = 65_536) -> np.ndarray:
        """Return the scores the user's own module gives, in its own precision."""
        place = next(self.module.parameters(), None) if self._is_module else None
        device = place.device if place is not None else torch.device("cpu")
        dtype = place.dtype if place is not None else torch.float32
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), max_rows):
                part = torch.as_tensor(rows[start : start + max_rows], device=device).to(dtype)
                self.calls += 1
                self.rows += len(part)
                parts.append(self.module(part).float().cpu().numpy())
        scores = np.concatenate(parts)
        return scores.reshape(len(scores), -1) if self.regression else two_columns(scores)

    def rows_within(self, n_bytes: float) -> int:
        """Rows of a model call whose tensors, forward and backward, fit into `n_bytes`, about."""
        if self._is_module:
            widths = [p.shape[0] for p in self.module.parameters() if p.ndim >= 2]
        else:
            widths = [self.n_columns]
        # Measured on Adult: about eight tensors of input width live at once, four of each layer's.
        per_row = torch.finfo(self.dtype).bits // 8 * (8 * self.n_columns + 4 * sum(widths))
        return int(max(1024, n_bytes // per_row))

    def n_outputs(self) -> int:
        """Return the number of output columns, asking about two rows of zeros."""
        with torch.no_grad():
            out = self._ask(torch.zeros(2, self.n_columns, device=self.device).to(self.dtype))
        return 1 if out.ndim == 1 else int(out.shape[1])

    @property
    def _is_module(self) -> bool:
        return isinstance(self.module, nn.Module)

    def check(self, rows: np.ndarray) -> int:
        """Ask the model once about real rows and return its number of classes (or 1 number).

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Encoded queries.
        """
        sample = torch.as_tensor(rows[:64], device=self.device).to(self.dtype)
        out = self._ask(sample.requires_grad_(True))
        self._check_values(out.detach())
        if not self._reaches(out, sample):
            raise InvalidInputError(
                "the model has no gradient with respect to its input (it rounds, detaches, or "
                "leaves torch); use a differentiable model, or method='random', 'genetic' or "
                "'kdtree'"
            )
        single = out.ndim == 1 or out.shape[1] == 1
        return (1 if self.regression else 2) if single else int(out.shape[1])

    @staticmethod
    def _reaches(out: Tensor, sample: Tensor) -> bool:
        """Tell whether autograd gets from the output to the input, past the model's parameters."""
        if not out.requires_grad:
            return False
        try:
            (slope,) = torch.autograd.grad(out.sum(), sample, allow_unused=True)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            raise InvalidInputError(
                f"the model cannot be differentiated: {reason}; use a differentiable model"
            ) from error
        return slope is not None

    def _ask(self, sample: Tensor) -> Tensor:
        """Call the model; say clearly if it cannot be called, or what it returns is no table."""
        try:
            out = self.searched(sample)
        except InvalidInputError:
            raise
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise InvalidInputError(
                f"the model cannot be called on encoded rows of shape {tuple(sample.shape)}: "
                f"{type(error).__name__}: {reason}. Its first layer must take "
                f"{sample.shape[1]} columns"
            ) from error
        n = len(sample)
        if not isinstance(out, Tensor):
            raise InvalidInputError(
                f"the model must return a torch tensor of probabilities, not {type(out).__name__}"
            )
        if out.ndim not in (1, 2) or len(out) != n or out.shape[-1] == 0:
            raise InvalidInputError(
                f"the model must return one row of probabilities per input row, (n,), (n, 1) or "
                f"(n, classes); for {n} rows it returned shape {tuple(out.shape)}"
            )
        return out

    def _check_values(self, values: Tensor) -> None:
        if not torch.isfinite(values).all():
            raise InvalidInputError(
                "the model returns NaN or infinite values for the queries; check its weights and "
                "the transformation of its input"
            )
        many = values.ndim == 2 and values.shape[1] > 1
        if self.regression:
            if many:
                raise InvalidInputError(
                    f"a regression model must return one number a row, not {values.shape[1]}"
                )
            return
        if values.min() < -1e-6 or values.max() > 1 + 1e-6:
            raise InvalidInputError(
                f"the model returns values from {values.min():.3g} to {values.max():.3g}, which "
                f"are not probabilities; end it with {'Softmax(dim=1)' if many else 'Sigmoid()'}"
            )
        if many and (values.sum(1) - 1.0).abs().max() > 1e-3:
            raise InvalidInputError(
                "the model's class scores do not add up to 1; end it with Softmax(dim=1)"
            )
