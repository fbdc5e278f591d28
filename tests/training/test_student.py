"""From a checkpoint to a student: how the teacher is asked changes nothing of what is learnt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lamol_core.artifacts.manifest import Provenance
from lamol_core.artifacts.spec import TRAIN
from lamol_core.artifacts.version import code_version
from lamol_core.errors import ConfigError
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.models.checkpoints import load_model, require_positions, save_checkpoint
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.text.codecs import load_codec
from lamol_core.text.template import TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.params import TrainParams
from lamol_core.training.student import (
    Checkpoints,
    TrainedStudent,
    TrainingSet,
    computed_by,
    train_from_checkpoint,
)
from lamol_core.training.teacher import stored as teacher_module
from lamol_core.training.trainer import LogRow
from tests.messages import names, naming

TEXTS = [
    ("turn the kitchen light on", "light_on"),
    ("turn the kitchen light off", "light_off"),
    ("book a flight to Lisbon", "book_flight"),
    ("book a hotel for two nights", "book_hotel"),
]


@pytest.fixture
def training_set(codec: TextCodec) -> TrainingSet:
    """Four new rows of `b`, and three that a teacher wrote of `a`."""
    real = [Example(f"b/train/{i}", "b", x, y, i) for i, (x, y) in enumerate(TEXTS)]
    pseudo = []
    for i, (x, y) in enumerate(TEXTS[:3]):
        (input_ids,), (target_ids,) = codec.encode([x]), codec.encode([y])
        pseudo.append(
            PseudoSample(
                f"b/pseudo/a/{i}", "a", i, 1, x, y, input_ids, target_ids, True, "", 1.0, i, "abc"
            )
        )
    mix = [MixRow(i, "new", "b", row.row_id, row.label_idx_cil) for i, row in enumerate(real)]
    mix += [MixRow(4 + i, "pseudo", "a", row.row_id, -1) for i, row in enumerate(pseudo)]
    return TrainingSet(mix, real, pseudo, TaskPrompts(["a", "b"]), 256)


def train(
    checkpoint: Path,
    training_set: TrainingSet,
    states: Path,
    on_step: Callable[[LogRow, int], None] = lambda row, steps: None,
    kd: LamolKdParams | None = None,
    **changes: Any,
) -> TrainedStudent:
    params = TrainParams.model_validate(
        {"steps": 3, "batch_size": 7, "learning_rate": 1e-3, "precision": "fp32", **changes}
    )
    method = LamolKd(kd or LamolKdParams())
    checkpoints = Checkpoints(checkpoint, states)
    return train_from_checkpoint(checkpoints, training_set, method, params, 0, on_step)


def stop(row: LogRow, num_steps: int) -> None:
    raise KeyboardInterrupt


def weights(student: TrainedStudent) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in student.model.parameters()])


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"teacher_targets": "online"},
        {"gradient_checkpointing": True},
        {"attention": "eager"},
        {"attention": "sdpa"},
        {"micro_batch_tokens": 40},
    ],
    ids=str,
)
def test_settings_of_memory_and_speed_change_no_result(
    tiny_checkpoint: Path, training_set: TrainingSet, tmp_path: Path, changes: dict[str, Any]
) -> None:
    plain = train(tiny_checkpoint, training_set, tmp_path / "states")
    other = train(tiny_checkpoint, training_set, tmp_path / "states", **changes)
    for mine, theirs in zip(plain.log_rows, other.log_rows, strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)
        assert theirs["kl_gen"] == pytest.approx(mine["kl_gen"], abs=1e-5)
    # Adam's step of a number whose gradient is almost 0 can take the other sign
    close = torch.isclose(weights(other), weights(plain), rtol=1e-3, atol=1e-4)
    assert close.float().mean() > 0.99


def test_the_size_of_the_states_is_told_and_they_are_gone_afterwards(
    tiny_checkpoint: Path,
    training_set: TrainingSet,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sizes: list[int] = []

    def on_step(row: LogRow, num_steps: int) -> None:
        sizes.append((tmp_path / "states" / teacher_module.STATES).stat().st_size)

    train(tiny_checkpoint, training_set, tmp_path / "states", on_step)
    (message,) = caplog.messages
    assert names(message, "MB", tmp_path / "states")
    assert min(sizes) > 0, "they are there while the student is trained"
    assert not (tmp_path / "states").exists()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of teachers' states, as they are written."""
    written: list[Path] = []
    original = teacher_module.atomic_folder
    monkeypatch.setattr(
        teacher_module, "atomic_folder", lambda path: (written.append(path), original(path))[1]
    )
    return written


