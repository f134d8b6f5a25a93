"""DiceExtendedPyTorch from outside: valid, constrained, repeatable, and nothing left behind."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import dice_ml  # noqa: E402

from dice_extended_plugin import Dice, DiceExtendedPyTorch, NoiseModel, host  # noqa: E402
from dice_extended_plugin.evaluation import measure  # noqa: E402


def labels(explainer, frame: pd.DataFrame) -> np.ndarray:
    """The model's own label, asked the way a dice-ml user asks."""
    rows = explainer.model.transformer.transform(frame[explainer.data_interface.feature_names])
    with torch.no_grad():
        out = explainer.model.model(torch.tensor(rows.to_numpy(dtype=float)).float()).numpy()
    return (out[:, 0] > 0.5).astype(int) if out.shape[1] == 1 else out.argmax(1)


def same(a, b) -> bool:
    return all(
        p.final_cfs_df.equals(q.final_cfs_df)
        and p.final_cfs_df_sparse.equals(q.final_cfs_df_sparse)
        for p, q in zip(a.cf_examples_list, b.cf_examples_list, strict=True)
    )


@pytest.mark.parametrize("robustness", ["dice", "validity", None])
def test_every_row_is_a_counterfactual_by_the_models_own_label(explainer, queries, robustness):
    ours = explainer(robustness=robustness)
    found = ours.generate_counterfactuals(queries, total_CFs=5)
    assert found.status == ["ok"] * len(queries)
    before = labels(ours, queries)
    for example, label in zip(found.cf_examples_list, before, strict=True):
        for table in (example.final_cfs_df, example.final_cfs_df_sparse):
            assert len(table) == 5
            assert (labels(ours, table) == 1 - label).all()
            assert (table["progression"] == 1 - label).all()
        assert example.test_instance_df["progression"].iloc[0] == label


def test_a_batch_is_its_queries_one_by_one(explainer, queries):
    ours = explainer()
    whole = ours.generate_counterfactuals(queries, total_CFs=4)
    turned = ours.generate_counterfactuals(queries.iloc[::-1], total_CFs=4)
    small = explainer(max_memory=1e-6).generate_counterfactuals(queries, total_CFs=4)
    assert same(whole, small)
    for i in range(len(queries)):
        alone = ours.generate_counterfactuals(queries.iloc[[i]], total_CFs=4)
        example = whole.cf_examples_list[i]
        pd.testing.assert_frame_equal(alone.cf_examples_list[0].final_cfs_df, example.final_cfs_df)
        pd.testing.assert_frame_equal(
            turned.cf_examples_list[-1 - i].final_cfs_df, example.final_cfs_df
        )
        pd.testing.assert_frame_equal(alone.cf_examples_list[0].robustness, example.robustness)


@pytest.mark.parametrize(
    "keywords",
    [{"algorithm": "RandomInitCF"}, {"init_near_query_instance": False}, {"tie_random": True}],
)
def test_random_starts_are_seeded_and_do_not_depend_on_the_batch(explainer, queries, keywords):
    ours = explainer()
    keywords = {**keywords, "min_iter": 100, "max_iter": 200}
    whole = ours.generate_counterfactuals(queries[:4], 3, **keywords)
    alone = ours.generate_counterfactuals(queries.iloc[[2]], 3, **keywords)
    pd.testing.assert_frame_equal(
        whole.cf_examples_list[2].final_cfs_df, alone.cf_examples_list[0].final_cfs_df
    )
    if "tie_random" not in keywords:
        other = ours.generate_counterfactuals(queries[:4], 3, random_state=5, **keywords)
        assert not same(whole, other)


def test_random_state_none_draws_afresh(explainer, queries):
    ours = explainer(random_state=None)
    keywords = {"algorithm": "RandomInitCF", "min_iter": 50, "max_iter": 60}
    first, second = (ours.generate_counterfactuals(queries[:3], 3, **keywords) for _ in range(2))
    assert not same(first, second)


CONSTRAINTS = [
    ({"features_to_vary": ["bmi", "bp"]}, {}),
    ({"features_to_vary": ["glucose", "bmi", "s5"]}, {}),
    ({}, {"bmi": [20.5, 27.25]}),
    ({}, {"age": [30, 50], "glucose": ["low", "mid"]}),
    ({"features_to_vary": ["age", "bmi", "s5", "glucose"]}, {"s5": [4.1, 4.9]}),
]


def check_constraints(frame, query, vary, permitted):
    for f in frame.columns.intersection(query.index):
        if vary != "all" and f not in vary:
            assert (frame[f] == query[f]).all(), f
        if f in permitted and isinstance(permitted[f][0], str):
            assert frame[f].isin(permitted[f]).all(), f
        elif f in permitted:
            assert frame[f].between(*permitted[f]).all(), f


