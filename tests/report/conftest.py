"""One small audit, made once, and one whose names are attacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from report_cases import HOSTILE, HOSTILE_LEVEL, HOSTILE_TITLE, make, pipeline, small

from dice_extended_plugin.audit_report import AuditReport


@pytest.fixture(scope="session")
def report(table):
    return make(
        table, small(groups=["sex", "bmi"], immutable=["age"], noun=("person", "people"))
    ).run()


@pytest.fixture(scope="session")
def html(report):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")
    return report.to_html()


@pytest.fixture(scope="session")
def hostile():
    """Return a report whose names, levels, classes and title are attacks."""
    rng = np.random.default_rng(0)
    n = 160
    frame = pd.DataFrame(
        {
            HOSTILE: rng.integers(0, 50, n),
            "plain": rng.normal(size=n).round(2),
            "level & <b>": rng.choice(["a", HOSTILE_LEVEL, "</td>"], n),
        }
    )
    outcome = (frame[HOSTILE] + 5 * frame["plain"] > 25).map({True: HOSTILE_LEVEL, False: "ok"})
    model = pipeline(frame, outcome)
    return AuditReport(
        model,
        frame.assign(outcome=outcome),
        outcome="outcome",
        title=HOSTILE_TITLE,
        data_name=HOSTILE,
        generated=HOSTILE,
        command=HOSTILE,
        settings=small(n_attacked=0, groups=["level & <b>"]),
    ).run()