@pytest.mark.slow
def test_a_training_that_was_cut_off_finds_its_states_again(
    tiny_checkpoint: Path, training_set: TrainingSet, tmp_path: Path, written: list[Path]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny_checkpoint, training_set, tmp_path / "states", stop)
    assert (tmp_path / "states").exists()
    with pytest.raises(KeyboardInterrupt):  # other settings, other sums: not those states
        train(tiny_checkpoint, training_set, tmp_path / "states", stop, micro_batch_tokens=40)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_checkpoint, training_set, tmp_path / "states", stop)
    assert len(written) == 3
    resumed = train(tiny_checkpoint, training_set, tmp_path / "states")
    assert len(written) == 3
    again = train(tiny_checkpoint, training_set, tmp_path / "states")
    assert torch.equal(weights(resumed), weights(again))


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["teacher", "rows", "alignment", "threads"])
def test_states_of_another_training_are_not_taken_for_its_own(
    changed: str,
    tiny_checkpoint: Path,
    training_set: TrainingSet,
    tmp_path: Path,
    written: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint, rows, kd = tiny_checkpoint, training_set, LamolKdParams()
    if changed == "teacher":
        checkpoint = tmp_path / "other"
        other = train(tiny_checkpoint, training_set, tmp_path / "apart").model
        save_checkpoint(checkpoint, other, Provenance(), tokenizer_from=tiny_checkpoint)
    elif changed == "rows":
        first, *others = training_set.pseudo
        swapped = replace(first, input_ids=others[0].input_ids)
        rows = replace(training_set, pseudo=[swapped, *others])
    elif changed == "alignment":
        kd = LamolKdParams(alignment="reference")
    with pytest.raises(KeyboardInterrupt):
        train(tiny_checkpoint, training_set, tmp_path / "states", stop)
    before = len(written)
    if changed == "threads":  # their sums have another order
        monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    train(checkpoint, rows, tmp_path / "states", kd=kd)
    assert len(written) == before + 1


def test_a_training_that_goes_another_way_leaves_no_states(
    tiny_checkpoint: Path, training_set: TrainingSet, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tiny_checkpoint, training_set, tmp_path / "states", stop)
    train(tiny_checkpoint, training_set, tmp_path / "states", teacher_targets="online")
    assert not (tmp_path / "states").exists()


def test_rows_beyond_the_models_positions_are_refused(
    tiny_checkpoint: Path, training_set: TrainingSet, tmp_path: Path
) -> None:
    model = load_model(tiny_checkpoint, torch.device("cpu"))
    positions = model.config.max_position_embeddings
    require_positions(model, positions, "text.max_length")
    with pytest.raises(ConfigError, match=naming("text.max_length", positions + 1, positions)):
        require_positions(model, positions + 1, "text.max_length")


def test_rows_are_cut_to_the_length_that_the_training_set_names(
    tiny_checkpoint: Path, training_set: TrainingSet, tmp_path: Path
) -> None:
    whole = train(tiny_checkpoint, training_set, tmp_path / "states")
    one_less = longest_row(training_set, load_codec(tiny_checkpoint)) - 1
    shorter = replace(training_set, max_length=one_less)
    cut = train(tiny_checkpoint, shorter, tmp_path / "states")
    assert (whole.num_cut, cut.num_cut) == (0, 1)
    tokens = [student.log_rows[0]["tokens"] for student in (whole, cut)]
    assert tokens[0] - tokens[1] == 2, "one in each view of the longest row"


def longest_row(training_set: TrainingSet, codec: TextCodec) -> int:
    """Of the longest row, control tokens included."""
    texts = [(row.input, row.target) for row in (*training_set.real, *training_set.pseudo)]
    return max(len(x) + len(y) for x, y in (codec.encode(text) for text in texts)) + 3


def test_a_first_task_asks_no_teacher(
    tiny_checkpoint: Path,
    training_set: TrainingSet,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alone = TrainingSet(training_set.mix[:4], training_set.real, [], TaskPrompts(["b"]), 256)
    caplog.set_level(logging.INFO)
    trained = train(tiny_checkpoint, alone, tmp_path / "states")
    assert not caplog.messages and all(row["kl_qa"] == 0 for row in trained.log_rows)


def test_an_edit_or_another_file_is_other_code(tmp_path: Path) -> None:
    digests = set()
    for number, (name, text) in enumerate(
        [("a.py", "x = 1\n"), ("a.py", "x = 2\n"), ("b.py", "x = 1\n"), ("a.txt", "x = 1\n")]
    ):
        folder = tmp_path / str(number) / "training"
        folder.mkdir(parents=True)
        (folder / name).write_text(text)
        digests.add(code_version(("training",), folder.parent))
    assert len(digests) == 4
    code = computed_by(torch.float32)["code"]
    assert code == code_version(TRAIN.packages) not in digests
