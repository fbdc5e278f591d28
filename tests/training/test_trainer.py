"""The loop: one result for one seed, a log of every step, an end where a loss is not finite."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from lamol_core.config.section import Section
from lamol_core.errors import ConfigError, DivergedError
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.lamol import Lamol, LamolParams
from lamol_core.methods.memory import LogitsOf, Memory
from lamol_core.methods.terms import Loss, ce
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.optimizer import MasterAdamW
from tests.fakes import CONTROL, TEMPLATE, sharpen, tiny_llama
from tests.messages import names, naming
from tests.training.steps import KD, ROWS, pair, train, weights


def test_a_memory_sees_a_step_before_the_weights_change(accelerator: Accelerator) -> None:
    seen: list[bytes] = []

    class Watching(Memory):
        def observe(self, rows: Sequence[EncodedRow], logits_of: LogitsOf) -> None:
            seen.append(weights(student))

    student, _ = pair()
    before = weights(student)
    train(accelerator, student, None, ROWS, Finetune(Section()), memory=Watching())
    assert seen == [before] and weights(student) != before


def test_same_seed_same_bytes(accelerator: Accelerator) -> None:
    results = []
    for seed in (0, 0, 1):
        student, teacher = pair()
        log = train(
            accelerator, student, teacher, seed=seed, steps=None, epochs=3, batch_size=4,
            learning_rate=1e-3,
        )  # fmt: skip
        results.append((weights(student), [row["loss"] for row in log]))
    assert results[0] == results[1]
    assert results[0][0] != results[2][0]


def test_dropout_is_on_in_training_and_seeded(accelerator: Accelerator) -> None:
    def losses(dropout: float, seed: int) -> list[float]:
        student = sharpen(tiny_llama(attention_dropout=dropout), 0, 0.3)
        torch.manual_seed(99 + seed)
        return [r["loss"] for r in train(accelerator, student, None, ROWS, Lamol(LamolParams()),
                                         seed=7)]  # fmt: skip

    assert losses(0.5, 0) == losses(0.5, 1) != losses(0.0, 0)


def test_the_teacher_stays_as_it_was(accelerator: Accelerator) -> None:
    student, teacher = pair()
    teacher.train()
    before, student_before = weights(teacher), weights(student)
    train(accelerator, student, teacher, steps=3)
    assert weights(teacher) == before and weights(student) != student_before
    assert not teacher.training
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


def test_a_student_equal_to_its_teacher_starts_without_divergence(accelerator: Accelerator) -> None:
    student, _ = pair()
    (row,) = train(accelerator, student, copy.deepcopy(student))
    assert abs(row["kl_qa"]) < 1e-5 and abs(row["kl_gen"]) < 1e-5
    assert row["loss"] == pytest.approx(row["ce_qa"] + 0.25 * row["ce_gen"], abs=1e-5)


def test_training_learns_a_tiny_task(accelerator: Accelerator) -> None:
    rows = [TEMPLATE.row(f"r{i}", "new", "a", (10 + i, 20), (30 + i,)) for i in range(4)]
    student = tiny_llama()
    log = train(accelerator, student, None, rows, steps=60, learning_rate=2e-2, warmup_fraction=0.1)
    assert log[0]["loss"] > 3.5 and log[-1]["ce_qa"] < 0.3
    prompts = torch.tensor([[10 + i, 20, CONTROL.ans] for i in range(4)])
    with torch.no_grad():
        answers = student.eval()(input_ids=prompts).logits[:, -1].argmax(dim=-1)
    assert answers.tolist() == [30, 31, 32, 33]


def test_the_log_tells_every_step(accelerator: Accelerator) -> None:
    student, teacher = pair()
    told: list[tuple[int, int]] = []
    log = train(
        accelerator, student, teacher, on_step=lambda row, steps: told.append((row["step"], steps)),
        steps=4, batch_size=4, learning_rate=1e-3, warmup_fraction=0.5,
    )  # fmt: skip
    assert told == [(step, 4) for step in range(4)]
    # two steps of warm-up from 0, then down to 0 in a line
    assert [row["learning_rate"] for row in log] == pytest.approx([0, 5e-4, 1e-3, 5e-4])
    chosen = [ROWS[0:4], ROWS[4:8], ROWS[8:11]]
    tokens = [sum(len(v.ids) for r in c for v in r.views(KD.loss.views)) for c in chosen]
    assert [row["tokens"] for row in log[:3]] == tokens
    for row in log:
        new, old = row["ce_qa"] + 0.25 * row["ce_gen"], row["kl_qa"] + 0.25 * row["kl_gen"]
        assert row["loss"] == pytest.approx(new + old, rel=1e-5)


def test_a_training_that_is_all_warm_up_still_learns(accelerator: Accelerator) -> None:
    student, _ = pair()
    before = weights(student)
    (row,) = train(
        accelerator, student, None, method=Finetune(Section()), warmup_fraction=1.0,
        learning_rate=1e-2,
    )  # fmt: skip
    assert row["learning_rate"] == 1e-2 and weights(student) != before


def test_moments_are_gone_when_a_memory_looks_back(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are twice the model, and EWC's Fisher information needs as much again."""
    made: list[weakref.ref[MasterAdamW]] = []
    seen: list[bool] = []

    def make(*given: Any) -> MasterAdamW:
        optimizer = MasterAdamW(*given)
        made.append(weakref.ref(optimizer))
        return optimizer

    class Looking(Memory):
        def finish(self, *_: object) -> None:
            gc.collect()
            seen.append(made[0]() is None)

    monkeypatch.setattr("lamol_core.training.trainer.MasterAdamW", make)
    student, _ = pair()
    train(accelerator, student, None, method=Finetune(Section()), memory=Looking())
    assert seen == [True]


