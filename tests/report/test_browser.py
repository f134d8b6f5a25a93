"""The report in a real browser: nothing is loaded, everything works, and everyone can read it.

Needs Chromium with its driver (Debian: apt install chromium chromium-driver), and Selenium and
axe-core from the extra "test". axe-core is found in the package selenium-axe-python, or in the file
that AXE_CORE names.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed")
pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")

from image_cases import image_audit  # noqa: E402
from report_cases import make, pipeline, small  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from dice_extended_plugin.audit_report import AuditReport  # noqa: E402

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no Chromium with its chromedriver is installed"
)
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)
PHONE, DESK = 360, 1200
SECTIONS = [
    *("verdict", "subject", "recourse", "noise", "cases", "classes", "images", "metrics"),
    "provenance",
]


def axe_source():
    """Return axe-core's script, or skip."""
    named = os.environ.get("AXE_CORE")
    if named:
        return Path(named).read_text(encoding="utf-8")
    found = importlib.util.find_spec("selenium_axe_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-core is not installed: pip install selenium-axe-python, or set AXE_CORE")
    folder = Path(found.submodule_search_locations[0])
    return (folder / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    """Return a report with every section."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    make(
        table, small(groups=["sex"]), images=image_audit(), command="dice-extended report"
    ).to_html(file)
    return file


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    try:
        found = webdriver.Chrome(options=options, service=service)
    except Exception as error:  # a browser that does not start here, in a sandbox say
        pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
    found.set_page_load_timeout(60)
    found.set_script_timeout(120)
    yield found
    found.quit()


@pytest.fixture
def shown(driver, path):
    """Return a function that opens the report at a width and in a colour scheme."""

    def show(width=DESK, scheme="light", file=path):
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        driver.get(file.as_uri())
        return driver

    return show


def visible(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector).is_displayed()


def test_the_file_is_under_five_megabytes(path):
    assert path.stat().st_size < 5_000_000


def test_no_error_and_no_request(shown, path):
    driver = shown()
    driver.get_log("performance")
    driver.get_log("browser")
    shown()
    assert driver.get_log("browser") == []
    import json

    sent = [
        message["params"]["request"]["url"]
        for message in (json.loads(e["message"])["message"] for e in driver.get_log("performance"))
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in sent if not url.startswith("data:")] == [path.as_uri()]


def test_all_sections_are_shown(shown):
    driver = shown()
    found = driver.find_elements(By.CSS_SELECTOR, "main > section")
    assert [one.get_attribute("id") for one in found] == SECTIONS
    assert all(one.is_displayed() and one.text for one in found)
    names = [link.get_attribute("hash") for link in driver.find_elements(By.CSS_SELECTOR, "nav a")]
    assert names == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
def test_the_page_never_scrolls_sideways(shown, width):
    driver = shown(width)
    for one in driver.find_elements(By.CSS_SELECTOR, "details"):
        driver.execute_script("arguments[0].open = true", one)
    driver.execute_script("document.documentElement.classList.add('show-same')")
    reach, view = driver.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert view == width and reach <= width


@pytest.fixture(scope="module")
def odd_path(tmp_path_factory):
    """Return a report whose names are hundreds of letters without a space."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"A" * 500: rng.normal(size=90), "level": rng.choice(["L" * 900, "k"], 90)}
    )
    outcome = np.where(frame["A" * 500] > 0, "Y" * 800, "no")
    settings = small(n_queries=4, n_attacked=0, groups=["level"], noun=("c" * 90, "d" * 90))
    file = tmp_path_factory.mktemp("odd") / "odd.html"
    AuditReport(
        pipeline(frame, outcome),
        frame.assign(answer=outcome),
        outcome="answer",
        title="T" * 400,
        settings=settings,
    ).to_html(file)
    return file


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_long_names_stay_on_the_page(shown, odd_path, width):
    driver = shown(width, file=odd_path)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    reach = driver.execute_script("return document.documentElement.scrollWidth")
    assert reach <= width


def test_captions_are_whole_on_a_phone(shown):
    """A table may go on to the right; what it is called must not."""
    driver = shown(PHONE)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    ends = driver.execute_script(
        "return [...document.querySelectorAll('caption > *')].map(c => "
        "{ const r = document.createRange(); r.selectNodeContents(c); "
        "return r.getBoundingClientRect().right; })"
    )
    assert len(ends) > 10 and max(ends) <= PHONE


def test_pointing_shows_the_value(shown):
    from selenium.webdriver import ActionChains

    driver = shown()
    point = driver.find_element(By.CSS_SELECTOR, "#noise .point:nth-child(3)")
    middle = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    driver.execute_script(middle, point)
    ActionChains(driver).move_to_element(point).perform()
    tip = driver.find_element(By.ID, "tip")
    assert tip.is_displayed() and tip.text == point.get_attribute("data-tip")
    assert "95 % interval" in tip.text
    box, width = tip.rect, driver.execute_script("return innerWidth")
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    ActionChains(driver).move_to_element(driver.find_element(By.TAG_NAME, "h1")).perform()
    assert not tip.is_displayed()


