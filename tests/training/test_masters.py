"""fp32 masters of bf16 weights."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from lamol_core.config import LamolKdParams, TrainParams
from lamol_core.methods.lamol_kd import LamolKd
from lamol_core.training.loop import Trainer
from lamol_core.training.masters import MasterWeights
from tests.fakes import CONTROL, make_rows, tiny_llama


def bf16_weights() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 7).bfloat16()


def test_an_update_too_small_for_bf16_is_not_lost() -> None:
    layer = bf16_weights()
    before = copy.deepcopy(layer.weight)
    weights = MasterWeights(layer.parameters())
    optimizer = torch.optim.SGD(weights.masters, lr=1e-4)
    for _ in range(300):
        layer(torch.ones(1, 5, dtype=torch.bfloat16)).sum().backward()
        weights.collect_gradients()
        optimizer.step()
        weights.write_back()
        optimizer.zero_grad()
    moved = (before - layer.weight).float()
    assert moved.mean().item() == pytest.approx(0.03, rel=0.03)


def test_gradients_of_parts_are_added_in_fp32_and_cleared() -> None:
    layer = bf16_weights()
    weights = MasterWeights(layer.parameters())
    for part in (1.0, 2.0**-12):
        layer(torch.full((1, 5), part, dtype=torch.bfloat16)).sum().backward()
        weights.collect_gradients()
        assert layer.weight.grad is None
    assert weights.masters[0].grad is not None
    assert torch.equal(weights.masters[0].grad, torch.full((7, 5), 1 + 2.0**-12))


def test_an_fp32_weight_is_its_own_master() -> None:
    layer = nn.Linear(5, 7)
    weights = MasterWeights(layer.parameters())
    assert all(a is b for a, b in zip(weights.masters, layer.parameters(), strict=True))
    layer(torch.ones(1, 5)).sum().backward()
    weights.collect_gradients()
    assert torch.equal(layer.bias.grad, torch.ones(7))


def test_a_bf16_student_is_trained_like_one_of_fp32(accelerator: Accelerator) -> None:
    """Within what rounding explains: the weights move the same way, by about as much."""
    rows = make_rows(8, 4)
    params = TrainParams(steps=4, batch_size=6, micro_batch_tokens=64, learning_rate=1e-3)
    moves = {}
    for dtype in (torch.float32, torch.bfloat16):
        teacher = tiny_llama().to(dtype)
        student = copy.deepcopy(teacher)
        Trainer(accelerator, student, teacher, LamolKd(LamolKdParams()), CONTROL, params).train(
            rows, seed=0
        )
        assert all(weight.dtype == dtype for weight in student.parameters())
        moves[dtype] = torch.cat([
            (after - before).float().flatten()
            for after, before in zip(student.parameters(), tiny_llama().parameters(), strict=True)
        ])  # fmt: skip
    same_way = torch.cosine_similarity(moves[torch.float32], moves[torch.bfloat16], dim=0)
    assert same_way > 0.9
