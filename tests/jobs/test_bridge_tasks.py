"""The tasks of the bridges: the same figures as a direct call, whatever the chunks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dice_extended_plugin import read_job, run_job

HERE = Path(__file__).parent


class TestArt:
    @pytest.fixture(autouse=True)
    def needs_art(self):
        pytest.importorskip("art", reason="ART is not installed")

    def run(self, task, rows, folder, **settings):
        return run_job(
            task, "job_models:art", rows, folder, folders=[HERE], **{"chunk_size": 6, **settings}
        )

    @pytest.fixture
    def table(self, rows):
        from dice_extended_plugin import load_dataset

        data = load_dataset("diabetes")
        _, test = data.split()
        return rows.assign(progression=test[data.outcome].to_numpy()[: len(rows)])

    def test_attack(self, table, tmp_path):
        from job_models import art

        from art_bridge import UnconstrainedCounterfactual

        options = {"outcome": "progression"}
        result = self.run("attack", table, tmp_path / "a", options=options)
        other = self.run("attack", table, tmp_path / "b", options=options, chunk_size=20)
        found = result.to_frame()
        pd.testing.assert_frame_equal(found, other.to_frame())
        assert result.summary == other.summary

        attack = UnconstrainedCounterfactual(*art(), verbose=False)
        x = table.drop(columns="progression").to_numpy(dtype=np.float32)
        direct = attack.generate(x, y=table["progression"].to_numpy())
        names = [f"adversarial.{name}" for name in table.columns if name != "progression"]
        assert (found[names].to_numpy() == direct).all()
        assert found["reason"].tolist() == attack.result_.reason.tolist()
        assert result.summary["reasons"]["found"] == (attack.result_.reason == "found").sum()

    def test_analyse(self, table, tmp_path):
        from job_models import art

        from art_bridge import counterfactual_robustness
        from art_bridge.jobs import report_of

        options = {"outcome": "progression", "n_bootstrap": 50}
        result = self.run("analyse", table, tmp_path / "a", options=options)
        classifier, train = art()
        x = table.drop(columns="progression").to_numpy(dtype=np.float32)
        direct = counterfactual_robustness(
            classifier, x, table["progression"], x_train=train, n_bootstrap=50
        )
        for name in ("r_overall", "r_overall_interval", "alpha", "r_class", "found", "accuracy"):
            assert result.summary[name] == direct.summary()[name], name
        report = report_of(read_job(tmp_path / "a").to_frame())
        assert report.r_overall == direct.r_overall
        assert report.to_frame("pairs")["margin"].tolist() == direct.to_frame()["margin"].tolist()

    @pytest.mark.parametrize("task", ["attack", "analyse"])
    def test_a_row_with_a_hole_is_set_apart(self, table, tmp_path, task):
        table.loc[4, "bmi"] = None
        for size in (1, 20):
            result = self.run(
                task,
                table,
                tmp_path / str(size),
                options={"outcome": "progression"},
                chunk_size=size,
            )
            assert [failure.row for failure in result.failures()] == [4]

    def test_arrays(self, rows, tmp_path):
        array = rows.to_numpy(dtype=np.float32)
        np.savez(tmp_path / "rows.npz", X=array)
        result = self.run("attack", tmp_path / "rows.npz", tmp_path / "a")
        assert set(result.to_frame()["row"]) == set(range(20))


class Explainer:
    """A PlausibleCounterfactual reduced to what the task uses: a search with made-up fronts."""

    def search(self, X, Y=None, attributes=None, *, keep, predictor=None):
        from alibi_bridge.search_result import SearchResult

        return SearchResult(
            [self.front(image, predictor) for image in X], ("hair", "hat", "age"), {"target": "age"}
        )

    def front(self, image, predictor):
        from alibi_bridge.search_result import ImageFront

        rng = np.random.default_rng(int(image.sum() * 1000) + (predictor is not None))
        ok = image.mean() > 0.4
        return ImageFront(
            status="ok" if ok else "none",
            reason=None if ok else "no edit changed it",
            original_class=1,
            original_proba=np.array([0.2, 0.8]),
            attributes=np.zeros(3),
            delta=rng.normal(size=(4, 3)),
            F=rng.random((4, 3)),
            proba=np.tile([0.9, 0.1], (4, 1)),
            reference=np.ones(3),
            calls=7,
            chosen=2,
            undone=np.tile([0.3, 0.7], (3, 1)),
        )


def audited():
    return Explainer(), "another predictor"


def test_audit(tmp_path, monkeypatch):
    from alibi_bridge.audit import audit

    monkeypatch.setitem(sys.modules, "audit_models", sys.modules[__name__])
    images = np.random.default_rng(3).random((15, 2, 2, 1))
    options = {"n_bootstrap": 200}
    direct = audit(Explainer(), images, against="another predictor", **options)
    for size in (4, 15):
        result = run_job(
            "audit",
            "audit_models:audited",
            images,
            tmp_path / str(size),
            options=options,
            chunk_size=size,
        )
        assert result.summary["first"] == direct[0].to_dict()
        assert result.summary["second"] == direct[1].to_dict()
        assert result.summary["comparison"] == direct[2].to_dict()
        table = result.to_frame()
        assert len(table) == 30
        assert table.loc[table["status"] == "none", "delta.hair"].isna().all()
        assert "delta.age" not in table.columns  # the target is not moved
