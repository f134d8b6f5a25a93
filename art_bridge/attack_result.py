"""What a counterfactual attack has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AttackResult"]


@dataclass
class AttackResult:
    """What the last call of ``generate`` found, one entry per row of `x`.

    Attributes
    ----------
    success : ndarray of bool, shape (n,)
        Whether the returned row has the wanted label, by strict argmax of ``estimator.predict``.
    distance : ndarray of shape (n,)
        Norm of the change; 0 where the row had the wanted label from the start, NaN without
        success.
    probability : ndarray of shape (n,)
        Probability of the target class at the returned row; NaN without success.
    target : ndarray of int, shape (n,)
        The class reached; without success the class wanted, -1 if any other class would do.
    rows : ndarray of int, shape (n,)
        Model rows the search used for this row, over all target classes.
    reason : ndarray of str, shape (n,)
        ``"found"``; ``"already"`` (it had the wanted label); ``"p_not_reached"`` (the label is
        reached, the probability `p` is not); without success ``"not_found"``, ``"not_finite"``
        (NaN or infinity in the row), ``"model_nan"``, ``"nothing_can_change"``, ``"out_of_time"``
        or ``"lost"`` (the model changed its answer).
    reference_rows : int
        Model rows that the training data took: the rows themselves, in fast mode also what shows
        where the model changes.
    seconds : float
        Wall time of the call.
    """

    success: np.ndarray
    distance: np.ndarray
    probability: np.ndarray
    target: np.ndarray
    rows: np.ndarray
    reason: np.ndarray
    reference_rows: int = 0
    seconds: float = 0.0
    reason_counts: dict[str, int] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return a line for each row: ``success``, ``target``, ``distance``, ``probability``, …."""
        import pandas as pd

        names = ("success", "target", "distance", "probability", "rows", "reason")
        return pd.DataFrame({name: getattr(self, name) for name in names}).rename_axis("row")

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, frame_table, titled

        head = facts({"rows": len(self.success), **self.reason_counts, "seconds": self.seconds})
        return titled("Counterfactual attack", head, frame_table(self.to_frame()))

    @classmethod
    def nothing(cls, n: int) -> AttackResult:
        """Make the result of n rows that were not looked at."""
        return cls(
            success=np.zeros(n, dtype=bool),
            distance=np.full(n, np.nan),
            probability=np.full(n, np.nan),
            target=np.full(n, -1, dtype=np.int64),
            rows=np.zeros(n, dtype=np.int64),
            reason=np.full(n, "not_found", dtype=object),
        )
