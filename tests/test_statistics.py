"""Paired statistics against SciPy, and by hand where SciPy has nothing."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.statistics import (
    bootstrap_interval,
    holm,
    paired,
    rank_biserial,
    wilcoxon,
)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample(n=30, seed=0, shift=0.3):
    rng = np.random.default_rng(seed)
    b = rng.normal(size=n)
    return b + shift + 0.5 * rng.normal(size=n), b


@pytest.mark.parametrize("n", [2, 5, 30, 300])
@pytest.mark.filterwarnings("ignore:Sample size too small")  # SciPy below 1.13
def test_t_and_wilcoxon_are_scipys(n):
    a, b = sample(n)
    found = paired(a, b, n_bootstrap=200)
    test = stats.ttest_rel(a, b)
    assert found.n == n
    np.testing.assert_allclose([found.t, found.p_t], [test.statistic, test.pvalue])
    greater = stats.wilcoxon(a, b, alternative="greater", method="approx").statistic
    assert found.w == pytest.approx(greater)  # scipy's two-tailed W is the smaller of both sums
    if n <= 200:
        assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)
    else:
        correct = stats.wilcoxon(a, b, method="approx", correction=True)
        assert found.p_wilcoxon == pytest.approx(correct.pvalue)
    assert found.mean_difference == pytest.approx(np.mean(a - b))
    assert found.dz == pytest.approx(np.mean(a - b) / np.std(a - b, ddof=1))


@pytest.mark.parametrize(
    "difference",
    [[1, 1, 1, -1], [0.5, 0.5, -0.25, 2, 2, -2], [0, 0, 3, -1, 1, 1, 2], [1], [1, 2, 3, 4, 5]],
)
def test_wilcoxon_with_ties_and_zeros_is_the_count_over_all_signs(difference):
    moved = np.array([d for d in difference if d], dtype=float)
    ranks = stats.rankdata(np.abs(moved))
    w, p = wilcoxon(np.array(difference, dtype=float))
    assert w == ranks[moved > 0].sum()
    sums = np.array([ranks[np.array(s) > 0].sum() for s in product([1, -1], repeat=len(moved))])
    centre = ranks.sum() / 2
    assert p == pytest.approx((np.abs(sums - centre) >= abs(w - centre) - 1e-9).mean())


def test_exact_and_normal_agree_where_they_meet():
    a, b = sample(201, seed=3, shift=0.05)
    exact = wilcoxon((a - b)[:200])[1]
    normal = stats.wilcoxon((a - b)[:200], method="approx", correction=True).pvalue
    assert exact == pytest.approx(normal, rel=0.02)


def test_rank_biserial_by_hand():
    assert rank_biserial(np.array([1.0, 2.0, 3.0])) == 1.0
    assert rank_biserial(np.array([-1.0, -2.0])) == -1.0
    assert rank_biserial(np.array([0.0, 0.0])) == 0.0
    # ranks 1, 2.5, 2.5, 4 with signs +, +, -, -: (3.5 - 6.5) / 10
    assert rank_biserial(np.array([1.0, 2.0, -2.0, -3.0])) == pytest.approx(-0.3)


def test_all_equal():
    same = paired(np.full(8, 0.3), np.full(8, 0.3))
    assert (same.n, same.mean_difference, same.t, same.p_t) == (8, 0.0, 0.0, 1.0)
    assert (same.dz, same.rank_biserial, same.p_wilcoxon) == (0.0, 0.0, 1.0)
    assert (same.low, same.high) == (0.0, 0.0)


def test_one_constant_difference():
    # 0.3 - 0.1 and 1.3 - 1.1 differ in the last digit; the difference is one all the same.
    b = np.linspace(0.1, 5.1, 12)
    found = paired(b + 0.2, b)
    assert found.t == np.inf and found.dz == np.inf and found.p_t == 0.0
    assert found.rank_biserial == 1.0
    assert found.p_wilcoxon == pytest.approx(2 / 2**12)


def test_few_or_no_pairs():
    none = paired([np.nan, 1.0], [2.0, np.nan])
    assert none.n == 0 and np.isnan(none.mean_difference) and np.isnan(none.p_t)
    one = paired([1.0, np.nan], [0.25, 3.0])
    assert one.n == 1 and one.mean_difference == 0.75
    assert np.isnan([one.p_t, one.p_wilcoxon, one.dz, one.low]).all()
    assert paired([], []).n == 0


def test_nan_pairs_are_left_out():
    a, b = sample(20)
    a[3], b[7], a[9] = np.nan, np.nan, np.inf
    keep = np.isfinite(a) & np.isfinite(b)
    assert paired(a, b) == paired(a[keep], b[keep])


def test_unequal_lengths_are_an_error():
    with pytest.raises(InvalidInputError, match="one length"):
        paired([1.0, 2.0], [1.0])


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = []
    for i in range(150):
        low, high = bootstrap_interval(rng.normal(size=40), 400, 0.9, i)
        covered.append(low <= 0 <= high)
    assert 0.82 <= np.mean(covered) <= 0.96
    assert bootstrap_interval(np.arange(9.0), random_state=1) == bootstrap_interval(
        np.arange(9.0), random_state=1
    )


def test_holm_by_hand():
    # sorted .01 .02 .03 .04: x4 = .04, x3 = .06, x2 = .06, x1 = .04 -> .06 (never below)
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    adjusted = holm([0.01, np.nan, 0.04])
    np.testing.assert_allclose(adjusted[[0, 2]], [0.02, 0.04])
    assert np.isnan(adjusted[1])
    assert len(holm([])) == 0


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(float, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_properties(p):
    adjusted = holm(p)
    order = np.random.default_rng(0).permutation(len(p))
    np.testing.assert_array_equal(holm(p[order]), adjusted[order])
    assert ((adjusted >= p - 1e-15) & (adjusted <= np.minimum(1, len(p) * p) + 1e-15)).all()


VALUES = hnp.arrays(float, 9, elements=st.floats(-100, 100).map(lambda x: round(x, 3)))


@settings(max_examples=40, deadline=None)
@given(VALUES, VALUES)
def test_paired_properties(a, b):
    found, turned = paired(a, b, n_bootstrap=50), paired(b, a, n_bootstrap=50)
    assert 0 <= found.p_t <= 1 and 0 <= found.p_wilcoxon <= 1
    assert -1 <= found.rank_biserial <= 1 and found.low <= found.high
    assert turned.mean_difference == -found.mean_difference
    assert turned.rank_biserial == pytest.approx(-found.rank_biserial)
    assert turned.p_wilcoxon == pytest.approx(found.p_wilcoxon)
    order = np.random.default_rng(1).permutation(9)
    shuffled = paired(a[order], b[order], n_bootstrap=50)
    assert shuffled.p_wilcoxon == pytest.approx(found.p_wilcoxon)
    assert shuffled.w == pytest.approx(found.w)
