"""How good perturbations are: ρ, P, D_knn and T_exe, and attacks side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from art_bridge.border import class_index
from art_bridge.inputs import as_rows, norm_order, predict, require_classifier
from art_bridge.robustness import aim
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Perturbations", "compare_attacks", "perturbation_metrics"]


@dataclass(frozen=True, eq=False)
class Perturbations:
    """Metrics per row; NaN where the row has not the wanted class.

    Attributes
    ----------
    success : ndarray of bool, shape (n,)
        Whether the classifier's label of the float32 row is the target.
    rho : ndarray of float, shape (n,)
        Norm of the change; lower is better, [0, inf).
    probability : ndarray of float, shape (n,)
        Score of the target class (the paper's P), [0, 1].
    d_knn : ndarray of float, shape (n,)
        Mean distance to the k nearest training rows truly of the target class; lower is closer to
        that class, [0, inf).
    seconds : float
        Wall time of the attack, NaN if not known.
    """

    success: np.ndarray
    rho: np.ndarray
    probability: np.ndarray
    d_knn: np.ndarray
    seconds: float = float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Return a line for each row with columns ``success``, ``rho``, ``P``, ``D_knn``."""
        import pandas as pd

        columns = {"success": self.success, "rho": self.rho, "P": self.probability}
        return pd.DataFrame({**columns, "D_knn": self.d_knn}).rename_axis("row")

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        return titled("Perturbations", facts(self.summary()), frame_table(self.to_frame()))

    def summary(self) -> dict[str, float]:
        """Means and standard deviations over the rows that succeeded, as the paper's Table III.

        Returns
        -------
        dict
            ``success`` (share), ``rho``, ``P``, ``D_knn`` with ``..._std``, ``T_exe`` (seconds per
            row). NaN where no row succeeded.
        """
        found = self.success
        columns = {"rho": self.rho, "P": self.probability, "D_knn": self.d_knn}
        summary = {"success": float(found.mean())}
        for name, values in columns.items():
            some = bool(found.any())
            summary[name] = float(values[found].mean()) if some else float("nan")
            summary[f"{name}_std"] = float(values[found].std()) if some else float("nan")
        return {**summary, "T_exe": self.seconds / len(found)}


def perturbation_metrics(
    classifier: Any,
    x: Any,
    x_adv: Any,
    target: Any,
    *,
    x_train: Any,
    y_train: Any,
    k: int = 10,
    norm: float | str = 2,
    seconds: float = float("nan"),
) -> Perturbations:
    """Measure perturbed rows, each against the class it was meant for.

    Parameters
    ----------
    classifier : art classifier
    x, x_adv : array-like of shape (n, d)
        Rows and what an attack made of them.
    target : array-like of shape (n,) or (n, C)
        Wanted classes.
    x_train, y_train : array-like of shape (m, d) and (m,) or (m, C)
        Training rows with their true labels.
    k : int, default 10
        Neighbours behind D_knn; all there are where a class has fewer.
    norm : {1, 2, np.inf, "inf"}, default 2
    seconds : float, optional
        Wall time of the attack, for T_exe.

    Returns
    -------
    Perturbations

    Raises
    ------
    art.exceptions.EstimatorError
        A ``TypeError``: not an ART classifier.
    InvalidInputError
        A ``ValueError`` that names the argument.

    References
    ----------
    Rasouli and Yu, section IV-B.
    """
    require_classifier(classifier, Perturbations)
    order = norm_order(norm)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InvalidInputError(f"k must be a positive whole number, it is {k!r}")
    before = as_rows(x, "x")
    after = as_rows(x_adv, "x_adv", before.shape[1])
    if len(after) != len(before):
        raise InvalidInputError(f"x has {len(before)} rows, x_adv {len(after)}")
    train = as_rows(x_train, "x_train", before.shape[1])
    scores = predict(classifier, after)
    n_classes = scores.shape[1]
    wanted = class_index(target, len(before), n_classes, "target")
    truth = class_index(y_train, len(train), n_classes, "y_train")

    success = np.isfinite(scores).all(axis=1) & (scores.argmax(axis=1) == wanted)
    rho = np.linalg.norm(after.astype(float) - before, ord=order, axis=1)
    near = nearest_distance(after, wanted, train, truth, int(k), order)
    probability = scores[np.arange(len(after)), wanted].astype(float)
    rho, probability, near = (
        np.where(success, values, np.nan) for values in (rho, probability, near)
    )
    return Perturbations(success, rho, probability, near, seconds)


def nearest_distance(
    rows: np.ndarray,
    classes: np.ndarray,
    x_train: np.ndarray,
    y_train: np.ndarray,
    k: int,
    order: float,
) -> np.ndarray:
    """Mean distance of each row to the k nearest training rows of a class given per row.

    Returns
    -------
    ndarray of shape (n,)
        NaN where the class has no training row.
    """
    from sklearn.neighbors import NearestNeighbors

    metric = {1.0: "manhattan", 2.0: "euclidean"}.get(order, "chebyshev")
    mean = np.full(len(rows), np.nan)
    for label in np.unique(classes):
        of_class = x_train[y_train == label]
        chosen = classes == label
        if len(of_class):
            model = NearestNeighbors(n_neighbors=min(k, len(of_class)), metric=metric)
            # In double precision: scikit-learn expands squares in the rows' own precision.
            model.fit(of_class.astype(float))
            mean[chosen] = model.kneighbors(rows[chosen].astype(float))[0].mean(axis=1)
    return mean


def compare_attacks(
    attacks: Mapping[str, Any],
    classifier: Any,
    x: Any,
    target: Any,
    *,
    x_train: Any,
    y_train: Any,
    k: int = 10,
    norm: float | str = 2,
) -> pd.DataFrame:
    """Run attacks on the same rows toward the same classes and measure them, as in Table III.

    Parameters
    ----------
    attacks : mapping of str to art.attacks.EvasionAttack
        Targeted, or for two classes untargeted.
    classifier : art classifier
    x : array-like of shape (n, d)
    target : array-like of shape (n,) or (n, C)
        Wanted classes; none may be the row's predicted class.
    x_train, y_train, k, norm
        As in :func:`perturbation_metrics`.

    Returns
    -------
    DataFrame
        Indexed by attack: :meth:`Perturbations.summary` and ``rho_common``, the mean ρ over the
        rows on which every attack succeeded. Means over an attack's own successes flatter one
        that fails on hard rows.

    Raises
    ------
    InvalidInputError
        A ``ValueError`` that names the argument.
    """
    import pandas as pd

    require_classifier(classifier, Perturbations)
    if not attacks:
        raise InvalidInputError("attacks is empty")
    rows = as_rows(x, "x")
    scores = predict(classifier, rows)
    n_classes = scores.shape[1]
    source = scores.argmax(axis=1)
    wanted = class_index(target, len(rows), n_classes, "target")
    if (same := source == wanted).any():
        raise InvalidInputError(
            f"target: {int(same.sum())} rows already have the class they are meant for, first row "
            f"{int(np.argmax(same))}"
        )
    measured = {}
    for name, attack in attacks.items():
        begin = time.perf_counter()
        found, _, _ = aim(attack, classifier, rows, source, wanted, n_classes)
        measured[name] = perturbation_metrics(
            classifier,
            rows,
            found,
            wanted,
            x_train=x_train,
            y_train=y_train,
            k=k,
            norm=norm,
            seconds=time.perf_counter() - begin,
        )
    common = np.all([part.success for part in measured.values()], axis=0)
    return pd.DataFrame(
        {
            name: {
                **part.summary(),
                "rho_common": float(part.rho[common].mean()) if common.any() else float("nan"),
            }
            for name, part in measured.items()
        }
    ).T
