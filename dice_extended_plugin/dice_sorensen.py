"""The Dice-Sorensen robustness of a counterfactual, as the paper's code defines it, and its limits.

The paper binarises a counterfactual c and its disturbed copy c' (equal-width bins for continuous
features, one bit per level for categorical ones) and takes ``2|b and b'| / (|b| + |b'|)``. One bit
per feature is set, so this is the share of features that stay in their bin. The model does not
occur in it: always read it beside the noise validity, its chance value and its ceiling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from dice_extended_plugin.noise import FAMILIES, NoiseBank, NoiseModel
from dice_extended_plugin.space import FeatureSpace

__all__ = [
    "bins",
    "ceiling",
    "chance",
    "codes",
    "coefficient",
    "literal_robustness",
    "noise_validity",
    "reference_values",
    "wilson_interval",
]

#: Bins per continuous feature in the paper's code.
N_BINS = 10


def bins(u: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Bin of scaled values: ``min(floor(K u), K - 1)``, below 0 the first bin."""
    return np.clip(np.floor(u * n_bins), 0, n_bins - 1).astype(int)


def codes(u: np.ndarray, space: FeatureSpace, n_bins: int = N_BINS) -> np.ndarray:
    """Code of each feature: its bin or its level.

    Parameters
    ----------
    u : ndarray of shape (..., d)
        Encoded rows.

    Returns
    -------
    ndarray of int, shape (..., m)
        Continuous features first.
    """
    numbers = bins(u[..., : space.n_continuous], n_bins)
    if not space.categorical:
        return numbers
    levels = [
        u[..., block[0] : block[0] + len(names)].argmax(axis=-1)
        for block, names in zip(space.blocks, space.levels, strict=True)
    ]
    return np.concatenate([numbers, np.stack(levels, axis=-1)], axis=-1)


