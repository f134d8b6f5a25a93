"""NoiseModel: what "a small change of the input" means, and fixed banks of such changes.

A bank is drawn once and used for every query, counterfactual and step, so that two losses can be
compared and a batch gives the same answer as its rows one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import stats

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.space import FeatureSpace

__all__ = ["FAMILIES", "SCOPES", "NoiseBank", "NoiseModel"]

#: Unit-variance families: shape of the noise at equal scale.
FAMILIES: dict[str, Any] = {
    "gaussian": stats.norm(),
    "uniform": stats.uniform(loc=-np.sqrt(3), scale=2 * np.sqrt(3)),
    "heavy-tailed": stats.t(df=3, scale=1 / np.sqrt(3)),
}
SCOPES = ("changed", "kept", "all")
SIDES = {"both": 0, "up": 1, "down": -1}

#: Streams that never meet: what a search optimises on is not what a report measures on.
_SEARCH_STREAM, _HELD_OUT_STREAM = 11, 12


@dataclass(frozen=True)
class NoiseModel:
    """Random changes a counterfactual has to survive (methods page, T_omega).

    Parameters
    ----------
    scale : float or mapping of str to float, default 0.05
        Standard deviation of a continuous feature as a share of its data range, >= 0. Features
        not named in a mapping keep 0.05.
    flip : float or mapping of str to float, default 0.05
        Probability that a categorical feature is redrawn to another permitted level, in [0, 1].
    family : {"gaussian", "uniform", "heavy-tailed"}
        Shape at equal standard deviation; heavy-tailed is Student's t with 3 degrees of freedom.
    scope : {"changed", "kept", "all"}
        Which features are disturbed: those the counterfactual changed (the recourse is carried
        out inexactly), those it kept (the person changes meanwhile), or all.
    sides : mapping of str to {"both", "up", "down"}, optional
        One-sided features: noise only upwards or downwards.
    relative : sequence of str
        Features whose `scale` is a share of the value itself instead of the data range.
    n_draws : int, default 16
        Draws in the bank a search optimises on, in antithetic pairs, so even.

    Raises
    ------
    InvalidInputError
        Value out of range or unknown family, scope or side.
    """

    scale: float | Mapping[str, float] = 0.05
    flip: float | Mapping[str, float] = 0.05
    family: str = "gaussian"
    scope: Literal["changed", "kept", "all"] = "changed"
    sides: Mapping[str, str] = field(default_factory=dict)
    relative: Sequence[str] = ()
    n_draws: int = 16

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            hint = did_you_mean(str(self.family), FAMILIES)
            raise InvalidInputError(f"noise family {self.family!r} is unknown{hint}")
        if self.scope not in SCOPES:
            raise InvalidInputError(f"noise scope must be one of {SCOPES}, not {self.scope!r}")
        for feature, side in self.sides.items():
            if side not in SIDES:
                raise InvalidInputError(
                    f"noise sides[{feature!r}] must be one of {tuple(SIDES)}, not {side!r}"
                )
        _check_share("scale", self.scale, np.inf)
        _check_share("flip", self.flip, 1.0)
        if isinstance(self.n_draws, bool) or not isinstance(self.n_draws, (int, np.integer)):
            raise InvalidInputError(f"noise n_draws must be an even integer, not {self.n_draws!r}")
        if self.n_draws < 2 or self.n_draws % 2:
            raise InvalidInputError(
                f"noise n_draws must be even and at least 2 (antithetic pairs), not {self.n_draws}"
            )

    def check_names(self, space: FeatureSpace) -> None:
        """Raise unless every feature named in the model is one of `space`, of the right kind."""
        for argument, given, known in (
            ("scale", self.scale, space.continuous),
            ("flip", self.flip, space.categorical),
            ("sides", self.sides, space.continuous),
            ("relative", self.relative, space.continuous),
        ):
            for name in given if isinstance(given, (Mapping, Sequence)) else ():
                if name not in known:
                    raise InvalidInputError(
                        f"noise {argument} names {name!r}, which is not a "
                        f"{'categorical' if argument == 'flip' else 'continuous'} feature of the "
                        f"data{did_you_mean(str(name), known)}"
                    )

    def scales(self, space: FeatureSpace) -> np.ndarray:
        """Scale of each continuous feature, shape (n_continuous,)."""
        return _per_feature(self.scale, space.continuous)

    def flips(self, space: FeatureSpace) -> np.ndarray:
        """Flip probability of each categorical feature, shape (n_categorical,)."""
        return _per_feature(self.flip, space.categorical)

    def is_relative(self, space: FeatureSpace) -> np.ndarray:
        """Flag the continuous features whose noise grows with the value."""
        return np.array([name in self.relative for name in space.continuous], dtype=bool)

    def side(self, space: FeatureSpace) -> np.ndarray:
        """Side of each continuous feature: 0 both, 1 upwards, -1 downwards."""
        return np.array([SIDES[self.sides.get(f, "both")] for f in space.continuous], dtype=int)

    def sigma(self, u: Any, space: FeatureSpace) -> Any:
        """Noise scale at scaled values `u` (..., n_continuous), in units of the data range."""
        scales = self.scales(space)
        relative = self.is_relative(space)
        if not relative.any():
            return np.broadcast_to(scales, np.shape(u))
        share = np.abs(space.low + u * space.scale) / space.scale
        return np.where(relative, scales * share, scales)

    def bank(self, space: FeatureSpace, random_state: int = 0) -> NoiseBank:
        """Draw the bank a search optimises on: `n_draws` antithetic, stratified draws."""
        half = self.n_draws // 2
        rng = _generator(random_state, _SEARCH_STREAM)
        shape = (half, space.n_continuous + 2 * len(space.categorical))
        # One stratum per draw and feature, in random order: 16 draws cover a feature evenly.
        strata = rng.permuted(np.tile(np.arange(half)[:, None], (1, shape[1])), axis=0)
        uniform = (strata + rng.uniform(size=shape)) / half
        return self._from_uniform(space, np.concatenate([uniform, 1.0 - uniform]))

    def held_out(
        self, space: FeatureSpace, n_draws: int = 1000, random_state: int = 0
    ) -> NoiseBank:
        """Draw a bank for measuring: independent draws from a stream no search ever sees."""
        rng = _generator(random_state, _HELD_OUT_STREAM)
        shape = (n_draws, space.n_continuous + 2 * len(space.categorical))
        return self._from_uniform(space, rng.uniform(size=shape))

    def _from_uniform(self, space: FeatureSpace, uniform: np.ndarray) -> NoiseBank:
        n, c = space.n_continuous, len(space.categorical)
        tiny = np.finfo(float).eps
        share = np.clip(uniform[:, :n], tiny, 1 - tiny)
        side = self.side(space)
        # |noise| of a one-sided feature has the folded distribution: quantile (1 + p) / 2.
        quantile = np.where(side == 0, share, (1 + share) / 2)
        noise = FAMILIES[self.family].ppf(np.clip(quantile, tiny, 1 - tiny))
        noise = np.where(side < 0, -noise, noise)
        return NoiseBank(
            noise=noise.reshape(len(uniform), n),
            flip=uniform[:, n : n + c] < self.flips(space),
            pick=np.clip(uniform[:, n + c :], 0.0, 1 - tiny),
        )

    def perturb(
        self, u: np.ndarray, x: np.ndarray, space: FeatureSpace, bank: NoiseBank
    ) -> np.ndarray:
        """Disturb rows that can be written down (hard codes), draw by draw.

        Parameters
        ----------
        u, x : ndarray of shape (n, d)
            Projected counterfactuals and the encoded query of each.
        bank : NoiseBank
            M draws.

        Returns
        -------
        ndarray of shape (M, n, d)
            Legal rows: clipped to the data range (or the query's own value outside it), one
            permitted level per block.
        """
        n_continuous = space.n_continuous
        active = self.in_scope(space.changed(u, x))
        out = np.repeat(u[None], len(bank.noise), axis=0)
        values, own = u[:, :n_continuous], x[:, :n_continuous]
        sigma = self.sigma(values, space) * active[:, :n_continuous]
        low, high = legal_range(values, own)
        moved = values + bank.noise[:, None, :] * sigma
        # A feature out of scope stays bit for bit, also where it lies outside the range.
        out[..., :n_continuous] = np.where(
            active[:, :n_continuous], np.clip(moved, low, high), values
        )
        for j in range(len(space.categorical)):  # blocks, not rows: a handful
            columns = space.blocks[j][space.blocks[j] >= 0]
            new = other_level(u[:, columns], space.permitted_blocks[j, : len(columns)], bank, j)
            hit = bank.flip[:, j, None] & active[:, n_continuous + j]
            out[..., columns] = np.where(hit[..., None], np.eye(len(columns))[new], u[:, columns])
        return out

    def in_scope(self, changed: np.ndarray) -> np.ndarray:
        """Features the noise reaches, given which features changed."""
        if self.scope == "all":
            return np.ones_like(changed)
        return changed if self.scope == "changed" else ~changed


@dataclass(frozen=True)
class NoiseBank:
    """M fixed draws.

    Parameters
    ----------
    noise : ndarray of shape (M, n_continuous)
        Unit-scale noise; multiply by the model's sigma.
    flip : ndarray of bool, shape (M, n_categorical)
        Whether the draw redraws the feature.
    pick : ndarray of shape (M, n_categorical)
        Uniform in [0, 1): which of the other levels.
    """

    noise: np.ndarray
    flip: np.ndarray
    pick: np.ndarray


def legal_range(values: Any, own: Any) -> tuple[Any, Any]:
    """Range a disturbed value is clipped to: the data's, widened to values already outside."""
    low = np.minimum(np.minimum(values, own), 0.0)
    high = np.maximum(np.maximum(values, own), 1.0)
    return low, high


def other_level(block: np.ndarray, permitted: np.ndarray, bank: NoiseBank, j: int) -> np.ndarray:
    """Level each draw moves each row to: uniform over the permitted levels it is not at.

    Parameters
    ----------
    block : ndarray of shape (n, L)
        One-hot rows of feature `j`.

    Returns
    -------
    ndarray of int, shape (M, n)
        The present level where no other is permitted.
    """
    present = block.argmax(axis=-1)
    choices = permitted[None, :] & (np.arange(len(permitted)) != present[:, None])
    count = choices.sum(axis=1)
    rank = np.floor(bank.pick[:, j, None] * count).astype(int)
    order = np.argsort(~choices, axis=1, kind="stable")  # the choices first, in level order
    new = order[np.arange(len(block)), np.minimum(rank, np.maximum(count - 1, 0))]
    return np.where(count > 0, new, present)


def _generator(random_state: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(random_state, spawn_key=(stream,)))


def _per_feature(value: float | Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
    if isinstance(value, Mapping):
        return np.array([float(value.get(name, 0.05)) for name in names])
    return np.full(len(names), float(value))


def _check_share(name: str, value: Any, most: float) -> None:
    given = value.items() if isinstance(value, Mapping) else [("", value)]
    for feature, number in given:
        where = f"noise {name}[{feature!r}]" if feature else f"noise {name}"
        fits = isinstance(number, (int, float, np.number)) and not isinstance(number, bool)
        if not fits or not np.isfinite(number) or not 0 <= number <= most:
            limit = "at least 0" if most == np.inf else f"between 0 and {most:g}"
            raise InvalidInputError(f"{where} must be a number {limit}, not {number!r}")
