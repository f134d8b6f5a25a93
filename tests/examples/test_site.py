"""The documentation builds into a site that needs no network, and says what the files say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PLUGIN = ROOT / "tests" / "third_party" / "good_plugin"
PACKAGES = ("dice_extended_plugin", "art_bridge", "alibi_bridge")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; MkDocs takes any warning, such as a broken link, for an error."""
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(module, reason=f"{module} is not installed (extra: docs)")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


class _Fetched(HTMLParser):
    """Addresses that a browser fetches by itself, not those that a reader may follow."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "link"):
            self.found.append(values.get("src") or values.get("href") or "")


def test_no_page_fetches_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = _Fetched()
        parser.feed(page.read_text("utf-8"))
        outside = [link for link in parser.found if re.match(r"(https?:)?//", link)]
        assert not outside, f"{page.name} fetches {outside}"


def test_pages_made_of_root_files_are_there_and_their_links_lead_into_the_site(site):
    for name in ("get_started", "security", "contributing", "changelog"):
        html = (site / f"{name}.html").read_text("utf-8")
        assert 'href="docs/' not in html, name
    assert 'href="dice_extended.html"' in (site / "get_started.html").read_text("utf-8")


def test_the_api_pages_show_what_is_public(site):
    for package in PACKAGES:
        html = (site / "api" / f"{package}.html").read_text("utf-8")
        assert "Parameters:" in html
        assert ":class:<code>" not in html and ":func:<code>" not in html


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package):
    module = __import__(package)
    page = (DOCS / "api" / f"{package}.md").read_text("utf-8")
    named = set(re.findall(r"^::: [\w.]+\.(\w+)$", page, re.MULTILINE))
    missing = {name for name in module.__all__ if not name.startswith("__")} - named
    # The last two are dice-ml's own.
    assert missing <= {"hookimpl", "Data", "Model"}, f"docs/api/{package}.md lacks {missing}"


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in DOCS.glob("*.md"):
        assert f": {page.name}\n" in nav, page.name


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "prototype_dice/plugin.py", "prototype_dice/explainer.py"]
)
def test_the_sample_plugin_is_printed_as_it_stands(path):
    assert f"\n{(PLUGIN / path).read_text('utf-8')}```" in (DOCS / "plugins.md").read_text("utf-8")


def test_figures_on_the_results_page_stand_on_the_page_they_link_to():
    """A row's own figures (second column) are found, to the digit, in the page of its link."""
    text = (DOCS / "results.md").read_text("utf-8")
    rows = re.findall(r"^\|(?! the paper claims|---)(.+)\|$", text, re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        _, measured, holds, where = (cell.strip() for cell in row.split(" | "))
        pages = {DOCS / link for link in re.findall(r"\]\(([\w.]+)#", where)}
        there = "".join(page.read_text("utf-8") for page in pages).replace("-", "−")
        numbers = re.findall(r"\d+\.\d+", f"{measured} {holds}")
        for number in numbers:
            assert re.search(
                rf"(?<![\d.]){re.escape(number)}(?!\d)|(?<!\d){number[1:]}(?!\d)", there
            ), (
                number,
                row,
            )
