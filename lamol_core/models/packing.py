"""Sequences of one packed row, and how attention sorts them into blocks of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

IN_CACHE = 2**19
"""Scores (fp32) of the sequences that are attended to at once: 2 MiB, what a core's cache holds."""
BLOCK_SPREAD = 2.0
"""The longest sequence of a block is at most so many times the shortest: bounds the padding."""


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
        blocks = tuple(replace(block, mask=block.mask.to(device)) for block in self.blocks)
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
