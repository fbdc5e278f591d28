"""A pack: sequences in one row without padding, sorted into blocks of similar length for
attention. Sequences that begin alike can have their common tokens in it once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

IN_CACHE = 2**19
"""The number of fp32 scores that are computed at once: 2 MiB, which fit a core's cache."""
BLOCK_SPREAD = 2.0
"""The longest sequence of a block has at most this many times the tokens of the shortest. This
limits the padding."""
MIN_SHARED = 0.3
"""Tokens are shared where this saves at least this share of all tokens (docs/decisions/training.md
has the figures)."""


@dataclass(frozen=True)
class Distinct:
    """The distinct tokens of several sequences: tokens with the same tokens before them are one.
    A causal model has one state for them."""

    index: Tensor
    """(T,): for each token of the sequences, one after the other, its distinct token."""
    place: Tensor
    """(U,): for each distinct token, a place where it stands among the T tokens."""

    @classmethod
    def find(cls, sequences: Sequence[tuple[int, ...]]) -> Distinct | None:
        """The distinct tokens of sequences of ids; None where they save less than MIN_SHARED."""
        of: list[list[int]] = [[] for _ in sequences]
        place: list[int] = []
        starts, before = [0, *accumulate(map(len, sequences))], -1
        for row in sorted(range(len(sequences)), key=sequences.__getitem__):
            num_common = 0 if before < 0 else _num_common(sequences[before], sequences[row])
            own = range(len(place), len(place) + len(sequences[row]) - num_common)
            of[row] = [*of[before][:num_common], *own]
            place += range(starts[row] + num_common, starts[row + 1])
            before = row
        if len(place) > (1 - MIN_SHARED) * starts[-1]:
            return None
        return cls(torch.tensor([one for row in of for one in row]), torch.tensor(place))

    def to(self, device: torch.device) -> Distinct:
        return Distinct(self.index.to(device), self.place.to(device))


def _num_common(first: Sequence[int], second: Sequence[int]) -> int:
    """The number of ids that two sequences begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))


@dataclass(frozen=True)
class Block:
    """Neighbouring sequences of similar length. Each is padded to the longest, which has L
    tokens."""

    span: slice
    """The block's B L padded tokens among all padded tokens of the pack. B is `num_sequences`."""
    num_sequences: int
    mask: Tensor
    """(L, L), added to the scores: 0 where a token may attend, else the lowest number."""

    def gather(self, states: Tensor, pack: Pack, key_heads: int) -> Tensor:
        """Gather the block's tokens from states (T, heads, D). Result: (B, key heads, heads / key
        heads * L, D)."""
        return self.grouped(states.index_select(0, pack.out[self.span]), key_heads)

    def grouped(self, states: Tensor, key_heads: int) -> Tensor:
        """Reshape padded tokens (B L, heads, D) to (B, key heads, heads / key heads * L, D). Heads
        that share a key become neighbours."""
        by_row: Tensor = states.unflatten(0, (self.num_sequences, -1)).transpose(1, 2)
        return by_row.reshape(self.num_sequences, key_heads, -1, states.shape[-1])

    def put(self, out: Tensor, grouped: Tensor) -> None:
        """Write `grouped`, a tensor of the shape that Block.grouped gives, to this block's span of
        `out` (N, heads, D)."""
        heads, width = out.shape[1:]
        by_head = grouped.view(self.num_sequences, heads, -1, width)
        out[self.span].unflatten(0, (self.num_sequences, -1)).copy_(by_head.transpose(1, 2))


@dataclass(frozen=True)
class Pack:
    """The sequences of one packed row of T tokens, in ascending order of length.

    In their blocks they have N >= T tokens with padding. Padding repeats a sequence's last token,
    and comes after all its tokens, so that causal attention ignores it. A token that sequences
    share is in the row once, and in the blocks of all of them."""

    blocks: tuple[Block, ...]
    out: Tensor
    """(N,): for each padded token, the index of its token in the packed row."""
    back: Tensor
    """(T,): for each token of the packed row, its index among the padded tokens; one of them,
    where it is shared."""
    is_shared: bool = False
    """Whether sequences share tokens."""

    @classmethod
    def of(cls, lengths: Sequence[int], distinct: Distinct | None = None) -> Pack:
        """The pack of sequences with these lengths, which must be ascending. The packed row has
        their distinct tokens, or all."""
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
        every, back_of_all = torch.cat(out), torch.cat(back)
        if distinct is None:
            return cls(tuple(blocks), every, back_of_all)
        back_of_one = back_of_all[distinct.place]
        return cls(tuple(blocks), distinct.index[every], back_of_one, is_shared=True)

    def summed(self, padded: Tensor) -> Tensor:
        """Gradients of the row's tokens (T, heads, D) from those of all padded tokens (N, heads,
        D). Padding must have zeros."""
        if not self.is_shared:
            return padded.index_select(0, self.back)
        sums = padded.new_zeros(len(self.back), *padded.shape[1:])
        return sums.index_add_(0, self.out, padded)

    def parts(self, num_heads: int) -> Iterator[Block]:
        """Split all blocks into parts of a few neighbouring sequences, whose scores fit
        IN_CACHE."""
        for block in self.blocks:
            longest, start = len(block.mask), block.span.start
            at_once = max(IN_CACHE // (num_heads * longest**2), 1)
            for first in range(0, block.num_sequences, at_once):
                count = min(at_once, block.num_sequences - first)
                span = slice(start + first * longest, start + (first + count) * longest)
                yield Block(span, count, block.mask)

    def to(self, device: torch.device) -> Pack:
        blocks = tuple(replace(block, mask=block.mask.to(device)) for block in self.blocks)
        return Pack(blocks, self.out.to(device), self.back.to(device), self.is_shared)


def _causal(length: int) -> Tensor:
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    # the lowest bf16 number can be represented in fp32 too
    return torch.zeros(length, length).masked_fill_(later, torch.finfo(torch.bfloat16).min)
