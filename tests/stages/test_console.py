"""How far a stage is, where there is no terminal."""

from __future__ import annotations

import pytest

from stages import console
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
