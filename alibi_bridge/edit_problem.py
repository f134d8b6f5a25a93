"""The edits of one image as a problem of pymoo."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.core.problem import Problem

from alibi_bridge.edit_scores import EditScorer, EncodedImage
from alibi_bridge.edit_space import EditSpace

__all__ = ["EditProblem"]


class EditProblem(Problem):
    """Minimise (f_gan, f_adv, f_att) over the moves of an image's free attributes.

    A population is evaluated by one batched call of decoder, critic and predictor. Moves outside
    the groups of ``space`` are scored as their repaired ones.

    Parameters
    ----------
    image : EncodedImage
    space : EditSpace
    scorer : EditScorer
    """

    def __init__(self, image: EncodedImage, space: EditSpace, scorer: EditScorer) -> None:
        low, high = space.limits(image.a)
        super().__init__(n_var=len(low), n_obj=3, xl=low, xu=high)
        self.image = image
        self.space = space
        self.scorer = scorer

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        moves = self.space.repair(self.image.a, x)
        (found,) = self.scorer.score([self.image], [self.space.embed(moves)])
        out["F"], out["proba"] = found
