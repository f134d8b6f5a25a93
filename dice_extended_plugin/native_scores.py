"""The user's own model as a function of encoded rows: few large calls, whatever its back-end.

A model of dice-ml's gets either a table (scikit-learn pipelines on raw rows) or scaled and one-hot
encoded columns (``func="ohe-min-max"``). Rows that occur more than once are asked about once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import host
from dice_extended_plugin.distinct import distinct, row_codes
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.pace import Pace
from dice_extended_plugin.quick_pipeline import QuickPipeline
from dice_extended_plugin.row_writer import RowWriter
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import two_columns

__all__ = ["NativeScores"]

#: Keras computes in float32, where the shape of a batch shows in the last digit: one shape for all.
_KERAS_BLOCK = 1024
#: Rows of the call that tells how fast a model is.
_CALIBRATION = 512


class NativeScores:
    """A dice-ml model as a score function, for the length of one call.

    Parameters
    ----------
    model : dice_ml.Model
        Any back-end: scikit-learn, PyTorch ("PYT"), Keras ("TF2") or one of the user's own.
    space : FeatureSpace
    frame : DataFrame of Q rows
        The raw queries; rows for the model are written in their types.
    x : ndarray of shape (Q, d)
        The encoded queries.
    max_rows : int
        Most rows in one model call.

    Attributes
    ----------
    pace : Pace
        Of the model calls so far.

    Raises
    ------
    InvalidInputError
        From :meth:`check`: the model cannot be called, or does not return probabilities.
    """

    def __init__(
        self,
        model: Any,
        space: FeatureSpace,
        frame: pd.DataFrame,
        x: np.ndarray,
        max_rows: int = 65_536,
    ) -> None:
        self.model, self.space, self.frame, self.x = model, space, frame, x
        self.max_rows = max_rows
        self.regression = host.is_regression(model)
        self.pace = Pace()
        self.writer = RowWriter(space, frame, x)
        own = not isinstance(model.backend, str)
        backend = "" if own else model.backend
        self.encoded = host.takes_encoded_rows(model, space)
        self._fast = backend == "PYT" or backend.startswith("TF")
        self._ask: Callable[[Any], Any]
        self._exact: Callable[[Any], Any]
        if backend == "PYT":
            self._ask, self._exact, self._opened = _torch_calls(model, space, self.regression)
        elif backend.startswith("TF"):
            self._ask = self._exact = _keras_call(model.model)
            self._opened = None
        else:
            self._ask = self._exact = model.get_output if own else _table_call(model, self)
            self._opened = None
        self._transform = (lambda table: table) if own else self._transformed
        self._quick: QuickPipeline | None = None

    @contextmanager
    def open(self) -> Iterator[NativeScores]:
        """Hold a network in eval mode while it is asked."""
        with ExitStack() as stack:
            if self._opened is not None:
                stack.enter_context(self._opened())
            yield self

    def __call__(self, rows: np.ndarray, query: np.ndarray | None) -> np.ndarray:
        """Ask the model about encoded rows with one level per block.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
        query : ndarray of int, shape (n,), or None
            Query each row belongs to; None for rows of the training table.

        Returns
        -------
        ndarray of shape (n, C)
            Class probabilities, or (n, 1) predictions of a regression model.
        """
        if len(rows) == 0:
            return np.empty((0, 1 if self.regression else 2))
        if self._fast:
            return self._in_parts(rows, query)
        codes = row_codes(rows, self.space)
        if query is not None and not self.encoded and not self.writer.plain:
            codes = np.concatenate([codes, query[:, None]], axis=1)
        first, inverse = distinct(codes)
        own = None if query is None else query[first]
        if self._quick is not None:
            return self._quickly(codes[first], rows[first], own)[inverse]
        return self._in_parts(rows[first], own)[inverse]

    def _quickly(self, codes: np.ndarray, rows: np.ndarray, query: np.ndarray | None) -> np.ndarray:
        quick, n = self._quick, self.space.n_continuous
        assert quick is not None
        values = self.writer.numbers(rows, query)
        levels = codes[:, n : self.space.n_features].astype(int)
        parts = []
        for start in range(0, len(codes), self.max_rows):
            part = slice(start, start + self.max_rows)
            parts.append(self._scores(partial(quick, levels=levels[part]), values[part]))
        return np.concatenate(parts)

    def _find_quick_way(self, scores: np.ndarray) -> None:
        """Take the quick way from here on where it gives the model's own answers to the queries."""
        if self._fast or self.encoded or self.model.transformer.func is not None:
            return
        try:
            self._quick = QuickPipeline.of(self.model.model, self.space, self.writer)
            same = self._quick is not None and _agree(self, scores)
        except Exception:  # a way that fails is none; the model itself was asked and answered
            same = False
        if not same:
            self._quick = None

    def _in_parts(self, rows: np.ndarray, query: np.ndarray | None) -> np.ndarray:
        parts = []
        for start in range(0, len(rows), self.max_rows):
            part = slice(start, start + self.max_rows)
            if self.encoded:
                given = rows[part]
            else:
                own = None if query is None else query[part]
                given = self._transform(self.writer.table(rows[part], own))
            parts.append(self._scores(self._ask, given))
        return np.concatenate(parts)

    def native(self, table: pd.DataFrame) -> np.ndarray:
        """Ask the user's own model about rows as written, through dice-ml's transformation."""
        if len(table) == 0:
            return np.empty((0, 1 if self.regression else 2))
        if self.encoded:
            given = host.model_input(self.model, self.space, table)
        else:
            given = self._transform(table)
        return self._scores(self._exact, given)

    def _transformed(self, table: pd.DataFrame) -> Any:
        rows = self.model.transformer.transform(table)
        if self._fast:
            return np.asarray(rows, dtype=np.float64)
        return rows

    def _scores(self, ask: Callable[[Any], Any], given: Any) -> np.ndarray:
        began = time.monotonic()
        out = np.asarray(ask(given), dtype=np.float64)
        self.pace.add(len(given), time.monotonic() - began)
        if self.regression:
            return out.reshape(len(given), -1)
        return two_columns(out)

    def calibrate(self) -> None:
        """Ask once about many rows, to know what a row costs besides what a call costs."""
        self.native(self.frame.iloc[np.resize(np.arange(len(self.frame)), _CALIBRATION)])

    def check(self) -> tuple[np.ndarray, int]:
        """Ask the model once about the queries.

        Returns
        -------
        scores : ndarray of shape (Q, C)
        n_classes : int
            1 for a regression model.
        """
        try:
            scores = self.native(self.frame)
        except InvalidInputError:
            raise
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise InvalidInputError(
                f"the model cannot be asked about the queries: {type(error).__name__}: {reason}"
            ) from error
        if len(scores) != len(self.frame):
            raise InvalidInputError(
                f"the model must return one row per query; for {len(self.frame)} queries it "
                f"returned {len(scores)}"
            )
        if not np.isfinite(scores).all():
            raise InvalidInputError(
                "the model returns NaN or infinite values for the queries; check it and the "
                "transformation of its input"
            )
        if self.regression:
            self._find_quick_way(scores)
            return scores, 1
        if scores.min() < -1e-6 or scores.max() > 1 + 1e-6:
            raise InvalidInputError(
                f"the model returns values from {scores.min():.3g} to {scores.max():.3g}, which "
                f"are not probabilities; end a network with a sigmoid or softmax, or say "
                f"model_type='regressor' to dice_ml.Model"
            )
        self._find_quick_way(scores)
        return scores, scores.shape[1]


