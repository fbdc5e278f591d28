"""A real browser for the pages: Debian's chromium and chromium-driver, headless."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="apt-get install chromium chromium-driver"
)


def start_browser() -> Any:
    """A Chrome of Selenium that keeps what pages log."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    hidden = "--headless=new", "--hide-scrollbars", "--disable-gpu"
    for option in (*hidden, "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def open_page(browser: Any, page: Path, width: int = 1100, height: int = 900) -> None:
    """Open it and wait until every chart has been drawn by the script."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page.as_uri())
    num_charts = page.read_text(encoding="utf-8").count('id="chart-')
    WebDriverWait(browser, 60).until(
        lambda b: len(b.find_elements("css selector", '[data-live="yes"]')) == num_charts
    )
