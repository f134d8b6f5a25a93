"""From the content of a report to HTML: one text, no network, nothing that is not escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dice_extended_plugin.audit_report import charts
from dice_extended_plugin.audit_report.glossary import plain_name
from dice_extended_plugin.audit_report.numbers import brief, percent, short
from dice_extended_plugin.audit_report.views import views

__all__ = ["render", "render_summary", "require_jinja"]

_FOLDER = Path(__file__).parent / "templates"


def render(content: Mapping[str, Any]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    content : mapping
        Plain values, see :attr:`~dice_extended_plugin.audit_report.report.AuditReport.content`.
    """
    style, script = _text("report.css"), _text("report.js")
    html: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            **content,
            **views(content),
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )
    return html


def render_summary(content: Mapping[str, Any] | None) -> str:
    """Return the verdict alone, for a notebook."""
    if content is None:
        return (
            "<p>An audit report that has not been run. Call <code>run()</code>, then "
            "<code>to_html(path)</code>.</p>"
        )
    html: str = _environment().get_template("summary.html.j2").render(**content)
    return html


def require_jinja() -> None:
    """Raise the ImportError that names the extra, where Jinja2 is missing."""
    _environment()


def _policy(style: str, script: str) -> str:
    """Return a content security policy: this style, this script, pictures inside the file."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        f"img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    found = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(found).decode()


def _percent(share: Any, digits: int = 0) -> str:
    """Return a percentage that no line ends in."""
    return percent(share, digits).replace(" ", "\N{NO-BREAK SPACE}")


def _breakable(name: str) -> Any:
    """Return a name that a line may end in, after its underscores."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    try:
        import jinja2
    except ImportError:
        raise ImportError(
            "the HTML report needs Jinja2; run: pip install 'dice-extended[report]' "
            "(to_json() does without)"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        brief=brief, percent=_percent, short=short, plain=plain_name, breakable=_breakable
    )
    environment.globals.update(bar=charts.bar, stacked=charts.stacked, whisker=charts.whisker)
    return environment
