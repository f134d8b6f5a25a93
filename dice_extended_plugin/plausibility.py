"""Whether counterfactuals look like data: distance and density to rows of their class."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.space import FeatureSpace

__all__ = ["INLIER", "Plausibility"]

#: Local outlier factors up to here count as inside the data (scikit-learn's own threshold).
INLIER = 1.5


class Plausibility:
    """The rows of one class, prepared once for many questions.

    Distances are L1 with a continuous change as a share of its data range and a changed level as
    1. Repeated rows are taken once: twenty copies of a row would give it an infinite density.

    Parameters
    ----------
    rows : ndarray of shape (R, d)
        Encoded data of the class, R >= 2 distinct rows.
    space : FeatureSpace
    n_neighbors : int, default 20
        Neighbours of the local outlier factor; fewer where there are fewer rows.
    k : int, default 5
        Neighbours of :meth:`knn_distance`.
    max_rows : int, default 5000
        Most rows kept; more are thinned at random.
    random_state : int, default 0
        Of the thinning.

    Raises
    ------
    InvalidInputError
        Fewer than two distinct rows.
    """

    def __init__(
        self,
        rows: np.ndarray,
        space: FeatureSpace,
        n_neighbors: int = 20,
        k: int = 5,
        max_rows: int = 5000,
        random_state: int = 0,
    ) -> None:
        self._scale = np.where(np.arange(space.n_columns) < space.n_continuous, 1.0, 0.5)
        distinct = np.unique(np.round(rows, 9), axis=0)
        if len(distinct) < 2:
            raise InvalidInputError(
                f"plausibility needs at least two distinct rows of the wanted class; there are "
                f"{len(distinct)}"
            )
        if len(distinct) > max_rows:
            rng = np.random.default_rng(random_state)
            distinct = distinct[np.sort(rng.choice(len(distinct), max_rows, replace=False))]
        data = distinct * self._scale
        self._near = NearestNeighbors(n_neighbors=min(k, len(data)), metric="manhattan").fit(data)
        self._density = LocalOutlierFactor(
            n_neighbors=min(n_neighbors, len(data) - 1), metric="manhattan", novelty=True
        ).fit(data)

    def lof(self, u: np.ndarray) -> np.ndarray:
        """Local outlier factor of encoded rows, (n, d) -> (n,).

        Lower is better; range (0, inf), about 1 inside the data; above 1.5 counts as outside.

        References
        ----------
        Breunig, Kriegel, Ng, Sander (2000); for counterfactuals Kanamori et al., DACE (2020).
        """
        if len(u) == 0:
            return np.empty(0)
        return -self._density.score_samples(u * self._scale)

    def knn_distance(self, u: np.ndarray) -> np.ndarray:
        """Mean distance of encoded rows to their nearest rows of the class, (n, d) -> (n,).

        Lower is better; range [0, m]: a share of the range per continuous feature, 1 per level.
        """
        if len(u) == 0:
            return np.empty(0)
        return self._near.kneighbors(u * self._scale)[0].mean(axis=1)
