"""What only the genetic method does; numbers are those of ``hosts/dice_ml.md``, section 1."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin import genetic
from dice_extended_plugin.breeding import Breeding, breed


@pytest.fixture
def family(space, queries):
    """One population of random legal rows, best first, and what bounds it."""
    x = space.encode(queries[:2])
    lower, upper = space.bounds(x)
    rng = np.random.default_rng(0)
    u = lower[:, None] + rng.random((2, 40, x.shape[1])) * (upper - lower)[:, None]
    parents = space.project(u, x[:, None], lower[:, None], upper[:, None])
    return x, lower, upper, parents


def children(space, family, size=3000, breeding=None):
    x, lower, upper, parents = family
    draws = np.random.default_rng(1).random((2, size, 3 * space.n_features + 2))
    made = breed(draws, parents, x, lower, upper, space, breeding or Breeding())
    return space.project(made, x[:, None], lower[:, None], upper[:, None])


def test_mutation_reaches_the_whole_range(space, family):
    """Defect 9: dice-ml's mutation of a number always gives the lower end."""
    rows = children(space, family, breeding=Breeding(from_parents=0.0))
    x = family[0]
    for j in range(space.n_continuous):
        values = rows[0, :, j]
        assert values.min() < 0.02 and values.max() > 0.98
        assert 0.2 < np.mean(np.abs(values - x[0, j]) < 1e-9) < 0.5  # the query's own value
        assert np.mean(values < 0.02) < 0.2
    for block in space.blocks:
        columns = block[block >= 0]
        assert (rows[0][:, columns].mean(axis=0) > 0.1).all()


def test_genes_come_from_the_better_half(space, family):
    """Defect 9: dice-ml's parents are the first half in the order of their values."""
    x, lower, upper, parents = family
    marked = parents.copy()
    marked[:, 20:, 0], marked[:, :20, 0] = 0.25, 0.75
    rows = children(space, (x, lower, upper, marked), breeding=Breeding(from_parents=1.0))
    assert np.abs(rows[..., 0] - 0.75).max() < 0.02


def test_frozen_genes_stay(space, queries):
    tight = space.constrain(["bmi", "glucose"])
    x = tight.encode(queries[:2])
    lower, upper = tight.bounds(x)
    parents = np.repeat(x[:, None], 10, axis=1)
    rows = children(tight, (x, lower, upper, parents))
    kept = ~tight.vary[tight.column_feature]
    assert (rows[..., kept] == x[:, None, kept]).all()


def test_the_fittest_survive(make, queries, monkeypatch):
    """The best loss of a population never rises, and falls."""
    seen: dict[int, list[float]] = {}
    original = genetic._Evolution._compete

    def watched(self, going, rows):
        original(self, going, rows)
        for i in going:
            seen.setdefault(int(i), []).append(float(self.loss[i].min()))

    monkeypatch.setattr(genetic._Evolution, "_compete", watched)
    make("genetic", robustness=None).generate_counterfactuals(
        queries[:6], 4, initialization="random"
    )
    for losses in seen.values():
        assert all(a >= b - 1e-9 for a, b in pairwise(losses))
    assert np.mean([losses[0] - losses[-1] for losses in seen.values()]) > 0.01


def spread(found, space, queries):
    x = space.encode(queries)
    away, apart = [], []
    for example, own in zip(found.cf_examples_list, x, strict=True):
        rows = space.encode(example.final_cfs_df_sparse[list(queries.columns)])
        apart.append(np.abs(rows[:, None] - rows[None]).sum(-1).mean())
        away.append(np.abs(rows - own).sum(-1).mean())
    return np.mean(apart), np.mean(away)


def test_diversity_weight_works(make, space, queries):
    """Defect 9: it has no effect at all in dice-ml."""
    ours = make("genetic", robustness=None)
    close, _ = spread(
        ours.generate_counterfactuals(queries, 5, diversity_weight=0.0), space, queries
    )
    wide, _ = spread(
        ours.generate_counterfactuals(queries, 5, diversity_weight=20.0), space, queries
    )
    assert wide > 1.5 * close


def test_proximity_and_sparsity_weights_work(make, space, queries):
    ours = make("genetic", robustness=None)
    alone = {"diversity_weight": 0.0, "sparsity_weight": 0.0}
    _, far = spread(
        ours.generate_counterfactuals(queries, 5, proximity_weight=0.0, **alone), space, queries
    )
    _, near = spread(
        ours.generate_counterfactuals(queries, 5, proximity_weight=1.0, **alone), space, queries
    )
    assert near < far

    def changed(weight):
        frame = ours.generate_counterfactuals(
            queries, 5, sparsity_weight=weight, diversity_weight=0.0, proximity_weight=0.0
        ).to_frame()
        own = queries.iloc[frame["query"]].reset_index(drop=True)
        return sum((frame[c] != own[c]).mean() for c in queries.columns)

    assert changed(2.0) < changed(0.0)


