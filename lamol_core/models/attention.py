"""Attention for short rows, in two forms that transformers calls like its own.

Packed: the tokens of all sequences stand one after the other in a single row, no padding between
them, so that everything but attention costs real tokens alone. Attention sorts them back into
blocks of sequences of similar length; long ones are left to torch.
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
IN_CACHE = 2**19
"""Scores (fp32) of the sequences that are attended to at once: 2 MiB, what a core's cache holds."""
SHORT = 256
"""Up to so many tokens weights are cheap to compute as matrices; beyond, torch's own attention is
faster (docs/performance.md)."""
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

    def parts(self, num_heads: int) -> Iterator[Part]:
        """All sequences, a few neighbours of a block at a time: as many as IN_CACHE has room for
        the scores of."""
        first = 0
        for block in self.blocks:
            at_once = max(IN_CACHE // (num_heads * block.longest**2), 1)
            for start in range(0, block.num_sequences, at_once):
                count = min(at_once, block.num_sequences - start)
                last = first + count * block.longest
                yield Part(self, slice(first, last), count, block.mask)
                first = last

    def to(self, device: torch.device) -> Pack:
        blocks = tuple(
            Block(block.num_sequences, block.longest, block.mask.to(device))
            for block in self.blocks
        )
        return Pack(blocks, self.out.to(device), self.back.to(device))


@dataclass(frozen=True)
class Part:
    """Neighbouring sequences of a block, which are attended to at once."""

    pack: Pack
    places: slice
    num_sequences: int
    mask: Tensor

    def gather(self, states: Tensor, key_heads: int) -> Tensor:
        """Tokens (T, heads, D) as (B, key heads, heads / key heads * L, D)."""
        return self.grouped(states.index_select(0, self.pack.out[self.places]), key_heads)

    def grouped(self, states: Tensor, key_heads: int) -> Tensor:
        """Places (B L, heads, D) in the same shape: the heads that share a key stand together."""
        by_row = states.unflatten(0, (self.num_sequences, -1)).transpose(1, 2)
        return by_row.reshape(self.num_sequences, key_heads, -1, states.shape[-1])

    def put(self, out: Tensor, grouped: Tensor) -> None:
        """Write what is grouped to its places of `out` (N, heads, D)."""
        heads, width = out.shape[1:]
        by_head = grouped.view(self.num_sequences, heads, -1, width)
        out[self.places].unflatten(0, (self.num_sequences, -1)).copy_(by_head.transpose(1, 2))


def _causal(length: int) -> Tensor:
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    # the lowest number of the coarsest format is one of every format
    return torch.zeros(length, length).masked_fill_(later, torch.finfo(torch.bfloat16).min)


class _PackedAttention(torch.autograd.Function):
    """Causal attention of a pack, a few sequences at a time, so that scores stay in the cache.

    Nothing but queries, keys and values is kept for the backward, which computes the weights again:
    for short rows that is cheap, and what it saves is more than half of a block's other memory.
    Places that repeat a token have no gradient (nothing real looks at them), so the way back to the
    tokens is a gather too.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, pack: Pack) -> Tensor:
        """query (T, H, D), scaled already, key and value (T, H / G, D); result (T, H, D)."""
        ctx.save_for_backward(query, key, value)
        ctx.pack = pack
        mixed = query.new_empty(len(pack.out), *query.shape[1:])
        for part in pack.parts(query.shape[1]):
            q, k, v = (part.gather(states, key.shape[1]) for states in (query, key, value))
            part.put(mixed, torch.matmul(_weights(q, k, part.mask), v))
        return mixed.index_select(0, pack.back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value = ctx.saved_tensors
        pack: Pack = ctx.pack
        num_places, key_heads = len(pack.out), key.shape[1]
        mixed = gradient.new_zeros(num_places, *gradient.shape[1:])
        mixed.index_copy_(0, pack.back, gradient)
        grads = [states.new_empty(num_places, *states.shape[1:]) for states in (query, key, value)]
        for part in pack.parts(query.shape[1]):
            q, k, v = (part.gather(states, key_heads) for states in (query, key, value))
            weights = _weights(q, k, part.mask)
            d_mixed = part.grouped(mixed[part.places], key_heads)
            # of the softmax: w (dw - sum_k w dw)
            d_scores = torch.matmul(d_mixed, v.transpose(2, 3)).mul_(weights)
            d_scores.addcmul_(weights, d_scores.sum(dim=-1, keepdim=True), value=-1.0)
            part.put(grads[0], torch.matmul(d_scores, k))
            part.put(grads[1], torch.matmul(d_scores.transpose(2, 3), q))
            part.put(grads[2], torch.matmul(weights.transpose(2, 3), d_mixed))
        return (*(grad.index_select(0, pack.back) for grad in grads), None)


def _weights(query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
    """Attention weights (B, K, G L, L) of grouped heads: softmax in fp32, in the query's format."""
    scores = torch.matmul(query, key.transpose(2, 3))
    scores.view(*scores.shape[:2], -1, *mask.shape).add_(mask.to(scores.dtype))
    return scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)


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
    q, k, v = (states[0].transpose(0, 1) for states in (query * scale, key, value))
    dropout = dropout if module.training else 0.0
    if dropout or pack.blocks[-1].longest > SHORT:
        return _by_torch(q, k, v, pack, dropout)[None], None
    return _PackedAttention.apply(q, k, v, pack)[None], None


def _by_torch(query: Tensor, key: Tensor, value: Tensor, pack: Pack, dropout: float) -> Tensor:
    """The same by torch's own attention: for long rows, and where weights are dropped at random."""
    sizes = [block.num_sequences * block.longest for block in pack.blocks]
    split = [states[pack.out].split(sizes) for states in (query, key, value)]
    attended = []
    for block, *parts in zip(pack.blocks, *split, strict=True):
        shape = (block.num_sequences, block.longest)
        q, k, v = (part.unflatten(0, shape).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=1.0,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        attended.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(attended)[pack.back]


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


def is_plain_causal(model: PreTrainedModel) -> bool:
    """Whether a model's configuration speaks of nothing but causal attention over all tokens."""
    config = model.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None) or ()
    window = getattr(config, "sliding_window", None)
    uses_window = window is not None and getattr(config, "use_sliding_window", True)
    others = ("attention_chunk_size", "attn_logit_softcapping")
    return (
        not uses_window
        and set(kinds) <= {"full_attention", "global"}
        and all(getattr(config, name, None) is None for name in others)
    )


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
