"""From rows to packed micro-batches: encoding, optimizer batches, cutting under a token budget."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lamol_core.records import Origin, View
from lamol_core.seeds import derive_seed
from lamol_core.text.encoded import EncodedRow
from lamol_core.text.template import ControlTokens, TokenSequence, cut_input, num_supervised

IGNORED = -100


def cut_rows(rows: Sequence[EncodedRow], max_length: int) -> tuple[list[EncodedRow], int]:
    """Rows whose views fit `max_length`, and how many inputs had to be cut for it. Raises
    ConfigError, naming the row, where a target alone does not fit."""
    fitting, num_cut = [], 0
    for row in rows:
        input_ids, cut = cut_input(row.input_ids, row.target_ids, max_length, row.row_id)
        num_cut += cut
        fitting.append(EncodedRow(row.row_id, row.origin, input_ids, row.target_ids, row.gen_token))
    return fitting, num_cut


@dataclass(frozen=True)
class Member:
    """A sequence of a micro-batch: which view of which row, and how many tokens it has."""

    row_id: str
    view: View
    origin: Origin
    length: int


@dataclass(frozen=True)
class MicroBatch:
    """Sequences one after the other, without padding, in ascending order of length.

    `ids`, `positions` (each token's place in its sequence) and `labels` (IGNORED where nothing is
    supervised) have shape (T,).
    """

    ids: Tensor
    positions: Tensor
    labels: Tensor
    members: tuple[Member, ...]
    counts: bool = True
    """False for the row that only keeps an idle process in step."""

    @classmethod
    def of(
        cls, sequences: Sequence[tuple[str, Origin, TokenSequence]], counts: bool = True
    ) -> MicroBatch:
        """Pack the views of rows, given with each row's id and origin."""
        ids: list[int] = []
        positions: list[int] = []
        labels: list[int] = []
        members: list[Member] = []
        for row_id, origin, sequence in sequences:
            ids += sequence.ids
            positions += range(len(sequence.ids))
            labels += [IGNORED] * sequence.supervised_from
            labels += sequence.ids[sequence.supervised_from :]
            members.append(Member(row_id, sequence.view, origin, len(sequence.ids)))
        tensors = (torch.tensor(ids), torch.tensor(positions), torch.tensor(labels))
        return cls(*tensors, tuple(members), counts)

    @property
    def num_tokens(self) -> int:
        return len(self.ids) if self.counts else 0

    @property
    def supervised(self) -> Tensor:
        """Where the tokens stand that count for a loss, (n,)."""
        return (self.labels != IGNORED).nonzero()[:, 0]

    @property
    def supervised_counts(self) -> list[int]:
        """How many of them each member has."""
        parts = (self.labels != IGNORED).split([member.length for member in self.members])
        return [int(part.sum()) for part in parts]

    def tokens_of(self, wanted: Sequence[Member]) -> Tensor:
        """The tokens of these members, as a mask (T,)."""
        chosen = set(wanted)
        flags = torch.tensor([member in chosen for member in self.members])
        lengths = torch.tensor([member.length for member in self.members])
        return flags.repeat_interleave(lengths).to(self.ids.device)

    def only(self, wanted: Sequence[Member]) -> MicroBatch:
        """The micro-batch of these members alone, which are given in its order."""
        mask = self.tokens_of(wanted)
        ids, positions, labels = self.ids[mask], self.positions[mask], self.labels[mask]
        return MicroBatch(ids, positions, labels, tuple(wanted), self.counts)

    def to(self, device: torch.device) -> MicroBatch:
        ids, labels = self.ids.to(device), self.labels.to(device)
        return MicroBatch(ids, self.positions.to(device), labels, self.members, self.counts)


@dataclass(frozen=True)
class OptimizerBatch:
    """The rows of one step, the same on every process; each takes its share."""

    rows: tuple[EncodedRow, ...]

    def count_tokens(self, views: Sequence[View]) -> Counter[tuple[View, Origin]]:
        """Supervised tokens by view and origin: the denominators of the means."""
        counts: Counter[tuple[View, Origin]] = Counter()
        for row in self.rows:
            for view in views:
                counts[view, row.origin] += num_supervised(view, row.input_ids, row.target_ids)
        return counts

    def micro_batches(
        self, views: Sequence[View], control: ControlTokens, max_tokens: int, rank: int, world: int
    ) -> list[MicroBatch]:
        """This process's views in order of length, at most `max_tokens` tokens at a time (a longer
        sequence stands alone). All views share the forwards."""
        if not self.rows[rank::world]:
            # every process takes part in every step: an idle one computes a row without labels
            idle = self.rows[0].views(views[:1], control)[0]
            unsupervised = TokenSequence(idle.ids, len(idle.ids), idle.view)
            return [MicroBatch.of([("", self.rows[0].origin, unsupervised)], counts=False)]
        return pack_rows(self.rows[rank::world], views, control, max_tokens)


def encode_views(
    rows: Sequence[EncodedRow], views: Sequence[View], control: ControlTokens
) -> list[tuple[str, Origin, TokenSequence]]:
    """The views of rows in ascending order of length."""
    sequences = [
        (row.row_id, row.origin, sequence) for row in rows for sequence in row.views(views, control)
    ]
    return sorted(sequences, key=lambda entry: len(entry[2].ids))


def pack_rows(
    rows: Sequence[EncodedRow], views: Sequence[View], control: ControlTokens, max_tokens: int
) -> list[MicroBatch]:
    """The views of rows in as few micro-batches as the budget allows, of about equal size.

    `max_tokens` is exceeded by a sequence alone that is longer, and by no other.
    """
    sequences = encode_views(rows, views, control)
    lengths = [len(sequence.ids) for _, _, sequence in sequences]
    return [MicroBatch.of(sequences[i:j]) for i, j in cut_evenly(lengths, max_tokens)]


def optimizer_batches(
    rows: Sequence[EncodedRow], batch_size: int, num_steps: int, seed: int
) -> Iterator[OptimizerBatch]:
    """`num_steps` batches: the rows in their order, then epoch after epoch in seeded orders."""
    steps_per_epoch, order = math.ceil(len(rows) / batch_size), list(rows)
    for step in range(num_steps):
        epoch, place = divmod(step, steps_per_epoch)
        if epoch and not place:
            order = list(rows)
            random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        start = place * batch_size
        yield OptimizerBatch(tuple(order[start : start + batch_size]))


def cut_evenly(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    """Ranges [start, stop) of sequences that hold at most `max_tokens` tokens, of about equal size.

    Without padding all cuts cost the same to compute, so what counts is that they are few.
    """
    fewest = len(_cut_greedily(lengths, max_tokens))
    budgets = range(max_tokens)
    least = bisect_left(budgets, True, key=lambda b: len(_cut_greedily(lengths, b)) <= fewest)
    return _cut_greedily(lengths, least)


def _cut_greedily(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    start = size = 0
    for place, length in enumerate(lengths):
        if place > start and size + length > max_tokens:
            cuts.append((start, place))
            start, size = place, 0
        size += length
    return [*cuts, (start, len(lengths))] if lengths else []
