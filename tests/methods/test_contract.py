"""What every method must do: two tasks in a row, an empty first memory, the same bytes twice."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from lamol_core.artifacts.manifest import MANIFEST, Provenance, read_manifest, sha256_of
from lamol_core.artifacts.tables import read_rows
from lamol_core.errors import ArtifactError
from lamol_core.methods.ewc import EwcParams
from lamol_core.methods.ewc_memory import FisherMemory
from lamol_core.methods.memory import Memory, MemoryContext
from lamol_core.methods.registry import METHODS
from lamol_core.methods.replay import ReplayParams, RowMemory
from lamol_core.methods.spec import Symptom
from lamol_core.models.checkpoints import load_model, save_checkpoint, write_state
from lamol_core.parameters import Params
from lamol_core.records import MEMORY_SCHEMA, Example, MemoryRow, MixRow, PseudoSample, from_table
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.tokenizer import TextCodec
from lamol_core.training import resume
from lamol_core.training.log import NOT_TERMS
from lamol_core.training.setup import TrainingSetup
from lamol_core.training.student import (
    Checkpoints,
    TrainedStudent,
    TrainingSet,
    count_all_steps,
    train_from_checkpoint,
)
from lamol_core.training.trainer import LogRow, Trainer
from tests.fakes import make_rows
from tests.messages import names, naming

BUFFER = 6
TASKS = ("a", "b", "c")
RESERVOIRS = [
    name for name, method in METHODS.items() if "buffer_size" in method.Params.model_fields
]
TERMS = "loss|penalty|(ce|kl|mse)_(qa|gen)(_memory)?"
"""Columns of a log that are terms of a loss."""


def params_of(method: str) -> Params:
    """A memory that keeps rows keeps BUFFER of them."""
    task = {"after": "base", "source": {"kind": "demo", "task": "home"}}
    memory = {"buffer_size": BUFFER, "batch_size": 3}
    return Params.model_validate(
        {
            "method": method,
            "tasks": {"a": task},
            "train": {"epochs": 2, "batch_size": 4, "learning_rate": 3e-3, "precision": "fp32"},
            **dict.fromkeys(RESERVOIRS, memory),
            "ewc": {"weight": 1e4, "fisher_rows": 5},
        }
    )


def remembers(method: str) -> bool:
    context = MemoryContext(0, decode=str)
    return type(params_of(method).chosen.memory(context)) is not Memory


REMEMBERING = [name for name in METHODS if remembers(name)]
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
    return TrainingSet(mix, real, pseudo, lineage)


def learn(
    folder: Path,
    place: int,
    params: Params,
    backbone: Path,
    stop_at: int | None = None,
    stop: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda message: None,
    num_rows: int = 8,
) -> TrainedStudent:
    """Train a task in a folder as the stage does, and write student and state; `stop` is called
    when a step has been told after `stop_at` others."""
    before = backbone if place == 0 else folder / TASKS[place - 1] / "student"
    state = None if place == 0 else folder / TASKS[place - 1] / "state"
    codec, told = TextCodec.load(before), []

    def on_step(row: LogRow, num_steps: int) -> None:
        if len(told) == stop_at:
            stop()
        told.append(row)

    method, rows = params.chosen, training_set(place, params, codec, num_rows)
    trained = train_from_checkpoint(
        Checkpoints(before, folder / "states", state, backbone, folder / "resume"),
        rows, method, params.train, params.seed, on_step, say,
    )  # fmt: skip
    assert len(told) == count_all_steps(rows.mix, method, params.train)
    trained.save(folder / TASKS[place] / "student", before, Provenance())
    trained.save_state(folder / TASKS[place] / "state", Provenance())
    trained.discard_resumes()
    return trained


@pytest.fixture
def dropping_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny one, with dropout while it is trained."""
    model = load_model(tiny_checkpoint, torch.device("cpu"))
    model.config.attention_dropout = 0.5
    save_checkpoint(tmp_path / "dropping", model, Provenance(), tokenizer_from=tiny_checkpoint)
    return tmp_path / "dropping"


