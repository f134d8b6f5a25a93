"""Notebook feel: results show themselves, plots give their axes, and silence is silence."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pandas as pd
import pytest

from dice_extended_plugin import compare
from dice_extended_plugin.html_tables import MOST_ROWS, Cell, frame_table, table
from dice_extended_plugin.results_html import MOST_QUERIES

METHODS = ["gradient", "random", "genetic", "kdtree"]


@pytest.fixture
def ask(data, fit, queries):
    """Return ask(method, **keywords): a result of ours for three queries."""
    import dice_ml

    from dice_extended_plugin import Dice

    model = dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")

    def call(method="random", n=3, **keywords):
        explainer = Dice(data, model, method=method)
        return explainer.generate_counterfactuals(queries.iloc[:n], total_CFs=2, **keywords)

    return call


def cells(text):
    """Return rows of (cell, marked)."""
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [
        [("outline" in style, re.sub("<.*?>", "", body)) for style, body in re.findall(
            r'<t[dh][^>]*style="([^"]*)"[^>]*>(.*?)</t[dh]>', row)]
        for row in rows
    ]  # fmt: skip


def test_changed_cells_are_marked_and_no_others(ask):
    example = ask().cf_examples_list[0]
    query = example.test_instance_df.iloc[0]
    frame = example.final_cfs_df_sparse
    head, first, *rest = cells(example._repr_html_())
    names = [text for _, text in head]
    assert not any(marked for marked, _ in first)
    assert len(rest) == len(frame) == 2
    for row, (_, values) in zip(rest, frame.iterrows(), strict=True):
        shown = dict(zip(names, row, strict=True))
        for name in frame.columns:
            same = str(values[name]) == str(query[name])
            if not same and not isinstance(values[name], str):
                same = bool(np.isclose(values[name], query[name]))
            assert shown[name][0] != same, name
        assert 0 <= float(shown["noise_validity"][1]) <= 1


def test_statuses_and_counts_are_told(ask):
    result = ask(permitted_range={"age": [70, 70]}, features_to_vary=["age"])
    text = result._repr_html_()
    assert f"none: {result.status.count('none')}" in text and "Query 0" in text
    assert result.reason[0].split(";")[0][:30] in text.replace("&#x27;", "'")


def test_many_queries_are_counted(ask, queries):
    n = MOST_QUERIES + 2
    text = ask(n=n)._repr_html_()
    assert text.count("<table") == MOST_QUERIES
    assert "2 more queries are not shown" in text


def test_what_came_from_json_shows_itself(ask):
    from dice_extended_plugin.results import RobustCounterfactualExplanations

    result = ask()
    again = RobustCounterfactualExplanations.from_json(result.to_json())
    assert again._repr_html_().count("outline") == result._repr_html_().count("outline") > 0


def test_names_and_levels_are_escaped():
    text = table(["<b>"], [["<script>", Cell('"<i>')]], "<u>")
    assert "<script>" not in text and "<b>" not in text and "<u>" not in text
    assert "&lt;script&gt;" in text and "&quot;&lt;i&gt;" in text


def test_long_tables_are_cut():
    text = frame_table(pd.DataFrame({"a": range(MOST_ROWS + 5)}))
    assert text.count("<tr>") == 1 + MOST_ROWS and "5 more rows" in text


def test_a_comparison_shows_itself_and_draws(ask, data, fit, queries):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    import dice_ml

    from dice_extended_plugin import Dice

    model = dice_ml.Model(model=fit(1), backend="PYT", func="ohe-min-max")
    found = compare(
        {name: Dice(data, model, method=name) for name in ("random", "kdtree")},
        queries.iloc[:2],
        k=2,
        metrics=["validity", "proximity"],
        held_out={},
    )
    text = found._repr_html_()
    assert "validity ↑" in text and "proximity ↓" in text and "random" in text
    axes = pyplot.subplots()[1]
    assert found.plot("validity", ax=axes) is axes
    own = found.plot("validity", against="proximity")
    # A figure that pyplot knows of is one that a notebook shows.
    assert own.figure.number in pyplot.get_fignums()
    pyplot.close("all")


def art_results():
    from art.estimators.classification import SklearnClassifier
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import minmax_scale

    from art_bridge.attack import UnconstrainedCounterfactual
    from art_bridge.curves import success_rate_curve
    from art_bridge.perturbation import perturbation_metrics
    from art_bridge.robustness import counterfactual_robustness

    x, y = load_breast_cancer(return_X_y=True)
    x = minmax_scale(x)[:, :4].astype(np.float32)
    classifier = SklearnClassifier(LogisticRegression().fit(x, y), clip_values=(0, 1))
    report = counterfactual_robustness(classifier, x[:6], y[:6], x_train=x)
    attack = UnconstrainedCounterfactual(classifier, x, verbose=False)
    curve = success_rate_curve(attack, x[:6], [0.1, 0.5])
    changed = attack.generate(x[:6])
    target = classifier.predict(changed).argmax(axis=1)
    distances = perturbation_metrics(classifier, x[:6], changed, target, x_train=x, y_train=y)
    return report, curve, attack.result_, distances


def test_results_of_the_art_bridge(capfd):
    pytest.importorskip("art", reason="ART is not installed")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    report, curve, result, distances = art_results()
    assert capfd.readouterr() == ("", "")
    assert "R_overall" in report._repr_html_() and "margin" in report._repr_html_()
    assert "Success rate" in curve._repr_html_()
    assert "rows: 6 · found: 6" in result._repr_html_() and "not_found" not in result._repr_html_()
    np.testing.assert_array_equal(result.to_frame()["distance"], result.distance)
    assert "D_knn" in distances._repr_html_() and len(distances.to_frame()) == 6
    axes = pyplot.subplots()[1]
    for one in (report.plot("matrix", ax=axes), report.plot("distribution", ax=axes)):
        assert one is axes
    assert curve.plot(ax=axes) is axes
    pyplot.close("all")


def test_results_of_the_alibi_bridge():
    from image_cases import image_audit

    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    found = image_audit()
    audit = found.audits["first"]
    assert "moves most: light &lt;i&gt;" in audit._repr_html_()
    assert "pairs: 5" in found.comparison._repr_html_()
    assert "no edit within the budget" in found.search._repr_html_()
    assert "Grad-CAM" in found.saliency._repr_html_()
    axes = pyplot.subplots()[1]
    assert audit.plot(ax=axes) is axes
    assert found.comparison.plot(ax=axes) is axes
    pyplot.close("all")


def test_a_second_audit_is_drawn_whole():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    from alibi_bridge.pictures import plot_audit

    index = pd.Index(["hat", "hair"], name="attribute")
    near = pd.DataFrame({"mean_abs_delta": 0.1, "low": 0.05, "high": 0.2}, index=index)
    axes = plot_audit(4 * near, plot_audit(near))
    left, right = axes.get_xlim()
    assert left == 0 and right >= 0.8
    pyplot.close("all")


def test_a_conformance_report_shows_itself():
    from dice_extended_plugin.checks.report import CheckOutcome, CheckReport

    shown = ("metric", "mine", None, "check_range", "required")
    outcomes = (
        CheckOutcome(*shown, "ok", "", 0.1),
        CheckOutcome(*shown, "failed", "<b> out of range", 0.1),
    )
    text = CheckReport("metric:mine", outcomes)._repr_html_()
    assert "metric:mine: not ok" in text and "&lt;b&gt; out of range" in text
    assert text.count("outline") == 1 and "ok: 1" in text


def test_a_job_shows_itself(tmp_path):
    from dice_extended_plugin.jobs.run import JobResult

    done = JobResult(tmp_path, "stopped", "max_rows <5>", 20, 5, 1, 2.0, 4, {"validity": 0.75})
    text = done._repr_html_()
    assert "stopped" in text and "max_rows &lt;5&gt;" in text
    assert "rows a second: 2" in text and "0.75" in text
    assert "validity" not in JobResult(tmp_path, "begun", "", 20, 0, 0)._repr_html_()


def test_a_curve_of_attacked_images_shows_itself():
    pytest.importorskip("torch")
    from alibi_bridge.attacks import StrengthCurve

    curve = StrengthCurve("pgd", np.array([0.0, 0.1]), np.array([0, 1]), np.array([[0, 1], [1, 1]]))
    text = curve._repr_html_()
    assert "2 images changed by pgd" in text and "0.6667" in text


def test_every_plot_of_ours_takes_axes():
    pytest.importorskip("matplotlib")
    from alibi_bridge import audit, pictures
    from art_bridge import curves, plots
    from art_bridge import report as art_report
    from dice_extended_plugin import comparison

    found = [
        function
        for module in (pictures, plots)
        for name, function in vars(module).items()
        if name.startswith("plot_") and function.__module__ == module.__name__
    ]
    for owner in (
        audit.Audit,
        audit.AuditComparison,
        curves.SuccessRateCurve,
        art_report.RobustnessReport,
        comparison.Comparison,
    ):
        found.append(owner.plot)
    assert len(found) == 14
    for function in found:
        assert inspect.signature(function).parameters["ax"].default is None, function


@pytest.mark.parametrize("method", METHODS)
def test_not_verbose_is_silent(ask, capfd, method):
    capfd.readouterr()
    ask(method, verbose=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", METHODS)
def test_verbose_shows_progress(ask, capfd, method):
    capfd.readouterr()
    ask(method, verbose=True)
    out, err = capfd.readouterr()
    assert "%|" in err or "it/s" in err, (out, err)


def test_a_report_is_silent(table, capfd):
    from report_cases import make, small

    report = make(table, small(n_queries=2, n_attacked=1))
    capfd.readouterr()
    report.run()
    assert capfd.readouterr() == ("", "")


def test_a_report_that_was_not_run_says_so(table):
    pytest.importorskip("jinja2")
    from report_cases import make

    assert "has not been run" in make(table)._repr_html_()