@pytest.mark.parametrize("order", [1, -1])
def test_constraints_hold_in_every_row_and_every_call_order(explainer, queries, order):
    ours = explainer()
    for arguments, permitted in CONSTRAINTS[::order]:
        found = ours.generate_counterfactuals(
            queries[:6], 4, permitted_range=permitted or None, **arguments
        )
        vary = arguments.get("features_to_vary", "all")
        for i, example in enumerate(found.cf_examples_list):
            for table in (example.final_cfs_df, example.final_cfs_df_sparse):
                check_constraints(table, queries.iloc[i], vary, permitted)
        assert any(status != "none" for status in found.status)


def test_nothing_leaks_from_one_call_into_the_next(explainer, queries, data):
    ours = explainer(data=data)
    first = ours.generate_counterfactuals(queries[:4], 3)
    before = copy.deepcopy({k: v for k, v in vars(ours).items() if k != "model"})
    frame, kept = queries[:4].copy(), copy.deepcopy(vars(data))
    ours.generate_counterfactuals(
        frame, 5, permitted_range={"age": [30, 40]}, features_to_vary=["age", "bmi"],
        desired_class=1, proximity_weight=2.0, robustness="validity", stopping_threshold=0.7,
    )  # fmt: skip
    pd.testing.assert_frame_equal(frame, queries[:4])
    for state, now in ((kept, vars(data)), (before, vars(ours))):
        assert state.keys() <= now.keys() | {"model"}
        for name, value in state.items():
            if isinstance(value, pd.DataFrame):
                pd.testing.assert_frame_equal(value, now[name])
            elif isinstance(value, (list, dict, str, int, float, tuple)):
                assert now[name] == value, name
    assert same(first, ours.generate_counterfactuals(queries[:4], 3))


def test_the_model_is_left_as_it_was(data, queries, fit):
    module = torch.nn.Sequential(*fit(1)[:2], torch.nn.Dropout(0.5), *fit(1)[2:])
    module = copy.deepcopy(module)
    module.train()
    module[2].eval()
    ours = DiceExtendedPyTorch(
        data, dice_ml.Model(model=module, backend="PYT", func="ohe-min-max"), report_draws=8
    )
    before = copy.deepcopy(module.state_dict())
    first = ours.generate_counterfactuals(queries[:3], 3)
    assert [part.training for part in module] == [True, True, False, True, True]
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert all((before[name] == value).all() for name, value in module.state_dict().items())
    assert same(first, ours.generate_counterfactuals(queries[:3], 3))  # dropout is off


@pytest.mark.parametrize("desired", [0, 1, 2])
def test_three_classes_reach_the_class_asked_for(explainer, queries, desired):
    ours = explainer(3)
    found = ours.generate_counterfactuals(queries, 4, desired_class=desired)
    table = found.to_frame()
    assert (labels(ours, table) == desired).all()
    assert (table["progression"] == desired).all()
    assert found.status.count("ok") >= len(queries) - 1


def test_two_columns_work_like_one(explainer, queries):
    ours = explainer(2)
    found = ours.generate_counterfactuals(queries, 3)
    before = np.repeat(labels(ours, queries), 3)
    assert (labels(ours, found.to_frame()) == 1 - before).all()


@pytest.mark.parametrize(("desired", "threshold"), [(1, 0.8), (0, 0.2), (1, 0.3), (0, 0.7)])
def test_the_threshold_is_taken_at_its_word(explainer, queries, desired, threshold):
    """dice-ml turns 0.3 for class 1 into 0.75, and never aims beyond 0.73."""
    ours = explainer()
    found = ours.generate_counterfactuals(
        queries, 3, desired_class=desired, stopping_threshold=threshold, posthoc_sparsity_param=0.8
    )
    table = found.to_frame()
    assert len(table) >= 3 * len(queries) - 3
    p = table["probability"]
    assert (p >= max(0.5, threshold if desired else 1 - threshold) - 1e-9).all()
    if threshold in (0.3, 0.7):
        assert p.min() < 0.7  # not silently 0.75
    assert (labels(ours, table) == desired).all()


@pytest.mark.parametrize("desired", [np.int64(1), np.int32(1), 1.0, True])
def test_class_indices_of_any_integer_type(explainer, queries, desired):
    found = explainer().generate_counterfactuals(queries[:2], 2, desired_class=desired)
    assert (found.to_frame()["progression"] == 1).all()
    assert found.cf_examples_list[0].desired_class == 1
    found.to_json()


