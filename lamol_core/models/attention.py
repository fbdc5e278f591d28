"""Attention for short rows, in two forms that transformers calls like its own.

Packed: the tokens of all sequences stand one after the other in a single row, no padding between
them, so that everything but attention costs real tokens alone. Attention sorts them back into
blocks of sequences of similar length.
Padded: one sequence a row, with a mask (decoding over a key-value cache).

In both, query heads that share a key head are one matrix product: `eager` of transformers copies
every key and value for each query head that reads it, which costs more than the attention itself
where rows are short. The rest is Vaswani et al. 2017, section 3.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

PACKED, PADDED = "packed", "padded"
"""The names under which transformers knows them (`attn_implementation`)."""
BLOCK_SPREAD = 2.0
"""The longest sequence of a block is at most so many times the shortest: bounds the padding."""


class UnsupportedAttention(Exception):
    """A model asks for more than plain causal attention (a sliding window, soft caps, sinks)."""


def deviates(found: Tensor, expected: Tensor) -> bool:
    """Whether numbers differ by more than float order explains: a wrong mask or position shows.

    By the spread of what is expected: fp32 gets a thousandth of it, bf16 a tenth.
    """
    tolerance = 1e-3 if expected.dtype == torch.float32 else 0.1
    difference = (found.float() - expected.float()).abs().max()
    return not bool(difference <= tolerance * expected.float().std())


@dataclass(frozen=True)
class Block:
    """Sequences of similar length, one a row: their number, the longest, what may look where."""

    num_sequences: int
    longest: int
    mask: Tensor
    """(longest, longest), added to scores: 0 where a token may look, else the lowest number."""


@dataclass(frozen=True)
class Pack:
    """The sequences of one packed row of T tokens, in ascending order of length.

    In the blocks, laid out one after the other, they have N >= T places: what stands beyond a
    sequence's end repeats its last token, and causality hides it from the others.
    """

    blocks: tuple[Block, ...]
    out: Tensor
    """(N,): the token of the pack that stands at each place of the blocks."""
    back: Tensor
    """(T,): the place of each token."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Pack:
        """For sequences of these lengths, ascending, one after the other."""
        assert list(lengths) == sorted(lengths), "sequences of a pack stand in order of length"
        blocks, out, back, num_places, start = [], [], [], 0, 0
        firsts = torch.tensor([0, *lengths]).cumsum(0)
        while start < len(lengths):
            stop = start
            while stop < len(lengths) and lengths[stop] <= BLOCK_SPREAD * lengths[start]:
                stop += 1
            longest, sizes = lengths[stop - 1], torch.tensor(lengths[start:stop])
            columns = torch.arange(longest)
            blocks.append(Block(stop - start, longest, _causal(longest)))
            index = firsts[start:stop, None] + columns.clamp(max=(sizes - 1)[:, None])
            out.append(index.flatten())
            back.append(num_places + (columns < sizes[:, None]).flatten().nonzero()[:, 0])
            num_places, start = num_places + index.numel(), stop
        return cls(tuple(blocks), torch.cat(out), torch.cat(back))

    def to(self, device: torch.device) -> Pack:
        blocks = tuple(
            Block(block.num_sequences, block.longest, block.mask.to(device))
            for block in self.blocks
        )
        return Pack(blocks, self.out.to(device), self.back.to(device))


def _causal(length: int) -> Tensor:
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    # the lowest number of the coarsest format is one of every format
    return torch.zeros(length, length).masked_fill_(later, torch.finfo(torch.bfloat16).min)


class _Unpack(torch.autograd.Function):
    """Tokens (T, ...) to the places of the blocks (N, ...).

    Places that repeat a token have no gradient, so the way back is a gather too: nothing is to be
    added up, which autograd could not know.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, pack: Pack) -> Tensor:
        ctx.pack = pack
        return tokens.index_select(0, pack.out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.pack.back), None


class _Repack(torch.autograd.Function):
    """The places of the blocks (N, ...) to tokens (T, ...): the way back from `_Unpack`."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, pack: Pack) -> Tensor:
        ctx.pack, ctx.num_places = pack, len(places)
        return places.index_select(0, pack.back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        places = gradient.new_zeros(ctx.num_places, *gradient.shape[1:])
        return places.index_copy_(0, ctx.pack.back, gradient), None


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    pack: Pack,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extra: Any,
) -> tuple[Tensor, None]:
    """query (1, H, T, D), key and value (1, H / G, T, D); result (1, T, H, D). Softmax in fp32.

    `pack` is an argument of the model's forward. Raises UnsupportedAttention for a model that
    wants more than causal attention.
    """
    _refuse(extra)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    sizes = [block.num_sequences * block.longest for block in pack.blocks]
    split = [
        _Unpack.apply(states[0].transpose(0, 1), pack).split(sizes)
        for states in (query * scale, key, value)
    ]
    dropout = dropout if module.training else 0.0
    attended = []
    for block, *parts in zip(pack.blocks, *split, strict=True):
        shape = (block.num_sequences, block.longest)
        q, k, v = (part.unflatten(0, shape).transpose(1, 2) for part in parts)
        mixed = _attend(q, k, v, block.mask[None, None].to(q.dtype), dropout)
        attended.append(mixed.flatten(0, 1))
    return _Repack.apply(torch.cat(attended), pack)[None], None


def padded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extra: Any,
) -> tuple[Tensor, None]:
    """query (B, H, Q, D), key and value (B, H / G, L, D), mask (B, 1, Q, L) to be added to the
    scores; result (B, Q, H, D). Softmax in fp32. Raises as `packed_attention`."""
    _refuse(extra)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    dropout = dropout if module.training else 0.0
    return _attend(query * scale, key, value, attention_mask, dropout), None


def _refuse(extra: dict[str, Any]) -> None:
    for name in ("sliding_window", "softcap", "s_aux", "position_bias"):
        if extra.get(name) is not None:
            raise UnsupportedAttention(name)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """(B, Q, H, D), for a query that is scaled already."""
    batch, heads, length, width = query.shape
    key_heads, num_keys = key.shape[1], key.shape[2]
    shared = heads // key_heads
    grouped = query.reshape(batch, key_heads, shared * length, width)
    scores = torch.matmul(grouped, key.transpose(2, 3))
    if mask is not None:
        by_head = scores.view(batch, key_heads, shared, length, num_keys)
        scores = (by_head + mask[:, :, None, :, :num_keys]).view(scores.shape)
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    weights = F.dropout(weights, p=dropout)
    mixed = torch.matmul(weights, value).view(batch, heads, length, width)
    return mixed.transpose(1, 2)


@contextmanager
def attending(model: PreTrainedModel, name: str, compiled: bool = False) -> Iterator[None]:
    """Let a model attend by PACKED or PADDED; then as before.

    Raises UnsupportedAttention for a model whose attention is its own. With `compiled` blocks,
    packed attention is left out of their code: its shapes change with every batch.
    """
    before = model.config._attn_implementation
    packed = torch.compiler.disable(packed_attention) if compiled else packed_attention
    AttentionInterface.register(PACKED, packed)
    AttentionInterface.register(PADDED, padded_attention)
    AttentionMaskInterface.register(PADDED, eager_mask)
    model.set_attn_implementation(name)
    if model.config._attn_implementation != name:
        raise UnsupportedAttention(f"{type(model).__name__} has an attention of its own")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
