"""`make demo` says what it does before each long step, and how long that takes."""

import re
import subprocess
from pathlib import Path

from tests.code_imports import ROOT


def test_every_long_step_is_announced_with_a_range_of_minutes(tmp_path: Path) -> None:
    """On a fresh machine: nothing is installed yet."""
    planned = subprocess.run(
        ["make", "-n", "demo", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    is_long = [bool(re.search(r"pip install|-m venv|dvc repro", step)) for step in planned]
    assert sum(is_long) == 4
    told = [re.search(r"^echo .*\d+ to \d+ (minutes|seconds)", step) for step in planned]
    for row, step in enumerate(planned):
        if is_long[row]:
            assert any(told[max(row - 2, 0) : row]), step
            assert "--quiet" not in step, "pip shows that it goes on"