def test_queries_as_dict_list_series(explainer, queries):
    ours = explainer()
    frame = ours.generate_counterfactuals(queries[:2], 2)
    forms = [
        queries[:2].to_dict("records"),
        [queries[:1], queries[1:2]],
        queries[:2].iloc[:, ::-1],
        queries[:2].set_index(pd.Index(["p", "q"])),
    ]
    for form in forms:  # pandas 3 gives text from records its own type
        table = ours.generate_counterfactuals(form, 2).to_frame()
        pd.testing.assert_frame_equal(table, frame.to_frame(), check_dtype=False)
    single = ours.generate_counterfactuals(queries.iloc[0].to_dict(), 2)
    series = ours.generate_counterfactuals(queries.iloc[0], 2)
    pd.testing.assert_frame_equal(single.to_frame(), series.to_frame(), check_dtype=False)


def test_robustness_raises_noise_validity_and_the_coefficient(explainer, queries, table):
    """Paired over queries, on noise the search has not seen."""
    many = table.drop(columns="progression").iloc[::9].reset_index(drop=True)
    noise = replace(NoiseModel(), family="heavy-tailed")
    tables = {}
    for mode in (None, "dice", "validity"):
        ours = explainer(robustness=mode, report_draws=0)
        found = ours.generate_counterfactuals(many, 5)
        weights = host.column_weights(ours.data_interface, ours.space, "inverse_mad")
        scores = ours._scores()
        tables[mode] = measure(
            [e.final_cfs_df_sparse for e in found.cf_examples_list],
            many,
            ours.space,
            weights,
            scores.native,
            np.array([e.desired_class for e in found.cf_examples_list]),
            5,
            noise,
            n_draws=400,
            random_state=99,
        )
    for mode in ("dice", "validity"):
        gain = tables[mode]["noise_validity"] - tables[None]["noise_validity"]
        assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain)), mode
        assert (tables[mode]["validity"] == 1).all()
    assert tables["dice"]["rho_lit"].mean() > tables[None]["rho_lit"].mean()


def test_weight_zero_is_plain_dice(explainer, queries):
    plain = explainer(robustness=None).generate_counterfactuals(queries[:3], 3)
    assert same(plain, explainer().generate_counterfactuals(queries[:3], 3, robustness_weight=0))
    assert not same(plain, explainer().generate_counterfactuals(queries[:3], 3))


def test_sparsity_takes_changes_back_without_losing_the_class(explainer, queries):
    ours = explainer(robustness=None)
    for algorithm in ("linear", "binary"):
        found = ours.generate_counterfactuals(
            queries, 4, posthoc_sparsity_param=0.9, posthoc_sparsity_algorithm=algorithm
        )
        dense = pd.concat([e.final_cfs_df for e in found.cf_examples_list])
        sparse = found.to_frame()
        own = queries.loc[sparse["query"]].reset_index(drop=True)
        away = (sparse["bmi"] - own["bmi"]).abs()
        before = (dense["bmi"].reset_index(drop=True) - own["bmi"]).abs()
        assert (away <= before + 1e-9).all()
        assert away.sum() < before.sum()
    none = ours.generate_counterfactuals(queries[:2], 2, posthoc_sparsity_param=None)
    assert none.cf_examples_list[0].final_cfs_df_sparse is None
    assert len(none.to_frame()) == 4


def test_json_importance_pickle_and_views(explainer, queries, capsys):
    ours = explainer()
    found = ours.generate_counterfactuals(queries, 10, min_iter=100, max_iter=150)
    again = type(found).from_json(found.to_json())
    assert again.status == found.status
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame(), check_dtype=False)
    assert dice_ml.counterfactual_explanations.CounterfactualExplanations.from_json(found.to_json())
    local = ours.local_feature_importance(queries, found.cf_examples_list)
    assert len(local.local_importance) == len(queries)
    summary = ours.global_feature_importance(queries, found.cf_examples_list).summary_importance
    assert set(summary) == set(queries.columns)
    assert 0 < max(summary.values()) <= 1
    assert ours.global_feature_importance(queries, total_CFs=10).summary_importance is not None
    assert capsys.readouterr().out == ""
    found.visualize_as_list()
    assert "Query instance" in capsys.readouterr().out
    copied = pickle.loads(pickle.dumps(ours))
    assert same(
        copied.generate_counterfactuals(queries[:2], 2),
        ours.generate_counterfactuals(queries[:2], 2),
    )
    assert pickle.loads(pickle.dumps(found)).status == found.status


def test_results_are_dice_mls_own_types(explainer, queries):
    from dice_ml.counterfactual_explanations import CounterfactualExplanations
    from dice_ml.diverse_counterfactuals import CounterfactualExamples
    from dice_ml.explainer_interfaces.dice_pytorch import DicePyTorch

    ours = explainer()
    assert isinstance(ours, DicePyTorch)
    found = ours.generate_counterfactuals(queries[:2], 2)
    assert isinstance(found, CounterfactualExplanations)
    assert isinstance(found.cf_examples_list[0], CounterfactualExamples)
    one = ours._generate_counterfactuals(queries[:1], 2)
    pd.testing.assert_frame_equal(one.final_cfs_df, found.cf_examples_list[0].final_cfs_df)
    frame = found.to_frame(queries=True)
    assert list(frame["counterfactual"]) == [-1, 0, 1] * 2
    scores = frame.loc[frame["counterfactual"] >= 0, ["rho_lit", "rho_open", "noise_validity"]]
    assert ((scores >= 0) & (scores <= 1)).all().all()


