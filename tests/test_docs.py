"""What the documents say of results is what the kept results say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lamol_core.comparison.files import comparison_markdown
from lamol_core.comparison.labels import CommonName
from lamol_core.comparison.runs import read_folders
from lamol_core.comparison.statistics import compare_runs
from tests.code_imports import ROOT

RESULTS = ROOT / "docs" / "results"
BENCHMARKS = sorted(path for path in RESULTS.glob("*") if path.is_dir())


def test_results_are_kept() -> None:
    assert BENCHMARKS


@pytest.mark.parametrize("folder", BENCHMARKS, ids=lambda path: path.name)
def test_a_table_is_that_of_the_kept_runs(folder: Path) -> None:
    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    command = f"lamol compare docs/results/{folder.name}"
    (at,) = [found.start() for found in re.finditer(rf"^    {command}(?= |$)", written, re.M)]
    section = written[at:]
    names = re.findall(r"--call (\S+)", section[: section.index("\n\n")])
    table = section[section.index("\n|") + 1 : section.index("\n\nMean ±")]
    comparison = compare_runs(read_folders([folder]), [CommonName.parse(name) for name in names])
    made = comparison_markdown(comparison)
    wanted = [line for line in made.splitlines() if line.startswith("|")]
    assert table.splitlines() == wanted, f"`{command} --out ...`"


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.rglob("params.yaml"):
        assert "path: /" not in path.read_text(encoding="utf-8"), path
