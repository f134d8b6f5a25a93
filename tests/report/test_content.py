"""What a report says is what was measured, and JSON can hold it."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
from report_cases import make, pipeline, small

from dice_extended_plugin.audit_report import AuditReport
from dice_extended_plugin.audit_report.verdict import verdict
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.errors import InvalidInputError


def test_the_counts_are_those_of_the_tables(report):
    content = report.content
    counts = content["recourse"]["outcomes"]["robust"]
    verdicts = Counter(table["verdict"] for table in content["tables"])
    assert counts["n"] == len(content["tables"]) == 8
    assert counts["survive"] == verdicts["survives"]
    assert counts["found"] == verdicts["survives"] + verdicts["fragile"]
    low, high = wilson_interval(counts["survive"] / 8, 8)
    assert (counts["low"], counts["high"]) == pytest.approx((low, high))
    for table in content["tables"]:
        best = table["changes"][0]
        assert best["recommended"] and not any(c["recommended"] for c in table["changes"][1:])
        assert (best["noise_validity"] >= 0.95) == (table["verdict"] == "survives")


def test_the_changes_are_answers_of_the_model(report):
    """The tables' texts, put to the model again, get the wanted class."""
    frame = report.test.drop(columns="progression")
    model, classes = report.model, ["calm", "worse"]
    for table in report.content["tables"]:
        now = {row["name"]: row["now"] for row in table["features"]}
        for place in range(len(table["changes"])):
            row = {
                name["name"]: (name["after"][place] or {"value": now[name["name"]]})["value"]
                for name in table["features"]
            }
            one = frame.iloc[:1].astype(object)
            for name, value in row.items():
                one[name] = [value if frame[name].dtype == object else float(value)]
            assert classes[int(model.predict(one)[0])] == table["to"] != table["from"]
            changed = sum(cell["after"][place] is not None for cell in table["features"])
            assert changed == table["changes"][place]["changed"]


def test_the_noise_is_held_out_and_measured_again(report):
    """The share of a recommended change, drawn here anew from another stream, is near."""
    table = report.content["tables"][0]
    rng = np.random.default_rng(5)
    now = {row["name"]: row["now"] for row in table["features"]}
    frame = report.test.drop(columns="progression")
    train = report.data
    rows = frame.iloc[[0] * 4000].reset_index(drop=True)
    for cell in table["features"]:
        name, after = cell["name"], cell["after"][0]
        numeric = frame[name].dtype != object
        value = (after or {"value": now[name]})["value"]
        rows[name] = float(value) if numeric else value
        if after is None:
            continue
        if numeric:
            reach = train[name].max() - train[name].min()
            drawn = float(value) + rng.normal(0, 0.05 * reach, len(rows))
            rows[name] = drawn.clip(train[name].min(), train[name].max())
        else:
            others = [level for level in sorted(train[name].unique()) if level != value]
            flip = rng.random(len(rows)) < 0.05
            rows.loc[flip, name] = rng.choice(others, flip.sum())
    wanted = ["calm", "worse"].index(table["to"])
    share = (report.model.predict(rows) == wanted).mean()
    assert share == pytest.approx(table["changes"][0]["noise_validity"], abs=0.05)


def test_what_is_held_fixed_stays(report):
    for table in report.content["tables"]:
        age = next(row for row in table["features"] if row["name"] == "age")
        assert age["after"] == [None] * len(table["changes"])
    assert {r["feature"]: r["count"] for r in report.content["recourse"]["features"]}["age"] == 0


def test_groups_and_directions_add_up(report):
    found = report.content["recourse"]
    for name in ("sex", "bmi"):
        rows = [row for row in found["groups"] if row["feature"] == name]
        assert sum(row["n"] for row in rows) == 8
        assert sum(row["survive"] for row in rows) == found["outcomes"]["robust"]["survive"]
    assert sum(row["n"] for row in found["directions"]) == 8


def test_the_verdict_quotes_the_figures(report):
    content = report.content
    counts = content["recourse"]["outcomes"]["robust"]
    assert content["verdict"]["headline"].startswith("Of 8 people")
    assert f", {counts['survive']} get" in content["verdict"]["headline"]
    texts = " ".join(point["text"] for point in content["verdict"]["points"])
    assert f"{counts['survive']} of 8 people" in texts
    quality = content["subject"]["quality"]
    right = (report.model.predict(report.test) == report.test["progression"]).mean()
    assert quality["accuracy"] == pytest.approx(right)
    assert f"right for {100 * right:.0f} %" in texts
    limits = " ".join(content["verdict"]["limits"])
    assert "Held fixed: age" in limits and "not a cause in life" in limits
    assert content["verdict"]["level"] == "info" and "Only 8 people were asked" in limits


@pytest.mark.parametrize(
    ("survive", "n", "level"),
    [(18, 20, "good"), (10, 20, "mixed"), (9, 20, "poor"), (9, 9, "info"), (0, 9, "info")],
)
def test_a_level_needs_ten_rows(report, survive, n, level):
    content = deepcopy(report.content)
    counts = content["recourse"]["outcomes"]["robust"]
    counts |= {"n": n, "found": n, "survive": survive, "share": survive / n}
    found = verdict(content)
    assert found["level"] == found["points"][1]["level"] == level
    assert any("too few" in text for text in found["limits"]) == (n < 10)


def test_as_many_and_none_fragile_are_said_so(report):
    content = deepcopy(report.content)
    for name in ("robust", "plain"):
        counts = {"n": 20, "found": 12, "survive": 12, "share": 0.6, "low": 0.4, "high": 0.8}
        content["recourse"]["outcomes"][name] |= counts
    texts = [point["text"] for point in verdict(content)["points"]]
    assert "survives for 12 of 20 people, as many." in texts[2]
    assert "fragile" not in texts[1]


