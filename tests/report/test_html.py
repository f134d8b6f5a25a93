"""The page as text: whole, escaped, without a way out, and with the marks assistive tools need."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from report_cases import HOSTILE, HOSTILE_LEVEL

SECTIONS = [
    "verdict",
    "subject",
    "recourse",
    "noise",
    "cases",
    "classes",
    "metrics",
    "provenance",
]
#: Elements without an end tag.
VOID = {"meta", "img", "br", "wbr", "input", "link", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, and the texts of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.raw = [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.setdefault(self.open[-1], []).append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_all_sections_are_there_and_reached(page):
    assert [one["id"] for one in page.of("section")] == SECTIONS
    links = {one["href"] for one in page.of("a")}
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {f"#{name}" for name in SECTIONS} <= links
    assert {link[1:] for link in links} <= ids
    assert not page.open  # every element is closed


def test_ids_are_unique_and_labels_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(attributes.get(name, "").split()) <= set(ids)


def test_headings_go_down_one_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scopes(page):
    assert len(page.of("table")) == len(page.of("caption")) > 8
    assert all(one.get("scope") in ("row", "col") for one in page.of("th"))


def test_wide_things_scroll_in_regions_that_take_focus(html, page):
    regions = [one for one in page.of("div") if "scroll" in one.get("class", "").split()]
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in regions)
    assert all(one["aria-label"] for one in regions)
    assert len(re.findall(r'<div class="scroll"[^>]*>\s*<table', html)) == len(page.of("table"))


def test_pictures_have_a_title_and_a_description(page):
    charts = [one for one in page.of("svg") if "chart" in one.get("class", "").split()]
    assert len(charts) == 2  # noise and success rates
    assert len(page.of("title")) == 1 + len(charts) and len(page.of("desc")) == len(charts)
    decorations = [one for one in page.of("svg") if "chart" not in one.get("class", "").split()]
    assert all(one.get("aria-hidden") == "true" for one in decorations)


def test_changes_are_marked_by_more_than_colour(html):
    changed = re.findall(r'<td class="changed">(.*?)</td>', html)
    assert changed
    assert all("<strong>" in cell and "hidden-text" in cell for cell in changed)


def test_every_metric_says_its_direction_chance_and_definition(report, html):
    for entry in report.content["metrics"]:
        start = html.index(f"<summary>{entry['title']}</summary>")
        body = html[start : html.index("</details>", start)]
        assert f"<code>{entry['name']}</code>" in body
        assert "Direction" in body and "By chance" in body and "Range" in body


def test_nothing_is_loaded_from_anywhere(page, html):
    policy = page.of("meta")[1]["content"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for attribute in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        for tag, attributes in page.elements:
            value = attributes.get(attribute)
            assert value is None or value.startswith(("#", "data:image/png")), (tag, value)
    for tag in ("link", "iframe", "object", "embed", "base", "form"):
        assert not page.of(tag)
    assert "http:" not in html and "https:" not in html and "@import" not in html
    assert not any("style" in a or "onclick" in a for _, a in page.elements)


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_names_what_is_in_the_page(page, tag):
    (text,) = page.raw[tag]
    found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{found}'" in page.of("meta")[1]["content"]


def test_the_file_is_small(html):
    assert len(html.encode()) < 1_000_000


def test_hostile_names_stay_text(hostile, page):
    pytest.importorskip("jinja2")
    text = hostile.to_html()
    attacked = Page(text)
    assert len(attacked.of("script")) == len(page.of("script")) == 1
    assert not attacked.of("img")
    assert not any(
        name.startswith("on") for _, attributes in attacked.elements for name in attributes
    )
    assert HOSTILE not in text and HOSTILE_LEVEL not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text  # no template inside the values


def test_a_hostile_summary_stays_text(hostile):
    pytest.importorskip("jinja2")
    summary = hostile._repr_html_()
    assert "<script" not in summary and "<svg" not in summary and "<img" not in summary
    assert "onload=alert(3)&gt;" in summary


def test_the_summary_holds_the_verdict(report):
    pytest.importorskip("jinja2")
    assert report.content["verdict"]["headline"] in report._repr_html_().replace("&#34;", '"')
