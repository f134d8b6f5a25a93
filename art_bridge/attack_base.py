"""What both counterfactual attacks share: from ART's call to the search, and back."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from art.attacks.attack import EvasionAttack
from art.config import ART_NUMPY_DTYPE
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from tqdm.auto import tqdm

from art_bridge import border
from art_bridge.attack_parameters import MODES, check_parameters, read_constraints
from art_bridge.attack_result import AttackResult
from art_bridge.box import ArrayBox
from art_bridge.constraints import Constraints
from art_bridge.evaluation import rounded
from art_bridge.nsga3 import search
from art_bridge.problem import Aim, Options, Problem, SearchResult
from art_bridge.reference import Reference
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["CounterfactualAttack", "Pairs"]

logger = logging.getLogger(__name__)

#: Rows that a small training table may take to show where the model changes.
_SWEEP_ROWS = 4000


@dataclass(frozen=True)
class Pairs:
    """Row and target class of each search, and the top probability of the row, (m,) each."""

    row: np.ndarray
    target: np.ndarray
    top: np.ndarray


class CounterfactualAttack(EvasionAttack):
    """What both attacks share: everything but O_prob."""

    attack_params = [  # noqa: RUF012  (ART's own convention)
        *EvasionAttack.attack_params,
        "x_train",
        "y_train",
        "p",
        "targeted",
        "norm",
        "population",
        "generations",
        "mode",
        "pick",
        "constraints",
        "minimal",
        "random_state",
        "batch_size",
        "max_rows",
        "max_seconds",
        "verbose",
    ]
    _estimator_requirements = (BaseEstimator, ClassifierMixin)

    def __init__(
        self,
        classifier: Any,
        x_train: np.ndarray | None = None,
        y_train: np.ndarray | None = None,
        p: float = 0.5,
        targeted: bool = False,
        norm: float | str = 2,
        population: int | None = None,
        generations: int | None = None,
        mode: Literal["fast", "faithful"] = "fast",
        pick: Literal["closest", "lexicographic"] = "closest",
        constraints: Constraints | Mapping[str, Any] | None = None,
        minimal: bool = True,
        random_state: int = 0,
        batch_size: int = 16_384,
        max_rows: int | None = None,
        max_seconds: float | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(estimator=classifier)
        self.x_train, self.y_train = x_train, y_train
        self.p = p
        self._targeted = targeted
        self.norm = norm
        self.population, self.generations = population, generations
        self.mode, self.pick = mode, pick
        self.constraints = constraints
        self.minimal = minimal
        self.random_state = random_state
        self.batch_size = batch_size
        self.max_rows, self.max_seconds = max_rows, max_seconds
        self.verbose = verbose
        self.result_: AttackResult | None = None
        self._check_params()

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        return {"init": {"population": 16, "generations": 4, "max_rows": 150}}

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return a counterfactual for every row.

        Parameters
        ----------
        x : ndarray of shape (n, ...)
            Rows; never written to.
        y : ndarray, optional
            Targeted: the class each row is to become. Untargeted: the true labels; a row that the
            model puts elsewhere already comes back as it is (None: the model's own labels). Class
            numbers (n,) or (n, 1), or one-hot (n, classes).
        mask : ndarray, optional
            Broadcasts to `x`; where it is 0 the value stays.
        x_adv_init : ndarray, optional
            Rows of the shape of `x` to start from besides. Rows with NaN are left out.

        Returns
        -------
        ndarray of the shape of `x`, float32
            Rows without a counterfactual are unchanged; :attr:`result_` tells why.

        Raises
        ------
        InvalidInputError
            A ``ValueError`` that says what is wrong with an argument.
        """
        started = time.monotonic()
        unknown = set(kwargs) - {"mask", "x_adv_init"}
        if unknown:
            logger.debug("generate() leaves out %s", sorted(unknown))
        shape = np.shape(x)[1:]
        rows = border.read_rows(x, "x", self._row_shape())
        n = len(rows)
        mask = border.read_mask(kwargs.get("mask"), n, shape)
        init = kwargs.get("x_adv_init")
        if init is not None:
            init = border.read_rows(init, "x_adv_init", shape)
            if len(init) != n:
                raise InvalidInputError(f"x_adv_init has {len(init)} rows, x has {n}")
        if y is None and self.targeted:
            raise InvalidInputError(
                "y is missing: a targeted attack needs the class that each row is to become"
            )
        score = border.ModelScores(self.estimator, shape)
        if score.n_classes < 2:
            raise InvalidInputError("the classifier has a single class: nothing to change to")
        wanted = None if y is None else border.class_index(y, n, score.n_classes, "y")
        result = AttackResult.nothing(n)
        out = rows.copy()
        if n:
            reference, result.reference_rows = self._reference(score, shape)
            low, high = border.clip_bounds(self.estimator.clip_values, shape, reference.rows)
            finite = np.isfinite(rows).all(axis=1)
            border.check_clip(rows[finite], self.estimator.clip_values, low, high)
            pairs = self._pairs(score, rows, finite, wanted, result)
            if len(pairs.row):
                self._search(score, reference, rows, pairs, (low, high), mask, init, out, result)
        result.seconds = time.monotonic() - started
        result.reason_counts = dict(Counter(result.reason.tolist()))
        missing = n - int(result.success.sum())
        if missing:
            logger.info(
                "%d of %d rows have no counterfactual: %s", missing, n, result.reason_counts
            )
        self.result_ = result
        return out.reshape(n, *shape).astype(ART_NUMPY_DTYPE)

    # -- steps of generate ----------------------------------------------------------------------

    def _row_shape(self) -> tuple[int, ...] | None:
        """Shape of one row as far as the estimator or the training data tell."""
        if self.x_train is not None:
            return np.shape(self.x_train)[1:]
        known = getattr(self.estimator, "input_shape", None)
        return None if known is None or None in tuple(known) else tuple(known)

    def _reference(
        self, score: border.ModelScores, shape: tuple[int, ...]
    ) -> tuple[Reference, int]:
        """Ask the model for the training rows; with `y_train` only the right ones count.

        In fast mode also find out where the model changes. Returns the rows asked for too.
        """
        norm = self._norm()
        if self.x_train is None:
            empty = np.empty((0, int(np.prod(shape))))
            return Reference(empty, np.empty(0, dtype=int), norm), 0
        rows = border.read_rows(self.x_train, "x_train", shape).astype(np.float64)
        scores = border.ask(score, rows, self.batch_size)
        score.settle(scores)
        label = np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), -1)
        if self.y_train is not None:
            true = border.class_index(self.y_train, len(rows), score.n_classes, "y_train")
            label = np.where(label == true, label, -1)
        reference, asked = Reference(rows, label, norm), len(rows)
        if self.mode == "fast" and self.minimal:
            asked += reference.learn(
                lambda u: score.probabilities(border.ask(score, u, self.batch_size)),
                score.probabilities(scores),
                self._sweep_rows(len(rows)),
            )
        return reference, asked

    def _sweep_rows(self, training: int) -> int:
        """Return what a sweep may take: as many rows as the training rows, more on small tables.

        A budget of rows below the usual one cuts the sweep in proportion.
        """
        most, usual = max(training, _SWEEP_ROWS), MODES["fast"][2]
        if self.max_rows is None or usual is None:
            return most
        return most * min(self.max_rows, usual) // usual

    def _pairs(
        self,
        score: border.ModelScores,
        rows: np.ndarray,
        finite: np.ndarray,
        wanted: np.ndarray | None,
        result: AttackResult,
    ) -> Pairs:
        """List which rows are to become which classes; write down what needs no search."""
        n, n_classes = len(rows), score.n_classes
        scores = np.full((n, n_classes), np.nan)
        scores[finite] = border.ask(score, rows[finite], self.batch_size, apart=True)
        if self.x_train is None:
            score.settle(scores)
        known = np.isfinite(scores).all(axis=1)
        own = np.where(known, np.where(known[:, None], scores, 0.0).argmax(axis=1), -1)
        result.reason[~known] = "model_nan"
        result.reason[~finite] = "not_finite"
        probability = score.probabilities(scores)
        # A row is there already only if it is so in any batch: by more than the last digits.
        clear = rounded(probability, score.single)
        if self.targeted:
            assert wanted is not None
            asked = np.arange(n_classes) == wanted[:, None]
            result.target[:] = wanted
        else:
            away = own if wanted is None else wanted
            asked = np.arange(n_classes) != away[:, None]
        best, rest = (np.where(some, clear, -np.inf).max(axis=1) for some in (asked, ~asked))
        done = known & (best > rest)
        result.success[done] = True
        result.distance[done] = 0.0
        result.target[done] = own[done]
        result.probability[done] = probability[done, own[done]]
        result.reason[done] = "already"
        row, target = np.nonzero(asked & (known & ~done)[:, None])
        return Pairs(row, target, probability.max(axis=1)[row])

    def _search(
        self,
        score: border.ModelScores,
        reference: Reference,
        rows: np.ndarray,
        pairs: Pairs,
        bounds: tuple[np.ndarray, np.ndarray],
        mask: np.ndarray | None,
        init: np.ndarray | None,
        out: np.ndarray,
        result: AttackResult,
    ) -> None:
        """Search every pair, check with a fresh call, keep the nearest class of each row."""
        box = ArrayBox.build(
            rows[pairs.row],
            *bounds,
            read_constraints(self.constraints),
            None if mask is None else mask[pairs.row],
            reference.rows if len(reference.rows) else None,
        )
        problem = Problem(
            box=box,
            target=pairs.target,
            score=lambda u, _: score(u),
            aim=self._aim(pairs),
            reference=reference,
            starts=None if init is None else init[pairs.row, None].astype(np.float64),
            options=self._options(),
            random_state=self.random_state,
            single=bool(score.single),
        )
        with tqdm(total=len(pairs.row), desc=type(self).__name__, disable=not self.verbose) as bar:
            found = search(problem, bar.update)
        lost = self._lost(score, found, pairs.target)
        np.add.at(result.rows, pairs.row, found.rows)
        nothing = ~box.free.any(axis=1)
        reason = np.where(found.begun, "not_found", "out_of_time").astype(object)
        reason[nothing], reason[lost] = "nothing_can_change", "lost"
        result.reason[pairs.row] = reason
        # The nearest class: rows in descending order, so that the best is written last.
        good = np.flatnonzero(found.success)
        order = good[np.lexsort((found.distance[good], ~found.reached[good]))][::-1]
        row = pairs.row[order]
        out[row] = found.u[order]
        result.success[row] = True
        result.distance[row] = found.distance[order]
        result.probability[row] = found.probability[order]
        result.target[row] = pairs.target[order]
        result.reason[row] = np.where(found.reached[order], "found", self._short_of_aim)

    def _lost(
        self, score: border.ModelScores, found: SearchResult, target: np.ndarray
    ) -> np.ndarray:
        """Ask again for what was found; take back, and report, what the model denies."""
        some = np.flatnonzero(found.success)
        scores = border.ask(score, found.u[some], self.batch_size, apart=True)
        index = (np.arange(len(some)), target[some])
        wanted = scores[index].copy()
        scores[index] = -np.inf
        lost = np.zeros(len(target), dtype=bool)
        if len(some):
            lost[some] = ~(wanted > scores.max(axis=1))
        if lost.any():
            logger.warning("the model changed its answer for %d rows", int(lost.sum()))
            found.success &= ~lost
        return lost

    def _norm(self) -> float:
        return np.inf if self.norm == "inf" else float(self.norm)

    def _options(self) -> Options:
        population, generations, rows = MODES[self.mode]
        return Options(
            mode=self.mode,
            population=self.population or population,
            generations=self.generations or generations,
            max_rows=rows if self.max_rows is None else self.max_rows,
            max_seconds=self.max_seconds,
            minimal=self.minimal,
            batch_rows=self.batch_size,
        )

    _short_of_aim = "p_not_reached"

    @abstractmethod
    def _aim(self, pairs: Pairs) -> Aim:
        """Say what a good counterfactual is."""

    def _check_params(self) -> None:
        check_parameters(self)
