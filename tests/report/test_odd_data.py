"""Tables and models at the edge: a readable page, or one clear line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from report_cases import pipeline, small

from dice_extended_plugin.audit_report import AuditReport
from dice_extended_plugin.audit_report.margin_words import margin_points
from dice_extended_plugin.audit_report.margins import given_margins
from dice_extended_plugin.errors import InvalidInputError


class Always:
    """A model with one answer, or with the error that it is given."""

    classes_ = np.array(["no", "yes"])

    def __init__(self, answer):
        self.answer = answer

    def predict_proba(self, rows):
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.tile(self.answer, (len(rows), 1))


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "a": rng.normal(size=160).round(2),
            "b": rng.integers(0, 9, 160),
            "c": rng.choice(["x", "y"], 160),
        }
    )
    return rows.assign(y=np.where(rows["a"] + rows["b"] / 4 > 1, "yes", "no"))


def report_of(frame, model=None, **settings):
    model = model or pipeline(frame.drop(columns="y"), frame["y"])
    chosen = small(**{"n_queries": 4, "n_attacked": 0, **settings})
    return AuditReport(model, frame, outcome="y", settings=chosen)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: pd.concat([frame, frame[["a"]]], axis=1), r"more than one column.*'a'"),
        (lambda frame: frame.rename(columns={"a": 0}), r"column names must be texts, not \[0\]"),
        (lambda frame: frame.assign(a=frame["a"].where(frame["a"] > 0)), "missing or infinite"),
        (lambda frame: frame.assign(a=np.inf), "missing or infinite"),
        (lambda frame: frame.iloc[:0], "no rows"),
    ],
)
def test_tables_that_cannot_be_read(frame, change, told):
    with pytest.raises(InvalidInputError, match=told):
        report_of(change(frame), Always([1.0, 0.0])).run()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ValueError("unseen\nfeature"), r"\['a', 'b', 'c'\]: ValueError: unseen feature$"),
        ([np.nan, np.nan], "NaN"),
        ([2.0, -3.0], "not probabilities"),
    ],
)
def test_models_that_cannot_answer(frame, answer, told):
    with pytest.raises(InvalidInputError, match=told):
        report_of(frame, Always(answer)).run()


def test_nothing_that_may_change_is_told(frame):
    with pytest.raises(InvalidInputError, match="immutable holds every feature fixed"):
        report_of(frame, immutable=["a", "b", "c"]).run()


def test_a_constant_model_has_no_empty_pictures(frame):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")
    report = report_of(frame, Always([1.0, 0.0]), n_queries=12).run()
    assert report.content["verdict"]["level"] == "poor"
    page = report.to_html()
    assert "nothing to disturb" in page
    assert "noise-chart" not in page and "What has to change" not in page


def test_long_names_are_short_in_sentences(frame):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")
    long = frame.assign(
        c=frame["c"].map({"x": "L" * 3000, "y": "\n<br>\ttab"}),
        y=frame["y"].map({"yes": "Y" * 800, "no": "n"}),
    )
    report = report_of(long, groups=["c"]).run()
    words = report.content["verdict"]
    assert max(len(point["text"]) for point in words["points"]) < 600
    assert len(words["headline"]) < 300
    assert "L" * 3000 in report.to_html()  # whole in the tables


class Margins:
    """What the ART bridge returns, with as many rows in each direction as are given."""

    n_rows, n_classes, norm, accuracy, r_overall = 9, 2, 2.0, 0.9, 0.2

    def __init__(self, found, ratio):
        self.found, self.ratio = found, ratio
        self.intervals, self.reasons = {"r_overall": (0.1, 0.3)}, {}

    def to_frame(self, part):
        if part == "pairs":
            rows = [
                {"source": i, "target": 1 - i, "found": n, "attempts": n, "margin": 0.1}
                | {"low": 0.1, "high": 0.1, "median": 0.1, "reason": None}
                for i, n in enumerate(self.found)
            ]
        else:
            value, low, high = self.ratio
            rows = [
                {"class": 0, "alpha": 0.1, "beta": 0.2, "r_class": value}
                | {"r_class_low": low, "r_class_high": high},
                {"class": 1, "alpha": 0.2, "beta": 0.1, "r_class": 1 / value}
                | {"r_class_low": 1 / high, "r_class_high": 1 / low},
            ]
        return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("found", "ratio", "level", "told"),
    [
        ((1, 6), (0.5, 0.5, 0.5), "info", "With 1 row in a direction it may be chance"),
        ((4, 6), (0.5, 0.4, 0.6), "info", "With 4 rows"),
        ((6, 6), (0.5, 0.4, 0.6), "mixed", "class 0 is the easiest"),
        ((6, 6), (0.5, 0.1, 2.0), "info", "may be chance"),
        ((6, 6), (0.9, 0.6, 1.4), "good", "about equally hard"),
    ],
)
def test_a_class_is_called_weak_only_on_enough_rows(found, ratio, level, told):
    margins = given_margins(Margins(found, ratio))
    (point,) = margin_points({"margins": margins, "subject": None})
    assert point["level"] == level and told in point["text"]
    assert (margins["pairs"][0]["low"] is None) == (found[0] == 1)
    assert (margins["classes"][0]["r_class_low"] is None) == (found[0] == 1)


def test_one_row_shows_no_interval():
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")
    page = AuditReport(margins=Margins((1, 6), (0.5, 0.5, 0.5))).to_html()
    assert "one row, no interval" in page and "one row in a direction, no interval" in page
