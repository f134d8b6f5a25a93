"""The public functions: targets, reports, the pytest helper and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import dice_extended_plugin
from dice_extended_plugin.checks import CheckReport, check_component, parametrize_with_checks
from dice_extended_plugin.checks.case import Case, Check, CheckFailed, Skip
from dice_extended_plugin.checks.command import run
from dice_extended_plugin.checks.suite import cases, checks_of, run_check
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.metric import metric
from dice_extended_plugin.registry import Component, UnknownComponentError

GOOD_PLUGIN = Path(__file__).parents[1] / "third_party" / "good_plugin"

pytestmark = pytest.mark.filterwarnings("ignore")


@metric("higher", 0, 1, "a page")
def share_valid(sets):
    """Share of rows that are valid."""
    return sets.mean(sets.valid)


@metric("higher", 0, 1, "")
def too_large(sets):
    """A share above one, from no page."""
    return 2 + sets.mean(sets.valid)


@pytest.fixture
def prototype(monkeypatch):
    monkeypatch.syspath_prepend(GOOD_PLUGIN)
    from prototype_dice.explainer import PrototypeExplainer

    return PrototypeExplainer


# -- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "options", "ids"),
    [
        ("dice_method:random", {"backend": "sklearn"}, ["dice_method-random-sklearn"]),
        ("random", {"kind": "search_engine"}, ["search_engine-random"]),
        ("gradient", {}, ["dice_method-gradient-PYT", "dice_method-gradient-TF2"]),
        ("validity", {}, ["metric-validity"]),
        (share_valid, {}, ["metric-share_valid"]),
        ("test_suite:share_valid", {}, ["metric-share_valid"]),
        ("test_suite:share_valid", {"kind": "metric"}, ["metric-share_valid"]),
        (Component("metric", "l1", "json:loads"), {}, ["metric-l1"]),
    ],
)
def test_what_a_target_names(target, options, ids):
    assert [case.id for case in cases(target, **options)] == ids


def test_a_name_of_two_kinds_is_both():
    kinds = {case.kind for case in cases("random")}
    assert kinds == {"dice_method", "search_engine"}


@pytest.mark.parametrize(
    ("target", "options", "error", "words"),
    [
        ("randon", {}, UnknownComponentError, ["'randon'", "did you mean 'random'"]),
        ("metric:validty", {}, UnknownComponentError, ["validty'", "did you mean 'validity'"]),
        ("random", {"kind": "metrics"}, InvalidInputError, ["'metrics'", "'metric'"]),
        ("metric:l1", {"kind": "dice_method"}, InvalidInputError, ["'metric'", "dice_method"]),
        ("gradient", {"backend": "sklearn"}, InvalidInputError, ["gradient", "'sklearn'"]),
        ("random", {"backend": "torch"}, InvalidInputError, ["'torch'", "PYT"]),
        ("no_such_module:Thing", {}, ImportError, ["no_such_module"]),
        ("json:no_such_name", {}, ImportError, ["no_such_name"]),
        ("json:loads", {}, InvalidInputError, ["loads", "say which kind"]),
        (object, {}, InvalidInputError, ["object", "say which kind"]),
    ],
)
def test_what_names_nothing(target, options, error, words):
    with pytest.raises(error) as caught:
        check_component(target, **options)
    assert [word for word in words if word not in str(caught.value)] == []


# -- reports ------------------------------------------------------------------------------------


def test_every_check_is_run_whatever_the_others_found():
    report = check_component(too_large)
    assert isinstance(report, CheckReport)
    assert [one.check for one in report.outcomes] == [one.name for one in checks_of("metric")]
    failed = {one.check: one.level for one in report.failed}
    assert failed["check_values_in_range"] == "required"
    assert failed["check_reference"] == "recommended"
    assert not report.ok
    assert check_component(share_valid).ok


def test_recommended_checks_do_not_count():
    @metric("higher", 0, 1, "")
    def unpublished(sets):
        """Share of rows that are valid."""
        return sets.mean(sets.valid)

    report = check_component(unpublished)
    assert report.ok and [one.check for one in report.failed] == ["check_reference"]
    assert "advice  check_reference" in str(report)
    assert not check_component(unpublished, recommended=False).failed


def test_a_report_as_text_frame_and_json():
    report = check_component(too_large)
    text = str(report)
    assert "metric too_large" in text and "failed  check_values_in_range" in text
    assert "the range is [0, 1], values reach from" in text
    assert text.splitlines()[-1].startswith("too_large: not ok; ")
    frame = report.to_frame()
    assert isinstance(frame, pd.DataFrame) and len(frame) == len(report.outcomes)
    assert {"check", "level", "status", "reason", "seconds"} <= set(frame.columns)
    found = json.loads(json.dumps(report.to_dict()))
    assert found["ok"] is False and sum(found["counts"].values()) == len(frame)


def test_nothing_run_is_not_ok():
    def load():
        raise ImportError("it needs 'far', which is not installed", name="far")

    case = Case("metric", "far", load)
    outcomes = [run_check(check, case) for check in checks_of("metric")]
    assert {one.status for one in outcomes} == {"skipped"}
    assert all("'far'" in one.reason for one in outcomes)
    assert not CheckReport("far", tuple(outcomes)).ok


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError("full"), RecursionError()])
def test_whatever_a_component_raises_is_a_failure(error):
    def load():
        raise error

    outcome = run_check(checks_of("metric")[0], Case("metric", "bad", load))
    assert outcome.status == "failed" and type(error).__name__ in outcome.reason


def test_an_interrupt_of_the_user_is_one():
    def load():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_check(checks_of("metric")[0], Case("metric", "bad", load))


# -- a stranger's plugin ------------------------------------------------------------------------


def test_the_sample_plugin_passes(prototype):
    report = check_component(prototype, backend="sklearn")
    assert report.ok, str(report)
    # What dice-ml itself does not ask of its methods is only recommended.
    advice = {one.check for one in report.failed}
    assert advice <= {"check_status", "check_bad_input", "check_seed", "check_no_leak"}


@pytest.mark.slow
def test_dice_mls_own_methods_are_told_what_they_break():
    report = check_component(
        "dice_ml.explainer_interfaces.dice_random:DiceRandom", backend="sklearn"
    )
    failed = {one.check for one in report.failed}
    assert {"check_same_result_again", "check_batch_splits", "check_global_generators"} <= failed


# -- pytest -------------------------------------------------------------------------------------


@parametrize_with_checks([share_valid, "metric:validity"])
def test_the_helper(case, check):
    assert isinstance(case, Case) and isinstance(check, Check)
    check(case)


def test_the_ids_and_levels_of_the_helper():
    mark = parametrize_with_checks(["dice_method:random"], backend="sklearn").mark
    ids = [parameter.id for parameter in mark.args[1]]
    assert "dice_method-random-sklearn-check_input_untouched" in ids
    assert not [one for one in ids if one.endswith("check_status")]
    every = parametrize_with_checks(["dice_method:random"], recommended=True).mark.args[1]
    assert [one.id for one in every if one.id.endswith("PYT-check_status")]
    for bad in ("random", None):
        with pytest.raises(InvalidInputError, match="list of components"):
            parametrize_with_checks(bad)


def test_a_check_in_pytest_skips_and_fails():
    def skip(case):
        raise Skip("no such framework")

    def fail(case):
        raise CheckFailed("a promise was broken")

    with pytest.raises(pytest.skip.Exception, match="no such framework"):
        Check(skip, "required")(Case("metric", "one", lambda: None))
    with pytest.raises(AssertionError, match="a promise was broken"):
        Check(fail, "required")(Case("metric", "one", lambda: None))


def test_pytest_and_hosts_are_not_loaded_before_they_are_used():
    code = (
        "import sys, dice_extended_plugin.checks, dice_extended_plugin.checks.command\n"
        "print(sorted({*sys.modules} & {'pytest', 'torch', 'art', 'alibi', 'dice_ml', 'sklearn',"
        " 'tensorflow', 'pandas', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- the command --------------------------------------------------------------------------------


def test_the_command_prints_a_report(capsys):
    assert run("metric:validity") == 0
    assert "metric:validity: ok; " in capsys.readouterr().out
    assert run("test_suite:too_large", as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("randon", {}, "did you mean 'random'"),
        ("no_such_module:Thing", {}, "no_such_module"),
        ("gradient", {"backend": "sklearn"}, "does not serve"),
    ],
)
def test_the_command_and_what_there_is_not(target, options, words, capsys):
    assert run(target, **options) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert captured.err.startswith("dice-extended: error: ") and words in captured.err


def test_a_module_that_raises_is_an_error_of_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "raises_when_imported.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert run("raises_when_imported:Thing") == 1
    text = capsys.readouterr().err
    assert "ZeroDivisionError" in text and "Traceback" not in text


def test_the_docs_name_every_check():
    page = Path(dice_extended_plugin.__file__).parents[1] / "docs" / "conformance.md"
    text = page.read_text(encoding="utf-8")
    from dice_extended_plugin.registry import KINDS

    for kind in KINDS:
        for check in checks_of(kind):
            row = f"| `{check.name}` | {check.summary} |"
            assert row in text, f"{page}: {kind} lacks the row\n{row}"
