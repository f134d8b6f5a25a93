"""What holds for every table, constraint and network, for the gradient method."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_problems import OUTCOME, problems

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402

from dice_extended_plugin import DiceExtendedPyTorch  # noqa: E402
from dice_extended_plugin.host import DiceInputError, feature_space  # noqa: E402

QUICK = settings(
    derandomize=True,
    deadline=None,
    max_examples=6,
    suppress_health_check=list(HealthCheck),
    # Making a failing case smaller takes minutes: remove this line to see a smaller one.
    phases=[Phase.explicit, Phase.generate],
)
KEYWORDS = {"min_iter": 5, "max_iter": 15, "learning_rate": 0.2}
#: Calls besides those of the search: its checks, the last look, the report.
BESIDES = 14

pytestmark = pytest.mark.filterwarnings("ignore")


class Counter:
    """Shared by all copies of a network."""

    def __init__(self):
        self.calls = 0

    def __deepcopy__(self, memo):
        return self


class Network(torch.nn.Module):
    """A linear model of encoded rows, in the form that `kind` says; may fail at a call."""

    def __init__(self, n_columns, seed, kind, failure=None, fail_at=0):
        super().__init__()
        draw = np.random.default_rng(seed)
        weight = np.zeros(n_columns) if kind == "constant" else draw.normal(0, 1, n_columns)
        steep = 400.0 if kind == "step" else 4.0
        self.weight = torch.nn.Parameter(torch.tensor(steep * weight))
        self.bias = torch.nn.Parameter(torch.tensor(-steep * float(weight.sum()) / 2 - 0.05))
        self.counter, self.failure, self.fail_at = Counter(), failure, fail_at

    def forward(self, rows):
        self.counter.calls += 1
        weight = self.weight.to(rows.dtype)
        share = torch.sigmoid(rows @ weight + self.bias.to(rows.dtype))
        if self.failure is not None and self.counter.calls >= self.fail_at:
            if self.failure == "raises":
                raise RuntimeError("the network broke")
            holes = torch.arange(len(share)) % 3 == 0
            share = torch.where(holes, torch.full_like(share, float("nan")), share)
        return share[:, None]


def explainer(problem, network):
    model = dice_ml.Model(model=network, backend="PYT", func="ohe-min-max")
    return DiceExtendedPyTorch(problem.data(), model, report_draws=4)


def network_of(problem, seed, kind, **failure):
    return Network(feature_space(problem.data()).n_columns, seed, kind, **failure)


def ask(problem, made, queries=None, **more):
    keywords = {"total_CFs": problem.total_CFs, **KEYWORDS, **problem.call, **more}
    queries = problem.queries if queries is None else queries
    return made.generate_counterfactuals(queries, **keywords)


def labels(problem, network, rows):
    """The network's own label of rows, by a copy that is not counted and does not fail."""
    private = copy.deepcopy(network)
    private.counter, private.failure = Counter(), None
    encoded = torch.tensor(feature_space(problem.data()).encode(rows[problem.names])).float()
    with torch.no_grad():
        share = private(encoded)[:, 0].numpy()
    return np.where(share == 0.5, -1, (share > 0.5).astype(int))


def same(one, two):
    return one.to_frame().astype(str).equals(two.to_frame().astype(str))


def check_call(problem, seed, kind):
    network = network_of(problem, seed, kind)
    made = explainer(problem, network)
    weights = network.weight.detach().clone()
    queries, frame = problem.queries.copy(), problem.frame.copy()
    try:
        found = ask(problem, made)
    except DiceInputError:
        assert problem.call
        return
    pd.testing.assert_frame_equal(problem.queries, queries)
    pd.testing.assert_frame_equal(problem.frame, frame)
    assert torch.equal(network.weight, weights) and network.weight.grad is None
    wanted = 1 - labels(problem, network, queries)
    for place, example in enumerate(found.cf_examples_list):
        for rows in (example.final_cfs_df, example.final_cfs_df_sparse):
            if rows is not None and len(rows):
                assert (labels(problem, network, rows) == wanted[place]).all()
                assert (rows[OUTCOME].astype(int) == wanted[place]).all()
                assert not rows.astype(str).duplicated().any()
                vary = problem.call.get("features_to_vary", problem.names)
                for name in set(problem.names) - set(vary):
                    assert (rows[name] == queries[name].iloc[place]).all()
    again = type(found).from_json(found.to_json())
    assert again.status == found.status
    for place in range(len(queries)):
        alone = ask(problem, made, queries.iloc[[place]]).cf_examples_list[0]
        whole = found.cf_examples_list[place]
        pd.testing.assert_frame_equal(alone.final_cfs_df, whole.final_cfs_df)
        assert (alone.status, alone.reason) == (whole.status, whole.reason)


SEEDS, KINDS = st.integers(0, 999), st.sampled_from(["linear", "step", "constant"])


@QUICK
@given(problem=problems(), seed=SEEDS, kind=KINDS)
def test_what_is_returned_holds(problem, seed, kind):
    check_call(problem, seed, kind)


@pytest.mark.slow
@settings(QUICK, max_examples=150)
@given(problem=problems(), seed=SEEDS, kind=KINDS)
def test_what_is_returned_holds_in_many_cases(problem, seed, kind):
    check_call(problem, seed, kind)


def check_failure(problem, seed, failure, fail_at):
    """A network that fails during a call leaves no trace in the explainer."""
    broken = network_of(problem, seed, "linear", failure=failure, fail_at=fail_at)
    try:
        made = explainer(problem, broken)
        ask(problem, made)
    except DiceInputError:
        pass
    except RuntimeError as error:
        assert failure == "raises" and "the network broke" in str(error)
    if "made" not in locals():
        return
    broken.failure = None
    try:
        repaired = ask(problem, made)
    except DiceInputError:
        return
    fresh = explainer(problem, network_of(problem, seed, "linear"))
    assert same(repaired, ask(problem, fresh))


@QUICK
@given(
    problem=problems(),
    seed=SEEDS,
    failure=st.sampled_from(["raises", "nan"]),
    fail_at=st.integers(2, 20),
)
def test_a_network_that_fails_leaves_no_trace(problem, seed, failure, fail_at):
    check_failure(problem, seed, failure, fail_at)


@settings(QUICK, max_examples=6)
@given(problem=problems(), seed=SEEDS, kind=KINDS, most=st.integers(1, 12))
def test_budgets_are_kept(problem, seed, kind, most):
    network = network_of(problem, seed, kind)
    made = explainer(problem, network)
    before = network.counter.calls
    try:
        ask(problem, made, max_model_calls=most, posthoc_sparsity_param=None)
    except DiceInputError:
        return
    assert network.counter.calls - before <= most + BESIDES
    before = network.counter.calls
    ask(problem, made, max_seconds=1e-9)
    assert network.counter.calls - before <= BESIDES
