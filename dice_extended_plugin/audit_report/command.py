"""``dice-extended report``: an audit report from a table and a function that makes the model."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from dice_extended_plugin.errors import InvalidInputError

__all__ = ["add_arguments", "run"]

#: Arguments that do not change what the report says.
_ASIDE = ("help", "out", "json", "quiet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
    add = parser.add_argument
    add("--data", required=True, metavar="FILE_OR_NAME",
        help="a CSV file (may be .gz), or a data set such as diabetes or german")  # fmt: skip
    add("--model", required=True, metavar="PACKAGE.MODULE:FACTORY",
        help="function that returns the model: factory(features, outcome) gets the training rows, "
        "factory() nothing; looked for in the working directory first")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FILE", help="the HTML file to write")
    add("--json", type=Path, metavar="FILE", help="write the same as JSON, too")
    add("--outcome", metavar="COLUMN", help="what the model predicts; needed for a file")
    add("--continuous", metavar="A,B", help="numeric features; default: all numeric columns")
    add("--queries", type=int, default=50, metavar="N", help="rows to explain (default 50)")
    add("--k", type=int, default=4, metavar="K", help="changes for each row (default 4)")
    add("--desired-class", default="opposite", metavar="CLASS",
        help="name or number of the wanted outcome; default: the other of two")  # fmt: skip
    add("--class-names", metavar="A,B", help="names of the classes in the model's order")
    add("--immutable", metavar="A,B", help="features that must not change")
    add("--groups", metavar="A,B", help="features by whose values results are told apart")
    add("--method", default="auto", help="search method (default: by the kind of model)")
    add("--attacked", type=int, default=50, metavar="N",
        help="rows for class margins; 0 leaves them out (default 50)")  # fmt: skip
    add("--retrain", type=int, default=0, metavar="N",
        help="train the model N times again in each of three ways (default 0)")  # fmt: skip
    add("--noun", default="case,cases", metavar="ONE,MANY", help="what a row is: person,people")
    add("--title", metavar="TEXT", help="heading of the report")
    add("--note", metavar="TEXT", help="a date or note for the head; none by itself")
    add("--random-state", type=int, default=0, metavar="S", help="seed (default 0)")
    add("--quiet", action="store_true", help="show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Make the report.

    Returns
    -------
    int
        0; 2 for input that cannot be worked with, told in one line.
    """
    from dice_extended_plugin.audit_report.making import make_report

    try:
        make_report(arguments, command_text(arguments))
    except (InvalidInputError, OSError, ImportError) as error:
        print(f"dice-extended report: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def command_text(arguments: argparse.Namespace) -> str:
    """Return the command as a person would type it; what has its default is left out."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["dice-extended", "report"]
    for action in parser._actions:
        name = action.dest
        value = getattr(arguments, name, None)
        if name in _ASIDE or value in (None, False) or value == action.default:
            continue
        words.append(action.option_strings[0])
        if value is not True:
            words.append(shlex.quote(str(value)))
    return " ".join([*words, "--out", "report.html"])
