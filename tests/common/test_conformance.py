"""The public suite over everything that is registered, on every framework it serves."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from options import OPTIONS, add_alibi_options, add_job_options

from dice_extended_plugin.checks.suite import cases, checks_of
from dice_extended_plugin.plugins import list_plugins
from dice_extended_plugin.registry import KINDS

if find_spec("torch") and find_spec("alibi"):
    add_alibi_options()
if find_spec("art"):
    add_job_options()

#: pymoo's own algorithms, registered as they are: what they do not promise.
NOT_OURS = {
    ("nsga2", "check_error_classes"): "pymoo's NSGA2 takes any pop_size",
    ("gde3", "check_error_classes"): "pymoo's GDE3 takes any pop_size",
}
#: Keras is slow, and the searches are those of the other frameworks: these checks by default.
QUICK_ON_KERAS = {"check_result_type", "check_validity", "check_constraints_kept"}


def table():
    """One row per component, framework and check."""
    found = []
    # Plugins of strangers, which this environment may hold, are not ours to answer for.
    components = [
        one
        for plugin in list_plugins()
        if plugin.distribution == "dice-extended"
        for one in plugin.components
    ]
    for component in components:
        for case in cases(component, options=OPTIONS):
            for check in checks_of(case.kind):
                marks = []
                if case.backend == "TF2" and check.name not in QUICK_ON_KERAS:
                    marks.append(pytest.mark.slow)
                why = NOT_OURS.get((case.name, check.name))
                if why is not None:
                    marks.append(pytest.mark.xfail(reason=why, strict=True))
                found.append(pytest.param(case, check, id=f"{case.id}-{check.name}", marks=marks))
    return found


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("case", "check"), table())
def test_a_registered_component_keeps_its_promises(case, check):
    check(case)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_checks(kind):
    checks = checks_of(kind)
    names = [check.name for check in checks]
    assert len(names) == len(set(names)) >= 8
    assert all(name.startswith("check_") for name in names)
    assert all(check.summary.endswith(".") and len(check.summary) < 90 for check in checks)
    assert {check.level for check in checks} <= {"required", "recommended"}
