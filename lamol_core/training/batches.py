"""Turn rows into optimizer batches, and these into packed micro-batches under a token budget."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lamol_core.records import Origin, View
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import IGNORED, EncodedRow, EncodedView


@dataclass(frozen=True)
class MicroBatch:
    """Sequences one after the other, without padding, in ascending order of length.

    `ids`, `positions` and `labels` have shape (T,). `positions` are those of the tokens in their
    own sequences. `labels` are IGNORED where a token is not supervised."""

    ids: Tensor
    positions: Tensor
    labels: Tensor
    members: tuple[EncodedView, ...]

    @classmethod
    def of(cls, members: Sequence[EncodedView]) -> MicroBatch:
        ids = [token for member in members for token in member.ids]
        positions = [i for member in members for i in range(len(member.ids))]
        labels = [label for member in members for label in member.labels]
        tensors = torch.tensor(ids), torch.tensor(positions), torch.tensor(labels)
        return cls(*tensors, tuple(members))

    @property
    def num_tokens(self) -> int:
        """The number of tokens T; 0 for the filler of a process without rows, which supervises
        nothing."""
        return len(self.ids) if self.num_supervised else 0

    @property
    def num_supervised(self) -> int:
        return sum(member.num_supervised for member in self.members)

    @property
    def lengths(self) -> list[int]:
        return [len(member.ids) for member in self.members]

    @property
    def supervised(self) -> Tensor:
        """The positions (n,) of all supervised tokens in the micro-batch."""
        return (self.labels != IGNORED).nonzero()[:, 0]

    def tokens_of(self, members: Sequence[EncodedView]) -> Tensor:
        """A mask (T,) of the tokens of these members."""
        chosen = set(members)
        flags = torch.tensor([member in chosen for member in self.members])
        return flags.repeat_interleave(torch.tensor(self.lengths)).to(self.ids.device)

    def only(self, members: Sequence[EncodedView]) -> MicroBatch:
        """The micro-batch of some of its members, which must be given in its order."""
        mask = self.tokens_of(members)
        return MicroBatch(self.ids[mask], self.positions[mask], self.labels[mask], tuple(members))

    def to(self, device: torch.device) -> MicroBatch:
        ids, labels = self.ids.to(device), self.labels.to(device)
        return MicroBatch(ids, self.positions.to(device), labels, self.members)


def count_supervised(
    rows: Sequence[EncodedRow], views: Sequence[View]
) -> Counter[tuple[View, Origin]]:
    """The number of supervised tokens by view and origin. These are the denominators of a batch's
    means."""
    denominators: Counter[tuple[View, Origin]] = Counter()
    for row in rows:
        for view in row.views(views):
            denominators[view.view, view.origin] += view.num_supervised
    return denominators


def micro_batches(
    rows: Sequence[EncodedRow],
    views: Sequence[View],
    max_tokens: int,
    rank: int = 0,
    world: int = 1,
) -> list[MicroBatch]:
    """Cut the views of this process's rows into as few micro-batches as the budget allows, of about
    equal size.

    All views are sorted together by length. A micro-batch has at most `max_tokens` tokens, unless
    it is one longer sequence. `rank` and `world`: the number of this process, and how many there
    are."""
    own = [view for row in rows[rank::world] for view in row.views(views)]
    if rows and not own:
        # every process takes part in every step: an idle one computes a row without labels
        idle = rows[0].views(views[:1])[0]
        own = [replace(idle, supervised=())]
    own.sort(key=lambda view: len(view.ids))
    cuts = cut_evenly([len(view.ids) for view in own], max_tokens)
    return [MicroBatch.of(own[start:stop]) for start, stop in cuts]


def optimizer_batches(
    rows: Sequence[EncodedRow], batch_size: int, num_steps: int, seed: int
) -> Iterator[list[EncodedRow]]:
    """Yield `num_steps` batches: first the rows in the given order, then every epoch in a new
    seeded order.

    The batches are the same on every process."""
    steps_per_epoch, order = math.ceil(len(rows) / batch_size), list(rows)
    for step in range(num_steps):
        epoch, step_of_epoch = divmod(step, steps_per_epoch)
        if epoch and not step_of_epoch:
            order = list(rows)
            random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        start = step_of_epoch * batch_size
        yield order[start : start + batch_size]


def cut_evenly(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    """Ranges [start, stop) of sequences with at most `max_tokens` tokens each, of about equal size.

    The ranges are as few as possible: without padding, the number of ranges is all that the cut can
    save."""
    fewest = len(_cut_greedily(lengths, max_tokens))
    budgets = range(max_tokens)
    least = bisect_left(budgets, True, key=lambda b: len(_cut_greedily(lengths, b)) <= fewest)
    return _cut_greedily(lengths, least)


def _cut_greedily(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    start = size = 0
    for index, length in enumerate(lengths):
        if index > start and size + length > max_tokens:
            cuts.append((start, index))
            start, size = index, 0
        size += length
    return [*cuts, (start, len(lengths))] if lengths else []
