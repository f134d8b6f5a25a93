"""What both auditors share of Alibi's contract: metadata, explanations, saving. Imports alibi."""

from __future__ import annotations

import copy
import math
import os
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alibi_bridge.saving import load_bundle, save_bundle
from alibi_bridge.untrusted import from_settings
from dice_extended_plugin import DISTRIBUTION

try:
    from alibi.api.interfaces import Explainer, Explanation, FitMixin
except ImportError as error:
    raise ImportError(
        f"Alibi's explainers need alibi, which cannot be imported here ({error}); install it with "
        "`pip install 'dice-extended[alibi]'` (alibi needs NumPy below 2). The networks and the "
        "searches of alibi_bridge work without it."
    ) from error

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

__all__ = ["BridgeExplainer", "Explanation", "json_safe"]

#: Alibi copies the metadata's keys over the data's: a data key of these names would be hidden.
_RESERVED = {"name", "type", "params", "version", "explanations", "meta", "data"}


class BridgeExplainer(Explainer, FitMixin):
    """An Alibi explainer whose networks can be saved without code.

    ``save`` and ``load`` are Alibi's own, which go through dill: loading such a file runs what is
    in it. :meth:`save_safe` and :meth:`load_safe` write and read JSON and safetensors.

    A subclass sets :attr:`kind` and writes ``_config``, ``_tensors`` and ``_from_config``.
    """

    #: What a safe folder says it holds.
    kind: ClassVar[str]

    def __init__(
        self, type: list[str], explanations: list[str], params: Mapping[str, Any], predictor: Any
    ) -> None:
        super().__init__(
            meta={
                "name": None,
                "type": list(type),
                "explanations": list(explanations),
                "params": {**json_safe(dict(params)), "dice_extended_version": _own_version()},
                "version": None,
            }
        )
        # Alibi's save takes the predictor off the explainer by this name.
        self.predictor = predictor

    def reset_predictor(self, predictor: Any) -> None:
        """Explain another predictor from now on."""
        self.predictor = predictor

    def save_safe(self, path: str | os.PathLike[str]) -> None:
        """Write the explainer without its predictor: a folder with JSON and safetensors.

        Parameters
        ----------
        path : path
            A new folder, or one written before.

        Raises
        ------
        InvalidInputError
            `path` holds something else.
        """
        save_bundle(path, self.kind, self._config(), self._tensors())

    @classmethod
    def load_safe(cls, path: str | os.PathLike[str], predictor: Any = None) -> Self:
        """Read what :meth:`save_safe` wrote; no code in the files is run.

        Parameters
        ----------
        path : path
        predictor : optional
            What the explainer explains; as for the constructor.

        Raises
        ------
        InvalidInputError
            The folder is missing, damaged or holds something else.
        """
        config, tensors = load_bundle(path, cls.kind)
        with from_settings(f"{cls.__name__} in {os.fspath(path)}"):
            return cls._from_config(config, tensors, predictor)

    @abstractmethod
    def _config(self) -> dict[str, Any]:
        """Return every setting, as JSON can write it."""

    @abstractmethod
    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the weights."""

    @classmethod
    @abstractmethod
    def _from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], predictor: Any
    ) -> Self:
        """Make the explainer again."""

    def _explanation(self, data: Mapping[str, Any]) -> Explanation:
        """Return Alibi's result; what it holds can be written as JSON and read again."""
        hidden = _RESERVED & data.keys()
        assert not hidden, f"alibi would hide {hidden}"
        return Explanation(meta=copy.deepcopy(self.meta), data=json_safe(dict(data)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Alibi saves with dill. The networks go as arrays, so that a file made on a GPU is read
        # anywhere, and the class is made again from its settings.
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in self._tensors().items()}
        return _make_again, (type(self), self._config(), weights)


def _make_again(
    cls: type[BridgeExplainer], config: dict[str, Any], weights: dict[str, np.ndarray]
) -> BridgeExplainer:
    import torch

    tensors = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    return cls._from_config(config, tensors, None)


def json_safe(value: Any) -> Any:
    """Return a value that Alibi's JSON encoder writes so that any parser reads it.

    Tensors become arrays, sets and tuples lists, NumPy scalars plain ones, NaN and infinity None
    (JSON has neither), keys strings, and anything else its text. Arrays stay arrays.
    """
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(item) for item in value]
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor; torch may not be loaded
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _array(value: np.ndarray) -> Any:
    if value.dtype == bool:  # the encoder writes arrays by tolist, which is fine for these
        return value
    if value.dtype.kind not in "iuf":
        return json_safe(value.tolist())
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return json_safe(value.tolist())
    return value


def _own_version() -> str | None:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
