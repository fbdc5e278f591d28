"""What the documents say of results is what the kept results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamol_core.comparison.files import comparison_markdown
from lamol_core.comparison.runs import read_folders
from lamol_core.comparison.statistics import compare_runs
from tests.code_imports import ROOT

RESULTS = ROOT / "docs" / "results"
BENCHMARKS = sorted(path for path in RESULTS.glob("*") if path.is_dir())


@pytest.mark.parametrize("folder", BENCHMARKS, ids=lambda path: path.name)
def test_every_line_of_a_table_comes_from_kept_runs(folder: Path) -> None:
    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    made = comparison_markdown(compare_runs(read_folders([folder])))
    rows = [line for line in made.splitlines() if line.startswith("|")]
    missing = [row for row in rows if row not in written]
    assert not missing, f"`lamol compare docs/results/{folder.name} --out ...` has it otherwise"


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.rglob("params.yaml"):
        assert "path: /" not in path.read_text(encoding="utf-8"), path
