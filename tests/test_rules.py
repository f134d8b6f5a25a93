"""Rules: whatever a search proposes, the projected row obeys them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.rules import Rules, obey
from dice_extended_plugin.space import FeatureSpace

#: Enough steps for a small network.
QUICK = {"min_iter": 150, "max_iter": 400}
LEVELS = ["low", "mid", "high", "other"]


@pytest.fixture(scope="module")
def plain() -> FeatureSpace:
    ranges = {"start": (0, 10), "end": (2.0, 20.0), "last": (5, 40), "free": (0.0, 1.0)}
    names = [*ranges, "grade", "colour"]
    levels = {"grade": LEVELS, "colour": ["blue", "red"]}
    return FeatureSpace.build(names, ranges, levels, {"end": 1}, ["start", "last"])


def raw(space: FeatureSpace, u: np.ndarray) -> np.ndarray:
    n = space.n_continuous
    return space.low + u[..., :n] * space.scale


def random_rows(space: FeatureSpace, n: int, seed: int) -> np.ndarray:
    """Rows that can be written down, in the encoding."""
    u = np.random.default_rng(seed).uniform(size=(n, space.n_columns))
    return space.project(u, u, np.zeros_like(u), np.ones_like(u))


@pytest.mark.parametrize("seed", range(5))
def test_only_up_and_only_down(plain, seed):
    space = obey(plain, Rules(monotone={"start": "increase", "end": "decrease"}))
    x, u = random_rows(plain, 200, seed), np.random.default_rng(9).uniform(size=(200, 10))
    lower, upper = space.bounds(x)
    moved = space.project(u, x, lower, upper)
    assert (raw(space, moved)[:, 0] >= raw(space, x)[:, 0] - 1e-9).all()
    assert (raw(space, moved)[:, 1] <= raw(space, x)[:, 1] + 1e-9).all()
    assert space.legal(moved, x).all()
    assert (moved[:, 0] != x[:, 0]).any() and (moved[:, 1] != x[:, 1]).any()
    assert not plain.ruled and space.ruled


def test_levels_move_in_their_order_only(plain):
    space = obey(plain, Rules(monotone={"grade": ["low", "mid", "high"]}))
    x, u = random_rows(plain, 400, 0), np.random.default_rng(1).uniform(size=(400, 10))
    moved = space.project(u, x, *space.bounds(x))
    n = space.n_continuous
    before, after = (rows[:, n : n + 4].argmax(1) for rows in (x, moved))
    assert (after >= before).all()
    assert (after[before < 3] < 3).all() and (after[before == 3] == 3).all()
    assert (after > before).any()


def test_forbidden_transitions(plain):
    space = obey(plain, Rules(forbidden={"grade": [("high", "low"), ("high", "mid")]}))
    x, u = random_rows(plain, 400, 0), np.random.default_rng(1).uniform(size=(400, 10))
    moved = space.project(u, x, *space.bounds(x))
    n = space.n_continuous
    before, after = (rows[:, n : n + 4].argmax(1) for rows in (x, moved))
    assert set(after[before == 2]) == {2, 3}
    assert set(after[before == 0]) == {0, 1, 2, 3}


@settings(deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_an_order_holds_for_every_proposal(seed, steps, narrow):
    ranges = {"start": (0, 10), "end": (2.0, 20.0), "last": (5, 40)}
    names = list(ranges)
    space = FeatureSpace.build(names, ranges, {}, {"end": 1}, ["start", "last"])
    rules = Rules(order=[("start", "end"), ("end", "last")], step={"last": 5} if steps else {})
    space = obey(space, rules)
    if narrow:
        space = space.constrain(["start", "end"], {"end": [4, 8]})
    generator = np.random.default_rng(seed)
    values = np.sort(generator.uniform([0, 5, 5], [10, 8, 40], size=(50, 3)), axis=1)
    values = np.clip(values, space.low, space.high).round()
    x = (values - space.low) / space.scale
    kept = (values[:, 0] <= values[:, 1]) & (values[:, 1] <= values[:, 2])
    kept &= (values[:, 1] >= 4) & (values[:, 1] <= 8)
    x = x[kept]
    moved = space.project(generator.uniform(size=x.shape), x, *space.bounds(x))
    assert space.legal(moved, x).all()
    real = raw(space, moved)
    assert (real[:, 0] <= real[:, 1] + 1e-6).all() and (real[:, 1] <= real[:, 2] + 1e-6).all()
    changed = np.abs(moved - x) > 1e-9
    assert np.allclose(np.rint(real * 10), real * 10, atol=1e-6)
    if steps:
        assert np.allclose(
            real[changed[:, 2], 2] / 5, np.rint(real[changed[:, 2], 2] / 5), atol=1e-6
        )


def test_an_order_is_repaired_by_the_smaller_move(plain):
    space = obey(plain, Rules(order=[("start", "end")]))
    x = (np.array([[4, 6.0, 20, 0.5]]) - space.low) / space.scale
    x = np.hstack([x, [[1, 0, 0, 0, 1, 0]]])
    u = x.copy()
    u[0, 0] = 0.9  # start = 9 > end = 6
    real = raw(space, space.project(u, x, *space.bounds(x)))[0]
    assert real[0] <= real[1] and (real[0], real[1]) in {(6.0, 6.0), (9.0, 9.0)}
    frozen = space.constrain(["start"])
    real = raw(frozen, frozen.project(u, x, *frozen.bounds(x)))[0]
    assert (real[0], real[1]) == (6.0, 6.0)


def test_steps_are_multiples_and_the_own_value_stays(plain):
    space = obey(plain, Rules(step={"last": 5}))
    x = random_rows(plain, 300, 3)
    moved = space.project(np.random.default_rng(1).uniform(size=x.shape), x, *space.bounds(x))
    before, after = raw(space, x)[:, 2], raw(space, moved)[:, 2]
    changed = np.abs(after - before) > 1e-9
    assert changed.sum() > 200
    np.testing.assert_allclose(after[changed] % 5, 0, atol=1e-9)
    assert set(after[changed]) >= {5, 10, 15, 20, 25, 30, 35, 40}
    np.testing.assert_array_equal(space.project(x, x, *space.bounds(x)), x)


def test_contradictions_are_named_and_nothing_is_legal(plain):
    space = obey(plain, Rules(monotone={"start": "increase"}))
    space = space.constrain("all", {"start": [0, 3]})
    x = random_rows(plain, 50, 0)
    high = raw(space, x)[:, 0] > 3
    reasons = space.contradictions(x)
    assert [bool(text) for text in reasons] == high.tolist()
    assert all("'start'" in text for text in reasons if text)
    moved = space.project(x, x, *space.bounds(x))
    assert (space.legal(moved, x) == ~high).all()
    levels = obey(plain, Rules(forbidden={"grade": [("low", "mid"), ("low", "high")]}))
    levels = levels.constrain("all", {"grade": ["mid", "high"]})
    reasons = levels.contradictions(x)
    is_low = x[:, plain.n_continuous] == 1
    assert ["'grade'" in text for text in reasons] == is_low.tolist()


BAD = {
    "feature": (Rules(monotone={"strat": "increase"}), ["strat", "start"]),
    "direction": (Rules(monotone={"start": "up"}), ["start", "increase"]),
    "levels": (Rules(monotone={"grade": "increase"}), ["grade", "list its levels"]),
    "level": (Rules(monotone={"grade": ["low", "top"]}), ["'top'", "low"]),
    "twice": (Rules(monotone={"grade": ["low", "low"]}), ["once"]),
    "forbidden number": (Rules(forbidden={"start": [(1, 2)]}), ["start", "permitted_range"]),
    "forbidden level": (Rules(forbidden={"grade": [("low", "top")]}), ["'top'"]),
    "not a pair": (Rules(forbidden={"grade": ["low"]}), ["pairs"]),
    "order levels": (Rules(order=[("grade", "start")]), ["'grade'", "continuous"]),
    "order itself": (Rules(order=[("start", "start")]), ["two features"]),
    "step 0": (Rules(step={"start": 0}), ["start", "above 0"]),
    "step level": (Rules(step={"grade": 1}), ["grade", "categorical"]),
    "step too fine": (Rules(step={"start": 0.5}), ["start", "multiple of 1"]),
    "no mapping": (Rules(monotone=["start"]), ["monotone", "dictionary"]),
    "no rules": ({"monotone": {}}, ["Rules", "dict"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rules(plain, case):
    rules, words = BAD[case]
    with pytest.raises(InvalidInputError) as error:
        obey(plain, rules)
    assert all(word in str(error.value) for word in words), error.value


def test_both_directions_contradict(plain):
    up = obey(plain, Rules(monotone={"start": "increase"}))
    with pytest.raises(InvalidInputError, match="the other way"):
        obey(up, Rules(monotone={"start": "decrease"}))


# -- through an explainer -------------------------------------------------------------------------


def test_an_explainer_obeys_rules_of_its_own_and_of_the_call(explainer, queries):
    rules = Rules(monotone={"age": "increase"}, forbidden={"glucose": [("high", "low")]})
    ours = explainer(rules=rules)
    found = ours.generate_counterfactuals(
        queries, 4, rules=Rules(step={"bp": 5}, order=[("bmi", "bp")]), **QUICK
    )
    table = found.to_frame()
    own = queries.iloc[table["query"]].reset_index(drop=True)
    assert found.status.count("ok") >= len(queries) // 2
    assert (table["age"] >= own["age"]).all()
    assert not ((own["glucose"] == "high") & (table["glucose"] == "low")).any()
    moved = table["bp"] != own["bp"]
    assert moved.any() and (table.loc[moved, "bp"] % 5 == 0).all()
    assert (table["bmi"] <= table["bp"]).all()
    after = ours.generate_counterfactuals(queries, 4, **QUICK).to_frame()
    own = queries.iloc[after["query"]].reset_index(drop=True)
    moved = after["bp"] != own["bp"]
    assert (after.loc[moved, "bp"] % 5 != 0).any()  # the call's rules went with the call
    assert (after["age"] >= own["age"]).all()  # the explainer's stayed


def test_a_contradiction_is_one_querys_reason(explainer, queries):
    ours = explainer(rules=Rules(monotone={"age": "increase"}))
    ages = queries.assign(age=[30, 70, *[40] * (len(queries) - 2)])
    found = ours.generate_counterfactuals(ages, 2, permitted_range={"age": [25, 50]}, **QUICK)
    assert found.status[1] == "none" and "'age'" in found.reason[1]
    assert all("'age'" not in found.reason[i] for i in range(len(ages)) if i != 1)
    assert found.status[0] == "ok"
