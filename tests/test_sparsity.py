"""Post-hoc sparsity: dice-ml's own walk, for all rows at once, and with a guard."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_extended_plugin import host
from dice_extended_plugin.dice_sorensen import noise_validity
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.sparsity import (
    KEEP,
    Guard,
    _bisect,
    _march,
    enhance_sparsity,
    search_order,
)

# -- the two walkers against plain loops ----------------------------------------------------------


def march_one(steps: int, good: list[bool]) -> int:
    taken = 0
    while taken < steps and good[taken]:
        taken += 1
    return taken


WALKS = st.lists(st.lists(st.booleans(), max_size=40), max_size=8)


def ask(walks, log=None):
    def stays(who, step):
        assert (step >= 1).all()
        if log is not None:
            log.append(len(who))
        return np.array([walks[w][s - 1] for w, s in zip(who, step, strict=True)], dtype=bool)

    return stays


@settings(max_examples=200, deadline=None)
@given(walks=WALKS)
def test_march_is_a_loop_that_stops_at_the_first_failure(walks):
    steps = np.array([len(w) for w in walks], dtype=int)
    log: list[int] = []
    taken = _march(steps, ask(walks, log))
    assert taken.tolist() == [march_one(len(w), w) for w in walks]
    assert len(log) <= 5  # blocks of 4, 16, 64: not one call a step


@settings(max_examples=200, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=8))
def test_bisect_finds_the_last_good_step_of_a_monotone_walk(lengths):
    walks = [[i < good for i in range(length)] for length, good in lengths]
    steps = np.array([len(w) for w in walks], dtype=int)
    log: list[int] = []
    taken = _bisect(steps, ask(walks, log))
    assert taken.tolist() == [min(length, good) for length, good in lengths]
    assert len(log) <= 8


@settings(max_examples=100, deadline=None)
@given(walks=st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=6))
def test_bisect_ends_on_a_good_step_of_any_walk(walks):
    taken = _bisect(np.array([len(w) for w in walks]), ask(walks))
    assert all(t == 0 or w[t - 1] for t, w in zip(taken, walks, strict=True))
    assert all(t == len(w) for t, w in zip(taken, walks, strict=True) if w[-1])


def test_walkers_with_nothing_to_do():
    nothing = np.zeros(0, dtype=int)
    assert len(_march(nothing, ask([]))) == 0
    assert len(_bisect(nothing, ask([]))) == 0


def test_largest_deviation_first():
    assert search_order(np.array([1.0, 5.0, 0.0, 5.0])).tolist() == [1, 3, 0, 2]


# -- enhance_sparsity on a made-up space ----------------------------------------------------------


def scene(seed: int, n: int = 3, queries: int = 4, k: int = 3):
    """A space of n rounded features and one categorical, a linear label, valid rows."""
    rng = np.random.default_rng(seed)
    ranges = {f"n{j}": (float(rng.integers(-5, 1)), float(rng.integers(5, 60))) for j in range(n)}
    digits = {f: int(rng.integers(0, 2)) for f in ranges}
    space = FeatureSpace.build([*ranges, "c"], ranges, {"c": ["a", "b", "d"]}, digits)
    frame = pd.DataFrame(
        {f: rng.uniform(*ranges[f], queries).round(digits[f]) for f in ranges}
        | {"c": rng.choice(["a", "b", "d"], queries)}
    )
    x = space.encode(frame)
    lower, upper = space.bounds(x)
    wild = rng.uniform(-0.1, 1.1, size=(queries, k, space.n_columns))
    u = space.project(wild, x[:, None], lower[:, None], upper[:, None])
    slope = rng.normal(size=space.n_columns)

    def is_target(rows, query):
        side = np.sign((u.mean(1) - x) @ slope)[query]
        return ((rows - x[query]) @ slope) * side > 0.05

    valid = is_target(u.reshape(-1, u.shape[-1]), np.repeat(np.arange(queries), k))
    deviation = rng.uniform(0, 1, n) * space.scale
    return space, x, u, valid.reshape(queries, k), deviation, is_target


def brute_force(space, x, u, valid, deviation, is_target, limit=10_000):
    """One row, one feature, one step at a time, as dice-ml does it."""
    out = u.copy()
    lower, upper = space.bounds(x)
    for q, i in zip(*np.nonzero(valid), strict=True):
        for j in np.argsort(-deviation, kind="stable"):
            away = (x[q, j] - out[q, i, j]) * space.scale[j]
            if (
                abs(away) <= 1e-9 * space.scale[j]
                or abs(away) > deviation[j] + 1e-9 * space.scale[j]
            ):
                continue
            unit = 10.0 ** -space.precision[j] / space.scale[j]
            for _ in range(limit):
                row = out[q, i].copy()
                left = x[q, j] - row[j]
                if abs(left) <= 1e-9:
                    break
                row[j] += np.sign(left) * min(unit, abs(left))
                row = space.project(row[None], x[q][None], lower[q][None], upper[q][None])[0]
                if not is_target(row[None], np.array([q]))[0]:
                    break
                out[q, i] = row
    return out


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_linear_walk_is_the_loop(seed):
    space, x, u, valid, deviation, is_target = scene(seed)
    ours = enhance_sparsity(u, x, valid, space, deviation, is_target)
    np.testing.assert_allclose(
        ours, brute_force(space, x, u, valid, deviation, is_target), atol=1e-7
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), algorithm=st.sampled_from(["linear", "binary"]))
def test_rows_only_come_nearer_and_stay_counterfactuals(seed, algorithm):
    space, x, u, valid, deviation, is_target = scene(seed)
    before = u.copy()
    out = enhance_sparsity(u, x, valid, space, deviation, is_target, algorithm)
    np.testing.assert_array_equal(u, before)  # the argument is not written to
    n = space.n_continuous
    np.testing.assert_array_equal(out[~valid], u[~valid])
    np.testing.assert_array_equal(out[..., n:], u[..., n:])
    away, was = np.abs(out - x[:, None])[..., :n], np.abs(u - x[:, None])[..., :n]
    assert (away <= was + 1e-12).all()
    np.testing.assert_array_equal(out[..., :n][was > deviation / space.scale + 1e-6],
                                  u[..., :n][was > deviation / space.scale + 1e-6])  # fmt: skip
    query = np.nonzero(valid)[0]
    assert is_target(out[valid], query).all()
    lower, upper = space.bounds(x)
    np.testing.assert_allclose(
        space.project(out, x[:, None], lower[:, None], upper[:, None]), out, atol=1e-12
    )


@pytest.mark.parametrize("algorithm", ["linear", "binary"])
def test_chunks_do_not_matter(algorithm):
    space, x, u, valid, deviation, is_target = scene(3, queries=6)
    whole = enhance_sparsity(u, x, valid, space, deviation, is_target, algorithm)
    assert not np.array_equal(whole, u)
    pieces = enhance_sparsity(u, x, valid, space, deviation, is_target, algorithm, max_rows=2)
    np.testing.assert_array_equal(whole, pieces)


def test_limit_steps():
    space = FeatureSpace.build(["a"], {"a": (0.0, 100.0)}, {}, {"a": 0})
    x, u = np.array([[0.10]]), np.array([[[0.50], [0.13]]])
    valid = np.ones((1, 2), dtype=bool)

    def walk(limit):
        out = enhance_sparsity(
            u, x, valid, space, np.array([100.0]), lambda rows, query: rows[:, 0] > 0.2,
            limit_steps=limit,
        )  # fmt: skip
        return (out[0, :, 0] * 100).round(6).tolist()

    assert walk(1) == [49.0, 13.0] or walk(1) == [49.0, 12.0]
    assert walk(7)[0] == 43.0
    assert walk(10_000)[0] == 21.0


def test_no_valid_rows_and_no_continuous_features_are_left_alone():
    space, x, u, valid, deviation, _ = scene(1)
    none = np.zeros_like(valid)

    def never(rows, query):
        raise AssertionError("the model was asked")

    assert enhance_sparsity(u, x, none, space, deviation, never) is u
    levels = FeatureSpace.build(["c"], {}, {"c": ["a", "b"]})
    hot = np.array([[[1.0, 0.0]]])
    one = np.ones((1, 1), dtype=bool)
    assert enhance_sparsity(hot, hot[:, 0], one, levels, np.zeros(0), never) is hot


def test_frozen_features_and_bounds_off_the_grid():
    """A range [41.3, 59.7] of whole numbers: a walk towards 60 ends at 59, not at 59.7."""
    space = FeatureSpace.build(["a", "b"], {"a": (0.0, 100.0), "b": (0.0, 1.0)}, {}, {"a": 0})
    space = space.constrain(["a"], {"a": [41.3, 59.7]})
    x = np.array([[0.60, 0.5], [0.10, 0.5]])
    u = np.array([[[0.45, 0.5]], [[0.55, 0.5]]])
    out = enhance_sparsity(
        u, x, np.ones((2, 1), dtype=bool), space, np.array([100.0, 1.0]),
        lambda rows, query: np.ones(len(rows), dtype=bool),
    )  # fmt: skip
    np.testing.assert_allclose(out[:, 0, 0], [0.59, 0.42])
    np.testing.assert_array_equal(out[..., 1], u[..., 1])


# -- the guard ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["linear", "binary"])
@pytest.mark.parametrize("family", ["gaussian", "heavy-tailed"])
def test_the_guard_keeps_noise_validity(algorithm, family):
    noise = NoiseModel(scale=0.1, family=family)
    moved = lost = 0
    for seed in range(6):
        space, x, u, valid, deviation, is_target = scene(seed, queries=5)
        if not valid.any():
            continue
        bank = noise.bank(space, 0)

        def stability(rows, query, space=space, x=x, bank=bank, is_target=is_target):
            return noise_validity(
                rows, x[query], space, noise, bank, lambda d, i, q=query: is_target(d, q[i])
            )

        query = np.nonzero(valid)[0]
        guarded = enhance_sparsity(
            u, x, valid, space, deviation, is_target, algorithm, Guard(stability)
        )
        plain = enhance_sparsity(u, x, valid, space, deviation, is_target, algorithm)
        before = stability(u[valid], query)
        assert (stability(guarded[valid], query) >= KEEP * before - 1e-12).all()
        lost += int((stability(plain[valid], query) < KEEP * before - 1e-12).sum())
        moved += int((guarded != u).any())
    assert moved > 0  # it takes something back
    assert lost > 0  # and without it rows do lose their stability


# -- against dice-ml ------------------------------------------------------------------------------


def dice_mls_own(theirs, dense, query, target, algorithm, quantile):
    """dice-ml's enhancement, with the attributes its search would have set."""
    theirs.target_cf_class = np.array([[target]], dtype=np.float32)
    theirs.stopping_threshold = 0.5
    return theirs.do_posthoc_sparsity_enhancement(dense.copy(), query, quantile, algorithm, 10_000)


