"""ART's own attacks as baselines for tables, with their known faults worked around.

They are attacks like any other: aim them with :func:`~art_bridge.perturbation.compare_attacks`,
:func:`~art_bridge.robustness.counterfactual_robustness`, or
:func:`~art_bridge.curves.success_rate_curve`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from art.attacks.evasion import DeepFool, HopSkipJump, LowProFool

from art_bridge.border import class_index
from art_bridge.inputs import as_rows, predict
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.repeat import repeatable

__all__ = ["LogitDeepFool", "RowwiseLowProFool", "SeededHopSkipJump"]

#: Growth of DeepFool's step until the label flips (the paper's γ), and how often.
_GROWTH, _MOST_GROWTHS = 0.001, 1000
#: Keeps the logarithm of a probability finite.
_TINY = 1e-30


class SeededHopSkipJump(HopSkipJump):
    """HopSkipJump that is reproducible, starts from real rows and ends on the boundary.

    Worked around: ART draws the start from an unseeded generator, uniformly in the box, and gives
    a row up when 100 draws miss the target class (rare classes); it draws its directions from
    NumPy's global generator, so that a row's result depends on the rows before it; its last step
    is not projected back to the boundary.

    Here every row starts from the nearest training row that is predicted as wanted, draws from a
    stream of its own, and its end point is bisected back toward the row. NumPy's global state is
    put back after every row.

    Parameters
    ----------
    classifier : art classifier
    x_train : ndarray of shape (m, d)
        Rows to start from.
    random_state : int, default 0
    **kwargs
        As for ART's ``HopSkipJump``; ``verbose`` is False by default.
    """

    def __init__(
        self, classifier: Any, x_train: np.ndarray, random_state: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(classifier, **{"verbose": False, **kwargs})
        self.x_train = as_rows(x_train, "x_train")
        self.random_state = random_state

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial rows; arguments as for ART's."""
        rows = as_rows(x, "x", self.x_train.shape[1])
        scores = predict(self.estimator, rows)
        source = scores.argmax(axis=1)
        if y is None and self.targeted:
            raise InvalidInputError("y is missing: a targeted attack needs the wanted classes")
        wanted = source if y is None else class_index(y, len(rows), scores.shape[1], "y")
        starts = kwargs.pop("x_adv_init", None)
        if starts is None:
            starts = self._starts(rows, wanted if self.targeted else source)
        found = super().generate(
            rows, np.eye(scores.shape[1])[wanted], x_adv_init=np.array(starts), **kwargs
        )
        return self._to_boundary(rows, found, source, wanted)

    def _starts(self, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return the nearest training row that will do for each row, or the row itself."""
        from scipy.spatial import cKDTree

        predicted = predict(self.estimator, self.x_train).argmax(axis=1)
        starts = rows.copy()
        for label in np.unique(classes):
            fits = (predicted == label) if self.targeted else (predicted != label)
            mine = classes == label
            if fits.any():
                pool = self.x_train[fits]
                starts[mine] = pool[cKDTree(pool).query(rows[mine])[1]]
        return starts

    def _to_boundary(
        self, rows: np.ndarray, found: np.ndarray, source: np.ndarray, wanted: np.ndarray
    ) -> np.ndarray:
        """Bisect between the row and its end point, 20 times."""
        low, high = np.zeros((len(rows), 1)), np.ones((len(rows), 1))
        best = found.astype(np.float32)
        for _ in range(20):
            middle = (low + high) / 2
            points = (rows + middle * (found - rows)).astype(np.float32)
            labels = predict(self.estimator, points).argmax(axis=1)
            good = ((labels == wanted) if self.targeted else (labels != source))[:, None]
            best = np.where(good, points, best)
            high, low = np.where(good, middle, high), np.where(good, low, middle)
        return best

    def _perturb(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        name = np.frombuffer(np.ascontiguousarray(x, dtype=np.float32).tobytes(), dtype=np.uint32)
        with repeatable(self.random_state, *name.tolist()):
            found: np.ndarray = super()._perturb(x=x, **kwargs)
        return found


class LogitDeepFool(DeepFool):
    """DeepFool for networks that return probabilities, whose end points really are across.

    Worked around: ART's DeepFool expects logits, and its steps on probabilities are wrong where
    the softmax is saturated; it multiplies its step by the clip range; its relative overshoot of
    1e-6 is lost in float32, so that many end points still have the old label.

    Here it sees the logarithm of the probabilities, whose differences are those of the logits;
    the factor is taken out; and the change is stretched by 0.1 % at a time (the growth of the
    paper's setting) until the label flips.

    Parameters
    ----------
    classifier : art classifier
        With class gradients and softmax outputs; ``clip_values`` None or two numbers.
    **kwargs
        As for ART's ``DeepFool``; ``verbose`` is False by default, ``batch_size`` 128.
    """

    def __init__(self, classifier: Any, **kwargs: Any) -> None:
        super().__init__(classifier, **{"verbose": False, "batch_size": 128, **kwargs})
        self._estimator: Any = classifier
        if classifier.clip_values is not None and np.ndim(classifier.clip_values[0]):
            raise InvalidInputError("LogitDeepFool needs the same clip_values for every feature")

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial rows; arguments as for ART's."""
        rows = as_rows(x, "x")
        classifier = self._estimator
        self._estimator = _LogView(classifier)
        try:
            found = super().generate(rows)
        finally:
            self._estimator = classifier
        return self._grown(rows, found)

    def _grown(self, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        before = predict(self.estimator, rows).argmax(axis=1)
        stuck = np.arange(len(rows))
        grown = found.astype(np.float32)
        clip = self.estimator.clip_values
        for step in range(_MOST_GROWTHS + 1):
            labels = predict(self.estimator, grown[stuck]).argmax(axis=1)
            stuck = stuck[labels == before[stuck]]
            if not len(stuck):
                break
            factor = (1 + _GROWTH) ** (step + 1)
            moved = rows[stuck] + factor * (found[stuck] - rows[stuck])
            grown[stuck] = moved if clip is None else np.clip(moved, *clip)
        return grown


class _LogView:
    """A classifier whose outputs are log-probabilities and whose clip range does no harm."""

    def __init__(self, classifier: Any) -> None:
        self._classifier = classifier
        self.nb_classes, self.clip_values = classifier.nb_classes, classifier.clip_values
        self._range = (
            1.0 if self.clip_values is None else float(np.subtract(*self.clip_values[::-1]))
        )

    def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
        """Return log-probabilities."""
        return np.log(np.maximum(self._classifier.predict(x, **kwargs), _TINY))

    def class_gradient(self, x: np.ndarray, label: Any = None, **kwargs: Any) -> np.ndarray:
        """Return gradients of the log-probabilities, times the clip range.

        DeepFool's step is |f| g / ‖g‖² times the range: with r g for g the range cancels.
        """
        gradient = self._classifier.class_gradient(x, label=label, **kwargs)
        scores = np.maximum(self._classifier.predict(x), _TINY)
        if label is not None:
            scores = scores[:, np.broadcast_to(label, len(x))[:1]]
        made: np.ndarray = gradient / scores[..., None] * self._range
        return made


class RowwiseLowProFool(LowProFool):
    """LowProFool in which a row's result does not depend on the other rows of the batch.

    Worked around: ART divides the gradient of the norm by a sum over the whole batch, and takes a
    loss averaged over the batch, so that its steps shrink with the number of rows; it needs a call
    of ``fit_importances`` first, which turns into NaN with a constant feature; it returns float64.

    Parameters
    ----------
    classifier : art classifier
        With loss gradients.
    x_train, y_train : ndarray of shape (m, d) and (m,) or (m, C)
        For the importance of the features, their absolute Pearson correlation with the label.
    **kwargs
        As for ART's ``LowProFool``.
    """

    def __init__(
        self, classifier: Any, x_train: np.ndarray, y_train: np.ndarray, **kwargs: Any
    ) -> None:
        super().__init__(classifier, **kwargs)
        rows = as_rows(x_train, "x_train").astype(float)
        labels = class_index(y_train, len(rows), int(classifier.nb_classes), "y_train")
        self.fit_importances(importance_array=_importance(rows, labels))
        self._factor = 1.0

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial rows, float32; `y` holds the wanted classes, one-hot or numbers."""
        rows = as_rows(x, "x")
        if y is None:
            raise InvalidInputError("y is missing: LowProFool needs the wanted classes")
        n_classes = int(self.estimator.nb_classes)
        wanted = class_index(y, len(rows), n_classes, "y")
        one_hot = np.eye(n_classes, dtype=np.float32)[wanted]
        self._factor = self._batch_factor(rows, one_hot)
        found = super().generate(rows, one_hot, **kwargs)
        made: np.ndarray = found.astype(np.float32)
        return made

    def _batch_factor(self, rows: np.ndarray, one_hot: np.ndarray) -> float:
        """Return what a row's loss gradient is multiplied by when the row is alone.

        1 for a loss that is summed over the batch, n for one that is averaged.
        """
        together = self.estimator.loss_gradient(rows, one_hot)
        steepest = int(np.abs(together).sum(axis=1).argmax())
        one = slice(steepest, steepest + 1)
        alone = self.estimator.loss_gradient(rows[one], one_hot[one])
        size = float((together[one] ** 2).sum())
        return float((alone * together[one]).sum()) / size if size > 0 else 1.0

    def _LowProFool__get_gradients(
        self, samples: np.ndarray, perturbations: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """Gradient of each row's own objective (ART's private method, row by row)."""
        loss = self.estimator.loss_gradient(
            (samples + perturbations).astype(np.float32), targets.astype(np.float32)
        )
        norm = self._LowProFool__weighted_lp_norm_gradient(perturbations)
        made: np.ndarray = self._factor * loss + self.lambd * norm
        return made

    def _LowProFool__weighted_lp_norm_gradient(self, perturbations: np.ndarray) -> np.ndarray:
        """Gradient of each row's own weighted norm (ART's private method, row by row)."""
        weighted = self.importance_vec * perturbations
        if self.norm in ("inf", np.inf):
            largest = np.abs(weighted).max(axis=1, keepdims=True)
            return np.where(np.abs(weighted) == largest, np.sign(weighted), 0.0)
        size = np.linalg.norm(weighted, ord=self.norm, axis=1, keepdims=True)
        above = self.importance_vec * np.sign(weighted) * np.abs(weighted) ** (self.norm - 1)
        safe = np.where(size > 1e-10, size, 1.0)
        made: np.ndarray = np.where(size > 1e-10, above / safe ** (self.norm - 1), 0.0)
        return made


def _importance(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Absolute Pearson correlation of each feature with the label, 0 for a constant feature."""
    moved = rows - rows.mean(axis=0)
    centred = labels - labels.mean()
    size = np.sqrt((moved**2).sum(axis=0) * (centred**2).sum())
    return np.abs(moved.T @ centred) / np.where(size > 0, size, np.inf) + 1e-12
