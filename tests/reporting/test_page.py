"""The page and its charts: complete, self-contained, escaped, for any number of tasks."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lamol_core.errors import ArtifactError
from lamol_core.reporting import plots
from lamol_core.reporting.page import duration, page_script, render_page
from lamol_core.reporting.summary import TaskFigures, build_summary
from tests.messages import naming
from tests.reporting.test_summary import settings

EVIL = '<script>alert("1")</script>'


def charts_svg(summary: dict[str, Any]) -> dict[str, str]:
    specs = plots.chart_specs(summary, {})
    return {name: plots.spec_to_svg(spec) for name, spec in specs.items()}


def summary_of(*tasks: str) -> dict[str, Any]:
    rows = [
        TaskFigures(
            task=task,
            after=tasks[i - 1] if i else "base",
            scores={seen: 91.25 - (i - j) for j, seen in enumerate(tasks[: i + 1])},
            num_test_rows=dict.fromkeys(tasks[: i + 1], 40),
            seconds={"generate": 3.0, "train": 61.0},
            peak_memory_bytes=1_500_000_000,
            pseudo={"valid": 57, "rejected": 23} if i else {"valid": 0, "rejected": 0},
            held={seen: {"rows": 57 // i, "classes": 4} for seen in tasks[:i]},
            machine={"processor": "Abacus 9", "cores": "2"},
        )
        for i, task in enumerate(tasks)
    ]
    return build_summary(settings(), rows)


def page_of(summary: dict[str, Any], **parameters: Any) -> str:
    return render_page(summary, charts_svg(summary), parameters)


class Elements(HTMLParser):
    """Every tag with its attributes, and the text outside style sheets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_holds_every_section() -> None:
    summary = summary_of("home", "travel", "query")
    summary["advice"] = ["Try `dvc exp run -S ++a.b=1`: 1 < 2."]
    page = page_of(summary, lamol_kd={"gamma": 0.2, "topk": None})
    text = Elements(page).text
    assert page.count('<dd class="value">') == page.count('<dd class="explain">') == 7
    assert page.count("<svg") == 3
    for shown in (
        "lamol_kd.gamma", "0.2", "null", "cores", "Abacus 9", "3 min 12 s", "1.50", "57", "23",
        "91.2",
    ):  # fmt: skip
        assert shown in text, shown
    assert "Try <code>dvc exp run -S ++a.b=1</code>: 1 &lt; 2." in page


def test_names_every_machine_that_trained_and_says_where_none_is_known() -> None:
    summary = summary_of("home", "travel")
    summary["machines"] = [{"processor": "Abacus 9"}, {"processor": "Slide Rule"}]
    text = Elements(page_of(summary)).text
    assert "1. processor" in text and "2. processor" in text
    assert "Abacus 9" in text and "Slide Rule" in text
    summary["machines"] = []
    page = page_of(summary)
    assert "processor" not in Elements(page).text
    (machine,) = re.findall(r'class="pairs"><tbody>(.*?)</tbody>', page[page.rindex("<h2>") :])
    assert machine.count("<tr>") == 1, "a line that says so"


def test_tells_what_the_audits_said() -> None:
    summary = summary_of("a", "b", "c")
    verdict = {"verdict": "fail", "privacy": "warn", "quality": "fail", "rows_flagged": 31}
    verdict["failed"] = ["copies", "drift"]
    summary["audits"] = {"a": {**verdict, "verdict": "pass"}, "c": verdict}
    page = page_of(summary)
    assert '<td class="high">privacy warn, quality fail (copies, drift)</td><td>31</td>' in page
    assert page.count("copies, drift") == 1, "nothing was drawn for the first task"


def test_a_task_without_test_rows_leaves_its_cells_empty() -> None:
    summary = summary_of("a", "b", "c")
    summary["score_matrix"][2][0] = None
    page = page_of(summary)
    assert "<th>c</th><td></td><td>" in page
    assert page_of(summary_of("a", "b", "c")).count("<td></td>") == page.count("<td></td>") - 1


def test_one_task() -> None:
    page = page_of(summary_of("home"))
    assert page.count("<svg") == 2
    assert "nan" not in Elements(page).text.lower()


def test_tree_lists_all_sequences() -> None:
    plain = summary_of("home", "travel")
    other = summary_of("home", "query")["chains"]
    tree = {**plain, "chains": [*other, *plain["chains"]]}
    assert "home → travel" not in page_of(plain)
    page = page_of(tree)
    assert "home → travel" in page and "home → query" in page
    assert page.count('<tr class="shown">') == 1


def test_loads_nothing_and_runs_nothing() -> None:
    page = page_of(summary_of("home", "travel"), model="https://example.org/model")
    elements = Elements(page)
    for tag, attributes in elements.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if not name.startswith("xmlns"):
                assert "http://" not in (value or "") and "https://" not in (value or "")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]
    assert "https://example.org/model" in elements.text  # shown, not loaded


def test_escapes_names_and_parameters() -> None:
    """In text, in attributes and within the SVG."""
    summary = summary_of(EVIL, 'x" onload="y', "b`c")
    page = page_of(summary, **{EVIL: EVIL, "nested": {"key": "<img src=x>"}})
    elements = Elements(page)
    assert "<script" not in page
    assert {tag for tag, _ in elements.tags}.isdisjoint({"script", "img"})
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert EVIL in elements.text


