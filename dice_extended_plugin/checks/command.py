"""``dice-extended check``: the suite in a shell."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings

__all__ = ["run"]


def run(
    target: str, kind: str | None = None, backend: str | None = None, as_json: bool = False
) -> int:
    """Check a component and print the report.

    Parameters
    ----------
    target : str
        A registered name, or ``"package.module:Class"``; modules of the current folder are found.
    kind, backend : str, optional
        As for :func:`~dice_extended_plugin.checks.suite.check_component`.
    as_json : bool, default False
        Whether to print JSON.

    Returns
    -------
    int
        Exit status: 0 if every required check that could be run was passed, 1 if not, or if there
        is no such component.
    """
    from dice_extended_plugin.checks.suite import check_component
    from dice_extended_plugin.errors import InvalidInputError

    if "" not in sys.path:
        sys.path.insert(0, "")  # as python -m does
    try:
        # What a component prints must not end up inside the report.
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hosts, about their own code
            report = check_component(target, kind=kind, backend=backend)
    except (InvalidInputError, ImportError) as error:
        print(f"dice-extended: error: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # a stranger's module may raise anything while it is imported
        print(
            f"dice-extended: error: {target!r} cannot be imported: {type(error).__name__}: {error}",
            file=sys.stderr,
        )
        return 1
    print(json.dumps(report.to_dict(), indent=2) if as_json else report)
    return 0 if report.ok else 1
