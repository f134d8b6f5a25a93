"""Bad rows cost themselves and nothing else; what no row survives stops the job at once."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pandas as pd
import pytest

from dice_extended_plugin.jobs import JobError, TaskError
from dice_extended_plugin.jobs.config import JobConfig
from dice_extended_plugin.jobs.sources import Chunk
from dice_extended_plugin.jobs.worker import Failure, forget, treat


@pytest.mark.parametrize("chunk_size", [1, 7, 100])
def test_one_poisoned_row_costs_one_row(explain, rows, poisoned_rows, tmp_path, chunk_size):
    healthy = explain(folder=tmp_path / "healthy").to_frame()
    result = explain(rows=poisoned_rows, factory="poisoned", chunk_size=chunk_size)
    assert (result.status, result.n_done, result.n_failed) == ("complete", 20, 1)
    (failure,) = result.failures()
    assert failure.row == 11
    assert failure.reason.endswith("ArithmeticError: the model broke")
    others = healthy[healthy["row"] != 11].reset_index(drop=True)
    pd.testing.assert_frame_equal(result.to_frame(), others)
    table = pd.read_parquet(tmp_path / "job" / "failed.parquet")
    assert table.to_dict("list") == {"row": [11], "reason": [failure.reason]}


def test_a_missing_value_costs_its_row(explain, rows):
    rows = rows.copy()
    rows.loc[3, "bmi"] = None
    result = explain(rows=rows)
    assert [failure.row for failure in result.failures()] == [3]
    assert "bmi" in result.failures()[0].reason
    assert set(result.to_frame()["row"]) == set(range(20)) - {3}


def test_ten_thousand_rows_and_one_poisoned():
    class Task:
        calls = 0

        def __call__(self, rows, start):
            self.calls += 1
            if (rows["value"] == 6_789).any():
                raise ValueError("poison")
            return pd.DataFrame({"row": range(start, start + len(rows))})

    from dice_extended_plugin.jobs.worker import _attempt

    task, failures = Task(), []
    rows = pd.DataFrame({"value": range(10_000)})
    tables = list(_attempt(task, rows, 0, failures))
    assert failures == [Failure(6_789, "ValueError: poison")]
    assert pd.concat(tables)["row"].tolist() == [i for i in range(10_000) if i != 6_789]
    assert task.calls <= 2 * 14 + 1  # halves of halves, not row by row


def test_rows_that_all_fail_stop_the_job(explain, tmp_path):
    with pytest.raises(JobError, match=r"first 14 rows all failed.*weights are missing"):
        explain(factory="always_failing")
    assert not list((tmp_path / "job" / "parts").iterdir())


def test_too_many_failures_stop_the_job_and_keep_what_is_done(explain, rows, tmp_path):
    rows = rows.copy()
    rows.loc[10:13, "bmi"] = None
    with pytest.raises(JobError, match="max_failures=2"):
        explain(rows=rows, max_failures=2)
    assert [path.name for path in (tmp_path / "job" / "parts").iterdir()] == [
        "part-00000000.parquet"
    ]


@pytest.mark.parametrize("backend", ["serial", "loky"])
def test_a_factory_that_fails_stops_the_job(explain, backend):
    with pytest.raises(JobError, match=r"OSError: model.bin is not there.*0 finished"):
        explain(factory="failing_factory", backend=backend, workers=2)


@pytest.mark.parametrize(
    ("factory", "options", "text"),
    [
        ("no_model", {}, "returns .dice_ml.Data, dice_ml.Model."),
        ("pair", {"explainer": {"robustnes": 1}}, "robustnes"),
        ("pair", {"method": "randm"}, "did you mean 'random'"),
    ],
)
def test_a_model_or_options_that_will_not_do_stop_the_job(explain, factory, options, text):
    with pytest.raises(JobError, match=text):
        explain(factory=factory, options=options)


def test_missing_features_are_named(explain, rows):
    with pytest.raises(JobError, match=r"lack the feature.*'bmi'"):
        explain(rows=rows.drop(columns="bmi"))


def test_an_array_is_no_table(explain, rows):
    with pytest.raises(JobError, match="named columns"):
        explain(rows=rows.to_numpy(dtype=float))


def test_a_task_may_say_that_no_row_will_do(monkeypatch):
    class Task:
        def __init__(self, *_):
            pass

        def __call__(self, rows, start):
            raise TaskError("no")

    monkeypatch.setattr("dice_extended_plugin.jobs.worker.load_task", lambda name: Task)
    monkeypatch.setattr("dice_extended_plugin.jobs.worker.load_factory", lambda *_: dict)
    config = JobConfig("explain", "a:b")
    treated = treat(config, Chunk(0, 0, pd.DataFrame({"a": [1, 2]})))
    forget()
    assert treated.broken == "no"


def test_rows_without_a_counterfactual_are_results(explain, rows):
    result = explain(options={"features_to_vary": ["age"], "permitted_range": {"age": [50, 51]}})
    table = result.to_frame()
    assert result.n_failed == 0
    assert set(table["row"]) == set(range(20))
    none = table[table["status"] == "none"]
    assert len(none) and (none["counterfactual"] == -1).all()
    assert none["reason"].str.contains("0 of 2").all()
    assert none["bmi"].isna().all()
    assert str(table["age"].dtype) == "Int64" or str(table["age"].dtype) == "Float64"


def test_seconds_end_a_job_and_resume_goes_on(explain, tmp_path):
    expected = explain(folder=tmp_path / "expected").to_frame()
    result = explain(seconds=1e-9)
    assert (result.status, result.n_done) == ("stopped", 0)
    assert "seconds" in result.reason
    pd.testing.assert_frame_equal(explain().to_frame(), expected)


def test_memory_ends_a_job(explain):
    result = explain(memory_gib=1e-6)
    assert result.status == "stopped"
    assert "fewer workers" in result.reason


def test_a_budget_that_is_spent_after_the_last_chunk_ends_nothing(explain, monkeypatch):
    from dice_extended_plugin.jobs import run

    asked = iter([0.0, 1.0, 1.0, 1.0, *[9.0] * 50])
    clock = SimpleNamespace(monotonic=lambda: next(asked), perf_counter=time.perf_counter)
    monkeypatch.setattr(run, "time", clock)
    assert explain(seconds=5).status == "complete"
