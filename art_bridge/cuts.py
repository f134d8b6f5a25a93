"""Where the columns of training rows are cut in two, and how much a model changes at each cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["Cuts"]

#: A column with at most so many values is tried whole: its cuts all count the same.
_FEW = 8
#: Most training rows that are swept, and the fewest worth a sweep; places of each column in the
#: first round, the fewest likewise, and rounds that halve the gaps in which the model changes.
_BASES, _LEAST_BASES, _PLACES, _LEAST_PLACES, _ROUNDS = 12, 4, 64, 8, 3
#: Share of the training rows, those nearest to the border, that the swept ones are spread over.
_NEAR = 0.25
#: Share of a column's weight that all its cuts have alike: a sweep sees what a few rows see.
_EVEN = 0.01
#: Weight of a column's lowest and highest value, which on smooth models reach farthest.
_END = 0.3
#: Probabilities are told apart by this much, as in the search: no last digit moves a cut.
_GRID = 2.0**-20


class Cuts:
    """The middles between neighbouring values of each column.

    Models of trees change there and nowhere else, so the near side of a cut, seen from where a
    query comes, is the nearest place with all that a value beyond it has.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Training rows, at least one.

    Attributes
    ----------
    counts : ndarray of int, shape (d,)
        Different values of each column.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.low, high = rows.min(axis=0), rows.max(axis=0)
        self.width = np.where(high > self.low, high - self.low, 1.0)
        values = [np.unique(column) for column in rows.T]
        self.counts = np.array([len(column) for column in values])
        self.columns = [(v[1:] + v[:-1]) / 2 for v in values]
        # Beside the cuts of a column its ends; of a constant one its value, twice.
        number = [len(column) + 2 for column in self.columns]
        owner = np.repeat(np.arange(len(values)), number)
        self.values = np.concatenate(
            [np.r_[v[0], c, v[-1]] for v, c in zip(values, self.columns, strict=True)]
        )
        is_end = np.isin(np.arange(len(owner)), np.cumsum([0, *number])[:-1])
        is_end |= np.roll(is_end, -1)
        # One ascending array: column j lies in [2j, 2j + 1].
        self.keys = self._key(self.values, owner)
        # Far enough to be on the other side in float32.
        beyond = 1e-6 * self.width[owner] + 2 * np.spacing(np.abs(self.values).astype(np.float32))
        self.beyond = np.where(is_end, 0.0, beyond)
        self._weigh([np.ones(len(column)) for column in self.columns])

    def span(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the first cut between bounds (Q, d), and of the first after it."""
        column = np.arange(low.shape[1])
        first = np.searchsorted(self.keys, self._key(low, column))
        return first, np.searchsorted(self.keys, self._key(high, column), side="right")

    def take(
        self, first: np.ndarray, last: np.ndarray, own: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        """Return a value just beyond one cut of a span, seen from `own`; arrays broadcast.

        Parameters
        ----------
        first, last : ndarray of int
            Of :meth:`span`.
        own : ndarray
            Where one comes from.
        place : ndarray
            In [0, 1): share of the span's weight that lies lower.

        Returns
        -------
        ndarray
            NaN where the span is empty.
        """
        begin = self.weight[first]
        goal = begin + place * (self.weight[last] - begin)
        cut = np.searchsorted(self.weight, goal, side="right") - 1
        cut = np.minimum(np.clip(cut, first, np.maximum(last - 1, first)), len(self.values) - 1)
        value, beyond = self.values[cut], self.beyond[cut]
        value = value + np.where(value >= own, beyond, -beyond)
        return np.where(last > first, value, np.nan)

    def learn(
        self, score: Callable[[np.ndarray], np.ndarray], scores: np.ndarray, most: int
    ) -> int:
        """Weigh the cuts by how much the model changes there, and return the rows it took.

        Rows near the border are swept along one column after the other: at a few places first,
        then in the middle of every gap in which the answer changes.

        Parameters
        ----------
        score : callable
            ``(n, d) -> (n, classes)``, probabilities.
        scores : ndarray of shape (n, classes)
            Its answers for the training rows; NaN leaves a row out.
        most : int
            Rows that it may take. Where these are too few for a useful sweep nothing is asked.
        """
        wide = np.flatnonzero(self.counts > _FEW)
        ordered = np.sort(scores, axis=1)
        lead = ordered[:, -1] - ordered[:, -2]
        near = np.argsort(lead, kind="stable")[: np.isfinite(lead).sum()]
        cells = np.array([len(self.columns[j]) + 1 for j in wide], dtype=int)
        places = _PLACES
        while places >= _LEAST_PLACES:
            # Half of the rows for the first round, half for the others.
            bases = most // max(1, 2 * int(np.minimum(cells, places).sum()))
            if bases >= _LEAST_BASES:
                break
            places //= 2
        bases = min(bases, _BASES, len(near))
        if len(wide) == 0 or bases < 1 or places < _LEAST_PLACES:
            return 0
        near = near[: max(bases, int(_NEAR * len(near)))]
        base = self.rows[near[np.linspace(0, len(near) - 1, bases).astype(int)]]
        sweeps = [_Sweep(self, j, places) for j in wide]
        asked = 0
        for turn in range(_ROUNDS + 1):
            if turn:
                for sweep in sweeps:
                    sweep.refine(places // 2)
            number = sum(len(sweep.places) for sweep in sweeps) * bases
            if number == 0 or asked + number > most:
                break
            u = np.concatenate([sweep.rows(base) for sweep in sweeps])
            odds = _log_odds(score(u)).reshape(-1, bases, scores.shape[1])
            asked += number
            for sweep in sweeps:
                odds = sweep.tell(odds)
        weights = [np.ones(len(column)) for column in self.columns]
        for sweep in sweeps:
            weights[sweep.column] = sweep.weights()
        self._weigh(weights)
        return asked

    def _weigh(self, weights: list[np.ndarray]) -> None:
        with_ends = np.concatenate([np.r_[_END, column, _END] for column in weights])
        self.weight = np.concatenate([[0.0], np.cumsum(with_ends)])

    def _key(self, value: np.ndarray, column: np.ndarray) -> np.ndarray:
        place = (value - self.low[column]) / self.width[column]
        return 2.0 * column + np.clip(place, -0.4, 1.4)


class _Sweep:
    """What is known of one column: cell i lies between cut i - 1 and cut i."""

    def __init__(self, cuts: Cuts, column: int, places: int) -> None:
        self.column, cut = column, cuts.columns[column]
        ends = cuts.rows[:, column].min(), cuts.rows[:, column].max()
        self.value = np.concatenate([[ends[0]], (cut[1:] + cut[:-1]) / 2, [ends[1]]])
        number = len(self.value)
        self.places = np.unique(np.linspace(0, number - 1, min(places, number)).astype(int))
        self.known, self.odds = self.places[:0], np.empty((0, 0, 0))

    def rows(self, base: np.ndarray) -> np.ndarray:
        """Return the base rows with the column at each place, the places one after the other."""
        u = np.repeat(base[None], len(self.places), axis=0)
        u[:, :, self.column] = self.value[self.places, None]
        return u.reshape(-1, base.shape[1])

    def tell(self, odds: np.ndarray) -> np.ndarray:
        """Take the answers for the places (places, bases, classes); return those of others."""
        mine, rest = odds[: len(self.places)], odds[len(self.places) :]
        if len(self.known):
            mine = np.concatenate([self.odds, mine])
        known = np.concatenate([self.known, self.places])
        order = np.argsort(known, kind="stable")
        self.known, self.odds, self.places = known[order], mine[order], self.places[:0]
        return rest

    def refine(self, most: int) -> None:
        """Look next into the middle of the gaps in which the model changes most."""
        jump = self._jumps()
        go = np.flatnonzero((np.diff(self.known) > 1) & (jump > 0))
        go = go[np.argsort(-jump[go], kind="stable")][:most]
        self.places = (self.known[go] + self.known[go + 1]) // 2

    def weights(self) -> np.ndarray:
        """Return the weight of each cut, 1 on average."""
        width = np.diff(self.known)
        jump = np.repeat(self._jumps() / width, width)
        total = jump.sum()
        return np.ones(len(jump)) if total <= 0 else _EVEN + (1 - _EVEN) * len(jump) * jump / total

    def _jumps(self) -> np.ndarray:
        """How much the log-odds change from one known cell to the next, on average."""
        change = np.abs(np.diff(self.odds, axis=0)).max(axis=2).mean(axis=1)
        return np.nan_to_num(change, nan=0.0, posinf=0.0)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(np.rint(probability / _GRID) * _GRID, _GRID, 1 - _GRID)
    return np.log(p) - np.log1p(-p)
