"""What every method must do: two tasks in a row, an empty first memory, the same bytes twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from lamol_core.artifacts.manifest import MANIFEST, read_manifest, write_folder
from lamol_core.artifacts.spec import STATE
from lamol_core.artifacts.tables import read_rows
from lamol_core.methods.registry import METHODS
from lamol_core.parameters import Params
from lamol_core.records import MEMORY_SCHEMA, MemoryRow, from_table
from lamol_core.text.codecs import load_codec
from lamol_core.training import resume
from lamol_core.training.outputs import NOT_TERMS
from lamol_core.training.student import Checkpoints, train_from_checkpoint
from lamol_core.training.trainer import Trainer
from tests.methods.trainings import (
    BUFFER,
    CASES,
    WITH_EXPERT,
    Learnt,
    digests,
    fall,
    learn,
    params_of,
    real_rows,
    training_set,
)

TERMS = "loss|penalty|(ce|kl|mse)_(qa|gen)(_memory)?"
"""Columns of a log that are terms of a loss."""


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_what_it_declares(method: str) -> None:
    declared, made = METHODS[method], params_of(method).chosen
    assert declared.name == method and type(made) is declared
    assert isinstance(made.params, declared.Params)
    origins = {origin for _, term in made.loss.parts for origin in term.origins}
    assert declared.rehearses == ("pseudo" in origins), "what is drawn is trained on"
    assert declared.keeps_real_rows == ("memory" in origins), "what is recalled is trained on"
    keys = made.params.model_dump(by_alias=True).keys()
    assert made.effective_params(False).keys() <= made.effective_params(True).keys() == keys


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_writes_for_others_fits_where_it_goes(method: str) -> None:
    declared = METHODS[method]
    assert declared.privacy
    Params.model_validate({"tasks": {}, "method": method, **declared.presets})


@pytest.mark.slow
@pytest.mark.parametrize("method", CASES)
def test_a_method_learns_task_after_task_and_leaves_the_same_bytes_twice(
    method: str, learnt: Learnt, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    once, students = learnt(method)
    for place, trained in enumerate(students):
        losses = [row["loss"] for row in trained.log_rows]
        assert all(torch.isfinite(torch.tensor(losses)))
        named = {key for key, value in trained.log_rows[-1].items() if value is not None}
        assert {"loss", "grad_norm"} <= named
        drawn = set(trained.log_rows[-1]) - set(NOT_TERMS)
        assert all(re.fullmatch(TERMS, name) for name in drawn), "charts draw terms of the loss"
        learn(tmp_path, place, params_of(method), tiny_checkpoint)
    assert digests(once) == digests(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS, "lamol_kd+lora", "ewc+lora"])
def test_a_training_that_was_cut_off_ends_in_the_same_bytes(
    method: str,
    learnt: Learnt,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params, (whole, _) = params_of(method), learnt(method)
    shutil.copytree(whole / "a", tmp_path / "a")

    monkeypatch.setattr(resume, "EVERY_S", 0.0)
    expert_steps = 4 if method.partition("+")[0] in WITH_EXPERT else 0
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, 1, params, tiny_checkpoint, stop_at=expert_steps + 3, stop=fall)
    assert len(list((tmp_path / "resume").iterdir())) == 1
    started: list[int] = []
    original = Trainer._accumulate

    def accumulate(self, model, optimizer, batch, step):  # type: ignore[no-untyped-def]
        started.append(step)
        return original(self, model, optimizer, batch, step)

    monkeypatch.setattr(Trainer, "_accumulate", accumulate)
    student = learn(tmp_path, 1, params, tiny_checkpoint)
    assert started[0] == 3, "the steps that were saved are not done again, an expert's neither"
    assert student.seconds_before >= sum(r["seconds"] for r in student.log_rows[:3]) > 0
    of_two = {name: one for name, one in digests(whole).items() if name[:2] != "c/"}
    assert digests(tmp_path) == of_two


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_state_says_what_real_rows_it_keeps(method: str, learnt: Learnt) -> None:
    folder, _ = learnt(method)
    state = folder / "b" / "state"
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


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_first_task_needs_no_state(method: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """What `lamol backbone` leaves is an empty state, for every method."""
    write_folder(tmp_path / "base", STATE.kind)
    params = params_of(method)
    rows = training_set(0, params, load_codec(tiny_checkpoint))
    checkpoints = Checkpoints(
        tiny_checkpoint, tmp_path / "states", tmp_path / "base", backbone=tiny_checkpoint
    )
    trained = train_from_checkpoint(checkpoints, rows, params.chosen, params.train, 0)
    assert len(trained.log_rows) == 4
    if METHODS[method].keeps_real_rows:
        assert trained.log_rows[0]["loss"] > 0
        write_folder(tmp_path / "after", STATE.kind, write=trained.memory.write)
        assert len(read_rows(tmp_path / "after" / "memory.parquet", MEMORY_SCHEMA, "")) == BUFFER
    for _, term in params.chosen.loss.parts:
        if term.origins == ("memory",):  # which fills up while the first task is learnt
            losses = [row[term.name] for row in trained.log_rows]
            assert losses[0] == 0 and losses[-1] > 0
