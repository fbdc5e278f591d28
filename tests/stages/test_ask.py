"""`lamol ask` on a terminal: each line is answered as soon as it is entered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lamol_core.data.task_data import TaskData
from tests.messages import names
from tests.stages.sequences import commands, run


@pytest.mark.slow
def test_a_line_on_a_terminal_is_answered_before_the_next_is_entered(finished: Path) -> None:
    table = pq.read_table(finished / "runs" / "sums" / "predictions.parquet").to_pylist()
    answered = {row["row_id"]: row["prediction"] for row in table}
    first, *_, last = TaskData.load(finished / "data" / "sums").rows("test")
    terminal, stdin = os.openpty()
    path = os.pathsep.join([str(commands()), str(Path(sys.executable).parent), os.environ["PATH"]])
    with subprocess.Popen(
        ["lamol", "ask"], cwd=finished, env={**os.environ, "PATH": path}, stdin=stdin, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as asked:  # fmt: skip
        assert asked.stdout is not None and asked.stderr is not None
        assert names(asked.stderr.readline(), "sums", "Ctrl-D")
        for row in (first, last):
            os.write(terminal, f"{row.input}\n".encode())
            assert asked.stdout.readline() == f"{answered[row.row_id]}\n"
        os.write(terminal, b"\n\x04")
        assert asked.stdout.readline() == "\n", "an empty line for an empty input"
        assert asked.wait(timeout=60) == 0
    for end in (terminal, stdin):
        os.close(end)


@pytest.mark.slow
def test_an_answer_that_was_cut_off_is_told(finished: Path) -> None:
    short = ("--set", "evaluate.max_target_tokens=1")
    assert names(run(finished, "lamol", "ask", "say if one is odd", *short), short[1].split("=")[0])
    whole = run(finished, "lamol", "ask", "say if one is odd")
    assert "max_target_tokens" not in whole
