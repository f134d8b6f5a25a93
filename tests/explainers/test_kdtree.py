"""What only the kd-tree method does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dice_extended_plugin.host import column_weights


def on_grid(space, frame):
    """Encoded rows, rounded to the precision that dice-ml sees in each feature."""
    u = space.encode(frame)
    return space.project(u, np.full_like(u, -1.0), np.zeros_like(u), np.ones_like(u))


def test_answers_are_training_rows(make, space, queries, table):
    found = make("kdtree").generate_counterfactuals(queries, 4, posthoc_sparsity_param=None)
    frame = found.to_frame()[list(queries.columns)]
    known = {tuple(row) for row in np.round(on_grid(space, table), 5)}
    assert {tuple(row) for row in np.round(space.encode(frame), 5)} <= known


def test_without_weights_besides_distance_the_nearest_rows(
    make, data, space, forest, queries, table
):
    """Against every distance worked out."""
    ours = make("kdtree", robustness=None)
    found = ours.generate_counterfactuals(
        queries, 5, sparsity_weight=0.0, diversity_weight=0.0, posthoc_sparsity_param=None
    )
    weights = column_weights(data, space, "inverse_mad")
    rows = table.drop(columns="progression").drop_duplicates()
    u, label = space.encode(rows), forest.predict(rows)
    for example, (_, query) in zip(found.cf_examples_list, queries.iterrows(), strict=True):
        x = space.encode(query.to_frame().T.astype(queries.dtypes))
        wanted = 1 - forest.predict(queries.loc[[query.name]])[0]
        every = np.sort(np.abs((u[label == wanted] - x) @ np.diag(weights)).sum(1))
        got = np.abs((space.encode(example.final_cfs_df[list(queries.columns)]) - x) * weights).sum(
            1
        )
        np.testing.assert_allclose(np.sort(got), every[:5], atol=0.01)  # rounded to precision


class Counting:
    def __init__(self, model):
        self.model, self.classes_, self.sizes = model, model.classes_, []

    def predict_proba(self, rows):
        self.sizes.append(len(rows))
        return self.model.predict_proba(rows)


def test_the_training_table_is_predicted_once(make, forest, queries, table):
    """dice-ml predicts the whole table and builds the tree for every query."""
    inner = Counting(forest)
    ours = make("kdtree", model=inner)
    first = ours.generate_counterfactuals(queries[:3], 2)
    assert inner.sizes.count(len(table.drop_duplicates())) == 1
    inner.sizes.clear()
    again = ours.generate_counterfactuals(queries[:3], 2)
    ours.generate_counterfactuals(queries[5:], 2, desired_class=1)
    assert inner.sizes.count(len(table.drop_duplicates())) == 0
    pd.testing.assert_frame_equal(first.to_frame(), again.to_frame())


def test_a_model_trained_on_is_noticed(make, forest, three_classes, queries):
    """What is kept from one call must not answer for another model."""
    import copy

    inner = Counting(forest)
    ours = make("kdtree", model=inner)
    before = ours.generate_counterfactuals(queries, 3)
    other = copy.deepcopy(forest)
    table = queries.assign(y=(queries["bp"] > 95).astype(int))
    other.fit(table[list(queries.columns)], table["y"])
    inner.model = other
    after = ours.generate_counterfactuals(queries, 3)
    fresh = make("kdtree", model=other).generate_counterfactuals(queries, 3)
    pd.testing.assert_frame_equal(after.to_frame(), fresh.to_frame())
    assert not before.to_frame().equals(after.to_frame())


def test_it_looks_farther_where_constraints_void_the_nearest(make, queries, forest):
    """dice-ml drops neighbours that break a constraint and finds nothing."""
    vary = ["bmi", "s5"]
    found = make("kdtree").generate_counterfactuals(queries, 4, features_to_vary=vary)
    frame = found.to_frame()
    assert (np.array(found.status) == "ok").sum() >= 6
    own = queries.iloc[frame["query"]].reset_index(drop=True)
    for name in set(queries.columns) - set(vary):
        assert (frame[name] == own[name]).all()


def test_sparsity_weight_keeps_more_features(make, queries):
    ours = make("kdtree", robustness=None)

    def changed(weight):
        frame = ours.generate_counterfactuals(
            queries, 4, sparsity_weight=weight, diversity_weight=0.0
        ).to_frame()
        own = queries.iloc[frame["query"]].reset_index(drop=True)
        return sum((frame[c] != own[c]).mean() for c in queries.columns)

    assert changed(5.0) < changed(0.0)


def test_feature_weights_move_the_choice(make, queries):
    ours = make("kdtree", robustness=None)

    def away(weights):
        frame = ours.generate_counterfactuals(queries, 4, feature_weights=weights).to_frame()
        own = queries.iloc[frame["query"]].reset_index(drop=True)
        return (frame["bp"] - own["bp"]).abs().mean()

    assert away({"bp": 60.0}) < away({"bp": 0.0})


@pytest.mark.parametrize("robustness", [None, "dice"])
def test_no_two_rows_alike_though_the_table_has_many(
    make, data, forest, table, queries, robustness
):
    """dice-ml returned 2.7 duplicates a query on COMPAS; sparsity makes rows alike too."""
    import dice_ml

    crowded = pd.concat([table.assign(age=table["age"] // 20 * 20)] * 3, ignore_index=True)
    host = dice_ml.Data(
        dataframe=crowded,
        continuous_features=["age", "bmi", "bp", "s5"],
        outcome_name="progression",
    )
    found = make("kdtree", data=host, robustness=robustness).generate_counterfactuals(
        queries, 10, posthoc_sparsity_param=1.0
    )
    for example in found.cf_examples_list:
        assert len(example.final_cfs_df_sparse) > 0
        assert not example.final_cfs_df_sparse.duplicated().any()
        assert not example.final_cfs_df.duplicated().any()
