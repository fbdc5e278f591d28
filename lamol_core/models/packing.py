"""Sequences of one packed row, and how attention sorts them into blocks of similar length."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

IN_CACHE = 2**19
"""Scores (fp32) that are computed at once: 2 MiB, the cache of a core."""
BLOCK_SPREAD = 2.0
"""The longest sequence of a block is at most so many times the shortest: bounds the padding."""


@dataclass(frozen=True)
class Block:
    """Neighbouring sequences of similar length, each padded to the longest, of L tokens."""

    span: slice
    """Their B L padded tokens among those of the pack."""
    num_sequences: int
    mask: Tensor
    """(L, L), added to scores: 0 where a token may look, else the lowest number."""

    def gather(self, states: Tensor, pack: Pack, key_heads: int) -> Tensor:
        """Tokens (T, heads, D) as (B, key heads, heads / key heads * L, D)."""
        return self.grouped(states.index_select(0, pack.out[self.span]), key_heads)

    def grouped(self, states: Tensor, key_heads: int) -> Tensor:
        """Padded tokens (B L, heads, D) in that shape: heads that share a key are neighbours."""
        by_row = states.unflatten(0, (self.num_sequences, -1)).transpose(1, 2)
        return by_row.reshape(self.num_sequences, key_heads, -1, states.shape[-1])

    def put(self, out: Tensor, grouped: Tensor) -> None:
        """Write what is grouped to its span of `out` (N, heads, D)."""
        heads, width = out.shape[1:]
        by_head = grouped.view(self.num_sequences, heads, -1, width)
        out[self.span].unflatten(0, (self.num_sequences, -1)).copy_(by_head.transpose(1, 2))


@dataclass(frozen=True)
class Pack:
    """The sequences of one packed row of T tokens, in ascending order of length.

    Padded in their blocks they have N >= T tokens: padding repeats a sequence's last token, and
    causality hides it from the others.
    """

    blocks: tuple[Block, ...]
    out: Tensor
    """(N,): the index in the pack of each padded token."""
    back: Tensor
    """(T,): the index among the padded tokens of each token of the pack."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Pack:
        """For sequences of these lengths, ascending, one after the other."""
        assert list(lengths) == sorted(lengths), "sequences of a pack are in order of length"
        blocks, out, back, num_padded, start = [], [], [], 0, 0
        firsts = torch.tensor([0, *lengths]).cumsum(0)
        while start < len(lengths):
            stop = bisect_right(lengths, BLOCK_SPREAD * lengths[start])
            longest, sizes = lengths[stop - 1], torch.tensor(lengths[start:stop])
            columns = torch.arange(longest)
            index = firsts[start:stop, None] + columns.clamp(max=(sizes - 1)[:, None])
            span = slice(num_padded, num_padded + index.numel())
            blocks.append(Block(span, stop - start, _causal(longest)))
            out.append(index.flatten())
            back.append(num_padded + (columns < sizes[:, None]).flatten().nonzero()[:, 0])
            num_padded, start = span.stop, stop
        return cls(tuple(blocks), torch.cat(out), torch.cat(back))

    def parts(self, num_heads: int) -> Iterator[Block]:
        """All sequences, a few neighbours at a time, so that their scores fit IN_CACHE."""
        for block in self.blocks:
            longest, start = len(block.mask), block.span.start
            at_once = max(IN_CACHE // (num_heads * longest**2), 1)
            for first in range(0, block.num_sequences, at_once):
                count = min(at_once, block.num_sequences - first)
                span = slice(start + first * longest, start + (first + count) * longest)
                yield Block(span, count, block.mask)

    def to(self, device: torch.device) -> Pack:
        blocks = tuple(replace(block, mask=block.mask.to(device)) for block in self.blocks)
        return Pack(blocks, self.out.to(device), self.back.to(device))


def _causal(length: int) -> Tensor:
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    # the lowest bf16 number can be represented in fp32 too
    return torch.zeros(length, length).masked_fill_(later, torch.finfo(torch.bfloat16).min)
