"""Our survival of many populations against pymoo's of one."""

from __future__ import annotations

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga3 import HyperplaneNormalization, associate_to_niches
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from art_bridge.survival import (
    Survival,
    _by_objective,
    _rank_and_twins,
    das_dennis,
    non_dominated_rank,
)

DIRECTIONS = das_dennis(3, 10)


def costs(rng, n_queries=4, n=40, kind="counterfactual", decimals=6):
    """Return random costs with ties; "counterfactual" has a first objective of 0 and 1."""
    f = np.round(rng.random((n_queries, n, 3)), decimals)
    if kind == "counterfactual":
        f[:, :, 0] = rng.random((n_queries, n)) < 0.5
        f[:, :, 1] *= f[:, :, 0]
    f[:, ::6] = f[:, :1]
    return f


@pytest.mark.parametrize("kind", ["counterfactual", "general", "boundary"])
@pytest.mark.parametrize("decimals", [1, 2, 6])
def test_ranks_are_pymoos(kind, decimals):
    rng = np.random.default_rng(decimals)
    for _ in range(10):
        f = costs(rng, kind="general" if kind == "general" else "counterfactual", decimals=decimals)
        if kind == "boundary":
            f[:, :, 1] = np.round(rng.random(f.shape[:2]), decimals)
        ranks = non_dominated_rank(f)
        for one, rank in zip(f, ranks, strict=True):
            assert np.array_equal(rank, NonDominatedSorting().do(one, return_rank=True)[1])


@pytest.mark.parametrize(("n_queries", "n"), [(150, 60), (3, 400)])
def test_ranks_of_many_populations_and_of_large_ones(n_queries, n):
    f = costs(np.random.default_rng(0), n_queries, n)
    f[:, :, 2] = np.sort(f[:, :, 2])[:, ::-1]  # long chains
    for one, rank in zip(f, non_dominated_rank(f), strict=True):
        assert np.array_equal(rank, NonDominatedSorting().do(one, return_rank=True)[1])


@pytest.mark.parametrize("most", [1, 7, 30])
def test_the_best_fronts_are_ranked_in_full_when_only_some_members_are_wanted(most):
    f = costs(np.random.default_rng(most), 20, 40, decimals=2)
    f[:10, :, 2] = np.sort(f[:10, :, 2])[:, ::-1]  # long chains: few in each front
    few, twin = _rank_and_twins(_by_objective(f), most)
    for rank, some, same in zip(non_dominated_rank(f), few, twin, strict=True):
        last = np.sort(rank[~same])[min(most, (~same).sum()) - 1]
        assert np.array_equal(some[rank <= last], rank[rank <= last])
        assert (some[rank > last] > last).all()


@pytest.mark.parametrize("m", [1, 2, 4, 5])
def test_ranks_of_other_numbers_of_objectives(m):
    f = np.round(np.random.default_rng(m).random((3, 30, m)), 1)
    for one, rank in zip(f, non_dominated_rank(f), strict=True):
        assert np.array_equal(rank, NonDominatedSorting().do(one, return_rank=True)[1])


@pytest.mark.parametrize("kind", ["counterfactual", "general"])
def test_ideal_extreme_and_nadir_points_are_pymoos_over_generations(kind):
    rng = np.random.default_rng(0)
    ours, theirs = Survival(DIRECTIONS, 4), [HyperplaneNormalization(3) for _ in range(4)]
    solved = 0
    for generation in range(8):
        f = costs(rng, kind=kind) / (1 + 0.2 * generation)
        front = non_dominated_rank(f) == 0
        nadir = ours._normalise(_by_objective(f), front)
        for q, norm in enumerate(theirs):
            norm.update(f[q], nds=np.flatnonzero(front[q]))
            np.testing.assert_array_equal(ours.ideal[q], norm.ideal_point)
            np.testing.assert_array_equal(ours.worst[q], norm.worst_point)
            np.testing.assert_array_equal(ours.extremes[q], norm.extreme_points)
            np.testing.assert_allclose(nadir[q], norm.nadir_point, rtol=1e-9, atol=1e-12)
            solved += not np.allclose(nadir[q], f[q][front[q]].max(axis=0))
    assert solved or kind == "counterfactual"  # the plane is used, not its stand-in alone


