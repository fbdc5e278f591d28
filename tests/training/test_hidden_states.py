"""States at tokens are the model's own: packed or padded, compiled or not, head or no head."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from lamol_core.models import attention as attention_module
from lamol_core.models import packing as pack_module
from lamol_core.models.attention import PACKED, packed_attention
from lamol_core.models.packing import Distinct, Pack
from lamol_core.records import View
from lamol_core.text.encoded import EncodedView
from lamol_core.training.batches import MicroBatch, micro_batches
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
BEGINNINGS = {"qa": (5, 6, 7, 8, 9, 10, 11, 12), "gen": (5, 6, 7, 8, 13, 14, 15, 16)}
ALIKE = MicroBatch.of([
    EncodedView(one.row_id, one.origin, one.view, (*BEGINNINGS[one.view], *one.ids), ())
    for one in MICRO.members
])  # fmt: skip
"""Rows that begin alike, those of one view longer than those of both."""
MICROS = pytest.mark.parametrize("micro", [MICRO, ALIKE], ids=["all other", "alike"])


def expected_states(model: PreTrainedModel, micro: MicroBatch, has_head: bool) -> torch.Tensor:
    """Each sequence alone: hidden states, or logits where the head is no matrix."""
    states = []
    with torch.no_grad():
        for ids in micro.ids.split(micro.lengths):
            if has_head:
                states.append(model.base_model(input_ids=ids[None])[0][0])
            else:
                states.append(model(input_ids=ids[None]).logits[0])
    return torch.cat(states)


@MICROS
@pytest.mark.parametrize("attention", [PACKED, "eager", "sdpa"])
@pytest.mark.parametrize("architecture", [*GROUPED_ARCHITECTURES, *OTHER_ARCHITECTURES])
def test_states_are_those_of_each_row_alone(
    architecture: str, attention: str, micro: MicroBatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = sharpen((GROUPED_ARCHITECTURES | OTHER_ARCHITECTURES)[architecture]())
    before = model.config._attn_implementation
    at = torch.tensor([0, 7, 3, len(micro.ids) - 1])
    with as_body(model, attention) as body, torch.no_grad():
        states = body(micro, at)
        has_head = body.head is not None
        if body.head is not None:
            logits = body.head.logits(states)
    assert has_head == (architecture != "gemma2"), "its logits are capped"
    expected = expected_states(model, micro, has_head)[at]
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-4)
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


def test_tokens_that_rows_begin_with_alike_are_computed_once() -> None:
    rows = [(1,), (1, 2), (1, 3, 4), (1, 3, 4), (5, 3, 4), (1, 3, 4, 6)]
    distinct = Distinct.find(rows)
    assert distinct is not None
    computed = torch.tensor([i for row in rows for i in row])[distinct.place]
    assert sorted(computed.tolist()) == [1, 2, 3, 3, 4, 4, 5, 6]
    assert torch.equal(computed[distinct.index], torch.tensor([i for row in rows for i in row]))
    pasts = [row[: i + 1] for row in rows for i in range(len(row))]
    told = {past: int(one) for past, one in zip(pasts, distinct.index, strict=True)}
    assert [told[past] for past in pasts] == distinct.index.tolist()
    assert len(set(told.values())) == len(told) == 8
    assert Distinct.find([(1, 2), (1, 3), (4, 5)]) is None, "one of six is not worth it"
    assert Distinct.find([m.ids for m in MICRO.members]) is None
    saved = Distinct.find([m.ids for m in ALIKE.members])
    assert saved is not None and len(saved.index) - len(saved.place) >= 8 * (len(ALIKE.members) - 2)


@MICROS
@pytest.mark.parametrize("short", [attention_module.SHORT, 3], ids=["matrices", "torch's own"])
@pytest.mark.parametrize("in_cache", [pack_module.IN_CACHE, 100], ids=["whole", "cut"])
def test_the_gradient_of_packed_rows_is_that_of_padded_ones(
    short: int, in_cache: int, micro: MicroBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_module, "SHORT", short)
    monkeypatch.setattr(pack_module, "IN_CACHE", in_cache)
    gradients = []
    for attention in (PACKED, "eager"):
        model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"]())
        with as_body(model, attention) as body:
            gradients.append(gradients_of(model, body(micro, torch.arange(len(micro.ids)))))
    assert_close(*gradients)


@pytest.mark.parametrize("short", [attention_module.SHORT, 2], ids=["matrices", "torch's own"])
def test_gradients_of_shared_tokens_are_summed_precisely(
    short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_module, "SHORT", short)
    rows = [(1, 2, 3 + i) for i in range(500)]
    distinct = Distinct.find(rows)
    assert distinct is not None
    pack, noise = Pack.of([3] * len(rows), distinct), torch.Generator().manual_seed(0)
    states = torch.randn(3, 1, 2, len(distinct.place), 8, generator=noise)
    weights = torch.randn(len(distinct.place), 2, 8, generator=noise)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        query, key, value = (one.to(dtype).requires_grad_() for one in states)
        mixed, _ = packed_attention(torch.nn.Module(), query, key, value, None, pack)
        (mixed[0] * weights.to(dtype)).sum().backward()
        assert value.grad is not None
        gradients.append(value.grad[0, :, :2].float())  # of the two tokens of all rows
    exact, found = gradients
    assert (found - exact).norm() < 0.01 * exact.norm()


def gradients_of(model: PreTrainedModel, states: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of a sum in which every state has weights of its own: that of squares is the same, nearly,
    whatever the states are, after the last norm."""
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
    (states * weights).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 1e-5 * gradient.norm() + 1e-6, name


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
@pytest.mark.long
def test_compiled_blocks_give_the_same_gradient() -> None:
    results = []
    for compiled in (False, True):
        model = sharpen(GROUPED_ARCHITECTURES["grouped_llama"]())
        with as_body(model, PACKED, compiled) as body:
            assert all(hasattr(block, "_compiled_call_impl") for block in model.model.layers)
            states = body(ALIKE, torch.arange(len(ALIKE.ids)))
            results.append((states.detach(), gradients_of(model, states)))
    (plain, plain_gradients), (fast, fast_gradients) = results
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    assert_close(fast_gradients, plain_gradients)
