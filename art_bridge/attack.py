"""Counterfactual attacks for ART: any classifier that predicts, nothing of its inside.

Rasouli and Yu, "Analyzing and Improving the Robustness of Tabular Classifiers using Counterfactual
Explanations" (ICMLA 2021), section III-A.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from art_bridge.attack_base import CounterfactualAttack, Pairs
from art_bridge.attack_parameters import check_number
from art_bridge.attack_result import AttackResult
from art_bridge.problem import Aim
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["AttackResult", "BoundaryCounterfactual", "UnconstrainedCounterfactual"]


class UnconstrainedCounterfactual(CounterfactualAttack):
    r"""The nearest row of another class: O_prob = max(0, p − f_c(x')) (eqs. 2 and 5).

    Parameters
    ----------
    classifier : art classifier
        Any classifier of ART: it is asked for predictions and nothing else. Its label is the
        strict argmax of ``predict``; outputs that are no probabilities pass through a softmax.
    x_train, y_train : ndarray, optional
        Training rows (n, d) and labels, where the search starts; with labels only rows that the
        model gets right. Without `x_train` the classifier needs ``clip_values``.
    p : float
        Probability in [0, 1] that the target class must have besides being the label. Use 0 for
        the label alone.
    targeted : bool
        Whether ``generate`` gets the classes to reach; else the nearest of all other classes.
    norm : {1, 2, inf, "inf"}
        Of the change, in the units of `x`.
    population, generations : int, optional
        Of NSGA-III: 16 and 50 in fast mode (eight offspring a member, as long as `max_rows` lasts),
        100 and 50 in faithful mode.
    mode : {"fast", "faithful"}
        "faithful" is the paper's search; "fast" adds local moves and finds nearer rows for less.
    pick : {"closest", "lexicographic"}
        "closest": the nearest row that has the label and p. "lexicographic": the paper's, best
        label, then best O_prob, then distance. They differ where p is out of reach.
    constraints : Constraints or mapping, optional
        What may change (:class:`art_bridge.constraints.Constraints`).
    minimal : bool
        False stops at the first counterfactual found.
    random_state : int
        Seed. The same for any split of the rows into calls.
    batch_size : int
        Most rows in one call of ``predict``; 48 at least where it answers in single precision.
    max_rows : int, optional
        Model rows of each search: 2,750 in fast mode (with the training rows and checks 3,000 a
        counterfactual for sixty rows or more), all generations in faithful mode.
    max_seconds : float, optional
        Wall time of a call of ``generate``; rows whose turn did not come stay as they are.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    result_ : AttackResult
        What the last call found.

    Raises
    ------
    EstimatorError
        If `classifier` is no classifier of ART.
    InvalidInputError
        A ``ValueError`` that names the parameter.
    """

    def _aim(self, pairs: Pairs) -> Aim:
        return Aim(np.full(len(pairs.row), float(self.p)), pick=self.pick, norm=self._norm())


class BoundaryCounterfactual(CounterfactualAttack):
    r"""A row of another class at the border: O_prob = \|p − f_c(x')\| (eqs. 3 and 6).

    Parameters
    ----------
    boundary_target : {"p", "paper"}
        What f_c(x') is to be near: `p`, which is what places points between two classes, or the
        probability f(x) of the query's own class (eq. 3 as printed).
    boundary_tolerance : float
        With ``pick="closest"``: the nearest row with O_prob of at most this is taken, else the row
        with the least O_prob. ``pick="lexicographic"`` takes the least O_prob at any distance.
    classifier, x_train, y_train, p, targeted, norm, population, generations, mode, pick
        As in :class:`UnconstrainedCounterfactual`.
    constraints, minimal, random_state, batch_size, max_rows, max_seconds, verbose
        As in :class:`UnconstrainedCounterfactual`.

    Attributes
    ----------
    result_ : AttackResult
        What the last call found.
    """

    attack_params = [  # noqa: RUF012
        *CounterfactualAttack.attack_params,
        "boundary_target",
        "boundary_tolerance",
    ]
    _short_of_aim = "not_at_boundary"

    def __init__(
        self,
        classifier: Any,
        x_train: np.ndarray | None = None,
        y_train: np.ndarray | None = None,
        p: float = 0.5,
        targeted: bool = False,
        norm: float | str = 2,
        boundary_target: Literal["p", "paper"] = "p",
        boundary_tolerance: float = 0.05,
        **options: Any,
    ) -> None:
        self.boundary_target, self.boundary_tolerance = boundary_target, boundary_tolerance
        super().__init__(classifier, x_train, y_train, p, targeted, norm, **options)

    def _aim(self, pairs: Pairs) -> Aim:
        level = np.full(len(pairs.row), float(self.p))
        if self.boundary_target == "paper":
            level = pairs.top
        return Aim(
            level,
            boundary=True,
            pick=self.pick,
            tolerance=self.boundary_tolerance,
            norm=self._norm(),
        )

    def _check_params(self) -> None:
        super()._check_params()
        if self.boundary_target not in ("p", "paper"):
            raise InvalidInputError(
                f'boundary_target must be "p" or "paper", not {self.boundary_target!r}'
            )
        check_number("boundary_tolerance", self.boundary_tolerance, 0, 1)
