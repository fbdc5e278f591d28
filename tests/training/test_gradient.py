"""Loss, gradient and step against plain arithmetic, however a batch is cut."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import Accelerator

from lamol_core.methods.lamol import Lamol, LamolParams
from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.methods.spec import Method
from lamol_core.models.attention import PACKED
from lamol_core.training.batches import count_supervised, micro_batches
from lamol_core.training.hidden_states import as_body
from lamol_core.training.objective import losses_of
from lamol_core.training.optimizer import MasterAdamW
from lamol_core.training.teacher.online import OnlineTeacher
from tests.fakes import GROUPED_ARCHITECTURES, OTHER_ARCHITECTURES
from tests.training.naive import naive_lamol_kd
from tests.training.steps import KD, ROWS, pair, train


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
    denominators = count_supervised(ROWS, loss.views)
    with as_body(student, attention) as body, as_body(teacher, attention) as taught:
        teachers = {"kl": OnlineTeacher(taught)}
        for rank in range(world):
            for micro in micro_batches(ROWS, loss.views, max_tokens, rank, world):
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


@pytest.mark.slow
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
