"""The confidence-margin baseline: a higher stopping threshold, at another method's proximity.

Whoever claims robustness must beat it: a counterfactual that lies deeper in its class is harder to
undo, and costs distance as any robustness does.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeVar

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["match_proximity"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def match_proximity(
    run: Callable[[float], Result],
    goal: float,
    judge: Callable[[Result], tuple[float, float]],
    low: float = 0.5,
    high: float = 0.99,
    n_steps: int = 7,
    tolerance: float = 0.005,
    least_validity: float = 0.99,
) -> tuple[float, Result]:
    """Bisect the stopping threshold until the mean proximity is `goal`.

    Parameters
    ----------
    run : callable
        Explain with this probability of the wanted class as threshold.
    goal : float
        Mean proximity to reach.
    judge : callable
        Result -> (mean proximity, mean validity). A threshold at which validity falls below
        `least_validity` has gone too far: queries are left without an answer there.
    low, high : float
        Thresholds between which to search; proximity grows with the threshold, about.
    n_steps : int, default 7
        At most so many runs; 7 leave a threshold uncertain by 0.004.
    tolerance : float, default 0.005
        Relative difference of proximities at which to stop early.

    Returns
    -------
    threshold : float
    result : object
        Of the run nearest to `goal` among those with enough validity, else the nearest of all.
    """
    if not math.isfinite(goal):
        raise InvalidInputError(
            f"the mean proximity to match is {goal}: the explainer to match found nothing"
        )
    best: tuple[tuple[bool, float], float, Result] | None = None
    for _ in range(n_steps):
        threshold = 0.5 * (low + high)
        result = run(threshold)
        reached, valid = judge(result)
        logger.info("threshold %.4f: proximity %.4f, validity %.3f", threshold, reached, valid)
        away = abs(reached - goal) if math.isfinite(reached) else math.inf
        rank = (valid < least_validity, away)
        if best is None or rank < best[0]:
            best = (rank, threshold, result)
        if rank <= (False, tolerance * goal):
            break
        further = reached < goal and valid >= least_validity
        low, high = (threshold, high) if further else (low, threshold)
    assert best is not None
    return best[1], best[2]