def test_a_query_without_counterfactual_is_a_result(data, queries, fit):
    """A step that no permitted change can take for some queries and all can for others."""

    class Old(torch.nn.Module):
        def forward(self, rows):
            return torch.sigmoid(40 * (rows[:, :1] - 0.55) + 0 * rows[:, 1:2])

    model = dice_ml.Model(model=Old(), backend="PYT", func="ohe-min-max")
    ours = DiceExtendedPyTorch(data, model, report_draws=16)
    frame = queries[:4].assign(age=[30, 31, 75, 76])
    found = ours.generate_counterfactuals(
        frame, 3, desired_class=1, features_to_vary=["bmi", "bp"], min_iter=50, max_iter=100
    )
    assert found.status == ["none", "none", "ok", "ok"]
    assert "0 of 3 counterfactuals of class 1" in found.reason[0]
    assert "permitted_range" in found.reason[0]
    assert found.reason[2] == ""
    assert set(found.to_frame()["query"]) == {2, 3}
    alone = ours.generate_counterfactuals(
        frame[2:], 3, desired_class=1, features_to_vary=["bmi", "bp"], min_iter=50, max_iter=100
    )
    pd.testing.assert_frame_equal(
        alone.cf_examples_list[0].final_cfs_df, found.cf_examples_list[2].final_cfs_df
    )
    nothing = ours.generate_counterfactuals(
        frame[:2], 3, desired_class=1, features_to_vary=["bmi"], min_iter=50, max_iter=100
    )
    assert nothing.status == ["none", "none"]
    assert len(nothing.to_frame()) == 0
    assert type(nothing).from_json(nothing.to_json()).status == ["none", "none"]


def test_budgets_end_a_search_and_keep_what_was_found(explainer, queries):
    ours = explainer()
    calls = ours.generate_counterfactuals(queries[:4], 3, max_model_calls=60)
    alone = ours.generate_counterfactuals(queries[2:3], 3, max_model_calls=60)
    pd.testing.assert_frame_equal(
        calls.cf_examples_list[2].final_cfs_df, alone.cf_examples_list[0].final_cfs_df
    )
    none = ours.generate_counterfactuals(queries[:4], 3, max_model_calls=1)
    assert set(none.status) <= {"none", "partial", "ok"}
    short = [r for r, s in zip(none.reason, none.status, strict=True) if s != "ok"]
    assert all("max_model_calls = 1" in reason for reason in short)
    late = ours.generate_counterfactuals(queries[:4], 3, max_seconds=1e-6)
    assert all(
        "max_seconds" in r for r, s in zip(late.reason, late.status, strict=True) if s != "ok"
    )


def test_the_gradient_of_robustness_is_there(explainer, queries, monkeypatch):
    """The literal coefficient has none anywhere; ours in at least 95 % of the steps."""
    from dice_extended_plugin import objective

    seen = []
    original = objective.Objective.terms

    def watched(self, u, queries):
        terms, scores = original(self, u, queries)
        if u.requires_grad:
            (slope,) = torch.autograd.grad(terms["robustness"].sum(), u, retain_graph=True)
            seen.append((slope.abs().amax((1, 2)) > 0).numpy())
        return terms, scores

    monkeypatch.setattr(objective.Objective, "terms", watched)
    explainer().generate_counterfactuals(queries[:6], 4)
    assert np.concatenate(seen).mean() >= 0.95


def test_silence_and_progress(explainer, queries, capsys):
    ours = explainer()
    ours.generate_counterfactuals(queries[:1], 2, min_iter=20, max_iter=25)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    ours.generate_counterfactuals(queries[:1], 2, min_iter=20, max_iter=25, verbose=True)
    assert "1/1" in capsys.readouterr().err


def test_the_factory_makes_ours_and_takes_keywords(data, fit, queries):
    model = dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")
    noise = NoiseModel(scale=0.1, family="uniform", scope="all")
    ours = Dice(data, model, method="gradient", robustness="validity", noise=noise, random_state=3)
    assert type(ours) is DiceExtendedPyTorch
    assert ours.defaults["noise"] == noise
    assert type(Dice(data, model)) is DiceExtendedPyTorch
    found = ours.generate_counterfactuals(queries[:2], 3)
    assert found.status == ["ok", "ok"]
