"""How far a stage is, where there is no terminal."""

from __future__ import annotations

import io
import sys
import unicodedata
from pathlib import Path

import pytest
import typer

from lamol_core.data.sources.registry import read_source
from stages import console
from stages.guard import guarded
from tests.data.sources.tables import make
from tests.messages import names


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, which a test moves on by itself."""
    now = [100.0]
    monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
    return now


def test_progress_is_told_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with console.progress("generate b", 100, "rows") as advance:
        for _ in range(4):
            clock[0] += 10
            advance(20, "so far")
    first, second = capsys.readouterr().err.splitlines()
    assert names(first, "generate b", "40/100", "rows", "2.0", 30, "so far")
    assert names(second, "generate b", "80/100", "rows", "2.0", 10, "so far")


def test_steps_that_were_done_before_count_with_the_seconds_they_took(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A training that goes on after step 900 tells of all 900 at once."""
    with console.progress("train b", 1000, "steps") as advance:
        for _ in range(900):
            advance(1, "", 15.0)
        clock[0] += 15
        advance(1, "loss 1.0", 15.0)
    (line,) = capsys.readouterr().err.splitlines()
    assert names(line, "train b", "901/1000", "steps", 0.1, 1485, "loss 1.0")


def test_a_label_that_stdout_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under PYTHONIOENCODING=ascii. (What Typer itself prints becomes UTF-8 there.)"""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))

    guarded(lambda: console.print_rows([{"target": "café"}]))()
    sys.stdout.flush()
    assert names(written.getvalue().decode("ascii"), r"caf\xe9")


def test_no_terminal_code_of_a_file_reaches_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither in a message, here on a CSV's header, nor in a table."""
    (tmp_path / "x.csv").write_text("in\x1b[31mput,target\x07,\x9bK\na,b,c\n")
    source = make(kind="csv", path="x.csv")
    with pytest.raises(typer.Exit):
        guarded(lambda: read_source(source, tmp_path))()
    console.print_rows([{"target": "red \x1b[31m\x07\r"}])
    told = "".join(capfd.readouterr())
    assert {c for c in told if unicodedata.category(c) == "Cc"} == {"\n"}
    assert names(told, "U+001B", "U+0007", "U+009B", "U+000D")