@pytest.mark.parametrize(
    "svg",
    [
        "no drawing",
        "<svg><script>1</script></svg>",
        '<svg><a href="x">1</a></svg>',
        '<svg onload="x"></svg>',
        '<svg><image xlink:href="x"/></svg>',
        "<svg><foreignObject/></svg>",
    ],
)
def test_refuses_a_chart_that_is_not_plain(svg: str) -> None:
    with pytest.raises(ArtifactError, match=naming("accuracy", "SVG")):
        render_page(summary_of("home"), {"accuracy": svg}, {})


@pytest.mark.parametrize("num_tasks", [1, 2, 9, 50])
def test_charts_show_every_task(num_tasks: int) -> None:
    summary = summary_of(*[f"t{i}." for i in range(num_tasks)])
    charts = charts_svg(summary)
    assert set(charts) == {"score_matrix", "accuracy"} | (
        {"forgetting"} if num_tasks > 1 else set()
    )
    heat = _texts(charts["score_matrix"])
    digits = [text for text in heat if re.fullmatch(r"\d+(\.\d)?", text)]
    assert len(digits) == num_tasks * (num_tasks + 1) // 2
    for name, svg in charts.items():
        shown = num_tasks - 1 if name == "forgetting" else num_tasks
        assert {f"t{i}." for i in range(shown)} <= set(_texts(svg)), name


def test_heat_map_has_rows_after_learning_and_columns_score_on() -> None:
    spec = plots.score_matrix_chart(summary_of("home", "travel")).to_dict()
    encoding = spec["layer"][0]["encoding"]
    assert (encoding["y"]["field"], encoding["x"]["field"]) == ("after", "task")
    (cells,) = spec["datasets"].values() if "datasets" in spec else (spec["data"]["values"],)
    shown = {(cell["after"], cell["task"]): cell["label"] for cell in cells}
    assert shown == {
        ("home", "home"): "91.2", ("travel", "home"): "90.2", ("travel", "travel"): "91.2",
    }  # fmt: skip


def test_forgetting_bars_have_their_signs() -> None:
    summary = summary_of("a", "b", "c")
    summary["score_matrix"] = [[50.0], [60.0, 70.0], [57.5, 75.0, 80.0]]
    texts = _texts(charts_svg(summary)["forgetting"])
    assert "+2.5" in texts and "-5.0" in texts


def test_a_chart_is_saved(tmp_path: Path) -> None:
    chart = plots.score_matrix_chart(summary_of("home", "travel"))
    (tmp_path / "heat.svg").write_text(plots.to_svg(chart, "white"), encoding="utf-8")
    assert ElementTree.parse(tmp_path / "heat.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.0 s"), (9.96, "10 s"), (59.7, "1 min"), (260, "4 min 20 s"), (4330, "1 h 12 min"),
     (3599.6, "1 h 00 min")],
)  # fmt: skip
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_import_leaves_torch_out() -> None:
    code = (
        "import sys, lamol_core.reporting.page, lamol_core.reporting.plots, "
        "lamol_core.reporting.tables, lamol_core.metrics.registry; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _texts(svg: str) -> list[str]:
    return [
        "".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")
    ]


CURVES = {"home": [{"step": 0.0, "loss": 2.0, "ce_qa": 1.5}, {"step": 9.0, "loss": 1.0}]}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_script(tmp_path_factory.mktemp("script"))


def live_page_of(script: str, summary: dict[str, Any], **parameters: Any) -> str:
    specs = plots.chart_specs(summary, CURVES)
    charts = {name: plots.spec_to_svg(spec) for name, spec in specs.items()}
    return render_page(summary, charts, parameters, specs, script=script)


def test_the_one_script_is_the_one_that_the_policy_names(script: str) -> None:
    page = live_page_of(script, summary_of("home", EVIL))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1 and 'dataset.live="yes"' in scripts[0]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and f"script-src 'sha256-{digest}'" in html.unescape(policy[1])
    assert "unsafe-eval" not in policy[1]
    assert html.unescape(policy[1]).startswith("default-src 'none'")
    blocks = re.findall(
        r'<script type="application/json" data-chart="(\w+)">(.*?)</script>', page, re.DOTALL
    )
    assert [name for name, _ in blocks] == ["score_matrix", "accuracy", "forgetting", "loss"]
    for name, block in blocks:
        assert "$schema" in json.loads(block) and "<" not in block
        assert f'id="chart-{name}"' in page
    attributes = [value or "" for _, found in Elements(page).tags for value in found.values()]
    assert not any("http" in value for value in attributes if "w3.org" not in value)


def test_the_script_is_made_once_for_a_version(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_script(tmp_path) == script
    monkeypatch.setattr(plots.vl_convert, "javascript_bundle", lambda *_, **__: "new")
    assert page_script(tmp_path) == script
    monkeypatch.setattr(plots, "version", lambda _: "99")
    assert page_script(tmp_path) == "new"


def test_without_scripts_every_chart_is_there(script: str) -> None:
    page = live_page_of(script, summary_of("home", "travel"))
    plain = page_of(summary_of("home", "travel"))
    assert page.count("<svg") >= 4 and re.search(r'id="chart-loss"[^<]*>\s*<svg', page)
    assert plain.count("<svg") == 3, "no loss was noted"


def test_rows_used_again_or_left_out_have_a_column_where_there_are_such() -> None:
    summary = summary_of("a", "b")
    plain = page_of(summary)
    assert "<td>1287</td>" not in plain
    summary["pseudo"]["b"] = {"valid": 113, "rejected": 75, "carried": 1287}
    page = page_of(summary)
    assert "<td>1287</td>" in page
    assert page.count("<th>") == plain.count("<th>") + 1, "a column more"
    summary["pseudo"]["b"]["flagged_dropped"] = 17
    assert page_of(summary).count("<td>17</td></tr>") == 1 and "mix.drop_flagged" not in page
