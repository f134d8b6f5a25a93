"""What holds for every table, model and set of counterfactuals, for every metric."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_problems import problems

from dice_extended_plugin.explainers.random import DiceExtendedRandom
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.metric_table import METRICS
from dice_extended_plugin.sets import CounterfactualSets, Protocol
from dice_extended_plugin.targets import ClassTarget

QUICK = settings(
    derandomize=True,
    deadline=None,
    max_examples=12,
    suppress_health_check=list(HealthCheck),
    # Making a failing case smaller takes minutes: remove this line to see a smaller one.
    phases=[Phase.explicit, Phase.generate],
)
pytestmark = pytest.mark.filterwarnings("ignore")


def tables_of(problem, seed):
    """For each query some rows of the table, none for some; columns in their own types."""
    draw = np.random.default_rng(seed)
    rows = problem.frame[problem.names]
    return [
        rows.iloc[draw.integers(0, len(rows), draw.integers(0, 4))].reset_index(drop=True)
        for _ in range(len(problem.queries))
    ]


def sets_of(problem, seed, places):
    queries = problem.queries
    # An explainer sets up the model's transformer, as in any use.
    made = DiceExtendedRandom(problem.data(), problem.wrapped())
    judge = Judge.of(made.data_interface, made.model, queries)
    tables = [tables_of(problem, seed)[place] for place in places]
    wanted = 1 - np.maximum(problem.model.labels(queries), 0)[places]
    return CounterfactualSets.collect(
        tables,
        queries.iloc[places].reset_index(drop=True),
        ClassTarget(wanted, np.zeros(len(places))),
        3,
        judge,
        Protocol(n_draws=20, n_neighbours=30, n_moves=2),
        seconds=np.ones(len(places)),
        model_calls=np.ones(len(places)),
        model_rows=np.ones(len(places)),
    )


def check_metrics(problem, seed):
    everything = list(range(len(problem.queries)))
    sets = sets_of(problem, seed, everything)
    before = sets.frame.copy(), sets.u.copy(), sets.queries.copy()
    values = {name: one(sets) for name, one in METRICS.items() if one.can_measure(sets)}
    assert len(values) > 25
    for name, found in values.items():
        low, high = METRICS[name].low, METRICS[name].high
        good = np.isnan(found) | ((found >= low - 1e-9) & (found <= high + 1e-9))
        assert good.all(), (name, found)
    pd.testing.assert_frame_equal(sets.frame, before[0])
    assert np.array_equal(sets.u, before[1])
    pd.testing.assert_frame_equal(sets.queries, before[2])
    for place in everything:
        alone = sets_of(problem, seed, [place])
        for name, found in values.items():
            one = METRICS[name](alone)[0]
            assert np.isclose(one, found[place], rtol=1e-9, equal_nan=True), (name, place)


@QUICK
@given(problem=problems(constrained=False), seed=st.integers(0, 99))
def test_values_keep_to_their_range_in_any_batch(problem, seed):
    check_metrics(problem, seed)


@pytest.mark.slow
@settings(QUICK, max_examples=300)
@given(problem=problems(constrained=False), seed=st.integers(0, 999))
def test_values_keep_to_their_range_in_many_cases(problem, seed):
    check_metrics(problem, seed)
