"""What the documents say of results is what the kept results say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code_imports import ROOT

RESULTS = ROOT / "docs" / "results"
RESULTS_PAGE = ROOT / "docs" / "results.md"
COMMANDS = re.findall(r"^    (lamol compare docs/results/.*)$", RESULTS_PAGE.read_text(), re.M)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command of results.md writes."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    folders = {}
    for command in COMMANDS:
        folders[command] = tmp_path_factory.mktemp("compared")
        subprocess.run(
            ["bash", "-c", f"{command} --out {folders[command]}"],
            cwd=ROOT, env=os.environ | {"PATH": path}, check=True, capture_output=True,
        )  # fmt: skip
    return folders


def test_every_kept_benchmark_is_compared() -> None:
    kept = {path.name for path in RESULTS.glob("*") if path.is_dir()}
    assert kept == {name for line in COMMANDS for name in re.findall(r"results/(\w+)", line)}


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_are_those_of_the_kept_runs(command: str, compared: dict[str, Path]) -> None:
    written = RESULTS_PAGE.read_text(encoding="utf-8")
    section = written[written.index(f"    {command}\n") :]
    last = "\n\nMean over seeds" if "--against" in command else "\n\nMean ±"
    tables = [line for line in section[: section.index(last)].splitlines() if line[:1] == "|"]
    made = (compared[command] / "comparison.md").read_text(encoding="utf-8")
    assert tables == [line for line in made.splitlines() if line[:1] == "|"]


def test_intervals_in_the_text_are_those_of_the_kept_runs(compared: dict[str, Path]) -> None:
    known = set()
    for folder in compared.values():
        comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
        for low, high in filter(None, (one["interval"] for one in comparison["differences"])):
            known |= {f"[{low:.1f}, {high:.1f}]", f"[{-high:.1f}, {-low:.1f}]"}
        for group in comparison["groups"]:
            for figure in filter(None, group["figures"].values()):
                known.add(f"[{figure['low'] or 0:.1f}, {figure['high'] or 0:.1f}]")
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
