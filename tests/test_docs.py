"""What the documents say of results is what the kept results say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamol_core.comparison.files import comparison_markdown
from lamol_core.comparison.labels import CommonName
from lamol_core.comparison.runs import read_folders
from lamol_core.comparison.statistics import Comparison, compare_runs
from tests.code_imports import ROOT

RESULTS = ROOT / "docs" / "results"
RESULTS_PAGE = ROOT / "docs" / "results.md"
BENCHMARKS = sorted(path for path in RESULTS.glob("*") if path.is_dir())


def test_results_are_kept() -> None:
    assert BENCHMARKS


def command_at(folder: Path, written: str) -> int:
    """Where results.md calls `lamol compare` on a benchmark."""
    command = rf"^    lamol compare docs/results/{folder.name}(?= |$)"
    (at,) = [found.start() for found in re.finditer(command, written, re.M)]
    return at


def compared(folder: Path, written: str) -> Comparison:
    """As the command in results.md compares it."""
    section = written[command_at(folder, written) :]
    names = re.findall(r"--call (\S+)", section[: section.index("\n\n")])
    return compare_runs(read_folders([folder]), [CommonName.parse(name) for name in names])


@pytest.mark.parametrize("folder", BENCHMARKS, ids=lambda path: path.name)
def test_a_table_is_that_of_the_kept_runs(folder: Path) -> None:
    written = RESULTS_PAGE.read_text(encoding="utf-8")
    section = written[command_at(folder, written) :]
    table = section[section.index("\n|") + 1 : section.index("\n\nMean ±")]
    made = comparison_markdown(compared(folder, written))
    wanted = [line for line in made.splitlines() if line.startswith("|")]
    assert table.splitlines() == wanted, f"`lamol compare {folder.relative_to(ROOT)} --out ...`"


def test_intervals_in_the_text_are_those_of_the_kept_runs() -> None:
    written = RESULTS_PAGE.read_text(encoding="utf-8")
    known = {
        interval
        for folder in BENCHMARKS
        for one in compared(folder, written).differences
        if one.interval is not None
        for low, high in [one.interval, (-one.interval[1], -one.interval[0])]
        for interval in [f"[{low:.1f}, {high:.1f}]"]
    }
    groups = [group for folder in BENCHMARKS for group in compared(folder, written).groups]
    for estimate in (one for group in groups for one in group.figures.values() if one is not None):
        known.add(f"[{estimate.low or 0:.1f}, {estimate.high or 0:.1f}]")
    told = 0
    for page in (RESULTS_PAGE, ROOT / "README.md", ROOT / "docs" / "method.md"):
        text = page.read_text(encoding="utf-8")
        prose = "\n".join(line for line in text.splitlines() if " ± " not in line)
        quoted = re.findall(r"\[-?\d+\.\d,\s+-?\d+\.\d\]", prose)
        told += len(quoted)
        assert not {re.sub(r"\s+", " ", one) for one in quoted} - known, page.name
    assert told > 5


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.rglob("params.yaml"):
        assert "path: /" not in path.read_text(encoding="utf-8"), path