@pytest.mark.parametrize("kind", ["hinge_loss", "l2_loss", "log_loss"])
def test_every_y_loss_counts(make, queries, forest, kind):
    """Defect 9: with any but the hinge loss dice-ml's loss is 0."""
    found = make("genetic", robustness=None).generate_counterfactuals(
        queries[:6], 4, yloss_type=kind, initialization="random"
    )
    frame = found.to_frame()
    assert found.status == ["ok"] * 6
    labels = forest.predict(frame[list(queries.columns)])
    assert (labels == frame["progression"]).all()


def test_probability_losses_ask_for_more_than_the_label(make, queries, forest):
    """l2 and log losses go on falling behind the boundary, the hinge does not."""
    ours = make("genetic", robustness=None)

    def confidence(kind):
        found = ours.generate_counterfactuals(queries, 4, yloss_type=kind, proximity_weight=0.05)
        return found.to_frame()["probability"].mean()

    assert confidence("log_loss") > confidence("hinge_loss") + 0.05


def test_posthoc_sparsity_works(make, queries):
    """Defect 9: posthoc_sparsity_* has no effect in dice-ml's genetic."""
    found = make("genetic", robustness=None).generate_counterfactuals(
        queries, 5, initialization="random", maxiterations=2, posthoc_sparsity_param=1.0
    )
    before = after = 0.0
    for i, example in enumerate(found.cf_examples_list):
        for name in ("bmi", "bp", "s5", "age"):
            own = queries[name].iloc[i]
            dense = (example.final_cfs_df[name] - own).abs()
            sparse = (example.final_cfs_df_sparse[name] - own).abs()
            assert (sparse <= dense + 1e-9).all()
            before, after = before + dense.sum(), after + sparse.sum()
    assert after < 0.99 * before
    none = make("genetic").generate_counterfactuals(queries[:2], 2, posthoc_sparsity_param=None)
    example = none.cf_examples_list[0]
    assert example.final_cfs_df_sparse.equals(example.final_cfs_df)  # the same rows, as dice-ml's


def test_k_one_then_k_ten(make, queries):
    """Leak 2: k=1 followed by k=10 reuses the first query's population."""
    ours = make("genetic")
    ours.generate_counterfactuals(queries[:1], 1)
    later = ours.generate_counterfactuals(queries[3:4], 10)
    fresh = make("genetic").generate_counterfactuals(queries[3:4], 10)
    assert later.to_frame().equals(fresh.to_frame())


def test_a_run_ends_though_nothing_can_be_found(make, queries, forest):
    """dice-ml runs all generations when one slot never becomes valid, or for ever at the start."""

    class Never:
        classes_ = forest.classes_
        calls = 0

        def predict_proba(self, rows):
            Never.calls += 1
            return np.tile([0.7, 0.3], (len(rows), 1))

    found = make("genetic", model=Never()).generate_counterfactuals(
        queries[:3], 3, initialization="random", desired_class=1
    )
    assert found.status == ["none"] * 3
    assert Never.calls < 80
    short = make("genetic", model=Never()).generate_counterfactuals(
        queries[:3], 3, initialization="random", desired_class=1, maxiterations=3
    )
    assert "= 3 was reached" in short.reason[0]


def test_maxiterations_and_thresh(make, queries):
    ours = make("genetic")
    for few in (0, 1):
        found = ours.generate_counterfactuals(queries[:4], 3, maxiterations=few)
        assert found.status == ["ok"] * 4
    for bad in (
        {"maxiterations": -1},
        {"thresh": -1},
        {"initialization": "kd"},
        {"yloss_type": "x"},
        {"algorithm": "x"},
    ):
        with pytest.raises(UserConfigValidationException, match=next(iter(bad))):
            ours.generate_counterfactuals(queries[:1], 2, **bad)


def test_random_init(make, queries):
    found = make("genetic").generate_counterfactuals(queries[:4], 3, algorithm="RandomInitCF")
    assert found.status == ["ok"] * 4


def test_robustness_is_in_the_fitness_of_individuals(make, queries, monkeypatch):
    """Methods page, (c): fitness is lowered by weight times R of each row."""
    worth = []
    original = genetic._Evolution._worth

    def watched(self, loss, stable):
        value = original(self, loss, stable)
        worth.append((value, loss, stable.copy()))
        return value

    monkeypatch.setattr(genetic._Evolution, "_worth", watched)
    make("genetic").generate_counterfactuals(queries[:2], 3, robustness_weight=0.7)
    value, loss, stable = worth[-1]
    measured = np.isfinite(stable)
    assert measured.any() and (stable[measured] < 1).any()
    np.testing.assert_allclose(value[measured], (loss - 0.7 * stable)[measured])
