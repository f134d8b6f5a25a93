"""Where a counterfactual may lie: bounds of each query, the nearest legal row, the final check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dice_extended_plugin.space import FeatureSpace

__all__ = ["SAME", "bounds", "contradictions", "legal", "project"]

#: Two scaled values closer than this are the same value (float32 hosts resolve about 1e-7).
SAME = 1e-9


def bounds(space: FeatureSpace, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest permitted encoded values, see :meth:`FeatureSpace.bounds`."""
    n = space.n_continuous
    low = (space.permitted_low - space.low) / space.scale
    high = (space.permitted_high - space.low) / space.scale
    kept, free = x[:, :n], ~space.asked
    lower, upper = np.zeros_like(x), np.empty_like(x)
    lower[:, :n] = np.where(free, np.minimum(low, kept), low)
    upper[:, :n] = np.where(free, np.maximum(high, kept), high)
    lower[:, :n] = np.where(space.direction > 0, np.maximum(lower[:, :n], kept), lower[:, :n])
    upper[:, :n] = np.where(space.direction < 0, np.minimum(upper[:, :n], kept), upper[:, :n])
    upper[:, n:] = space.permitted_levels
    if space.forbidden.any():
        upper[:, n:] *= x[:, n:] @ space.forbidden < 0.5
    frozen = ~space.vary[space.column_feature]
    lower[:, frozen] = x[:, frozen]
    upper[:, frozen] = x[:, frozen]
    return lower, upper


def project(
    space: FeatureSpace, u: np.ndarray, x: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Return the nearest rows that can be written down, see :meth:`FeatureSpace.project`."""
    n = space.n_continuous
    out = np.empty(np.broadcast_shapes(u.shape, x.shape))
    if n:
        box = lower[..., :n], upper[..., :n]
        numbers = _project_numbers(space, u[..., :n], x[..., :n], *box)
        out[..., :n] = _settle_order(space, numbers, x[..., :n], *box) if space.order else numbers
    if space.categorical:
        out[..., n:] = _project_levels(space, u, upper)
    return out


def _project_numbers(
    space: FeatureSpace, u: np.ndarray, x: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    per_unit = space.per_unit
    raw = (space.low + u * space.scale) * per_unit
    own = (space.low + x * space.scale) * per_unit
    # SAME keeps a bound that is itself on the grid on the grid in spite of rounding.
    slack = SAME * space.scale * per_unit + 1e-9
    first = np.ceil((space.low + lower * space.scale) * per_unit - slack)
    last = np.floor((space.low + upper * space.scale) * per_unit + slack)
    step = np.clip(np.rint(raw), first, np.maximum(first, last))
    rounded = (step / per_unit - space.low) / space.scale
    # On the grid of the feature's own decimals a reader would see no change; on a coarser one the
    # query's own value, which may lie off the grid, is one more point of it.
    unseen = step == np.rint(own)
    nearer = np.abs(raw - own) <= np.abs(raw - step)
    stays = np.where(space.coarse, nearer, unseen) & (x >= lower - SAME) & (x <= upper + SAME)
    fixed = (upper - lower <= SAME) | (first > last)
    return np.where(stays, x, np.where(fixed, np.clip(u, lower, upper), rounded))


def _project_levels(space: FeatureSpace, u: np.ndarray, upper: np.ndarray) -> np.ndarray:
    padding = space.blocks < 0
    values = np.where(padding | (upper[..., space.blocks] <= 0), -np.inf, u[..., space.blocks])
    choice = space.blocks[np.arange(len(space.blocks)), values.argmax(axis=-1)]
    hot = np.zeros((*choice.shape[:-1], space.n_columns))
    np.put_along_axis(hot, choice, 1.0, axis=-1)
    return hot[..., space.n_continuous :]


def _settle_order(
    space: FeatureSpace, values: np.ndarray, x: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Repair pairs in the wrong order by the smaller move; take back what cannot be repaired."""
    values = values.copy()
    x, lower, upper = (np.broadcast_to(part, values.shape) for part in (x, lower, upper))
    for _ in space.order:  # a repair may break a pair before it, at most along the whole chain
        wrong = [_wrong(space, values, pair) for pair in space.order]
        if not any(part.any() for part in wrong):
            return values
        for pair in space.order:
            who = np.nonzero(_wrong(space, values, pair))
            values[who] = _repaired(space, values[who], x[who], lower[who], upper[who], pair)
    broken = np.zeros(values.shape[:-1], dtype=bool)
    for pair in space.order:
        broken |= _wrong(space, values, pair)
    linked = sorted({j for pair in space.order for j in pair})
    values[..., linked] = np.where(broken[..., None], x[..., linked], values[..., linked])
    return values


def _wrong(space: FeatureSpace, values: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    first, second = (space.low[j] + values[..., j] * space.scale[j] for j in pair)
    return first > second + SAME * max(space.scale[j] for j in pair)


def _repaired(
    space: FeatureSpace,
    values: np.ndarray,
    x: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    pair: tuple[int, int],
) -> np.ndarray:
    """Bring the first of a pair down to the second, or the second up to the first; (n, d)."""
    i, j = pair
    down, up = values.copy(), values.copy()
    raw = [space.low[c] + values[:, c] * space.scale[c] for c in pair]
    down[:, i] = (np.floor(raw[1] / space.step[i] + 1e-9) * space.step[i] - space.low[i]) / (
        space.scale[i]
    )
    up[:, j] = (np.ceil(raw[0] / space.step[j] - 1e-9) * space.step[j] - space.low[j]) / (
        space.scale[j]
    )
    cost = []
    for moved, c in ((down, i), (up, j)):
        fits = (moved[:, c] >= lower[:, c] - SAME) & (moved[:, c] <= upper[:, c] + SAME)
        cost.append(np.where(fits, np.abs(moved - x).sum(1), np.inf))
    best = np.where((cost[0] <= cost[1])[:, None], down, up)
    return np.where(np.isfinite(np.minimum(*cost))[:, None], best, values)


def legal(space: FeatureSpace, u: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Tell which projected rows (n, d) keep bounds and order, see :meth:`FeatureSpace.legal`."""
    lower, upper = bounds(space, x)
    fine = ((u >= lower - SAME) & (u <= upper + SAME)).all(axis=-1)
    for pair in space.order:
        fine &= ~_wrong(space, u, pair)
    return fine


def contradictions(space: FeatureSpace, x: np.ndarray) -> list[str]:
    """Name for each query (n, d) a feature without any permitted value; "" where there is none."""
    lower, upper = bounds(space, x)
    empty = np.zeros((len(x), space.n_features), dtype=bool)
    n = space.n_continuous
    empty[:, :n] = lower[:, :n] > upper[:, :n] + SAME
    for j, block in enumerate(space.blocks):
        empty[:, n + j] = upper[:, block[block >= 0]].max(axis=1) <= 0
    features = space.continuous + space.categorical
    return [
        f"the rules and permitted_range leave no value for {features[int(row.argmax())]!r}"
        if row.any()
        else ""
        for row in empty
    ]
