"""The best rows that a search has seen, a few for every query."""

from __future__ import annotations

import numpy as np

from art_bridge.evaluation import Answer, Evaluator
from art_bridge.problem import SearchResult

__all__ = ["Pool"]


class Pool:
    """The best `size` different rows of each of Q queries, best first.

    Attributes
    ----------
    u : ndarray of shape (Q, size, d)
        The query itself where fewer rows are known.
    answer : Answer of shape (Q, size)
    """

    def __init__(self, evaluator: Evaluator, size: int) -> None:
        n = len(evaluator.box.x)
        self.evaluator, self.size = evaluator, size
        self.u = np.repeat(evaluator.box.x[:, None], size, axis=1)
        empty = np.full((n, size), np.nan)
        self.answer = Answer(
            np.zeros((n, size), dtype=bool),
            empty,
            empty.copy(),
            np.full((n, size), 2.0),
            np.full((n, size), np.inf),
        )

    def reach(self, query: np.ndarray) -> np.ndarray:
        """Return the distance within which a row improves: of those without one inside, any."""
        best = self.answer[query, 0]
        return np.where(self.evaluator.inside(best, query), best.distance, np.inf)

    def shrink(self, size: int) -> None:
        """Keep at most the best `size` rows of each query from now on."""
        self.size = min(self.size, size)
        self.u, self.answer = self.u[:, : self.size], self.answer[:, : self.size]

    def offer(self, query: np.ndarray, u: np.ndarray, answer: Answer) -> None:
        """Keep the best of what is known and of new rows (Qs, k, d)."""
        # Most rows of a long search come too late to be kept: leave them out before sorting.
        tier, distance = self._key(answer)
        last = self.answer[query, -1:]
        worst_tier, worst_distance = self._key(last)
        better = (tier < worst_tier) | ((tier == worst_tier) & (distance < worst_distance))
        number = np.count_nonzero(better, axis=1)
        some = number > 0
        if not some.any():
            return
        first = np.argsort(~better[some], axis=1, kind="stable")[:, : int(number.max())]
        query, u, answer = query[some], u[np.flatnonzero(some)[:, None], first], answer[some]
        answer = answer.take(first)
        all_u = np.concatenate([self.u[query], u], axis=1)
        together = self.answer[query].join(answer)
        tier, distance = self._key(together)
        order = np.lexsort((distance, tier), axis=-1)
        in_order = np.take_along_axis(distance, order, axis=1)
        # Rows that stand twice differ in nothing: keep the first, send the others to the end.
        twins = np.zeros(order.shape, dtype=bool)
        twins[:, 1:] = (in_order[:, 1:] == in_order[:, :-1]) & np.isfinite(in_order[:, 1:])
        who, place = np.nonzero(twins)
        if len(who):
            same = all_u[who, order[who, place]] == all_u[who, order[who, place - 1]]
            twins[who, place] = same.all(axis=1)
            order = np.take_along_axis(order, np.argsort(twins, axis=1, kind="stable"), axis=1)
        keep = order[:, : self.size]
        self.u[query] = all_u[np.arange(len(query))[:, None], keep]
        kept = together.take(keep)
        for name in ("is_target", "probability", "margin", "prob_cost", "distance"):
            getattr(self.answer, name)[query] = getattr(kept, name)

    def _key(self, answer: Answer) -> tuple[np.ndarray, np.ndarray]:
        tier = np.where(np.isfinite(answer.distance), self.evaluator.tier(answer), 9.0)
        return tier, answer.distance

    def result(self) -> SearchResult:
        """Return each query's best row, the query itself where no row has the label."""
        best = self.answer[:, 0]
        out = SearchResult.nothing(self.evaluator.box.x)
        out.begun[:] = True
        out.rows[:] = self.evaluator.rows
        out.calls[:] = self.evaluator.calls
        out.success = best.is_target.copy()
        reached = best.prob_cost <= self.evaluator.aim.tolerance
        out.reached = out.success & reached
        out.u = np.where(out.success[:, None], self.u[:, 0], out.u)
        out.distance = np.where(out.success, best.distance, np.nan)
        out.probability = np.where(out.success, best.probability, np.nan)
        return out