def coefficient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dice-Sorensen coefficient of two sets of codes, the share that agree.

    Parameters
    ----------
    a, b : ndarray of shape (..., m)
        From :func:`codes`.

    Returns
    -------
    ndarray of shape (...)
        In [0, 1]; 1 for identical codes.
    """
    return (a == b).mean(axis=-1)


def literal_robustness(
    u: np.ndarray, space: FeatureSpace, noise: NoiseModel, n_bins: int = N_BINS
) -> dict[str, np.ndarray]:
    """Return the expected coefficient of rows and their disturbed copies.

    Every feature is disturbed.
    The expectation is taken exactly, from the distribution function of the noise, which is what
    the mean over ever more draws tends to.

    Parameters
    ----------
    u : ndarray of shape (n, d)
        Rows that can be written down.
    space : FeatureSpace
    noise : NoiseModel
        Its scope is not used: the paper disturbs every feature.
    n_bins : int, default 10
        Bins per continuous feature, K.

    Returns
    -------
    dict of ndarray of shape (n,)
        ``rho_lit`` (higher is better, in [0, 1]), ``rho_open`` (the same with unclipped noise and
        bins continued beyond the data range, so that sitting at the end of a range gains
        nothing), and ``end_bins`` (share of the continuous values in the first or last bin; nan
        without continuous features).

    References
    ----------
    DiCE-Extended, section 2.3.4; methods page, definition (a).
    """
    values = u[:, : space.n_continuous]
    sigma = np.asarray(noise.sigma(values, space))
    distribution = _distribution(noise, space)
    inner = np.floor(values * n_bins)
    stay_open = _between(distribution, inner, values, sigma, n_bins)
    code = bins(values, n_bins)
    first, last = code == 0, code == n_bins - 1
    stay = _between(distribution, code, values, sigma, n_bins, first, last)
    flip = np.where(space.permitted_blocks.sum(axis=1) > 1, noise.flips(space), 0.0)
    level = np.broadcast_to(1.0 - flip, (len(u), len(flip)))
    ends = first | last
    return {
        "rho_lit": np.concatenate([stay, level], axis=1).mean(axis=1),
        "rho_open": np.concatenate([stay_open, level], axis=1).mean(axis=1),
        "end_bins": ends.mean(axis=1) if ends.shape[1] else np.full(len(u), np.nan),
    }


def _between(
    distribution: Callable[[np.ndarray], np.ndarray],
    code: np.ndarray,
    values: np.ndarray,
    sigma: np.ndarray,
    n_bins: int,
    open_below: np.ndarray | bool = False,
    open_above: np.ndarray | bool = False,
) -> np.ndarray:
    """Probability that value + noise lies in its bin; clipping opens the end bins."""
    safe = np.where(sigma > 0, sigma, 1.0)
    above = np.where(open_above, 1.0, distribution(((code + 1) / n_bins - values) / safe))
    below = np.where(open_below, 0.0, distribution((code / n_bins - values) / safe))
    return np.where(sigma > 0, above - below, 1.0)


def _distribution(noise: NoiseModel, space: FeatureSpace) -> Callable[[np.ndarray], np.ndarray]:
    """Distribution function of the unit noise, folded for one-sided features."""
    cdf, side = FAMILIES[noise.family].cdf, noise.side(space)

    def folded(t: np.ndarray) -> np.ndarray:
        up = np.maximum(2 * cdf(t) - 1, 0.0)
        down = 1.0 - np.maximum(2 * cdf(-t) - 1, 0.0)
        return np.where(side == 0, cdf(t), np.where(side > 0, up, down))

    return folded


def chance(r: float) -> float:
    """Coefficient of a value placed uniformly at random, Gaussian noise, ``r = sigma K``."""
    if r <= 0:
        return 1.0
    inner, density = stats.norm.cdf(1 / r), stats.norm.pdf
    return float(2 * inner - 1 - 2 * r * (density(0) - density(1 / r)))


def ceiling(r: float) -> float:
    """Coefficient of a value in the middle of its bin, the most an inner bin allows."""
    return 1.0 if r <= 0 else float(2 * stats.norm.cdf(1 / (2 * r)) - 1)


def reference_values(
    space: FeatureSpace, noise: NoiseModel, n_bins: int = N_BINS
) -> dict[str, float]:
    """Chance value and ceiling of ``rho_open`` for a space, averaged over its features.

    Stated for two-sided Gaussian noise, for which they have a closed form; ``rho_lit`` can pass
    the ceiling only at the ends of a range.
    """
    r = noise.scales(space) * n_bins
    flip = np.where(space.permitted_blocks.sum(axis=1) > 1, noise.flips(space), 0.0)
    stay = list(1.0 - flip)
    return {
        "chance": float(np.mean([chance(value) for value in r] + stay)),
        "ceiling": float(np.mean([ceiling(value) for value in r] + stay)),
    }


def noise_validity(
    u: np.ndarray,
    x: np.ndarray,
    space: FeatureSpace,
    noise: NoiseModel,
    bank: NoiseBank,
    is_target: Callable[[np.ndarray, np.ndarray], np.ndarray],
    max_rows: int = 200_000,
) -> np.ndarray:
    """Share of the draws under which each counterfactual keeps its target class.

    Parameters
    ----------
    u, x : ndarray of shape (n, d)
        Counterfactuals and the encoded query of each.
    bank : NoiseBank
        M draws, for a report from :meth:`NoiseModel.held_out`.
    is_target : callable
        ``is_target(rows, index)`` with rows (r, d) and the counterfactual each row stems from;
        returns bool of shape (r,).
    max_rows : int
        Most rows given to the model in one call.

    Returns
    -------
    ndarray of shape (n,)
        In [0, 1], higher is better. Chance value: the share of the target class.
    """
    share = np.empty(len(u))
    step = max(1, max_rows // len(bank.noise))
    for start in range(0, len(u), step):
        part = slice(start, start + step)
        rows = noise.perturb(u[part], x[part], space, bank)
        index = np.tile(np.arange(len(u))[part], len(rows))
        kept = is_target(rows.reshape(-1, rows.shape[-1]), index)
        share[part] = kept.reshape(rows.shape[:2]).mean(axis=0)
    return share


def wilson_interval(share: Any, n: int, confidence: float = 0.95) -> tuple[Any, Any]:
    """Wilson score interval of a share observed in `n` draws."""
    z = stats.norm.ppf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
