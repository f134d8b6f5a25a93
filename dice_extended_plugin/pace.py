"""How long the next model call will take, judged by those before it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Pace"]

#: Calls vary; a budget should hold all the same.
_MARGIN = 1.3
#: The last calls say more about the next than old ones.
_REMEMBERED = 16
#: Two calls this much different in size tell what a row costs besides what a call costs.
_APART = 8


@dataclass
class Pace:
    """Sizes and durations of model calls.

    A call is taken to last no longer than a larger one did; beyond the largest, time grows with
    the rows as it did between the smallest and the largest.
    """

    calls: list[tuple[int, float]] = field(default_factory=list)

    def add(self, rows: int, seconds: float) -> None:
        """Remember a call."""
        self.calls = [*self.calls[-_REMEMBERED + 1 :], (max(rows, 1), seconds)]

    def estimate(self, *rows: int) -> float:
        """Seconds that calls of so many rows will take together, rather too much than too little.

        0 while nothing is known.
        """
        return _MARGIN * sum(self._one(n) for n in rows if n > 0) if self.calls else 0.0

    def _one(self, n: int) -> float:
        larger = [seconds for m, seconds in self.calls if m >= n]
        if larger:
            return min(larger)
        (small, least), (large, most) = min(self.calls), max(self.calls)
        each = most / large
        if large >= _APART * small:
            each = min(each, max(0.1 * each, (most - least) / (large - small)))
        return most + each * (n - large)