def test_niches_are_pymoos():
    rng = np.random.default_rng(1)
    f = costs(rng, kind="general")
    ours = Survival(DIRECTIONS, len(f))
    nadir = ours._normalise(_by_objective(f), non_dominated_rank(f) == 0)
    niche, away = associate(ours, f, nadir.copy())
    for q in range(len(f)):
        theirs = associate_to_niches(f[q], DIRECTIONS.copy(), ours.ideal[q], nadir[q].copy())
        np.testing.assert_allclose(away[q], theirs[1], atol=1e-7)
        # Two rays may be equally near.
        np.testing.assert_allclose(theirs[2][np.arange(f.shape[1]), niche[q]], theirs[1], atol=1e-7)


def associate(survival, f, nadir):
    """Niche of every member and the distance to its direction, (Q, N) each."""
    everyone = np.arange(f.shape[0] * f.shape[1])
    found = survival._associate(_by_objective(f), nadir, everyone)
    return tuple(part.reshape(f.shape[:2]) for part in found)


def split(rank, n_survive):
    last = np.sort(rank)[n_survive - 1]
    return rank < last, rank == last


@pytest.mark.parametrize("kind", ["counterfactual", "general"])
@pytest.mark.parametrize("n_survive", [1, 13, 20, 39, 40])
def test_whole_fronts_survive_and_niches_are_filled_evenly(kind, n_survive):
    rng = np.random.default_rng(n_survive)
    f = costs(rng, n_queries=20, kind=kind)
    survival = Survival(DIRECTIONS, len(f))
    keep = survival.select(f, n_survive, rng.random((2, *f.shape[:2])))
    rank = non_dominated_rank(f)
    again = Survival(DIRECTIONS, len(f))
    niche, away = associate(again, f, again._normalise(_by_objective(f), rank == 0))
    for q in range(len(f)):
        assert len(set(keep[q])) == n_survive
        sure, last = split(rank[q], n_survive)
        kept = np.zeros(f.shape[1], bool)
        kept[keep[q]] = True
        assert kept[sure].all() and not kept[~sure & ~last].any()
        before = np.bincount(niche[q][sure], minlength=len(DIRECTIONS))
        after = np.bincount(niche[q][kept], minlength=len(DIRECTIONS))
        left = np.unique(niche[q][last & ~kept])
        taken = np.flatnonzero(after > before)
        if len(left) and len(taken):
            # Nobody was taken into a niche while a less crowded one still had members.
            assert (after[taken] - 1).max() <= after[left].min()
        for h in taken[before[taken] == 0]:
            members = np.flatnonzero(last & (niche[q] == h))
            assert away[q][members[kept[members]]].min() == away[q][members].min()


def test_ties_in_a_niche_are_broken_by_lot():
    f = np.ones((400, 6, 3))
    rng = np.random.default_rng(0)
    keep = Survival(DIRECTIONS, 400).select(f, 3, rng.random((2, 400, 6)))
    counts = np.bincount(keep.ravel(), minlength=6) / 400
    assert np.allclose(counts, 0.5, atol=0.1)  # six equally close share three places


def test_distinct_members_come_first():
    rng = np.random.default_rng(3)
    f = costs(rng, n_queries=6, kind="general")
    f[:, 20:] = f[:, :20]
    keep = Survival(DIRECTIONS, 6).select(f, 15, rng.random((2, 6, 40)), distinct=True)
    for q in range(6):
        assert len(np.unique(f[q][keep[q]], axis=0)) == 15


def test_a_population_does_not_feel_the_others():
    rng = np.random.default_rng(4)
    f, draws = costs(rng, n_queries=7), rng.random((2, 7, 40))
    together = Survival(DIRECTIONS, 7)
    first = together.select(f, 20, draws)
    second = together.take(np.array([5, 2])).select(f[[5, 2]] * 0.9, 20, draws[:, [5, 2]])
    for place, q in enumerate((5, 2)):
        alone = Survival(DIRECTIONS, 1)
        assert np.array_equal(alone.select(f[[q]], 20, draws[:, [q]])[0], first[q])
        again = alone.select(f[[q]] * 0.9, 20, draws[:, [q]])
        assert np.array_equal(again[0], second[place])


def test_directions():
    assert DIRECTIONS.shape == (66, 3)
    assert np.allclose(DIRECTIONS.sum(axis=1), 1)
