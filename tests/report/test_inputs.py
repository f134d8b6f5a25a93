"""Every mistake is told before any search, by the argument's name."""

from __future__ import annotations

import pytest
from report_cases import make, pipeline, small

from dice_extended_plugin.audit_report import AuditReport, ImageAudit, ReportSettings
from dice_extended_plugin.errors import InvalidInputError


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"n_queries": 0}, "n_queries"),
        ({"k": 1.5}, "k must"),
        ({"survive_at": 0}, "survive_at"),
        ({"survive_at": 1.1}, "survive_at"),
        ({"noise": 0.1}, "noise must be a NoiseModel"),
        ({"noise_factors": ()}, "noise_factors"),
        ({"noise_factors": (1, 0)}, "noise_factors"),
        ({"groups": "sex"}, "groups must be a list"),
        ({"noun": ("case",)}, "noun"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_settings(settings, told):
    with pytest.raises(InvalidInputError, match=told):
        ReportSettings(**settings)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"outcome": None}, "outcome is missing"),
        ({"outcome": "progresion"}, "did you mean 'progression'"),
        ({"continuous": ["bmj"]}, "continuous: there is no feature 'bmj'; did you mean 'bmi'"),
        ({"class_names": ["one"]}, "class_names has 1 names, the model has 2"),
        ({"desired_class": "kalm"}, "no class 'kalm'; did you mean 'calm'"),
        ({"settings": small(immutable=["agee"])}, "immutable: there is no feature 'agee'"),
        ({"settings": small(groups=["sexx"])}, "groups: there is no feature 'sexx'"),
        ({"settings": small(n_retrained=1)}, "n_retrained needs a retrain function"),
        ({"settings": small(method="gradiant")}, "gradiant"),
    ],
)
def test_arguments(table, keywords, told):
    with pytest.raises(InvalidInputError, match=told):
        make(table, **keywords).run()


def test_nothing_to_report_on(table):
    with pytest.raises(InvalidInputError, match="nothing to report on"):
        AuditReport()
    with pytest.raises(InvalidInputError, match="data is missing"):
        AuditReport(object())
    with pytest.raises(InvalidInputError, match="nothing to show"):
        ImageAudit()
    with pytest.raises(InvalidInputError, match="must be ImageAudit"):
        AuditReport(images=["picture.png"])


def test_a_model_that_says_nothing(table):
    with pytest.raises(InvalidInputError, match=r"object without predict_proba\(\)"):
        AuditReport(object(), table, outcome="progression").run()


def test_every_row_has_what_is_wanted(table):
    train = table.drop(columns="progression")
    model = pipeline(train, table["progression"])
    happy = train[model.predict(train) == 1].iloc[:3]
    with pytest.raises(InvalidInputError, match="every row has the wanted outcome"):
        AuditReport(
            model, table, outcome="progression", queries=happy, desired_class=1, settings=small()
        ).run()


def test_no_jinja_names_the_extra(report, monkeypatch):
    import sys

    from dice_extended_plugin.audit_report import render

    monkeypatch.setitem(sys.modules, "jinja2", None)
    render._environment.cache_clear()
    with pytest.raises(ImportError, match=r"dice-extended\[report\]"):
        report.to_html()
    render._environment.cache_clear()


def test_no_art_says_what_to_install(table, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "art" else find(name)
    )
    content = make(table, small(n_queries=2)).content
    assert "pip install 'dice-extended[art]'" in content["margins"]["absent"]
    assert any("dice-extended[art]" in text for text in content["verdict"]["limits"])
