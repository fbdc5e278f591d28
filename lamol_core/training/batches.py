"""From rows to padded micro-batches: encoding, optimizer batches, cutting under a token budget."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lamol_core.methods.base import Method
from lamol_core.records import Origin, View
from lamol_core.seeds import derive_seed
from lamol_core.text.template import ControlTokens, TokenSequence, cut_input, gen_view, qa_view

IGNORED = -100
MICRO_BATCH_COST = 128
"""What one more micro-batch costs, in tokens: casting weights, adding up gradients."""


@dataclass(frozen=True)
class EncodedRow:
    """One row of the mix as token ids, with the GEN token of its task."""

    row_id: str
    origin: Origin
    input_ids: Sequence[int]
    target_ids: Sequence[int]
    gen_token: int

    def views(self, views: Sequence[View], control: ControlTokens) -> list[TokenSequence]:
        made = {
            "qa": lambda: qa_view(self.input_ids, self.target_ids, control),
            "gen": lambda: gen_view(self.input_ids, self.target_ids, control, self.gen_token),
        }
        return [made[view]() for view in views]


def cut_rows(rows: Sequence[EncodedRow], max_length: int) -> tuple[list[EncodedRow], int]:
    """Rows whose views fit `max_length`, and how many inputs had to be cut for it."""
    fitting, num_cut = [], 0
    for row in rows:
        input_ids, cut = cut_input(row.input_ids, row.target_ids, max_length)
        num_cut += cut
        fitting.append(EncodedRow(row.row_id, row.origin, input_ids, row.target_ids, row.gen_token))
    return fitting, num_cut


@dataclass(frozen=True)
class MicroBatch:
    """Padded sequences: `ids`, `mask`, `labels` (B, L), with each row's view and origin."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    views: tuple[View, ...]
    origins: tuple[Origin, ...]
    num_tokens: int
    """Tokens that are no padding; 0 for the row that keeps an idle process in step."""


@dataclass(frozen=True)
class OptimizerBatch:
    """The rows of one step, the same on every process; each takes its share."""

    rows: tuple[EncodedRow, ...]

    def count_tokens(self, method: Method) -> Counter[tuple[View, Origin]]:
        """Supervised tokens by view and origin: the denominators of the means."""
        counts: Counter[tuple[View, Origin]] = Counter()
        for row in self.rows:
            for view in method.views:
                prompt = len(row.input_ids) + 1 if view == "gen" else 0
                counts[view, row.origin] += prompt + len(row.target_ids) + 1
        return counts

    def micro_batches(
        self, method: Method, control: ControlTokens, max_tokens: int, rank: int, world: int
    ) -> list[MicroBatch]:
        """This process's views, sorted by length and cut by `cut_by_length`.

        All views share the forwards.
        """
        sequences = [
            (sequence, row.origin)
            for row in self.rows[rank::world]
            for sequence in row.views(method.views, control)
        ]
        if not sequences:
            # every process takes part in every step: an idle one computes a row without labels
            idle = self.rows[0].views(method.views[:1], control)[0]
            unsupervised = TokenSequence(idle.ids, len(idle.ids), idle.view)
            return [_pad([(unsupervised, self.rows[0].origin)], control.pad, counts=False)]
        sequences.sort(key=lambda pair: len(pair[0].ids))
        cuts = cut_by_length([len(sequence.ids) for sequence, _ in sequences], max_tokens)
        groups = [sequences[start:stop] for start, stop in cuts]
        return [_pad(group, control.pad) for group in groups]


def optimizer_batches(
    rows: Sequence[EncodedRow], batch_size: int, num_steps: int, seed: int
) -> Iterator[OptimizerBatch]:
    """`num_steps` batches: the rows in their order, then epoch after epoch in seeded orders."""
    step = epoch = 0
    while True:
        order = list(rows)
        if epoch:
            random.Random(derive_seed(seed, "epoch", epoch)).shuffle(order)
        for start in range(0, len(order), batch_size):
            if step == num_steps:
                return
            yield OptimizerBatch(tuple(order[start : start + batch_size]))
            step += 1
        epoch += 1


def cut_by_length(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    """Ranges [start, stop) of ascending lengths that cost least to compute as padded batches.

    A batch costs its padded size B * L plus MICRO_BATCH_COST tokens; B * L stays within
    `max_tokens`, unless a sequence alone is longer. Exact, by dynamic programming in O(n^2).
    """
    best = [0.0] * (len(lengths) + 1)
    start_of = [0] * (len(lengths) + 1)
    for stop in range(1, len(lengths) + 1):
        longest = lengths[stop - 1]
        fitting = max(min(max_tokens // longest, stop), 1)
        choices = [
            (best[start] + (stop - start) * longest + MICRO_BATCH_COST, start)
            for start in range(stop - fitting, stop)
        ]
        best[stop], start_of[stop] = min(choices)
    cuts: list[tuple[int, int]] = []
    stop = len(lengths)
    while stop:
        cuts.append((start_of[stop], stop))
        stop = start_of[stop]
    return cuts[::-1]


def _pad(group: list[tuple[TokenSequence, Origin]], pad: int, counts: bool = True) -> MicroBatch:
    longest = max(len(sequence.ids) for sequence, _ in group)
    ids = torch.full((len(group), longest), pad)
    mask = torch.zeros((len(group), longest), dtype=torch.long)
    labels = torch.full((len(group), longest), IGNORED)
    for place, (sequence, _) in enumerate(group):
        length, start = len(sequence.ids), sequence.supervised_from
        row = torch.tensor(sequence.ids)
        ids[place, :length] = row
        mask[place, :length] = 1
        labels[place, start:length] = row[start:]
    return MicroBatch(
        ids,
        mask,
        labels,
        tuple(sequence.view for sequence, _ in group),
        tuple(origin for _, origin in group),
        int(mask.sum()) if counts else 0,
    )
