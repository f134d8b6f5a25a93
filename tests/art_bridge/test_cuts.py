"""Where the columns are cut, and what a sweep of the model tells of the cuts."""

from __future__ import annotations

import numpy as np
import pytest

from art_bridge.cuts import Cuts

RNG = np.random.default_rng(3)
#: A fine column, one of three values, a constant one.
ROWS = np.column_stack(
    [(RNG.random(600) ** 4).round(4), RNG.integers(0, 3, 600) / 2, np.full(600, 0.25)]
)


def steps(*places):
    """Return a model whose log-odds rise by 1 at each place of the first column."""

    def score(rows):
        odds = -0.5 + (rows[:, :1] > np.array(places)).sum(axis=1)
        p = 1 / (1 + np.exp(-odds))
        return np.column_stack([1 - p, p])

    return score


def taken(cuts, low, high, own, place):
    """Return values of column 0 (or all) between bounds."""
    first, last = cuts.span(np.atleast_2d(low), np.atleast_2d(high))
    return cuts.take(first, last, np.atleast_2d(own), np.asarray(place))


def test_a_value_lies_just_beyond_its_cut_seen_from_the_query():
    cuts = Cuts(ROWS)
    low, high = np.zeros(3), np.ones(3)
    for own, side in ((0.0, 1.0), (1.0, -1.0)):
        for place in np.linspace(0.05, 0.95, 19):
            value = taken(cuts, low, high, np.full(3, own), place)[0]
            cut = cuts.columns[0][np.abs(cuts.columns[0] - value[0]).argmin()]
            assert 0 < side * (value[0] - cut) < 1e-5
            assert np.float32(value[0]) != np.float32(cut)
            assert np.abs(value[1] - np.array([0.0, 0.25, 0.75, 1.0])).min() < 1e-5
            assert value[2] == 0.25


def test_values_stay_between_the_bounds_and_an_empty_span_has_none():
    cuts = Cuts(ROWS)
    low, high = np.array([0.1, 0.3, 0.3]), np.array([0.2, 0.7, 0.9])
    places = np.linspace(0, 0.999, 50)[:, None]
    first, last = cuts.span(low[None], high[None])
    found = cuts.take(first, last, np.zeros((1, 3)), places)
    assert ((found[:, 0] > 0.1) & (found[:, 0] < 0.2 + 1e-5)).all()
    assert len(np.unique(found[:, 0])) > 20
    assert np.isnan(found[:, 1:]).all()  # cuts at 0.25 and 0.75, and a constant


def test_a_sweep_finds_the_steps_of_a_model():
    cuts = Cuts(ROWS)
    column = cuts.columns[0]
    places = column[[3, 100, 101, len(column) - 5]]
    score = steps(*places)
    asked = cuts.learn(score, score(ROWS), 4000)
    assert 0 < asked <= 4000
    first, last = cuts.span(np.zeros((1, 3)), np.ones((1, 3)))
    share = np.linspace(0.01, 0.99, 99)[:, None]
    found = cuts.take(first, last, np.zeros((1, 3)), share)[:, 0]
    # Taken evenly by weight: nearly all of them just cross a step, and every step is crossed.
    hits = np.abs(found[:, None] - places) < 1e-5
    assert hits.any(axis=1).mean() > 0.9
    assert (hits.mean(axis=0) > 0.15).all()


@pytest.mark.parametrize("most", [0, 50, 700, 3000])
def test_the_row_budget_of_a_sweep(most):
    cuts, asked = Cuts(ROWS), []

    def counting(rows):
        asked.append(len(rows))
        return steps(0.3)(rows)

    told = cuts.learn(counting, steps(0.3)(ROWS), most)
    assert told == sum(asked) <= most
    assert (told == 0) == (most <= 50)


def test_columns_of_few_values_need_no_sweep():
    cuts = Cuts(ROWS[:, 1:])
    before = cuts.weight.copy()
    assert cuts.learn(pytest.fail, np.full((600, 2), 0.5), 4000) == 0
    assert np.array_equal(cuts.weight, before)


def test_a_model_that_answers_nan_teaches_nothing():
    cuts = Cuts(ROWS)
    before = cuts.weight.copy()
    assert cuts.learn(pytest.fail, np.full((600, 2), np.nan), 4000) == 0
    half = steps(0.3)

    def nan(rows):
        return np.full((len(rows), 2), np.nan)

    assert cuts.learn(nan, half(ROWS), 4000) > 0
    assert np.array_equal(cuts.weight, before)
