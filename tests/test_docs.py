"""What the documents say of results is what the kept results say."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from lamol_core.parameters import completed
from lamol_core.reporting.comparison.finished_runs import read_folders
from lamol_core.reporting.comparison.statistics import Difference
from tests.code_imports import ROOT

pytestmark = pytest.mark.slow
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"
PAGES = sorted(RESULTS.glob("*.md"))
FRONT = [ROOT / "README.md", DOCS / "results.md", DOCS / "method.md", DOCS / "claims.md"]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    path = ROOT / "scripts" / "results_tables.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_kept_benchmark_has_a_table() -> None:
    kept = {path.stem for path in RESULTS.glob("*.jsonl")}
    markers = [line for page in PAGES for line in re.findall(r"<!-- table: .*", read(page))]
    assert kept == {name for line in markers for name in re.findall(r"results/(\w+)\.jsonl", line)}


def test_tables_are_those_of_the_kept_runs(
    tables: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    written = [read(page) for page in tables.pages()]
    num_markers = sum(text.count("<!-- table:") for text in written)
    assert num_markers == sum(len(tables.MARKER.findall(text)) for text in written) > 0
    assert tables.main(["--check"]) == 0, capsys.readouterr().out


def test_a_table_with_another_figure_is_out_of_date(tables: ModuleType) -> None:
    text = read(DOCS / "results.md")
    first_cell = next(re.finditer(r"\d+\.\d ± \d+\.\d \(\d+\)", text))
    changed = text.replace(first_cell.group(), "1.0 ± 1.0 (1)", 1)
    assert tables.filled(changed) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_tables_stand_on_their_page(page: Path) -> None:
    _, commands = split(page)
    shown = re.findall(r"^    lamol compare (docs/results/.*)$", read(page), re.M)
    assert page.stem == "clinc150_runs" or commands <= set(shown)


def test_the_front_page_links_every_page() -> None:
    linked = {RESULTS / name for name in re.findall(r"\]\(results/(\w+\.md)\)", read(FRONT[1]))}
    linked |= {
        RESULTS / name for page in PAGES for name in re.findall(r"\]\((\w+\.md)", read(page))
    }
    assert set(PAGES) <= linked


NUMBER = r"[+-]?\d+\.\d"
INTERVAL = rf"\[({NUMBER}),\s+({NUMBER})\]"


def split(page: Path) -> tuple[str, set[str]]:
    """The page without its tables, and the commands that these are made by."""
    text = read(page)
    commands = set(re.findall(r"<!-- table: \w+: lamol compare (.*) -->", text))
    return re.sub(r"<!-- table: .*?<!-- end -->", "", text, flags=re.S), commands


def assert_told(prose: str, known: Iterable[Difference], where: Path) -> None:
    """Each interval stands behind the mean of its difference; each "n of m pairs" is one's too."""
    intervals, ahead = set(), set()
    for one in known:
        if one.interval is not None:
            low, high = one.interval
            intervals |= {shown(one.mean, low, high), shown(-one.mean, -high, -low)}
        higher, num = one.pairs.num_higher, one.pairs.num
        ahead |= {(higher, num), (num - higher, num)}
    told = re.findall(rf"({NUMBER})[^\d\[]*{INTERVAL}", prose)
    assert len(told) == len(re.findall(INTERVAL, prose)), where
    assert not {shown(*map(float, one)) for one in told} - intervals, where
    said = re.findall(r"(\d+)\s+of\s+(\d+)\s+pairs", prose)
    assert not {(int(n), int(m)) for n, m in said} - ahead, where


def shown(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]".replace("-0.0", "0.0")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_differences_on_a_page_are_those_of_its_runs(page: Path, tables: ModuleType) -> None:
    prose, commands = split(page)
    known = [one for line in commands for one in tables.kept(line).comparison.differences]
    assert_told(prose, known, page)
    for found, of in re.findall(r"(\d+)\s+of\s+(\d+)\s+differences", prose):
        counts = {
            (sum(one.is_significant for one in tested), len(tested))
            for line in commands
            if (tested := [one for one in tables.kept(line).comparison.differences if one.interval])
        }
        assert (int(found), int(of)) in counts


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.stem)
def test_figures_of_other_texts_are_those_of_kept_runs(page: Path, tables: ModuleType) -> None:
    commands = set().union(*(split(one)[1] for one in PAGES))
    compared = [tables.kept(line).comparison for line in commands]
    prose, _ = split(page)
    assert_told(prose, [one for comparison in compared for one in comparison.differences], page)
    means = {
        f"{one.mean:.1f} ± {one.deviation:.1f}"
        for comparison in compared
        for group in comparison.groups
        for one in group.figures.values()
        if one is not None and one.deviation is not None
    }
    assert set(re.findall(r"\d+\.\d ± \d+\.\d", prose)) <= means


def test_finetune_forgets_and_multitask_does_not() -> None:
    forgetting: dict[str, list[float]] = {}
    kept = [RESULTS / "clinc150.jsonl", RESULTS / "sst2_woz.jsonl"]
    for run in read_folders(kept, completed):
        forgetting.setdefault(run.method, []).append(run.summary["forgetting"])
    assert min(forgetting["finetune"]) > 50 and max(forgetting["multitask"]) < 3
    assert max(forgetting["lamol_kd"]) < min(forgetting["finetune"])


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.glob("*.jsonl"):
        assert '"path": "/' not in path.read_text(encoding="utf-8"), path
