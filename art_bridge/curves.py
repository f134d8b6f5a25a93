"""Success rate of an attack against the size of the change it may make (the paper's Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from art_bridge.border import class_index
from art_bridge.inputs import as_rows, norm_order, predict
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SuccessRateCurve", "success_rate_curve"]


@dataclass(frozen=True, eq=False)
class SuccessRateCurve:
    """Share of rows fooled with a change of norm ε or less.

    Attributes
    ----------
    epsilons, rate, low, high : ndarray of float, shape (E,)
        ε, the share in [0, 1], its 95 % Wilson interval.
    n_rows : int
        Rows behind each share.
    left_out : int
        Rows that the classifier had wrong before any attack.
    norm : float
    """

    epsilons: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_rows: int
    left_out: int
    norm: float

    def to_frame(self) -> pd.DataFrame:
        """Return a table with columns ``epsilon``, ``rate``, ``low``, ``high``."""
        import pandas as pd

        return pd.DataFrame(
            {"epsilon": self.epsilons, "rate": self.rate, "low": self.low, "high": self.high}
        )

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        head = facts({"rows": self.n_rows, "left out": self.left_out, "norm": self.norm})
        return titled("Success rate of an attack", head, frame_table(self.to_frame()))

    def plot(self, ax: Axes | None = None, label: str | None = None) -> Axes:
        """Draw the curve; give the axes of another curve to compare two models."""
        from art_bridge.plots import plot_curve

        return plot_curve(self, ax, label)


def success_rate_curve(
    attack: Any,
    x: Any,
    epsilons: Any,
    y: Any = None,
    *,
    norm: float | str | None = None,
) -> SuccessRateCurve:
    """Measure how many rows an attack fools within each ε.

    A row is fooled when the classifier's label of the perturbed float32 row is not the row's
    label *and* the change's norm is at most ε (the reference code looks at the norm only). An
    attack with a budget ``eps`` of its own, such as ``FastGradientMethod``, is run once per ε;
    any other, which looks for the smallest change, is run once.

    Parameters
    ----------
    attack : art.attacks.EvasionAttack
        Untargeted, or for two classes a targeted one; carries its classifier.
    x : array-like of shape (n, d)
    epsilons : array-like of shape (E,)
        Finite numbers from 0 on.
    y : array-like of shape (n,) or (n, C), optional
        True labels. Rows that the classifier has wrong are left out and counted. Default: the
        classifier's own labels.
    norm : {1, 2, np.inf, "inf"}, optional
        Default: the attack's ``norm``, else 2.

    Returns
    -------
    SuccessRateCurve

    Raises
    ------
    InvalidInputError
        A ``ValueError``: a targeted attack on three classes or more, ε below 0, no row the
        classifier has right.
    """
    sizes = np.asarray(epsilons, dtype=float)
    if sizes.ndim != 1 or not sizes.size or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise InvalidInputError("epsilons must be a list of finite numbers from 0 on")
    order = norm_order(getattr(attack, "norm", 2) if norm is None else norm)
    rows = as_rows(x, "x")
    scores = predict(attack.estimator, rows)
    targeted = bool(getattr(attack, "targeted", False))
    if targeted and scores.shape[1] > 2:
        raise InvalidInputError(
            f"the attack is targeted and there are {scores.shape[1]} classes; a success rate needs "
            f"an untargeted one"
        )
    predicted = scores.argmax(axis=1)
    labels = predicted if y is None else class_index(y, len(rows), scores.shape[1], "y")
    right = predicted == labels
    if not right.any():
        raise InvalidInputError("the classifier has every row wrong: there is nothing to fool")
    rows, labels = rows[right], labels[right]

    one_hot = np.eye(scores.shape[1], dtype=np.float32)[1 - labels if targeted else labels]
    if "eps" in getattr(attack, "attack_params", ()):
        fooled = _run_per_epsilon(attack, rows, labels, one_hot, sizes, order)
    else:
        distance = _fooling_distance(attack, rows, labels, one_hot, order)
        fooled = distance[:, None] <= sizes
    rate = fooled.mean(axis=0)
    low, high = wilson_interval(rate, len(rows))
    return SuccessRateCurve(sizes, rate, low, high, len(rows), int((~right).sum()), order)


def _fooling_distance(
    attack: Any, rows: np.ndarray, labels: np.ndarray, one_hot: np.ndarray, order: float
) -> np.ndarray:
    """Norm of each row's change, infinite where the label did not change."""
    found = np.asarray(attack.generate(rows.copy(), y=one_hot), dtype=np.float32)
    finite = np.isfinite(found).all(axis=1)
    found = np.where(finite[:, None], found, rows)
    scores = predict(attack.estimator, found)
    fooled = finite & np.isfinite(scores).all(axis=1) & (scores.argmax(axis=1) != labels)
    distance = np.linalg.norm(found.astype(float) - rows, ord=order, axis=1)
    return np.where(fooled, distance, np.inf)


def _run_per_epsilon(
    attack: Any,
    rows: np.ndarray,
    labels: np.ndarray,
    one_hot: np.ndarray,
    sizes: np.ndarray,
    order: float,
) -> np.ndarray:
    """Whether each row is fooled at each ε, (n, E); the attack's settings are put back."""
    names = [name for name in ("eps", "eps_step") if name in attack.attack_params]
    before = {name: getattr(attack, name) for name in names}
    fooled = np.zeros((len(rows), len(sizes)), dtype=bool)
    try:
        for place, size in enumerate(sizes):
            if size > 0:  # ART's attacks refuse a budget of 0, which fools nobody
                step = float(size) if before.get("eps_step") is None else before["eps_step"]
                new = {"eps": float(size), "eps_step": min(step, float(size))}
                attack.set_params(**{name: new[name] for name in names})
                # float32 rounding may put a change a little beyond the attack's own budget
                limit = size * (1 + 1e-5)
                fooled[:, place] = _fooling_distance(attack, rows, labels, one_hot, order) <= limit
    finally:
        attack.set_params(**before)
    return fooled
