"""AdamW on fp32 masters: torch's own numbers, and nothing of a master is lost."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lamol_core.methods.lamol_kd import LamolKd, LamolKdParams
from lamol_core.training import optimizer
from lamol_core.training.hidden_states import as_body
from lamol_core.training.optimizer import MasterAdamW, round_masters, to_masters
from lamol_core.training.params import TrainParams
from lamol_core.training.teacher.online import OnlineTeacher
from lamol_core.training.trainer import Trainer
from tests.fakes import make_rows, tiny_llama


def layer(dtype: torch.dtype) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 7).to(dtype)


def set_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.dtype)


@given(st.lists(st.floats(width=32, allow_nan=False, max_value=2.0**126, min_value=-(2.0**126))))
def test_a_master_is_its_weight_and_the_rest(values: list[float]) -> None:
    master = torch.tensor(values, dtype=torch.float32)
    weight = torch.empty(len(values), dtype=torch.bfloat16)
    rest = torch.empty(len(values), dtype=torch.int16)
    round_masters(master.clone(), weight, rest)
    assert torch.equal(to_masters(weight, rest).view(torch.int32), master.view(torch.int32))
    nearest = master.bfloat16()
    # halfway between two it rounds away from zero, torch to the even one: the same distance
    off = (weight.double() - master.double()).abs()
    assert torch.equal(off, (nearest.double() - master.double()).abs())


@pytest.mark.parametrize("piece", [2**20, 8])
def test_in_fp32_it_is_torchs_adamw(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "PIECE", piece)
    mine, theirs = layer(torch.float32), layer(torch.float32)
    ours = MasterAdamW(mine.parameters(), weight_decay=0.1)
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.1},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=1e-2)
    for step in range(4):
        for model in (mine, theirs):
            set_gradients(model, step)
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        assert float(ours.gradient_norm()) == pytest.approx(float(norm), rel=1e-6)
        ours.step(1e-2, 1.0 / (float(norm) + 1e-6))
        reference.step()
        assert all(weight.grad is None for weight in mine.parameters())
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_bf16_weights_are_stepped_like_their_fp32_masters() -> None:
    rounded = layer(torch.bfloat16)
    exact = copy.deepcopy(rounded).float()
    ours, reference = (MasterAdamW(m.parameters(), 0.1) for m in (rounded, exact))
    for step in range(5):
        set_gradients(rounded, step)
        for a, b in zip(rounded.parameters(), exact.parameters(), strict=True):
            b.grad = a.grad.float()  # type: ignore[union-attr]
        ours.step(1e-4)
        reference.step(1e-4)
    for a, b, rest in zip(rounded.parameters(), exact.parameters(), ours._rests, strict=True):
        assert rest is not None
        assert torch.equal(to_masters(a.detach().view(-1), rest), b.detach().view(-1))


def test_an_update_too_small_for_bf16_is_not_lost() -> None:
    model = layer(torch.bfloat16)
    before = copy.deepcopy(model.weight)
    ours = MasterAdamW(model.parameters(), weight_decay=0.0)
    for _ in range(300):
        model(torch.ones(1, 5, dtype=torch.bfloat16)).sum().backward()
        ours.step(1e-4)
    assert (before - model.weight).float().mean().item() == pytest.approx(0.03, rel=0.03)


def test_an_optimizer_that_takes_up_a_state_steps_as_the_other_one() -> None:
    model = layer(torch.bfloat16)
    ours = MasterAdamW(model.parameters(), 0.1)
    set_gradients(model, 0)
    ours.step(1e-4)
    other_model = copy.deepcopy(model)
    other = MasterAdamW(other_model.parameters(), 0.1)
    for name, tensor in other.state().items():
        tensor.copy_(ours.state()[name])
    for stepped, by in ((model, ours), (other_model, other)):
        set_gradients(stepped, 1)
        by.step(1e-4)
    state, other_state = ours.state(), other.state()
    assert state.keys() == other_state.keys() >= {"0.rest", "1.rest"}
    assert all(torch.equal(other_state[name], tensor) for name, tensor in state.items())
    assert torch.equal(other_model.weight, model.weight)


def test_gradients_of_parts_are_added_in_fp32_and_cleared() -> None:
    model = layer(torch.bfloat16)
    ours = MasterAdamW(model.parameters(), weight_decay=0.0)
    for part in (1.0, 2.0**-12):
        model(torch.full((1, 5), part, dtype=torch.bfloat16)).sum().backward()
        ours.collect_gradients()
        assert model.weight.grad is None
    weights, biases = ours._gradients()
    assert torch.equal(weights, torch.full((7, 5), 1 + 2.0**-12))  # type: ignore[arg-type]
    assert torch.equal(biases, torch.full((7,), 2.0))  # type: ignore[arg-type]


def test_fp32_gradients_stay_where_autograd_adds_them_up() -> None:
    model = layer(torch.float32)
    ours = MasterAdamW(model.parameters(), weight_decay=0.0)
    for _ in range(2):
        model(torch.ones(1, 5)).sum().backward()
        ours.collect_gradients()
    assert torch.equal(model.bias.grad, torch.full((7,), 2.0))


def test_a_frozen_weight_is_left_alone() -> None:
    model = layer(torch.float32)
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    ours = MasterAdamW(model.parameters(), weight_decay=0.5)
    model(torch.ones(1, 5)).sum().backward()
    ours.step(1e-2)
    assert torch.equal(model.bias, before)


def test_a_bf16_student_is_trained_like_one_of_fp32(accelerator: Accelerator) -> None:
    """Within what rounding explains: the weights move the same way, by about as much."""
    rows = make_rows(8, 4)
    params = TrainParams(steps=4, batch_size=6, micro_batch_tokens=64, learning_rate=1e-3)
    moves = {}
    for dtype in (torch.float32, torch.bfloat16):
        teacher = tiny_llama().to(dtype)
        student = copy.deepcopy(teacher)
        with as_body(student) as body, as_body(teacher) as taught:
            loss = LamolKd(LamolKdParams()).loss
            Trainer(accelerator, body, OnlineTeacher(taught), loss, params).train(rows, 0)
        assert all(weight.dtype == dtype for weight in student.parameters())
        moves[dtype] = torch.cat([
            (after - before).float().flatten()
            for after, before in zip(student.parameters(), tiny_llama().parameters(), strict=True)
        ])  # fmt: skip
    same_way = torch.cosine_similarity(moves[torch.float32], moves[torch.bfloat16], dim=0)
    assert same_way > 0.9