def _agree(quick: NativeScores, scores: np.ndarray) -> bool:
    """Whether answers to the queries are the model's own, but for the order a sum is formed in."""
    own = quick(quick.x, np.arange(len(quick.x)))
    return own.shape == scores.shape and np.allclose(own, scores, rtol=0.0, atol=1e-12)


def _table_call(model: Any, scores: NativeScores) -> Callable[[Any], Any]:
    """Call a scikit-learn model, or one like it."""
    inner, regression = model.model, scores.regression
    ask = getattr(inner, "predict" if regression else "predict_proba", None)
    if ask is None:
        raise InvalidInputError(
            f"the model, a {type(inner).__name__}, has no "
            f"{'predict' if regression else 'predict_proba'}; use one that has it, or wrap it "
            f"(for example in sklearn.calibration.CalibratedClassifierCV)"
        )
    if not scores.encoded:
        return lambda given: ask(given)
    names = list(scores.space.columns)
    return lambda given: ask(pd.DataFrame(given, columns=names))


def _torch_calls(
    model: Any, space: FeatureSpace, regression: bool
) -> tuple[Callable[[Any], Any], Callable[[Any], Any], Any]:
    """Call a torch module: a double-precision twin to search on, itself to confirm."""
    from dice_extended_plugin.differentiable import TorchScores

    scores = TorchScores(model.model, space.n_columns, "cpu", regression=regression)
    return scores.numpy, scores.native, scores.open


def _keras_call(network: Any) -> Callable[[Any], Any]:
    """Call a Keras model without its training behaviour."""
    import tensorflow as tf

    def ask(given: np.ndarray) -> np.ndarray:
        padding = -len(given) % _KERAS_BLOCK
        rows = np.concatenate([given, np.zeros((padding, given.shape[1]))])
        parts = [
            np.asarray(network(tf.constant(block, dtype=tf.float32), training=False))
            for block in np.split(rows, len(rows) // _KERAS_BLOCK)
        ]
        return np.concatenate(parts)[: len(given)]

    return ask
