"""What only the random method does."""

from __future__ import annotations

import numpy as np
import pytest
from raiutils.exceptions import UserConfigValidationException

from dice_extended_plugin.random_search import sample_values
from dice_extended_plugin.streams import query_streams


def test_features_are_independent_under_a_seed(table):
    """Defect 8: dice-ml reseeds for each feature, so that two features move together."""
    import dice_ml

    from dice_extended_plugin.host import feature_space

    frame = table.assign(pair=np.where(table["age"] > 48, "u", "v"))
    data = dice_ml.Data(
        dataframe=frame, continuous_features=["age", "bmi", "bp", "s5"], outcome_name="progression"
    )
    space = feature_space(data)
    x = space.encode(frame.iloc[:3])
    values, turn = sample_values(query_streams(x, 0, 1), x, space, 4000)
    codes = [values[0, :, space.blocks[j, 0]] for j in range(len(space.categorical))]
    numbers = [values[0, :, j] for j in range(space.n_continuous)]
    together = np.corrcoef([*codes, *numbers])
    assert np.abs(together - np.eye(len(together))).max() < 0.06
    assert not np.array_equal(values[0], values[1])
    # Every feature takes every turn about equally often.
    for j in range(space.n_features):
        share = np.bincount(turn[0, :, j], minlength=space.n_features) / 4000
        np.testing.assert_allclose(share, 1 / space.n_features, atol=0.03)


def test_values_are_uniform_over_what_is_permitted(space, queries):
    tight = space.constrain(
        ["age", "cholesterol", "bmi"], {"age": [40, 44], "cholesterol": ["a", "c"]}
    )
    x = tight.encode(queries[:2])
    values, turn = sample_values(query_streams(x, 0, 1), x, tight, 5000)
    j = tight.continuous.index("age")
    ages = np.rint(tight.low[j] + values[0, :, j] * tight.scale[j]).astype(int)
    share = np.bincount(ages - 40, minlength=5) / 5000
    np.testing.assert_allclose(share, 0.2, atol=0.03)
    block = tight.blocks[tight.categorical.index("cholesterol")]
    np.testing.assert_allclose(values[0][:, block].mean(axis=0), [0.5, 0, 0.5], atol=0.03)
    frozen = ~tight.vary
    assert (turn[..., frozen] >= 3).all()
    kept = frozen[tight.column_feature]
    assert (values[0][:, kept] == x[0, kept]).all()


def test_few_features_change_first(make, queries):
    """An easy model needs one or two changes; dice-ml's scheme tries those first."""
    found = make("random", robustness=None).generate_counterfactuals(
        queries, 5, posthoc_sparsity_param=None
    )
    frame = found.to_frame()
    own = queries.iloc[frame["query"]].reset_index(drop=True)
    changed = sum((frame[c] != own[c]).astype(int) for c in queries.columns)
    assert changed.max() <= 3 and changed.mean() < 2.2


def test_random_seed_is_random_state(make, queries):
    ours = make("random")
    a = ours.generate_counterfactuals(queries[:3], 4, random_seed=5).to_frame()
    b = ours.generate_counterfactuals(queries[:3], 4, random_state=5).to_frame()
    c = ours.generate_counterfactuals(queries[:3], 4, random_seed=6).to_frame()
    assert a.equals(b) and not a.equals(c)
    first = ours.generate_counterfactuals(queries[:3], 4, random_state=None).to_frame()
    assert not first.equals(
        ours.generate_counterfactuals(queries[:3], 4, random_state=None).to_frame()
    )


def test_sample_size(make, queries):
    ours = make("random")
    small = ours.generate_counterfactuals(queries[:4], 4, sample_size=20)
    assert set(small.status) <= {"ok", "partial", "none"}
    large = ours.generate_counterfactuals(queries[:4], 4, sample_size=3000)
    assert large.status == ["ok"] * 4
    for bad in ({"sample_size": 0}, {"random_seed": -1}):
        with pytest.raises(UserConfigValidationException, match=next(iter(bad))):
            ours.generate_counterfactuals(queries[:1], 2, **bad)


def test_few_model_calls_whatever_the_number_of_queries(make, forest, queries):
    """dice-ml calls the model for every query and round, and once for every step of sparsity."""

    class Counting:
        classes_ = forest.classes_
        calls = 0

        def predict_proba(self, rows):
            Counting.calls += 1
            return forest.predict_proba(rows)

    ours = make("random", model=Counting())
    ours.generate_counterfactuals(queries[:1], 5)
    one, Counting.calls = Counting.calls, 0
    ours.generate_counterfactuals(queries, 5)
    assert one < 50
    assert Counting.calls < one + 2 * len(queries)
