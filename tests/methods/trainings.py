"""Trainings of a tiny model on tasks of eight rows, as the stages run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lamol_core.artifacts.manifest import Provenance, sha256_of, write_folder
from lamol_core.artifacts.spec import STATE
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.registry import METHODS
from lamol_core.models.checkpoints import save_checkpoint
from lamol_core.parameters import Params
from lamol_core.records import Example, MixRow, PseudoSample
from lamol_core.text.codecs import load_codec
from lamol_core.text.template import TaskPrompts
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training.student import (
    Checkpoints,
    TrainedStudent,
    TrainingSet,
    count_all_steps,
    train_from_checkpoint,
)
from lamol_core.training.trainer import LogRow
from tests.fakes import TEMPLATE, Decodes

BUFFER = 6
TASKS = ("a", "b", "c")
Learnt = Callable[[str], tuple[Path, list[TrainedStudent]]]
"""Of a method a folder in which it has learnt TASKS, and its students (conftest.py)."""
RESERVOIRS = [
    name for name, method in METHODS.items() if "buffer_size" in method.Params.model_fields
]


def params_of(case: str) -> Params:
    """Parameters of METHOD, or of METHOD+lora. A memory that keeps rows keeps BUFFER of them."""
    method, _, adapter = case.partition("+")
    task = {"after": "base", "source": {"kind": "demo", "task": "home"}}
    memory = {"buffer_size": BUFFER, "batch_size": 3}
    return Params.model_validate(
        {
            "method": method,
            "tasks": {"a": task},
            "train": {"epochs": 2, "batch_size": 4, "learning_rate": 3e-3, "precision": "fp32"},
            **dict.fromkeys(RESERVOIRS, memory),
            "ewc": {"weight": 1e4, "fisher_rows": 5},
            "adapter": {"kind": adapter or "none", "r": 2, "learning_rate": 1e-2},
        }
    )


def remembers(method: str) -> bool:
    context = MemoryContext(0, TEMPLATE, Decodes(str))
    return type(params_of(method).chosen.memory(context)) is not Memory


REMEMBERING = [name for name in METHODS if remembers(name)]
CASES = [
    *METHODS, "lamol_kd+lora", "ewc+lora",
    *(pytest.param(f"{name}+lora", marks=pytest.mark.long)
      for name in METHODS if name not in ("lamol_kd", "ewc")),
]  # fmt: skip
"""Every method, with adapters too."""
WITH_EXPERT = [name for name in METHODS if params_of(name).chosen.expert_loss is not None]


def real_rows(task: str, count: int = 8) -> list[Example]:
    return [
        Example(f"{task}/train/{i}", task, f"turn the light {task} {i}", f"light_{task}{i % 2}", i)
        for i in range(count)
    ]


def training_set(place: int, params: Params, codec: TextCodec, num_rows: int = 8) -> TrainingSet:
    """What the stages would hand over for a task: its rows, and what the method rehearses."""
    lineage = TASKS[: place + 1]
    real, pseudo = real_rows(lineage[-1], num_rows), []
    if params.chosen.mixes_real_rows:
        real += [row for task in lineage[:-1] for row in real_rows(task)]
    if params.chosen.rehearses:
        for task in lineage[:-1]:
            for i, row in enumerate(real_rows(task, 2)):
                (x,), (y,) = codec.encode([row.input]), codec.encode([row.target])
                pseudo.append(
                    PseudoSample(
                        f"{lineage[-1]}/pseudo/{task}/{i}", task, i, 1, row.input, row.target,
                        x, y, True, "", 1.0, i, "abc",
                    )
                )  # fmt: skip
    mix = [MixRow(i, "new", row.task, row.row_id, row.label_idx_cil) for i, row in enumerate(real)]
    mix += [
        MixRow(len(real) + i, "pseudo", row.source_task, row.row_id, -1)
        for i, row in enumerate(pseudo)
    ]
    return TrainingSet(mix, real, pseudo, TaskPrompts(lineage), params.text.max_length)


def learn(
    folder: Path,
    place: int,
    params: Params,
    backbone: Path,
    stop_at: int | None = None,
    stop: Callable[[], None] = lambda: None,
    num_rows: int = 8,
) -> TrainedStudent:
    """Train a task in a folder as the stage does, and write student and state; `stop` is called
    when a step has been told after `stop_at` others."""
    before = backbone if place == 0 else folder / TASKS[place - 1] / "student"
    state = None if place == 0 else folder / TASKS[place - 1] / "state"
    if params.adapter.kind != "none" and not (folder.parent / "runs").exists():
        # where the folder of a sequence has it
        (folder.parent / "runs" / "base").mkdir(parents=True)
        (folder.parent / "runs" / "base" / "student").symlink_to(backbone)
    codec, told = load_codec(before), []

    def on_step(row: LogRow, num_steps: int) -> None:
        if len(told) == stop_at:
            stop()
        told.append(row)

    method, rows = params.chosen, training_set(place, params, codec, num_rows)
    trained = train_from_checkpoint(
        Checkpoints(before, folder / "states", state, backbone, folder / "resume"),
        rows, method, params.train, params.seed, on_step, params.adapter,
    )  # fmt: skip
    assert len(told) == count_all_steps(rows.mix, method, params.train)
    made, out = Provenance(), folder / TASKS[place]
    save_checkpoint(out / "student", trained.model, made, tokenizer_from=before)
    write_folder(out / "state", STATE.kind, made, trained.memory.write)
    for resume in trained.resumes:
        resume.remove()
    return trained


def fall() -> None:
    raise KeyboardInterrupt


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