@pytest.mark.parametrize("quantile", [0.1, 0.7, 1.0])
@pytest.mark.parametrize("algorithm", ["linear", "binary"])
def test_without_guard_it_is_dice_mls_own_enhancement(
    explainer, stock, queries, algorithm, quantile
):
    """The same dense rows, decoded, cell by cell.

    Two ends of dice-ml's walks are let through: its linear walk stops when 0.001 is left, so that
    a feature of three decimals stays one step short of the query; and its binary search may leave
    a row on the last value it tried, valid or not, so a few of its rows are off by some steps.
    """
    torch = pytest.importorskip("torch")
    ours, theirs = explainer(robustness=None), stock()
    found = ours.generate_counterfactuals(
        queries[:4], 3, posthoc_sparsity_param=quantile, posthoc_sparsity_algorithm=algorithm,
        min_iter=60, max_iter=200,
    )  # fmt: skip
    cells = same = moved = 0
    for i, example in enumerate(found.cf_examples_list):
        dense = example.final_cfs_df
        if len(dense) == 0:
            continue
        with torch.no_grad():
            expected = dice_mls_own(
                theirs, dense, example.test_instance_df, example.desired_class, algorithm, quantile
            )
        for f in ("age", "bmi", "bp", "s5"):
            got, want = (t[f].to_numpy(float) for t in (example.final_cfs_df_sparse, expected))
            near = np.abs(got - want) <= 1e-6 * max(1.0, np.abs(want).max())
            home = got == example.test_instance_df[f].iloc[0]
            near |= home & (np.abs(got - want) <= 1.001e-3)
            if algorithm == "linear":
                assert near.all(), (i, f, got, want)
            cells, same = cells + near.size, same + int(near.sum())
            moved += int((got != dense[f].to_numpy(float)).sum())
    assert cells > 0
    assert same / cells >= 0.95
    if quantile >= 0.7:
        assert moved > 5


def test_deviations_are_dice_mls(data, space):
    for quantile in (0.1, 0.5, 0.9):
        ours = host.sparsity_deviation(data, space, quantile)
        theirs, mads = data.get_quantiles_from_training_data(quantile), data.get_valid_mads()
        expected = [min(theirs[f], mads[f]) for f in space.continuous]
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
