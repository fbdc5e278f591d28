"""States at tokens are the model's own: packed or padded, compiled or not, head or no head."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.models import attention as attention_module
from lamol_core.models import packing as pack_module
from lamol_core.models.attention import PACKED
from lamol_core.models.packing import Pack
from lamol_core.records import View
from lamol_core.training.batches import micro_batches
from lamol_core.training.hidden_states import as_body
from tests.fakes import (
    ARCHITECTURES,
    GROUPED_ARCHITECTURES,
    OTHER_ARCHITECTURES,
    make_rows,
    sharpen,
)
from tests.messages import names

BOTH: tuple[View, ...] = ("qa", "gen")
(MICRO,) = micro_batches(make_rows(7, 4), BOTH, 10**9)


def expected_states(model: PreTrainedModel, has_head: bool) -> torch.Tensor:
    """Each sequence alone: hidden states, or logits where the head is no matrix."""
    states = []
    with torch.no_grad():
        for ids in MICRO.ids.split(MICRO.lengths):
            if has_head:
                states.append(model.base_model(input_ids=ids[None])[0][0])
            else:
                states.append(model(input_ids=ids[None]).logits[0])
    return torch.cat(states)


@pytest.mark.parametrize("attention", [PACKED, "eager", "sdpa"])
@pytest.mark.parametrize("architecture", [*GROUPED_ARCHITECTURES, *OTHER_ARCHITECTURES])
def test_states_are_those_of_each_row_alone(
    architecture: str, attention: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = sharpen((GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[architecture]())
    before = model.config._attn_implementation
    at = torch.tensor([0, 7, 3, len(MICRO.ids) - 1])
    with as_body(model, attention) as body, torch.no_grad():
        states = body(MICRO, at)
        has_head = body.head is not None
        if body.head is not None:
            logits = body.head.logits(states)
    assert has_head == (architecture != "gemma2"), "its logits are capped"
    torch.testing.assert_close(states, expected_states(model, has_head)[at], rtol=1e-4, atol=1e-4)
    if has_head:
        with torch.no_grad():
            own = model.get_output_embeddings()(states)
        torch.testing.assert_close(logits, own)
    assert model.config._attn_implementation == before
    warned = any(names(message, type(model).__name__) for message in caplog.messages)
    assert warned == (attention == PACKED and architecture in OTHER_ARCHITECTURES)


@pytest.mark.parametrize("training", [True, False])
def test_trying_a_model_leaves_its_mode_alone(training: bool) -> None:
    model = ARCHITECTURES["llama"]().train(training)
    with as_body(model):
        assert model.training is training


def test_a_pack_knows_where_every_token_stands() -> None:
    lengths = [1, 2, 2, 3, 7, 8, 30]
    pack = Pack.of(lengths)
    tokens = torch.arange(sum(lengths))
    assert torch.equal(tokens[pack.out][pack.back], tokens)
    shapes = [(block.num_sequences, len(block.mask)) for block in pack.blocks]
    assert len(pack.out) == sum(number * longest for number, longest in shapes)
    assert shapes == [(3, 2), (1, 3), (2, 8), (1, 30)]


@pytest.mark.parametrize("short", [attention_module.SHORT, 3], ids=["matrices", "torch's own"])
@pytest.mark.parametrize("in_cache", [pack_module.IN_CACHE, 100], ids=["whole", "cut"])
def test_the_gradient_of_packed_rows_is_that_of_padded_ones(
    short: int, in_cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_module, "SHORT", short)
    monkeypatch.setattr(pack_module, "IN_CACHE", in_cache)
    gradients = []
    for attention in (PACKED, "eager"):
        model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"]())
        with as_body(model, attention) as body:
            body(MICRO, torch.arange(len(MICRO.ids))).square().sum().backward()
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        gradients.append(torch.cat(grads))
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[1].norm()


def test_attention_dropout_drops_while_training_alone() -> None:
    model = GROUPED_ARCHITECTURES["grouped_llama"]()
    for block in model.model.layers:
        block.self_attn.attention_dropout = 0.5
    at = torch.arange(len(MICRO.ids))
    with as_body(model, PACKED) as body, torch.no_grad():
        assert torch.equal(body(MICRO, at), body(MICRO, at))
        model.train()
        assert not torch.equal(body(MICRO, at), body(MICRO, at))


@pytest.mark.slow
def test_compiled_blocks_give_the_same_gradient() -> None:
    results = []
    for compiled in (False, True):
        model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"]())
        with as_body(model, PACKED, compiled) as body:
            assert all(hasattr(block, "_compiled_call_impl") for block in model.model.layers)
            states = body(MICRO, torch.arange(len(MICRO.ids)))
            states.square().sum().backward()
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        results.append((states.detach(), torch.cat(grads)))
    (plain, plain_gradient), (fast, fast_gradient) = results
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    assert (fast_gradient - plain_gradient).norm() < 1e-5 * plain_gradient.norm()
