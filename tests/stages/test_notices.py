"""What holds for every task of a sequence is said once, not once a task."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from stages.guard import spoken
from tests.stages.sequences import run


@pytest.mark.parametrize(("position", "said"), [(0, "ab"), (1, "a"), (2, "b"), (3, "")])
def test_a_notice_is_said_for_the_first_task_that_meets_it(position: int, said: str) -> None:
    told: list[str] = []
    with spoken(told.append, position):
        log = logging.getLogger("lamol_core.somewhere")
        log.info("a", extra={"first_met": 1})
        log.info("b", extra={"first_met": 2})
        log.info("always")
    assert told == [*said, "always"]


@pytest.mark.slow
def test_later_tasks_say_only_what_is_their_own(sequence: Path) -> None:
    first, second = (run(sequence, "lamol", "prepare", task) for task in ("colours", "animals"))
    assert len(first.splitlines()) == len(second.splitlines()) + 2, "two splits are cut off"
    assert ".lamol/teacher" not in run(sequence, "lamol", "train", "sums")


@pytest.mark.slow
def test_check_says_a_note_of_several_tasks_once(sequence: Path) -> None:
    lines = run(sequence, "lamol", "check").splitlines()
    notes = [line.split(": ", 2)[2] for line in lines if line.startswith("check: colours")]
    assert len(notes) == len(set(notes)) == 3
    assert sum(notes[0] in line for line in lines) == 1
