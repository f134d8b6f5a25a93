"""The search for one image: asked for candidates, told their scores, and closed in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from alibi_bridge.edit_problem import EditProblem
from alibi_bridge.edit_scores import EditScorer, EncodedImage
from alibi_bridge.edit_space import EditSpace
from alibi_bridge.fronts import (
    crossing_point,
    front_order,
    hypervolume,
    knee_point,
    non_dominated,
    reference_point,
    thin_out,
)
from alibi_bridge.objectives import worst_f_adv
from alibi_bridge.search_result import ImageFront

__all__ = ["ImageSearch"]


class _Scored(Problem):
    """A generation whose objectives are known."""

    def __init__(self, F: np.ndarray, n_var: int) -> None:
        super().__init__(n_var=n_var, n_obj=F.shape[1])
        self._F = F

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        out["F"] = self._F


class ImageSearch:
    """One image's algorithm, budget and result.

    Parameters
    ----------
    image : EncodedImage
        The predictor has seen it once.
    space : EditSpace
    scorer : EditScorer
    engine : callable
        Takes ``pop_size`` and ``sampling`` and returns an algorithm of pymoo.
    settings : SearchSettings
    seed : int
    label : int or None
        The image's true class.
    """

    def __init__(
        self,
        image: EncodedImage,
        space: EditSpace,
        scorer: EditScorer,
        engine: Any,
        settings: Any,
        seed: int,
        label: int | None,
    ) -> None:
        self.image, self.space, self.scorer, self.settings = image, space, scorer, settings
        self.calls = 1
        self.active = True
        self.status: str | None = None
        self.reason: str | None = None
        self._reconstruction: np.ndarray | None = None
        self._asked = Population.empty()
        self._partial = False
        self._left_over = Population.empty()
        self._highest = -np.inf
        if label is not None and label != image.original_class:
            self._stop("misread", f"true class {label}, predicted {image.original_class}")
            return
        self._look_at_the_reconstruction()
        if self.active:
            draw = np.random.default_rng(seed)
            self._algorithm = engine(
                pop_size=settings.pop_size,
                sampling=space.starts(image.a, settings.pop_size, draw),
                **settings.engine_options,
            )
            # Its own stream, a child of the image's.
            self._algorithm.setup(
                EditProblem(image, space, scorer),
                seed=int(draw.integers(2**62)),
                termination=NoTermination(),
            )

    def ask(self) -> np.ndarray | None:
        """Return the next candidates as moves (n, free); None where the engine has no more."""
        asked = self._algorithm.ask()
        if asked is None or not len(asked):
            self.active = False
            return None
        asked.set("X", self.space.repair(self.image.a, asked.get("X").astype(float)))
        left = self._left
        self._partial = len(asked) > left
        self._asked = asked[:left]
        moves: np.ndarray = self._asked.get("X")
        return moves

    @property
    def _left(self) -> int:
        """Calls for candidates; some are kept for the check of the chosen edit and its parts."""
        return int(self.settings.budget) - self.calls - 1 - len(self.space.free)

    def delta(self, moves: np.ndarray) -> np.ndarray:
        """Return δ of all attributes of moves."""
        return self.space.embed(moves)

    def tell(self, F: np.ndarray, proba: np.ndarray) -> None:
        """Take the scores of what was asked for last."""
        asked = self._asked
        self.calls += len(asked)
        self._highest = max(self._highest, float(F[:, 0].max()))
        # pymoo's StaticProblem would copy the problem, networks and all, in each generation.
        Evaluator().eval(_Scored(F, asked.get("X").shape[1]), asked)
        asked.set("proba", proba)
        if self._partial:
            # Less than a generation: no engine can go on with it, but the front can have it.
            self._left_over = asked
            self.active = False
            return
        self._algorithm.tell(infills=asked)
        self.active = self._left > 0

    def finish(self, keep: str) -> ImageFront:
        """Return the front, choose a point, and ask the predictor once more about it."""
        delta, F, proba = self._front()
        worst = worst_f_adv(self.settings.adversarial)
        reference = reference_point(F, self._highest, worst, self.space.widest(self.image.a))
        front: dict[str, Any] = {
            "original_class": self.image.original_class,
            "original_proba": self.image.proba,
            "attributes": self.image.a,
            "delta": delta,
            "F": F,
            "proba": proba,
            "reference": reference,
            "reconstruction_proba": self._reconstruction,
        }
        changed = proba.argmax(axis=1) != self.image.original_class
        if len(F):
            front["hypervolume"] = hypervolume(F, reference)
            share = proba[:, self.image.original_class]
            front["crossing"] = crossing_point(share, F[:, 0])
        if self.status is None and not changed.any():
            self._stop("none", f"no edit changed class {self.image.original_class}")
        if self.status is None:
            front["knee"] = knee_point(F, changed)
            chosen = front["knee"]
            if self.settings.choose == "crossing":
                chosen = crossing_point(share, F[:, 0], changed)
            elif self.settings.choose == "nearest":
                chosen = int(np.where(changed, F[:, 2], np.inf).argmin())
            front["chosen"] = chosen
            picture, again = self._ask_again(delta[chosen])
            if int(again[0].argmax()) == self.image.original_class:
                self._stop("unstable", "asked again, the predictor gave the original class")
            front["undone"] = again[1:]
            if keep != "none":
                front["image"] = picture
        if keep == "front":
            front["images"] = self.scorer.images(self.image, delta)
        status = self.status or "ok"
        return ImageFront(status=status, reason=self.reason, calls=self.calls, **front)

    def _front(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        best = None if not hasattr(self, "_algorithm") else self._algorithm.opt
        pool = self._left_over if best is None else Population.merge(best, self._left_over)
        if not len(pool):
            m, k = len(self.space.attributes), len(self.image.proba)
            return np.empty((0, m)), np.empty((0, 3)), np.empty((0, k))
        F = pool.get("F")
        kept = np.flatnonzero(non_dominated(F))
        kept = kept[thin_out(F[kept], self.settings.pop_size)]
        kept = kept[front_order(F[kept])]
        delta = self.space.embed(pool.get("X")[kept].astype(float))
        return delta, F[kept], np.stack(pool.get("proba"))[kept]

    def _ask_again(self, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return an edit as an image, and what the predictor says of it and of its parts.

        The first row of the answer is of the edit, row 1 + j of the edit without attribute j.
        """
        m = len(delta)
        edits = np.repeat(delta[None], 1 + m, axis=0)
        edits[np.arange(1, 1 + m), np.arange(m)] = 0.0
        asked = np.r_[True, delta != 0.0]
        pictures = self.scorer.images(self.image, edits[asked])
        proba = self.scorer.predictor(pictures)
        self.calls += len(pictures)
        answers = np.repeat(proba[:1], 1 + m, axis=0)
        answers[asked] = proba
        return pictures[0], answers

    def _look_at_the_reconstruction(self) -> None:
        still = np.zeros((1, len(self.space.attributes)))
        ((F, proba),) = self.scorer.score([self.image], [still])
        self.calls += 1
        self._reconstruction = proba[0]
        self._highest = max(self._highest, float(F[0, 0]))
        if (
            int(proba[0].argmax()) != self.image.original_class
            and self.settings.skip_misread_reconstructions
        ):
            self._stop(
                "reconstruction_misread",
                f"decoded without an edit, class {self.image.original_class} becomes "
                f"{int(proba[0].argmax())}",
            )

    def _stop(self, status: str, reason: str) -> None:
        self.status, self.reason, self.active = status, reason, False
