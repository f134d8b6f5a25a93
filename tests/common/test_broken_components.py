"""The suite can fail: each broken component is told by the check of the right name."""

from __future__ import annotations

import broken_components
import broken_hosts
import numpy as np
import pytest

from dice_extended_plugin.checks import check_component
from dice_extended_plugin.checks.suite import cases, checks_of, run_check

pytestmark = pytest.mark.filterwarnings("ignore")


def outcome(subject, name, **options):
    """Run one check of the component's kind."""
    (case,) = cases(subject, **options)
    (check,) = (one for one in checks_of(case.kind) if one.name == name)
    return run_check(check, case)


def caught(subject, name, **options):
    found = outcome(subject, name, **options)
    assert found.status == "failed", found
    assert found.reason and "Traceback" not in found.reason
    return found.reason


def id_of(thing):
    return getattr(thing, "__name__", str(thing)).strip("<>")


def test_a_seed_shows_even_where_the_generator_stood_at_it():
    before = np.random.get_state()
    try:
        np.random.seed(0)  # what the component seeds with
        caught(broken_components.Reseeds, "check_global_generators", backend="sklearn")
    finally:
        np.random.set_state(before)


@pytest.mark.parametrize("subject", broken_components.METHODS, ids=id_of)
def test_methods(subject):
    limits = {"max_calls": 400, "max_seconds": 3.0}
    if subject is broken_components.OverrunsItsBudget:
        limits = {}
    name = broken_components.METHODS[subject]
    caught(subject, name, backend="sklearn", **limits)
    # What it is made of keeps that promise: nothing else is wrong.
    assert outcome(broken_components.Good, name, backend="sklearn").status == "ok"


def test_a_run_that_does_not_end_is_told_from_a_slow_one():
    name = "check_ends"
    asked = caught(broken_components.NeverStopsAsking, name, backend="sklearn", max_calls=300)
    assert "more than 300 model calls" in asked
    slow = caught(broken_components.NeverReturns, name, backend="sklearn", max_seconds=1.0)
    assert "did not end within 1 seconds" in slow


@pytest.mark.parametrize("fault", broken_components.METRICS)
def test_metrics(fault):
    subject, name = broken_components.METRICS[fault]
    kind = "metric"
    caught(subject, name, kind=kind)
    report = check_component(broken_components.good_metric)
    assert report.ok and not report.failed


def test_attacks():
    pytest.importorskip("art")
    good, broken = broken_hosts.attacks()
    report = check_component(good, backend="sklearn")
    assert report.ok and not report.failed, str(report)
    for subject, name in broken.items():
        caught(subject, name, backend="sklearn", max_calls=500)


def test_art_metrics():
    pytest.importorskip("art")
    good, broken = broken_hosts.art_metrics()
    report = check_component(good, kind="art_metric", backend="sklearn")
    assert report.ok and not report.failed, str(report)
    for subject, name in broken.items():
        caught(subject, name, kind="art_metric", backend="sklearn")


def test_detectors():
    pytest.importorskip("art")
    pytest.importorskip("torch")
    good, broken = broken_hosts.detectors()
    assert not check_component(good, backend="PYT").failed
    for subject, name in broken.items():
        caught(subject, name, backend="PYT")


def test_engines():
    assert check_component(broken_hosts.Engine).ok
    for subject, name in broken_hosts.ENGINES.items():
        caught(subject, name)


def test_explainers():
    pytest.importorskip("alibi", reason="alibi is not installed", exc_type=ImportError)
    good, broken = broken_hosts.explainers()
    report = check_component(good)
    # A class of a function cannot be loaded again.
    kept = {"check_save_and_load", "check_safe_saving"}
    assert {one.check for one in report.failed} <= kept, str(report)
    for subject, name in broken.items():
        caught(subject, name)
