"""A training that was interrupted: what it goes on from, and what it does not."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from pathlib import Path

import pytest

from lamol_core.training import resume
from tests.messages import names
from tests.methods.trainings import WITH_EXPERT, digests, fall, learn, params_of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "ends_with"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_training_that_is_asked_to_stop_keeps_its_last_step(
    number: signal.Signals,
    ends_with: type,
    tiny_checkpoint: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    params, handler = params_of("lamol"), signal.default_int_handler
    before = signal.signal(number, handler)  # a shell's background ignores Ctrl-C
    learn(tmp_path / "whole", 0, params, tiny_checkpoint)
    caplog.set_level(logging.INFO)

    def ask_to_stop() -> None:
        os.kill(os.getpid(), number)

    with pytest.raises(ends_with):
        learn(tmp_path / "cut", 0, params, tiny_checkpoint, 1, ask_to_stop)
    (stopped,) = caplog.messages
    assert names(stopped, 2)
    assert signal.signal(number, before) is handler
    student = learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    (_, went_on) = caplog.messages
    assert names(went_on, 2)
    assert student.seconds_before == sum(row["seconds"] for row in student.log_rows[:2])
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("method", WITH_EXPERT)
def test_an_expert_that_had_ended_is_not_trained_again(
    method: str, tiny_checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    params, steps = params_of(method), 4
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            learn(
                tmp_path / "cut", 0, params, tiny_checkpoint, steps + 1,
                lambda: os.kill(os.getpid(), signal.SIGINT),
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    caplog.set_level(logging.INFO)
    learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    assert len([line for line in caplog.messages if names(line, steps)]) == 1, (
        "where the expert ended"
    )
    assert len([line for line in caplog.messages if names(line, 2)]) == 1, (
        "where the student was cut off"
    )
    learn(tmp_path / "whole", 0, params, tiny_checkpoint)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_what_a_training_goes_on_from_is_there_until_its_student_is_written(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a kill while the checkpoint is written costs no step."""
    params = params_of("lamol")
    learn(tmp_path / "whole", 0, params, tiny_checkpoint)
    monkeypatch.setattr(resume, "EVERY_S", 0.0)

    def no_room(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr("tests.methods.trainings.save_checkpoint", no_room)
        with pytest.raises(OSError, match="No space"):
            learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    student = learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    assert student.seconds_before == sum(row["seconds"] for row in student.log_rows)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("learning_rate", "train"),
        ("seed", "seed"),
        ("rows", "rows"),
        ("student", "folders"),
        ("state", "folders"),
    ],
)
def test_a_training_of_other_inputs_does_not_go_on(
    changed: str,
    told: str,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(resume, "EVERY_S", 0.0)
    caplog.set_level(logging.INFO)
    params, cut, apart = params_of("replay"), tmp_path / "cut", tmp_path / "apart"
    other = params.model_copy(update={"seed": params.seed + 1})
    learn(cut, 0, params, tiny_checkpoint)
    learn(tmp_path / "other", 0, other, tiny_checkpoint)
    with pytest.raises(KeyboardInterrupt):
        learn(cut, 1, params, tiny_checkpoint, stop_at=2, stop=fall)
    if changed in {"student", "state"}:
        shutil.rmtree(cut / "a" / changed)
        shutil.copytree(tmp_path / "other" / "a" / changed, cut / "a" / changed)
    elif changed == "seed":
        params = other
    elif changed == "learning_rate":
        slower = params.train.model_copy(update={"learning_rate": 1e-3})
        params = params.model_copy(update={"train": slower})
    shutil.copytree(cut / "a", apart / "a")
    num_rows = 7 if changed == "rows" else 8
    for folder in (cut, apart):
        student = learn(folder, 1, params, tiny_checkpoint, num_rows=num_rows)
        assert len(student.log_rows) == 4 and student.seconds_before == 0
    assert digests(cut / "b") == digests(apart / "b")
    assert not (cut / "resume").exists(), "nobody would go on from the other one's"
    assert [line for line in caplog.messages if names(line, 2, told)] == caplog.messages[-1:]
