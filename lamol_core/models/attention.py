"""Two attention functions for short rows, registered with transformers under names of their own.

Packed: all sequences lie one after the other in a single row without padding, so that every layer
but attention computes real tokens only. For attention they are sorted into padded blocks of
sequences of similar length. Long sequences use torch's own attention.

Padded: one sequence per row, with a mask. It serves decoding with a key-value cache.

In both, the query heads that share a key head form one matrix product. The `eager` attention of
transformers copies keys and values for each query head, which costs more than the attention itself
where rows are short. The formula is that of Vaswani et al. 2017, section 3.2.1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from lamol_core.models.packing import Pack

PACKED, PADDED = "packed", "padded"
"""The names of the two functions in transformers (`attn_implementation`)."""
SHORT = 256
"""Sequences with more tokens than this use torch's own attention, which is faster for them
(docs/performance.md)."""


class UnsupportedAttention(Exception):
    """The model needs more than plain causal attention: a sliding window, soft caps or sinks."""


def deviates(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by more than rounding explains, as they do with a wrong mask or
    position.

    The tolerance is a share of the standard deviation of `expected`: 0.001 in fp32, 0.1 in bf16."""
    tolerance = 1e-3 if expected.dtype == torch.float32 else 0.1
    difference = (found.float() - expected.float()).abs().max()
    return not bool(difference <= tolerance * expected.float().std())


class _PackedAttention(torch.autograd.Function):
    """Causal attention over a pack, a few sequences at a time, so that the scores fit the cache.

    The backward computes the attention weights again from queries, keys and values. For short rows
    this is cheap and saves memory (docs/performance.md). Padding has no gradient, because no real
    token attends to it."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, pack: Pack) -> Tensor:
        """Inputs: query (T, H, D), already scaled, key and value (T, H / G, D). Result: (T, H,
        D)."""
        ctx.save_for_backward(query, key, value)
        ctx.pack = pack
        mixed = query.new_empty(len(pack.out), *query.shape[1:])
        for part in pack.parts(query.shape[1]):
            q, k, v = (part.gather(states, pack, key.shape[1]) for states in (query, key, value))
            part.put(mixed, torch.matmul(_weights(q, k, part.mask), v))
        return mixed.index_select(0, pack.back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value = ctx.saved_tensors
        pack: Pack = ctx.pack
        num_padded, key_heads = len(pack.out), key.shape[1]
        mixed = gradient.new_zeros(num_padded, *gradient.shape[1:])
        mixed.index_copy_(0, pack.back, gradient)
        grads = [states.new_empty(num_padded, *states.shape[1:]) for states in (query, key, value)]
        for part in pack.parts(query.shape[1]):
            q, k, v = (part.gather(states, pack, key_heads) for states in (query, key, value))
            weights = _weights(q, k, part.mask)
            d_mixed = part.grouped(mixed[part.span], key_heads)
            # of the softmax: w (dw - sum_k w dw)
            d_scores = torch.matmul(d_mixed, v.transpose(2, 3)).mul_(weights)
            d_scores.addcmul_(weights, d_scores.sum(dim=-1, keepdim=True), value=-1.0)
            part.put(grads[0], torch.matmul(d_scores, k))
            part.put(grads[1], torch.matmul(d_scores.transpose(2, 3), q))
            part.put(grads[2], torch.matmul(weights.transpose(2, 3), d_mixed))
        d_query, d_key, d_value = map(pack.summed, grads)
        return d_query, d_key, d_value, None


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """The attention weights (B, K, G Q, L) of grouped heads: softmax in fp32, result in the query's
    dtype.

    `mask` is added to the scores in the shape (B, K, G, Q, L)."""
    scores = torch.matmul(query, key.transpose(2, 3))
    if mask is not None:
        scores.view(*scores.shape[:2], -1, *mask.shape[-2:]).add_(mask.to(scores.dtype))
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
    """Attention over a packed row. Inputs: query (1, H, T, D), key and value (1, H / G, T, D).
    Result: (1, T, H, D). The softmax is in fp32.

    `pack` is passed through the model's forward. Raises UnsupportedAttention where the model needs
    more than causal attention."""
    _refuse(extra)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (states[0].transpose(0, 1) for states in (query * scale, key, value))
    dropout = dropout if module.training else 0.0
    if dropout or len(pack.blocks[-1].mask) > SHORT:
        return _by_torch(q, k, v, pack, dropout)[None], None
    return _PackedAttention.apply(q, k, v, pack)[None], None


def _by_torch(query: Tensor, key: Tensor, value: Tensor, pack: Pack, dropout: float) -> Tensor:
    """The result of `packed_attention` by torch's own attention, for long rows and for dropout.
    Inputs: query (T, H, D), key and value (T, H / G, D). Result: (T, H, D)."""
    # by index_select: the backward of indexing adds up shared tokens in bf16
    padded = [states.index_select(0, pack.out) for states in (query, key, value)]
    attended = []
    for block in pack.blocks:
        shape = (block.num_sequences, -1)
        q, k, v = (states[block.span].unflatten(0, shape).transpose(1, 2) for states in padded)
        mixed = F.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=1.0,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        attended.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(attended).index_select(0, pack.back)


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
    """Attention over padded rows, for decoding, so without dropout. Inputs: query (B, H, Q, D), key
    and value (B, H / G, L, D), mask (B, 1, Q, L), which is added to the scores. Result: (B, Q, H,
    D).

    Raises UnsupportedAttention where the model needs more than causal attention."""
    _refuse(extra)
    assert not (module.training and dropout), "decoding is done in eval mode"
    batch, heads, length, width = query.shape
    key_heads, num_keys = key.shape[1], key.shape[2]
    scale = width**-0.5 if scaling is None else scaling
    grouped = (query * scale).reshape(batch, key_heads, -1, width)
    mask = None if attention_mask is None else attention_mask[:, :, None, :, :num_keys]
    mixed = torch.matmul(_weights(grouped, key, mask), value)
    return mixed.view(batch, heads, length, width).transpose(1, 2), None


def is_plain_causal(model: PreTrainedModel) -> bool:
    """Whether the model's configuration asks for nothing but causal attention over all tokens."""
    config = model.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None) or ()
    names = ["attention_chunk_size", "attn_logit_softcapping"]
    if getattr(config, "use_sliding_window", True):
        names.append("sliding_window")
    has_more = any(getattr(config, name, None) is not None for name in names)
    return not has_more and {*kinds} <= {"full_attention", "global"}


def _refuse(extra: dict[str, Any]) -> None:
    for name in ("sliding_window", "softcap", "s_aux", "position_bias"):
        if extra.get(name) is not None:
            raise UnsupportedAttention(name)


@contextmanager
def attending(model: PreTrainedModel, name: str, compiled: bool = False) -> Iterator[None]:
    """A context in which a model uses PACKED or PADDED attention; its former attention returns at
    the end.

    `compiled`: the model's blocks are compiled. Packed attention is then left out of compilation,
    because its shapes change with every batch. Raises UnsupportedAttention where the model has an
    attention of its own."""
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
