"""SMPSO, a particle swarm for several objectives, as an algorithm of pymoo."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.core.population import Population
from pymoo.operators.sampling.rnd import FloatRandomSampling

from alibi_bridge.fronts import crowding_distance, non_dominated, thin_out
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["SMPSO"]

#: Polynomial mutation's index of distribution: the larger, the smaller its steps.
_ETA = 20.0


class SMPSO(Algorithm):
    """Speed-constrained multi-objective particle swarm optimisation (Nebro et al., MCDM 2009).

    Every particle flies towards its own best point and a leader, taken from an archive of
    non-dominated points by a tournament of two for the larger crowding distance:

        v ← χ (w v + c₁ r₁ (p − x) + c₂ r₂ (g − x)),   x ← x + v

    with w = 0.1, c₁, c₂ in [1.5, 2.5] and r₁, r₂ in [0, 1], drawn per particle, and the
    constriction χ = 2 / (2 − φ − √(φ² − 4φ)) for φ = c₁ + c₂ > 4, else 1, as the paper prints it.
    No speed exceeds half of a variable's range; a particle that would leave the box stops at the
    bound and its speed there is turned round. Some particles are mutated (polynomial, index 20).

    Parameters
    ----------
    pop_size : int, default 100
        Particles.
    archive_size : int, default 100
        Leaders; beyond it the most crowded are taken out.
    mutated : float, default 0.15
        Share of the particles that mutation touches in each generation.
    prob_var : float, optional
        Probability that it changes a variable. Default: 1 / number of variables.
    sampling : pymoo sampling or ndarray, optional
        First positions. Default: uniform.
    **kwargs
        Other arguments of pymoo's ``Algorithm``.
    """

    def __init__(
        self,
        pop_size: int = 100,
        archive_size: int = 100,
        mutated: float = 0.15,
        prob_var: float | None = None,
        sampling: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("pop_size", pop_size), ("archive_size", archive_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 2:
                raise InvalidInputError(f"{name} must be a whole number from 2 on: {value!r}")
        for name, share in (("mutated", mutated), ("prob_var", prob_var)):
            if share is not None and not 0 <= share <= 1:
                raise InvalidInputError(f"{name} must lie in [0, 1]: {share!r}")
        self.pop_size = pop_size
        self.archive_size = archive_size
        self.mutated = mutated
        self.prob_var = prob_var
        self.sampling = FloatRandomSampling() if sampling is None else sampling

    def _initialize_infill(self) -> Population:
        if isinstance(self.sampling, np.ndarray):
            return Population.new(X=self.sampling)
        return self.sampling(self.problem, self.pop_size, random_state=self.random_state)

    def _initialize_advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        assert infills is not None
        self._velocity = np.zeros_like(infills.get("X"), dtype=float)
        self._best_X, self._best_F = infills.get("X").astype(float), infills.get("F").copy()
        self._leaders = Population.empty()
        self._update_leaders(infills)

    def _infill(self) -> Population:
        """Move the swarm."""
        draw = self.random_state
        low, high = self.problem.bounds()
        X = self.pop.get("X").astype(float)
        n = len(X)
        r, c = draw.random((n, 2, 1)), draw.uniform(1.5, 2.5, (n, 2, 1))
        phi = c.sum(axis=1)
        root = np.sqrt(np.maximum(phi * phi - 4.0 * phi, 0.0))
        chi = np.where(phi > 4.0, 2.0 / (2.0 - phi - root), 1.0)
        pull = c[:, 0] * r[:, 0] * (self._best_X - X) + c[:, 1] * r[:, 1] * (self._guides(n) - X)
        limit = (high - low) / 2.0
        velocity = np.clip(chi * (0.1 * self._velocity + pull), -limit, limit)
        X = X + velocity
        outside = np.clip(X, low, high) != X
        self._velocity = np.where(outside, -velocity, velocity)
        X = np.clip(X, low, high)
        count = round(self.mutated * n)
        chosen = draw.permutation(n)[:count]
        X[chosen] = self._mutate(X[chosen], low, high)
        return Population.new(X=X)

    def _advance(self, infills: Population | None = None, **kwargs: Any) -> None:
        assert infills is not None
        F = infills.get("F")
        # A particle remembers its new point unless the remembered one dominates it.
        worse = (self._best_F <= F).all(axis=1) & (self._best_F < F).any(axis=1)
        self._best_X = np.where(worse[:, None], self._best_X, infills.get("X"))
        self._best_F = np.where(worse[:, None], self._best_F, F)
        self.pop = infills
        self._update_leaders(infills)

    def _update_leaders(self, swarm: Population) -> None:
        pool = Population.merge(self._leaders, swarm)
        F = pool.get("F")
        kept = np.flatnonzero(non_dominated(F))
        kept = kept[thin_out(F[kept], self.archive_size)]
        self._leaders = pool[kept]
        self._leader_X = self._leaders.get("X").astype(float)
        self._crowding = crowding_distance(F[kept])

    def _guides(self, n: int) -> np.ndarray:
        """Return a leader per particle, by a tournament of two."""
        size = len(self._leaders)
        one = self.random_state.integers(size, size=n)
        # Two different leaders where there are two.
        two = (one + self.random_state.integers(1, max(size, 2), size=n)) % size
        return self._leader_X[np.where(self._crowding[one] >= self._crowding[two], one, two)]

    def _mutate(self, X: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Polynomial mutation (Deb and Goyal, 1996) within the bounds."""
        draw = self.random_state
        probability = 1.0 / X.shape[1] if self.prob_var is None else self.prob_var
        change = draw.random(X.shape) < probability
        u = draw.random(X.shape)
        spread = np.where(high > low, high - low, 1.0)
        power = _ETA + 1.0
        # Each side is used, and a number, on its own half of u only.
        low_u, high_u = np.minimum(u, 0.5), np.maximum(u, 0.5)
        left = 2.0 * low_u + (1.0 - 2.0 * low_u) * (1.0 - (X - low) / spread) ** power
        right = 2.0 * (1.0 - high_u) + (2.0 * high_u - 1.0) * (1.0 - (high - X) / spread) ** power
        step = np.where(u <= 0.5, left ** (1.0 / power) - 1.0, 1.0 - right ** (1.0 / power))
        return np.clip(np.where(change, X + step * spread, X), low, high)

    def _set_optimum(self) -> None:
        self.opt = self._leaders