def test_the_keyboard_walks_along_a_curve(shown):
    driver = shown()
    curve = driver.find_element(By.CSS_SELECTOR, "#noise .points")
    points = curve.find_elements(By.CLASS_NAME, "point")
    driver.execute_script("arguments[0].focus()", points[0])
    tip = driver.find_element(By.ID, "tip")
    assert tip.text == points[0].get_attribute("data-tip")
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert driver.switch_to.active_element == points[1]
    assert tip.text == points[1].get_attribute("data-tip")
    driver.switch_to.active_element.send_keys(Keys.END)
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert points[1].get_attribute("tabindex") == "-1"
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_an_edit_shows_its_picture_in_both_pictures(shown):
    driver = shown()
    figure = driver.find_element(By.CSS_SELECTOR, "figure.front")
    first = figure.find_element(By.CSS_SELECTOR, ".point.chosen")
    driver.execute_script("arguments[0].focus()", first)
    tip = driver.find_element(By.ID, "tip")
    picture = tip.find_element(By.TAG_NAME, "img")
    assert picture.get_attribute("src").startswith("data:image/png")
    assert driver.execute_script("return arguments[0].naturalWidth", picture) == 8
    assert "The chosen edit" in tip.text
    assert len(figure.find_elements(By.CSS_SELECTOR, ".point.lit")) == 2


def test_the_toggles(shown):
    driver = shown()
    row = "details.case[open] tr.same-row"
    button = driver.find_element(By.CSS_SELECTOR, "[data-toggle=show-same]")
    assert not visible(driver, row) and button.get_attribute("aria-pressed") == "false"
    button.send_keys(Keys.ENTER)
    assert visible(driver, row) and button.get_attribute("aria-pressed") == "true"
    button.send_keys(Keys.SPACE)
    assert not visible(driver, row)

    maps = driver.find_element(By.CSS_SELECTOR, "[data-toggle=hide-maps]")
    assert visible(driver, ".overlay")
    maps.send_keys(Keys.ENTER)
    assert not visible(driver, ".overlay") and maps.get_attribute("aria-pressed") == "true"

    cases = driver.find_elements(By.CSS_SELECTOR, "details.case")
    for wanted in ("true", "false"):
        driver.find_element(By.CSS_SELECTOR, f"[data-open={wanted}]").send_keys(Keys.ENTER)
        assert {one.get_attribute("open") for one in cases} == (
            {"true"} if wanted == "true" else {None}
        )


def test_the_filter_of_cases(shown):
    from selenium.webdriver.support.select import Select

    driver = shown()
    cases = driver.find_elements(By.CSS_SELECTOR, "details.case")
    kinds = [one.get_attribute("data-verdict") for one in cases]
    choice = Select(driver.find_element(By.ID, "case-filter"))
    for kind in ("survives", "fragile", "none"):
        choice.select_by_value(kind)
        assert [one.is_displayed() for one in cases] == [one == kind for one in kinds]
        count = driver.find_element(By.ID, "case-count").text
        assert count == f"{kinds.count(kind)} of {len(kinds)}"
    choice.select_by_value("")
    assert all(one.is_displayed() for one in cases)


def test_a_definition_opens_on_demand(shown):
    driver = shown()
    definition = driver.find_element(By.CSS_SELECTOR, "#metrics details.definition")
    body = definition.find_element(By.TAG_NAME, "dl")
    assert not body.is_displayed()
    definition.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert body.is_displayed() and "By chance" in body.text


def test_the_skip_link_comes_first(shown):
    driver = shown()
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    active = driver.switch_to.active_element
    assert active.get_attribute("class") == "skip" and active.rect["x"] >= 0


def test_paper_shows_what_was_closed(shown):
    driver = shown()
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert not driver.find_elements(By.CSS_SELECTOR, "details:not([open])")
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, "details:not([open])")


def test_hostile_names_run_nothing(shown, hostile, tmp_path):
    file = tmp_path / "hostile.html"
    hostile.to_html(file)
    driver = shown(file=file)
    with pytest.raises(Exception, match="no such alert"):
        _ = driver.switch_to.alert.text
    assert driver.find_element(By.TAG_NAME, "h1").text.endswith("{{ 7 * 7 }}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_serious(shown, scheme, width):
    source = axe_source()
    driver = shown(width, scheme)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    driver.execute_script(source)
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "const failed = e => done([{id: String(e), impact: 'critical', nodes: []}]);"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations), failed);"
    )
    serious = {
        one["id"]: [node["html"][:120] for node in one["nodes"][:3]]
        for one in found
        if one["impact"] in ("serious", "critical")
    }
    assert serious == {}
