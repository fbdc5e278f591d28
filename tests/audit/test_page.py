"""The audit's page: what a model wrote stays text, in the source and in a real browser."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamol_core.audit.page import render_audit, visible_within
from lamol_core.audit.params import AuditParams
from lamol_core.audit.samples import to_csv
from lamol_core.audit.spec import Audited, Finding
from lamol_core.audit.verdicts import Audit, run_checks
from lamol_core.text.display import visible
from tests.audit.corpus import clean, sample, sentence, with_rows
from tests.audit.defects import with_turn
from tests.browser import needs_browser
from tests.messages import names

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror=window.hacked=1>",
    "javascript:window.hacked=1",
    "\x1b[31mred\x1b[0m",
    "ab\u202ecd",
    "{{ 7 * 7 }}",
)


def hostile() -> Audited:
    audited = clean(size=300)
    (task,) = audited.tasks
    rows = {i: sample(i, text, task.drawn[i].target) for i, text in enumerate(HOSTILE)}
    rows |= {i: sample(i, task.train[i].input, task.drawn[i].target) for i in range(20, 40)}
    return with_rows(audited, rows)


def page_of(audited: Audited, show_real_rows: bool = True) -> str:
    audit = run_checks(audited, AuditParams())
    fading = [
        {"for": "x", "task": "banking", "age": age, "drift_auc": 0.5 + age / 10} for age in range(3)
    ]
    return render_audit(audit, audit.as_dict({"verdicts": [], "fading": fading}), show_real_rows)


def rows_in(page: str) -> list[list[Any]]:
    (found,) = re.findall(r'id="rows">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(found)


def test_what_a_model_wrote_is_never_markup() -> None:
    page = page_of(hostile())
    assert "<script>window" not in page and "<img src=x" not in page and "\x1b" not in page
    shown = [row[2] for row in rows_in(page)]
    assert shown[0] == HOSTILE[0]
    assert shown[3] == "⟨U+001B⟩[31mred⟨U+001B⟩[0m" and shown[4] == "ab⟨U+202E⟩cd"


def test_real_rows_are_shown_only_where_it_was_asked() -> None:
    audited = hostile()
    texts = [row.input for row in audited.tasks[0].train if "code" in row.input]
    shown = page_of(audited)
    assert all(text in shown for text in texts[20:40])
    hidden = page_of(audited, show_real_rows=False)
    copied = {row.input for row in audited.tasks[0].drawn}
    assert not any(text in hidden for text in texts if text not in copied)
    assert "banking/train/000020" in hidden, "the nearest row is named"


def test_the_shared_run_of_words_is_marked() -> None:
    rows = rows_in(page_of(hostile()))
    row = rows[25]
    assert row[4] == "copy" and row[5] == ["exact_copy"]
    assert row[2][row[12] : row[13]] == row[2]
    text, start, stop = row[8]
    assert text[start:stop] == text == row[2] and row[6] == row[7] != ""
    assert rows_in(page_of(hostile(), show_real_rows=False))[25][8] == ["", 0, 0]


def test_the_shared_run_is_marked_in_an_earlier_turn() -> None:
    audited = clean(size=300)
    (task,) = audited.tasks
    copied = with_turn(task.drawn[25], task.train[25].input)
    row = rows_in(page_of(with_rows(audited, {25: copied})))[25]
    said = task.train[25].input, "well", task.drawn[25].input
    assert row[2].splitlines() == [*said]
    assert row[2][row[12] : row[13]] == task.train[25].input


def test_what_cannot_be_seen_is_shown_as_its_code_point() -> None:
    assert visible("a\tb\nc é 中 👩") == "a\tb\nc é 中 👩"
    assert visible("\u3164\u2800") == "⟨U+3164⟩⟨U+2800⟩"
    assert visible_within("😀 hello", 2, 7) == ("😀 hello", 3, 8), "JavaScript counts in UTF-16"
    assert visible("\u200b\x07\ufeff") == "⟨U+200B⟩⟨U+0007⟩⟨U+FEFF⟩"


def test_no_cell_of_the_csv_is_a_formula() -> None:
    rows = [{"input": start + "cmd|' /C calc'!A0", "nll": -1.5} for start in "=+-@\t\r\uff1d"]
    rows += [
        {"input": text, "nll": None} for text in ("x\r=cmd", "x\n=cmd", "a;=cmd", 'a"=cmd', " =1")
    ]
    text = to_csv(rows)
    told = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["input"].removeprefix("'") for row in told] == [row["input"] for row in rows]
    assert not any(re.match(r"[=+@\t\r\uff1d-]", row["input"].lstrip(" ")) for row in told)
    outside = "".join(re.split(r'"(?:[^"]|"")*"', text))
    assert set(outside) == {",", "\n"}, "everything stands in quotes"
    assert to_csv([]) == '"row_id","source_task","input","target","verdict","reasons","nll"\n'


@pytest.mark.slow
@needs_browser
class TestInABrowser:
    @pytest.fixture(scope="class")
    def page(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("audit") / "index.html"
        path.write_text(page_of(hostile()), encoding="utf-8")
        return path

    def shown(self, browser: Any) -> int:
        return len(browser.find_elements("css selector", "#samples tbody tr"))

    def test_filters_work_and_hostile_rows_stay_inert(self, browser: Any, page: Path) -> None:
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import Select

        browser.get(page.as_uri())
        assert self.shown(browser) == 100
        assert HOSTILE[1] in browser.find_element("css selector", "#samples").text
        assert browser.execute_script("return window.hacked") is None
        search = browser.find_element("id", "search")
        search.send_keys("onerror")
        assert self.shown(browser) == 1
        for _ in "onerror":
            search.send_keys(Keys.BACKSPACE)
        Select(browser.find_element("id", "reason")).select_by_visible_text("exact_copy")
        assert names(browser.find_element("id", "count").text, 20, 300)
        assert browser.find_elements("css selector", "#samples mark")
        Select(browser.find_element("id", "reason")).select_by_visible_text("all")
        browser.find_element("id", "next").send_keys(Keys.ENTER)
        assert names(browser.find_element("id", "page").text, 2, 3)
        by_similarity = browser.find_element("css selector", '[data-sort="similarity"]')
        by_similarity.send_keys(Keys.ENTER)
        by_similarity.send_keys(Keys.ENTER)
        head = by_similarity.find_element("xpath", "./ancestor::th")
        assert head.get_attribute("aria-sort") == "descending"
        first = browser.find_element("css selector", "#samples tbody tr td:nth-child(8)")
        assert first.text == "1.00"
        browser.find_element("id", "next").send_keys(Keys.ENTER)
        browser.find_element("id", "next").send_keys(Keys.ENTER)
        assert browser.execute_script("return document.activeElement.id") == "previous"
        assert browser.get_log("browser") == []

    def test_a_phone_scrolls_down_and_not_sideways(self, browser: Any, page: Path) -> None:
        metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.get_log("browser") == []

    def test_fifty_thousand_rows_stay_usable(self, browser: Any, tmp_path: Path) -> None:
        audited = clean(size=20)
        (task,) = audited.tasks
        chooser = random.Random(0)
        drawn = [sample(i, sentence(chooser), "pin") for i in range(50_000)]
        many = replace(audited, tasks=[replace(task, drawn=drawn)])
        audit = Audit(many, [Finding("none", {})])
        path = tmp_path / "index.html"
        path.write_text(render_audit(audit, audit.as_dict(), False), encoding="utf-8")
        browser.get(path.as_uri())
        milliseconds = browser.execute_script(
            "const started = performance.now();"
            "const search = document.getElementById('search');"
            "search.value = 'abroad'; search.dispatchEvent(new Event('input'));"
            "return performance.now() - started"
        )
        assert self.shown(browser) == 100
        assert milliseconds < 1500, "a key press answers while one waits"
