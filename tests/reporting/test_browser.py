"""The page in a real browser: it opens, answers to a pointer, fits a phone, and logs nothing.

Needs Debian's chromium and chromium-driver. README.md's picture is one of the demo's own page:

    LAMOL_PICTURE_OF=reports/index.html LAMOL_PICTURE=docs/report.png \\
        pytest -n 0 -k the_picture tests/reporting/test_browser.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lamol_core.reporting import plots
from lamol_core.reporting.comparison.render import comparison_chart, comparison_section
from lamol_core.reporting.page import page_script, render_page
from tests.browser import needs_browser, open_page
from tests.reporting.comparison.finished import compare_runs, many
from tests.reporting.test_page import summary_of

pytestmark = [pytest.mark.slow, needs_browser]
TASKS = ("banking", "travel", "kitchen", "home")
NUM_CHARTS = 5
DARK = [{"name": "prefers-color-scheme", "value": "dark"}]


def curve(start: float) -> list[dict[str, float]]:
    return [
        {"step": float(10 * i), "loss": start / (i + 1), "ce_qa": start / (i + 2)}
        for i in range(12)
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    summary = summary_of(*TASKS)
    specs = plots.chart_specs(summary, {task: curve(3.0 + i) for i, task in enumerate(TASKS)})
    runs = [*many("lamol", [80.0, 82.0, 81.0]), *many("ewc", [50.0, 48.0, 53.0])]
    comparison = compare_runs(runs)
    specs["comparison"] = plots.chart_spec(comparison_chart(comparison))
    charts = {name: plots.spec_to_svg(spec) for name, spec in specs.items()}
    path = tmp_path_factory.mktemp("page") / "index.html"
    parameters = {"lamol_kd": {"gamma": 0.2, "temperature": 2.0}}
    section = comparison_section(comparison)
    script = page_script(path.parent)
    text = render_page(summary, charts, parameters, specs, section, script)
    path.write_text(text, encoding="utf-8")
    return path


def test_it_answers_to_the_pointer_and_logs_nothing(browser: Any, page: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    open_page(browser, page)
    assert len(browser.find_elements("css selector", '[data-live="yes"]')) == NUM_CHARTS
    cell = browser.find_element("css selector", "#chart-score_matrix .mark-rect path")
    ActionChains(browser).move_to_element(cell).perform()
    WebDriverWait(browser, 10).until(
        lambda b: "visible" in b.find_element("id", "vg-tooltip-element").get_attribute("class")
    )
    shown = browser.find_element("id", "vg-tooltip-element").text
    assert "banking" in shown and "91.25" in shown
    table = browser.find_element("css selector", "details")
    assert table.get_attribute("open") is None
    table.find_element("css selector", "summary").click()
    assert table.get_attribute("open") is not None and "travel" in table.text
    assert browser.get_log("browser") == []


def test_a_phone_scrolls_down_and_not_sideways(browser: Any, page: Path) -> None:
    open_page(browser, page, width=390, height=800)
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390
    assert browser.get_log("browser") == []


def test_dark_pages_have_light_ink(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": DARK})
    open_page(browser, page)
    brightness = """
        const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
        const label = document.querySelector("#chart-accuracy .role-axis-label text");
        return [rgb(getComputedStyle(document.body).backgroundColor),
                rgb(getComputedStyle(label).fill)];
    """
    ground, ink = browser.execute_script(brightness)
    assert ground < 150 and ink > 350
    assert browser.get_log("browser") == []


def test_without_scripts_it_is_all_there(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(page.as_uri())
    assert len(browser.find_elements("css selector", ".chart svg")) == NUM_CHARTS
    assert browser.get_log("browser") == []


def test_the_picture(browser: Any, page: Path, tmp_path: Path) -> None:
    wanted = os.environ.get("LAMOL_PICTURE_OF")
    open_page(browser, Path(wanted).resolve() if wanted else page, height=1500)
    out = Path(os.environ.get("LAMOL_PICTURE", tmp_path / "report.png"))
    browser.save_screenshot(str(out))
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 20_000
    assert browser.get_log("browser") == []
