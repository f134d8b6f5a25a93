"""An ART detector around a network with one output per class and one more for "fake"."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from art.defences.detector.evasion import EvasionDetector

from art_bridge.inputs import as_rows
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["FakenessDetector"]

_OUTPUTS = ("logits", "probabilities")


class FakenessDetector(EvasionDetector):
    """Call an input adversarial when a joint discriminator finds it fake.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a batch to shape (n, C + 1): a score per class and one for "fake", as the
        discriminator of a joint counterfactual GAN does. Used in evaluation mode; its mode and
        weights are left as they are.
    fake_output : int, default -1
        Column of the fake score.
    output : {"logits", "probabilities"}, default "logits"
        What the module returns.
    false_positive_rate : float, default 0.05
        Largest share of clean rows that may be called adversarial, in (0, 1).
    threshold : float, optional
        Rows whose fakeness is strictly above it are called adversarial, in [0, 1]. Set by
        :meth:`fit` on clean data; give it to detect without fitting.
    device : str, optional
        Where to run; default: where the module's first parameter is.

    Notes
    -----
    The fakeness of a row is the softmax share of the fake output. With n clean rows the threshold
    is the ⌈(n + 1)(1 − rate)⌉-th smallest fakeness, so that a new clean row from the same
    distribution is above it with probability ``rate`` at most (split conformal prediction). It
    needs n ≥ 1/rate − 1 rows.
    """

    defence_params: ClassVar[list[str]] = [
        "fake_output",
        "output",
        "false_positive_rate",
        "threshold",
        "device",
    ]

    def __init__(
        self,
        module: Any,
        fake_output: int = -1,
        output: Literal["logits", "probabilities"] = "logits",
        false_positive_rate: float = 0.05,
        threshold: float | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.fake_output = fake_output
        self.output = output
        self.false_positive_rate = false_positive_rate
        self.threshold = threshold
        self.device = device
        self._check_params()

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray | None = None,
        batch_size: int = 128,
        nb_epochs: int = 20,
        **kwargs: Any,
    ) -> None:
        """Set the threshold on clean data; the module is not trained.

        Parameters
        ----------
        x : ndarray of shape (n, ...)
            Clean inputs that the module was not trained on.
        y, nb_epochs
            Not used; part of ART's signature.
        batch_size : int, default 128

        Raises
        ------
        InvalidInputError
            A ``ValueError``: too few rows for the wanted rate, or rows with NaN.
        """
        clean = np.sort(self.fakeness(x, batch_size))
        rank = math.ceil((len(clean) + 1) * (1 - self.false_positive_rate) - 1e-9)
        if rank > len(clean):
            least = math.ceil(1 / self.false_positive_rate - 1 - 1e-9)
            raise InvalidInputError(
                f"x has {len(clean)} rows; a false-positive rate of {self.false_positive_rate:g} "
                f"needs {least} clean rows or more"
            )
        self.threshold = float(clean[rank - 1])

    def fakeness(self, x: np.ndarray, batch_size: int = 128) -> np.ndarray:
        """Return the probability of "fake" of each input.

        Parameters
        ----------
        x : ndarray of shape (n, ...)
        batch_size : int, default 128

        Returns
        -------
        ndarray of float64, shape (n,)
            In [0, 1]; NaN where the module returns NaN.
        """
        import torch

        inputs = _batch_of(x)
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InvalidInputError(f"batch_size must be a positive whole number: {batch_size!r}")
        device = self.device or next(
            (parameter.device for parameter in self.module.parameters()), torch.device("cpu")
        )
        modes = [(part, part.training) for part in self.module.modules()]
        self.module.eval()
        shares = []
        try:
            with torch.no_grad():
                for start in range(0, len(inputs), batch_size):
                    batch = torch.from_numpy(inputs[start : start + batch_size]).to(device)
                    shares.append(self._share(self.module(batch)))
        finally:
            for part, training in modes:
                part.training = training
        return np.concatenate(shares)

    def detect(
        self, x: np.ndarray, batch_size: int = 128, **kwargs: Any
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Say which inputs are adversarial.

        Parameters
        ----------
        x : ndarray of shape (n, ...)
        batch_size : int, default 128

        Returns
        -------
        report : dict
            ``"fakeness"`` (float64, (n,)) and ``"threshold"``.
        is_adversarial : ndarray of bool, shape (n,)
            Fakeness strictly above the threshold, or not a number.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: no threshold yet.
        """
        if self.threshold is None:
            raise InvalidInputError("there is no threshold: call fit(clean rows), or give one")
        fakeness = self.fakeness(x, batch_size)
        report = {"fakeness": fakeness, "threshold": self.threshold}
        return report, ~(fakeness <= self.threshold)

    def set_params(self, **kwargs: Any) -> None:
        """Change parameters; if one is refused, none is changed."""
        before = self.get_params()
        try:
            super().set_params(**kwargs)
        except InvalidInputError:
            super().set_params(**before)
            raise

    def _share(self, scores: Any) -> np.ndarray:
        """Softmax share of the fake output, float64 of shape (n,)."""
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise InvalidInputError(
                f"module must return shape (n, classes + 1), it returns {tuple(scores.shape)}"
            )
        if not -scores.shape[1] <= self.fake_output < scores.shape[1]:
            raise InvalidInputError(
                f"fake_output={self.fake_output}: the module has {scores.shape[1]} outputs"
            )
        doubles = scores.double()
        if self.output == "logits":
            doubles = doubles.softmax(dim=1)
        share: np.ndarray = doubles[:, self.fake_output].cpu().numpy()
        return share

    def _check_params(self) -> None:
        import torch

        if not isinstance(self.module, torch.nn.Module):
            raise InvalidInputError(
                f"module must be a torch.nn.Module, it is {type(self.module).__name__}"
            )
        if isinstance(self.fake_output, bool) or not isinstance(self.fake_output, int):
            raise InvalidInputError(f"fake_output must be a column number: {self.fake_output!r}")
        if self.output not in _OUTPUTS:
            raise InvalidInputError(f"output must be one of {_OUTPUTS}, it is {self.output!r}")
        rate = self.false_positive_rate
        if isinstance(rate, bool) or not isinstance(rate, float) or not 0 < rate < 1:
            raise InvalidInputError(f"false_positive_rate must lie between 0 and 1: {rate!r}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InvalidInputError(f"threshold must lie in [0, 1]: {self.threshold!r}")


def _batch_of(x: Any) -> np.ndarray:
    """Return a new float32 array of shape (n, ...), checked row by row."""
    inputs = np.asarray(x)
    if inputs.ndim < 2:
        raise InvalidInputError(f"x must have shape (n, ...), its shape is {inputs.shape}")
    return as_rows(inputs.reshape(len(inputs), -1), "x").reshape(inputs.shape)
