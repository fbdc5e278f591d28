"""The loop against plain arithmetic: one loss however it is cut, one result for one seed."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from lamol_core.config.section import Section
from lamol_core.errors import ConfigError, DivergedError
from lamol_core.methods.finetune import Finetune
from lamol_core.methods.lamol import Lamol, LamolParams
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.methods.memory import LogitsOf, Memory
from lamol_core.methods.spec import Method
from lamol_core.methods.terms import Loss, ce
from lamol_core.models.attention import PACKED
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.batches import count_supervised, micro_batches
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of
from lamol_core.training.optimizer import MasterAdamW
from lamol_core.training.params import TrainParams
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.trainer import LogRow, Trainer
from tests.fakes import (
    CONTROL,
    GROUPED_ARCHITECTURES,
    OTHER_ARCHITECTURES,
    make_rows,
    sharpen,
    tiny_llama,
)
from tests.messages import names, naming
from tests.training.naive import naive_lamol_kd

ROWS = make_rows(7, 4)
ONE_STEP = {"steps": 1, "batch_size": 32, "warmup_fraction": 0.0}
KD = LamolKd(LamolKdParams())


def pair(architecture: str = "llama") -> tuple[PreTrainedModel, PreTrainedModel]:
    """A student and a teacher of other weights."""
    build = (GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[architecture]
    return sharpen(build(), 0, 0.2), sharpen(build(), 1, 0.2)


def train(
    accelerator: Accelerator,
    student: PreTrainedModel,
    teacher: PreTrainedModel | None,
    rows: Sequence[EncodedRow] = ROWS,
    method: Method = KD,
    seed: int = 0,
    on_step: Callable[[LogRow, int], None] = lambda row, num_steps: None,
    memory: Memory | None = None,
    **params: object,
) -> list[LogRow]:
    checked = TrainParams.model_validate({**ONE_STEP, **params})
    with ExitStack() as stack:
        taught = stack.enter_context(as_body(teacher)) if teacher is not None else None
        body = stack.enter_context(as_body(student))
        asked = OnlineTeacher(taught) if taught is not None else None
        kept = memory or Memory()
        trainer = Trainer(accelerator, body, asked, method.loss, CONTROL, checked, kept)
        return trainer.train(rows, seed, on_step)


def weights(model: PreTrainedModel) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def gradient(
    method: Method,
    max_tokens: int,
    architecture: str = "llama",
    world: int = 1,
    attention: str = PACKED,
) -> tuple[float, torch.Tensor]:
    """Loss and gradient of the batch, added up over micro-batches (and simulated processes)."""
    student, teacher = pair(architecture)
    loss, total = method.loss, 0.0
    denominators = count_supervised(ROWS, loss.views, CONTROL)
    with as_body(student, attention) as body, as_body(teacher, attention) as taught:
        teachers = {"kl": OnlineTeacher(taught)}
        for rank in range(world):
            for micro in micro_batches(ROWS, loss.views, CONTROL, max_tokens, rank, world):
                part = losses_of(micro, loss, denominators, body, body.head, teachers).total
                part.backward()
                total += part.item()
    grads = [p.grad.flatten() for p in student.parameters() if p.grad is not None]
    return total, torch.cat(grads)


@pytest.mark.parametrize(
    "method",
    [KD, LamolKd(LamolKdParams(alignment="reference")), Lamol(LamolParams())],
    ids=["next_token", "reference", "lamol"],
)
@pytest.mark.parametrize(("max_tokens", "world"), [(64, 1), (1, 1), (64, 3)])
def test_loss_and_gradient_do_not_depend_on_how_the_batch_is_cut(
    method: Method, max_tokens: int, world: int
) -> None:
    loss, grad = gradient(method, 10**9)
    other_loss, other_grad = gradient(method, max_tokens, world=world)
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert (other_grad - grad).norm() < 1e-5 * grad.norm()


@pytest.mark.parametrize("attention", [PACKED, "eager"])
@pytest.mark.parametrize("architecture", [*GROUPED_ARCHITECTURES, *OTHER_ARCHITECTURES])
def test_loss_and_gradient_are_the_naive_ones(architecture: str, attention: str) -> None:
    """Packed or padded; a model that cannot be packed, or whose head is no matrix, all the same."""
    loss, grad = gradient(KD, 64, architecture, attention=attention)
    student, teacher = pair(architecture)
    expected = naive_lamol_kd(student, teacher, ROWS)
    expected.backward()
    naive = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert (grad - naive).norm() < 1e-4 * naive.norm()


def test_the_logged_loss_and_norm_do_not_depend_on_micro_batches(accelerator: Accelerator) -> None:
    logged = []
    for max_tokens in (10**9, 64, 1):
        student, teacher = pair()
        (row,) = train(accelerator, student, teacher, micro_batch_tokens=max_tokens)
        logged.append([row[name] for name in ("loss", "grad_norm", "ce_qa", "kl_qa", "kl_gen")])
    assert logged[1] == pytest.approx(logged[0], rel=1e-5)
    assert logged[2] == pytest.approx(logged[0], rel=1e-5)


def test_one_step_is_adamw_on_the_clipped_naive_gradient(accelerator: Accelerator) -> None:
    student, teacher = pair()
    naive = copy.deepcopy(student)
    (row,) = train(
        accelerator, student, teacher, micro_batch_tokens=64, learning_rate=1e-3, weight_decay=0.1
    )
    loss = naive_lamol_kd(naive, teacher, ROWS)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(naive.parameters(), 1.0)
    decayed = [p for p in naive.parameters() if p.ndim > 1]
    plain = [p for p in naive.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=1e-3).step()
    assert norm > 1.0, "the case should be one in which the gradient is clipped"
    assert row["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert row["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    close = [
        torch.isclose(a, b, rtol=1e-5, atol=1e-6).float().mean().item()
        for a, b in zip(student.parameters(), naive.parameters(), strict=True)
    ]
    # Adam's first step is the sign of the gradient: a number of almost 0 may take the other one
    assert min(close) > 0.99


@pytest.mark.parametrize("max_grad_norm", [0.5, 1e9])
def test_a_gradient_is_scaled_down_to_its_largest_norm_and_never_up(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch, max_grad_norm: float
) -> None:
    """Adam's first step is the same whatever the gradient's scale: the factor is what tells."""
    factors: list[float] = []
    original = MasterAdamW.step

    def step(self: MasterAdamW, learning_rate: float, factor: float = 1.0) -> None:
        factors.append(factor)
        original(self, learning_rate, factor)

    monkeypatch.setattr(MasterAdamW, "step", step)
    student, teacher = pair()
    (row,) = train(accelerator, student, teacher, max_grad_norm=max_grad_norm)
    scaled = max_grad_norm / (row["grad_norm"] + 1e-6)
    assert (scaled < 1) == (max_grad_norm == 0.5)
    assert factors == [pytest.approx(min(scaled, 1.0))]


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
    rows = [EncodedRow(f"r{i}", "new", (10 + i, 20), (30 + i,), 4) for i in range(4)]
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
    tokens = [sum(len(v.ids) for r in c for v in r.views(KD.loss.views, CONTROL)) for c in chosen]
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
