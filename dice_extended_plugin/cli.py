"""The ``dice-extended`` command."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from dice_extended_plugin import __version__
from dice_extended_plugin.audit_report import command as audit_report
from dice_extended_plugin.jobs import command as jobs
from dice_extended_plugin.plugins import PluginInfo, list_plugins
from dice_extended_plugin.registry import BACKENDS, KINDS, import_target

__all__ = ["main"]

_HEADER = ("KIND", "NAME", "BACKENDS", "EXTRA", "PLUGIN", "DISTRIBUTION", "VERSION", "STATE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process if None.

    Returns
    -------
    int
        Exit status: 0, or 1 if something that the command needs is not installed. Wrong
        arguments end the program with 2, as argparse does.
    """
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dice-extended", description="Robust counterfactual explanations, as plugins."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    plugins = commands.add_parser("plugins", help="list the plugins and what they bring")
    plugins.add_argument("--json", action="store_true", help="print JSON instead of a table")
    plugins.add_argument("--kind", choices=KINDS, help="only components of this kind")
    plugins.set_defaults(run=_plugins)

    demo = commands.add_parser("demo", help="plain and robust counterfactuals, side by side")
    demo.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder for the picture"
    )
    demo.add_argument("--queries", type=_count, default=50, metavar="N", help="rows to explain")
    demo.add_argument("--k", type=_count, default=10, metavar="K", help="answers for each row")
    demo.set_defaults(run=_demo)

    check = commands.add_parser("check", help="run the conformance suite on a component")
    check.add_argument(
        "target", metavar="TARGET", help="a registered name, or package.module:Class"
    )
    check.add_argument("--kind", choices=KINDS, help="what it is, where the name does not tell")
    check.add_argument(
        "--backend", choices=BACKENDS, help="of the model; all that it serves if left out"
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of a table")
    check.set_defaults(run=_check)

    report = commands.add_parser("report", help="write an audit report that anyone can read")
    audit_report.add_arguments(report)
    report.set_defaults(run=audit_report.run)

    run = commands.add_parser("run", help="treat many rows in chunks, as a TOML file says")
    jobs.add_run_arguments(run)
    run.set_defaults(run=jobs.run)

    resume = commands.add_parser("resume", help="go on with a job that was stopped or killed")
    jobs.add_resume_arguments(resume)
    resume.set_defaults(run=jobs.resume)
    return parser


def _count(text: str) -> int:
    number = int(text)  # argparse turns the ValueError into its own message
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, it is {number}")
    return number


def _plugins(arguments: argparse.Namespace) -> int:
    kind: str | None = arguments.kind
    # A plugin that prints while it is imported must not end up inside the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        plugins = list_plugins()
    if kind is not None:
        plugins = [
            replace(p, components=tuple(c for c in p.components if c.kind == kind)) for p in plugins
        ]
    if arguments.json:
        print(json.dumps([asdict(plugin) for plugin in plugins], indent=2))
        return 0

    rows: list[tuple[str, ...]] = [_HEADER]
    for plugin in plugins:
        # With --kind, a plugin without such components is of interest only if it is not ok.
        if plugin.components or kind is None or plugin.state != "ok":
            rows += _rows(plugin)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip())
    return 0


def _rows(plugin: PluginInfo) -> list[tuple[str, ...]]:
    state = plugin.state if plugin.reason is None else f"{plugin.state}: {plugin.reason}"
    origin = (plugin.name, plugin.distribution, plugin.version, state)
    if not plugin.components:
        return [("-", "-", "-", "-", *origin)]
    return [
        (c.kind, c.name, ",".join(c.backends or ("all",)), c.extra or "-", *origin)
        for c in plugin.components
    ]


def _check(arguments: argparse.Namespace) -> int:
    from dice_extended_plugin.checks.command import run

    return run(arguments.target, arguments.kind, arguments.backend, arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    try:
        run = import_target("dice_extended_plugin.demo:run", "the demo", "torch,report")
    except ImportError as error:
        print(f"dice-extended: error: {error}", file=sys.stderr)
        return 1
    run(out=arguments.out, queries=arguments.queries, k=arguments.k)
    return 0