def test_no_declared_immutable_feature_is_said(table):
    limits = make(table, small(n_attacked=0, n_queries=2)).content["verdict"]["limits"]
    assert any("No feature was declared immutable" in text for text in limits)


def test_json_is_strict_and_comes_back(report, html, tmp_path):
    path = tmp_path / "report.json"
    text = report.to_json(path)
    assert path.read_text(encoding="utf-8") == text

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(text, parse_constant=refuse)
    assert read == report.content
    assert read["schema"] == "dice-extended audit report" and read["schema_version"] == 1
    assert AuditReport.from_json(text).to_html() == html


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no JSON", "no JSON text"),
        ("[]", "is no dice-extended audit report"),
        ('{"schema": "dice-extended audit report", "schema_version": 2}', "schema version 2"),
        ('{"schema": "dice-extended audit report", "schema_version": 1}', "it lacks"),
    ],
)
def test_other_texts_are_refused(text, told):
    with pytest.raises(InvalidInputError, match=told):
        AuditReport.from_json(text)


def test_a_report_from_json_has_nothing_to_run(report):
    with pytest.raises(InvalidInputError, match="no model to run"):
        AuditReport.from_json(report.to_json()).run()


def test_finished_margins_alone():
    pytest.importorskip("jinja2")
    from art_bridge.report import RobustnessReport

    m = 10
    done = RobustnessReport(
        n_classes=2,
        n_rows=m,
        row=np.arange(m),
        source=np.repeat([0, 1], 5),
        target=np.repeat([1, 0], 5),
        distance=np.array([1.0, 1.1, 0.9, 1.05, 0.95, 4.0, 4.2, 3.8, 4.1, 3.9]),
        success=np.ones(m, bool),
        probability=np.full(m, 0.6),
        counterfactuals=np.zeros((m, 2), np.float32),
        norm=2.0,
        seconds=0.0,
        reasons={},
    )
    report = AuditReport(margins=done)
    (point,) = report.content["verdict"]["points"]
    assert "class 0 is the easiest to be pushed out of" in point["text"]
    assert "a ratio of 0.25" in point["text"]
    page = report.to_html()
    assert "5 of 5" in page and 'id="recourse"' not in page


def test_equal_inputs_give_equal_bytes(table, report, html):
    again = make(table, small(groups=["sex", "bmi"], immutable=["age"], noun=("person", "people")))
    assert again.to_html() == html
    assert again.to_json() == report.to_json()


def test_another_seed_asks_others(table, report):
    other = make(table, small(n_attacked=0, random_state=1))
    assert [t["features"] for t in other.content["tables"]] != [
        t["features"] for t in report.content["tables"]
    ]


def test_a_wanted_class_leaves_out_who_has_it(table):
    content = make(table, small(n_attacked=0), desired_class="calm").content
    assert {(t["from"], t["to"]) for t in content["tables"]} == {("worse", "calm")}
    assert "the model answers with “worse”" in content["verdict"]["headline"]
    assert "have it already and were left out" in content["subject"]["queries_from"]


def test_without_the_plain_search(table):
    content = make(table, small(n_attacked=0, compare_plain=False)).content
    assert set(content["recourse"]["outcomes"]) == {"robust"}
    assert content["recourse"]["tests"] == []


def test_models_trained_again(table):
    train = table.iloc[:340]

    def retrain(seed, rows):
        part = train.iloc[rows]
        model = pipeline(part.drop(columns="progression"), part["progression"])
        return model.predict_proba

    report = make(table, small(n_attacked=0, n_retrained=1, n_queries=4), retrain=retrain)
    rows = {row["metric"]: row for row in report.content["recourse"]["comparison"]}
    assert 0 <= rows["model_change_validity"]["robust"]["mean"] <= 1
    titles = [point["title"] for point in report.content["verdict"]["points"]]
    assert "Does it hold when the model is trained again?" in titles


def test_a_regression_model(table):
    from sklearn.linear_model import LinearRegression

    numbers = table[["age", "bmi", "bp", "s5"]]
    value = (10.0 * table["bmi"] + table["bp"] + 0.25).rename("value")
    model = LinearRegression().fit(numbers, value)
    report = AuditReport(
        model,
        numbers.assign(value=value),
        outcome="value",
        desired_range=(300.0, 350.0),
        settings=small(),
    )
    content = report.content
    assert content["margins"] is None and content["subject"]["classes"] == []
    assert "between 300 and 350" in content["verdict"]["headline"]
    assert content["tables"][0]["to"] == "300 to 350"
    pytest.importorskip("jinja2")
    assert "between 300 and 350" in report.to_html()


def test_a_torch_network(data, fit, queries):
    report = AuditReport(fit(1), data, queries=queries.iloc[:3], settings=small(k=1, n_attacked=0))
    assert report.content["subject"]["method"] == "gradient"
    assert report.content["recourse"]["outcomes"]["robust"]["n"] == 3


def test_three_classes_need_a_name(table):
    third = np.where(table["age"] > 60, 2, table["progression"])
    frame = table.assign(progression=third)
    model = pipeline(frame.drop(columns="progression"), frame["progression"])
    with pytest.raises(InvalidInputError, match="the one that is wanted"):
        AuditReport(model, frame, outcome="progression", settings=small()).run()
    content = AuditReport(
        model, frame, outcome="progression", desired_class=1, settings=small(n_attacked=0)
    ).content
    assert {t["to"] for t in content["tables"]} == {"1"}
