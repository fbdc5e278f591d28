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
PAGES = [ROOT / "docs" / "results.md", ROOT / "docs" / "results_earlier.md"]
WRITTEN = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS = re.findall(r"^    (lamol compare docs/results/.*)$", WRITTEN, re.M)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command of the pages writes."""
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
    section = WRITTEN[WRITTEN.index(f"    {command}\n") :]
    last = "\n\nMean over seeds" if "--against" in command else "\n\nMean ±"
    tables = [line for line in section[: section.index(last)].splitlines() if line[:1] == "|"]
    made = (compared[command] / "comparison.md").read_text(encoding="utf-8")
    assert tables == [line for line in made.splitlines() if line[:1] == "|"]


NUMBER = r"[+-]?\d+\.\d"
INTERVAL = rf"\[({NUMBER}),\s+({NUMBER})\]"


def test_differences_in_the_text_are_those_of_the_kept_runs(compared: dict[str, Path]) -> None:
    """Each interval, with the number before it: the mean difference."""
    known = set()
    for folder in compared.values():
        comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
        for one in comparison["differences"]:
            if one["interval"] is not None:
                low, high = one["interval"]
                known |= {shown(one["mean"], low, high), shown(-one["mean"], -high, -low)}
    for page in (PAGES[0], ROOT / "README.md", ROOT / "docs" / "method.md"):
        text = page.read_text(encoding="utf-8")
        prose = "\n".join(line for line in text.splitlines() if line[:1] != "|" or "±" not in line)
        told = re.findall(rf"({NUMBER})[^\d\[]*{INTERVAL}", prose)
        assert len(told) == len(re.findall(INTERVAL, prose)) > 0, page.name
        assert not {shown(*map(float, one)) for one in told} - known, page.name


def shown(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]".replace("-0.0", "0.0")


def test_no_kept_result_names_a_machine_s_folders() -> None:
    for path in RESULTS.rglob("params.yaml"):
        assert "path: /" not in path.read_text(encoding="utf-8"), path