def fall() -> None:
    raise KeyboardInterrupt


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_what_it_declares(method: str) -> None:
    declared, made = METHODS[method], params_of(method).chosen
    assert declared.name == method and type(made) is declared
    assert isinstance(made.params, declared.Params)
    origins = {origin for _, term in made.loss.parts for origin in term.origins}
    assert declared.rehearses == ("pseudo" in origins), "what is drawn is trained on"
    assert declared.keeps_real_rows == ("memory" in origins), "what is recalled is trained on"
    keys = made.params.model_dump(by_alias=True).keys()
    assert made.acting(False).keys() <= made.acting(True).keys() == keys


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_writes_for_others_fits_where_it_goes(method: str) -> None:
    declared = METHODS[method]
    assert declared.privacy
    Params.model_validate({"tasks": {}, "method": method, **declared.presets})
    assert declared.advice.keys() <= set(get_args(Symptom))
    for advice in declared.advice.values():
        assert advice.format(tasks="a, b", points=12.5, first="a: 0.5")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_learns_task_after_task_and_leaves_the_same_bytes_twice(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    params = params_of(method)
    for name in ("once", "again"):
        for place in range(3):
            trained = learn(tmp_path / name, place, params, tiny_checkpoint)
            losses = [row["loss"] for row in trained.log_rows]
            assert all(torch.isfinite(torch.tensor(losses)))
            named = {key for key, value in trained.log_rows[-1].items() if value is not None}
            assert {"loss", "grad_norm"} <= named
            drawn = set(trained.log_rows[-1]) - set(NOT_TERMS)
            assert all(re.fullmatch(TERMS, name) for name in drawn), "charts draw terms of the loss"
    assert digests(tmp_path / "once") == digests(tmp_path / "again")


@pytest.mark.parametrize("method", METHODS)
def test_a_training_that_was_cut_off_ends_in_the_same_bytes(
    method: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = params_of(method)
    for name in ("whole", "cut"):
        learn(tmp_path / name, 0, params, tiny_checkpoint)
    learn(tmp_path / "whole", 1, params, tiny_checkpoint)

    monkeypatch.setattr(resume, "EVERY_S", 0.0)
    expert_steps = 4 if method in WITH_EXPERT else 0
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "cut", 1, params, tiny_checkpoint, stop_at=expert_steps + 3, stop=fall)
    assert len(list((tmp_path / "cut" / "resume").iterdir())) == 1
    started: list[int] = []
    original = Trainer._accumulate

    def accumulate(self, model, optimizer, batch, step):  # type: ignore[no-untyped-def]
        started.append(step)
        return original(self, model, optimizer, batch, step)

    monkeypatch.setattr(Trainer, "_accumulate", accumulate)
    student = learn(tmp_path / "cut", 1, params, tiny_checkpoint)
    assert started[0] == 3, "the steps that were saved are not done again, an expert's neither"
    assert student.seconds_before >= sum(r["seconds"] for r in student.log_rows[:3]) > 0
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.parametrize(
    ("number", "ends_with"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_training_that_is_asked_to_stop_keeps_its_last_step(
    number: signal.Signals, ends_with: type, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    params, handler = params_of("lamol"), signal.default_int_handler
    before = signal.signal(number, handler)  # a shell's background ignores Ctrl-C
    learn(tmp_path / "whole", 0, params, tiny_checkpoint)
    told: list[str] = []

    def ask_to_stop() -> None:
        os.kill(os.getpid(), number)

    with pytest.raises(ends_with):
        learn(tmp_path / "cut", 0, params, tiny_checkpoint, 1, ask_to_stop, told.append)
    (stopped,) = told
    assert names(stopped, 2)
    assert signal.signal(number, before) is handler
    student = learn(tmp_path / "cut", 0, params, tiny_checkpoint, say=told.append)
    (_, went_on) = told
    assert names(went_on, 2)
    assert student.seconds_before == sum(row["seconds"] for row in student.log_rows[:2])
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.parametrize("method", WITH_EXPERT)
def test_an_expert_that_had_ended_is_not_trained_again(
    method: str, tiny_checkpoint: Path, tmp_path: Path
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
    told: list[str] = []
    learn(tmp_path / "cut", 0, params, tiny_checkpoint, say=told.append)
    assert len([line for line in told if names(line, steps)]) == 1, "where the expert ended"
    assert len([line for line in told if names(line, 2)]) == 1, "where the student was cut off"
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
        full.setattr(TrainedStudent, "save", no_room)
        with pytest.raises(OSError, match="No space"):
            learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    student = learn(tmp_path / "cut", 0, params, tiny_checkpoint)
    assert student.seconds_before == sum(row["seconds"] for row in student.log_rows)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


@pytest.mark.parametrize("changed", ["learning_rate", "seed", "rows", "student", "state"])
def test_a_training_of_other_inputs_does_not_go_on(
    changed: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "EVERY_S", 0.0)
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


@pytest.mark.parametrize("method", METHODS)
def test_a_state_says_what_real_rows_it_keeps(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    params = params_of(method)
    for place in range(2):
        learn(tmp_path, place, params, tiny_checkpoint)
    state = tmp_path / "b" / "state"
    counted = read_manifest(state / MANIFEST, "").rows.get("real_rows", 0)
    kept = [path for path in state.iterdir() if path.name == "memory.parquet"]
    assert bool(kept) == bool(counted) == METHODS[method].keeps_real_rows
    if kept:
        rows = from_table(read_rows(kept[0], MEMORY_SCHEMA, ""), MemoryRow)
        assert len(rows) == BUFFER
        assert counted == len({row.row_id for row in rows})
        known = {row.row_id: row for task in "ab" for row in real_rows(task)}
        for row in rows:
            assert (row.input, row.target) == (known[row.row_id].input, known[row.row_id].target)
        assert {row.row_id[0] for row in rows} == {"a", "b"}, "a reservoir holds old and new"


def test_a_memory_of_another_method_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    learn(tmp_path, 0, params_of("finetune"), tiny_checkpoint)
    assert {"derpp", "ewc", "replay"} <= set(REMEMBERING)
    for method in REMEMBERING:
        with pytest.raises(ArtifactError, match=naming("dvc repro")):
            learn(tmp_path, 1, params_of(method), tiny_checkpoint)


@pytest.mark.parametrize("method", RESERVOIRS)
def test_a_memory_of_another_size_is_refused(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    params = params_of(method)
    learn(tmp_path, 0, params, tiny_checkpoint)
    larger = params.chosen.params.model_copy(update={"buffer_size": BUFFER + 1})
    with pytest.raises(ArtifactError, match=naming("buffer_size", BUFFER, BUFFER + 1)):
        learn(tmp_path, 1, params.model_copy(update={method: larger}), tiny_checkpoint)


def test_a_step_recalls_as_many_rows_as_its_batch_takes_and_each_step_others() -> None:
    params = ReplayParams(buffer_size=BUFFER, batch_size=3)
    memory = RowMemory(params, MemoryContext(0, decode=str))
    memory.observe(make_rows(BUFFER, 0), logits_of=lambda rows: [])
    assert len(memory.rows(0)) == 3
    assert memory.rows(0) == memory.rows(0) != memory.rows(1)


def test_derpp_keeps_the_logits_that_a_row_came_with(tiny_checkpoint: Path, tmp_path: Path) -> None:
    params = params_of("derpp")
    learn(tmp_path, 0, params, tiny_checkpoint)
    first = load_file(tmp_path / "a" / "state" / "logits.safetensors")
    rows = from_table(read_rows(tmp_path / "a/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    assert len(first) == len(rows)
    for row in rows:
        logits = first[f"{row.slot:06d}"]
        assert logits.dtype == torch.float16 and len(logits) == len(row.target_ids) + 1
    trained = learn(tmp_path, 1, params, tiny_checkpoint)
    second = load_file(tmp_path / "b" / "state" / "logits.safetensors")
    later = from_table(read_rows(tmp_path / "b/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    stayed = [row.slot for row in later if row.row_id.startswith("a/")]
    assert stayed, "some row of the first task is still there"
    for slot in stayed:
        assert torch.equal(first[f"{slot:06d}"], second[f"{slot:06d}"])
    assert trained.log_rows[0]["mse_qa_memory"] > 0 and trained.log_rows[0]["ce_qa_memory"] > 0


def test_derpp_s_logits_are_those_that_tell_the_answer(
    dropping_checkpoint: Path, tmp_path: Path
) -> None:
    """Of its own row, one position before each token of it, without dropout: with a student that
    stands still."""
    params = params_of("derpp")
    still = params.train.model_copy(update={"learning_rate": 1e-12})
    params = params.model_copy(update={"train": still})
    model = learn(tmp_path, 0, params, dropping_checkpoint).model.eval()
    control = TextCodec.load(dropping_checkpoint).control
    stored = load_file(tmp_path / "a" / "state" / "logits.safetensors")
    rows = from_table(read_rows(tmp_path / "a/state/memory.parquet", MEMORY_SCHEMA, ""), MemoryRow)
    assert len({row.row_id for row in rows}) > 2
    for row in rows:
        read, said = [*row.input_ids, control.ans], [*row.target_ids, control.eos]
        with torch.no_grad():
            logits = model(torch.tensor([read + said])).logits[0, len(read) - 1 : -1]
        torch.testing.assert_close(
            stored[f"{row.slot:06d}"].float(), logits, rtol=2e-3, atol=2e-3, msg=row.row_id
        )


def test_fisher_information_is_the_mean_of_each_row_s_own_squared_gradient(
    dropping_checkpoint: Path, tmp_path: Path
) -> None:
    """Without dropout."""
    params = Params.model_validate(
        {**params_of("ewc").model_dump(by_alias=True), "ewc": {"fisher_rows": None}}
    )
    model, codec = (
        learn(tmp_path, 0, params, dropping_checkpoint).model.eval(),
        TextCodec.load(dropping_checkpoint),
    )
    rows = real_rows("a")
    expected = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for row in rows:
        (x,), (y,) = codec.encode([row.input]), codec.encode([row.target])
        read, said = [*x, codec.control.ans], [*y, codec.control.eos]
        logits = model(torch.tensor([read + said])).logits[0, len(read) - 1 : -1]
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.tensor(said), reduction="sum").backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            expected[name] += parameter.grad**2 / len(rows)
    fisher = load_file(tmp_path / "a" / "state" / "fisher.safetensors")
    assert fisher.keys() == expected.keys()
    for name, square in expected.items():
        torch.testing.assert_close(fisher[name], square, rtol=1e-3, atol=1e-6)


def test_fisher_information_is_the_mean_over_rows_that_the_seed_chooses(tmp_path: Path) -> None:
    rows, model = make_rows(8, 0), nn.Linear(1, 1, bias=False)
    seen: list[EncodedRow] = []

    def backward(row: EncodedRow) -> None:
        seen.append(row)
        model.weight.sum().backward()

    memory = FisherMemory(EwcParams(fisher_rows=2), seed=0)
    memory.finish(model, rows, backward)
    memory.write(tmp_path)
    assert len(seen) == 2 and seen != rows[:2]
    assert load_file(tmp_path / "fisher.safetensors")["weight"].item() == 1.0


def test_ewc_holds_the_weights_that_mattered(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A strong penalty keeps the weights that the Fisher information is large for in place."""
    params = params_of("ewc")
    learn(tmp_path, 0, params, tiny_checkpoint)
    fisher = load_file(tmp_path / "a" / "state" / "fisher.safetensors")
    assert (
        all((f >= 0).all() for f in fisher.values()) and sum(f.sum() for f in fisher.values()) > 0
    )
    trained = learn(tmp_path, 1, params, tiny_checkpoint)
    assert trained.log_rows[0]["penalty"] == 0 and trained.log_rows[-1]["penalty"] > 0
    for row in trained.log_rows:
        assert row["loss"] == pytest.approx(row["ce_qa"] + row["penalty"])
    both = load_file(tmp_path / "b" / "state" / "fisher.safetensors")
    assert all((both[name] >= f).all() for name, f in fisher.items()), "tasks are added up"

    def moved(weight: float) -> float:
        changed = Params.model_validate(
            {**params.model_dump(by_alias=True), "ewc": {"weight": weight, "fisher_rows": 5}}
        )
        student = learn(tmp_path, 1, changed, tiny_checkpoint).model
        before = load_file(tmp_path / "a" / "student" / "model.safetensors")
        return sum(
            float((fisher[name] * (p.detach() - before[name]) ** 2).sum())
            for name, p in student.named_parameters()
            if name in before
        )

    assert moved(1e6) < 0.5 * moved(0.0)


def test_an_expert_is_the_backbone_trained_on_the_new_task_alone(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first task student and expert start alike, and the expert has already learnt: the
    divergence begins high and falls, and no cross-entropy is asked of new rows."""
    trained = learn(tmp_path, 0, params_of("l2kd"), tiny_checkpoint)
    losses = [row["kl_qa"] for row in trained.log_rows]
    assert losses[0] > 0 and losses[-1] < losses[0]
    assert all(row["ce_qa"] == 0 for row in trained.log_rows), "there are no pseudo rows yet"

    loaded: list[Path] = []
    models: list[weakref.ref[PreTrainedModel]] = []
    original = TrainingSetup.load

    def load(self: TrainingSetup, checkpoint: Path) -> PreTrainedModel:
        gc.collect()
        assert not any(model() for model in models), "the expert is gone before the student comes"
        loaded.append(checkpoint)
        model = original(self, checkpoint)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(TrainingSetup, "load", load)
    later = learn(tmp_path, 1, params_of("l2kd"), tiny_checkpoint)
    assert loaded == [tiny_checkpoint, tmp_path / "a" / "student"], "the expert, then the student"
    assert any(row["ce_qa"] > 0 for row in later.log_rows)


@pytest.mark.parametrize("method", METHODS)
def test_the_first_task_needs_no_state(method: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """What `lamol backbone` leaves is an empty state, for every method."""
    write_state(tmp_path / "base", Provenance())
    params = params_of(method)
    rows = training_set(0, params, TextCodec.load(tiny_checkpoint))
    checkpoints = Checkpoints(
        tiny_checkpoint, tmp_path / "states", tmp_path / "base", backbone=tiny_checkpoint
    )
    trained = train_from_checkpoint(checkpoints, rows, params.chosen, params.train, 0)
    assert len(trained.log_rows) == 4
    if METHODS[method].keeps_real_rows:
        assert trained.log_rows[0]["loss"] > 0
        trained.save_state(tmp_path / "after", Provenance())
        assert len(read_rows(tmp_path / "after" / "memory.parquet", MEMORY_SCHEMA, "")) == BUFFER
    for _, term in params.chosen.loss.parts:
        if term.origins == ("memory",):  # which fills up while the first task is learnt
            losses = [row[term.name] for row in trained.log_rows]
            assert losses[0] == 0 and losses[-1] > 0