def test_a_method_without_a_term_leaves_its_column_empty(accelerator: Accelerator) -> None:
    student, _ = pair()
    (row,) = train(accelerator, student, None, ROWS, Lamol(LamolParams()))
    assert row["kl_qa"] is None and row["kl_gen"] is None and row["ce_gen"] > 0


def test_a_term_that_no_method_had_gets_its_column(accelerator: Accelerator) -> None:
    class Recalling(Finetune):
        @property
        def loss(self) -> Loss:
            return ce("qa", "new") + ce("gen", "memory")

    student, _ = pair()
    rows = [*ROWS, replace(ROWS[0], row_id="kept", origin="memory")]
    (row,) = train(accelerator, student, None, rows, Recalling(Section()))
    assert row["ce_gen_memory"] > 0
    assert row["loss"] == pytest.approx(row["ce_qa"] + row["ce_gen_memory"], rel=1e-5)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_step_and_rows(
    accelerator: Accelerator, poison: float
) -> None:
    student, teacher = pair()
    with torch.no_grad():
        student.get_input_embeddings().weight[CONTROL.ans, 0] = poison
    with pytest.raises(DivergedError, match=naming("nan", 0)) as caught:
        train(accelerator, student, teacher, ROWS[:3], batch_size=2, steps=2)
    assert names(caught.value, ROWS[0].row_id, ROWS[1].row_id)
    assert not names(caught.value, ROWS[2].row_id)
    assert caught.value.exit_code == 5


def test_a_gradient_that_is_not_finite_stops_too(accelerator: Accelerator) -> None:
    student, _ = pair()
    student.get_input_embeddings().weight.register_hook(lambda grad: grad * float("nan"))
    before = weights(student)
    with pytest.raises(DivergedError, match=naming("nan", 0)):
        train(accelerator, student, None, ROWS, Lamol(LamolParams()))
    assert weights(student) == before


def test_no_rows(accelerator: Accelerator) -> None:
    with pytest.raises(ConfigError):
        train(accelerator, tiny_llama(), None, [])
