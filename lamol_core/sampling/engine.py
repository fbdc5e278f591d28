"""The decoding engine: rows share the model's forwards, and a finished row makes room for the next.

A step gives every live row one token. A prompt but for its last token is read when its row gets a
slot; the last token goes with the next step, so that a step is all there is to decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.sampling.rows import Progress, RowChooser, Written
from lamol_core.sampling.slots import SlotCache

READ_AT_ONCE = 4096
"""Prompt tokens in one forward, padding included: bounds its memory."""


class SlotEngine:
    """Decodes in the slots of a SlotCache. The live rows are always in the first slots."""

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Sequence[int]],
        chooser: RowChooser,
        written: Written,
        batch_size: int,
        pad: int,
    ) -> None:
        self._model, self._prompts, self._chooser = model, prompts, chooser
        self._written, self._pad = written, pad
        self._num_slots = min(batch_size, len(prompts))
        # neighbours are of similar length: little padding when they are read, longest last
        by_length = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
        self._waiting = by_length[::-1]
        longest = len(prompts[by_length[-1]])
        self._reads = longest > 1
        self._cache = SlotCache(model.config, self._num_slots, longest - 1 + chooser.max_tokens)
        none = torch.empty(0, dtype=torch.long, device=model.device)
        self._rows = self._tokens = self._positions = none

    @torch.inference_mode()
    def run(self, on_rows_done: Progress) -> None:
        ended: list[int] = []
        while True:
            self._settle(ended)
            if not len(self._rows):
                return
            ended = self._step()
            if ended:
                on_rows_done(len(ended))

    def _step(self) -> list[int]:
        """One token for each live row. The places of the rows that ended with it."""
        self._cache.advance(self._positions)
        columns = torch.arange(int(self._positions.max()) + 1, device=self._positions.device)
        visible = columns <= self._positions[:, None]
        logits = self._model(
            input_ids=self._tokens[:, None],
            attention_mask=self._additive(visible[:, None, None]),
            position_ids=self._positions[:, None],
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        self._tokens, ended = self._written.choose_next(logits, self._rows, self._chooser)
        self._positions = self._positions + 1
        return ended.nonzero()[:, 0].tolist() if ended.any() else []

    def _settle(self, ended: list[int]) -> None:
        """Give the places of rows that ended to waiting ones, then close the gaps."""
        live = len(self._rows)
        free = self._num_slots - live + len(ended)
        newcomers: list[int] = []
        # reading prompts a few at a time wastes forwards: wait for a quarter of the slots
        if free and (not self._reads or 4 * free >= self._num_slots or free >= len(self._waiting)):
            newcomers = [self._waiting.pop() for _ in range(min(free, len(self._waiting)))]
        places = [*ended, *range(live, self._num_slots)][: len(newcomers)]
        gaps = ended[len(newcomers) :]
        self._enter(newcomers, places)
        if gaps:
            self._close(gaps)

    def _enter(self, newcomers: list[int], places: list[int]) -> None:
        if not newcomers:
            return
        device = self._rows.device
        lengths = [len(self._prompts[row]) for row in newcomers]
        start = 0
        while self._reads and start < len(newcomers):
            stop = start + max(READ_AT_ONCE // max(lengths[start:]), 1)
            self._read(newcomers[start:stop], places[start:stop])
            start = stop
        size = max(len(self._rows), max(places) + 1)

        def placed(old: Tensor, values: list[int]) -> Tensor:
            new = old.new_zeros(size)
            new[: len(old)] = old
            new[torch.tensor(places, device=device)] = torch.tensor(values, device=device)
            return new

        self._rows = placed(self._rows, newcomers)
        self._tokens = placed(self._tokens, [self._prompts[row][-1] for row in newcomers])
        self._positions = placed(self._positions, [length - 1 for length in lengths])

    def _read(self, rows: list[int], places: list[int]) -> None:
        """Keys and values of prompts but for their last token. No logits are needed."""
        device = self._rows.device
        longest = max(len(self._prompts[row]) for row in rows) - 1
        if longest == 0:
            return
        ids = [list(self._prompts[row][:-1]) for row in rows]
        padded = torch.tensor(
            [row + [self._pad] * (longest - len(row)) for row in ids], device=device
        )
        columns = torch.arange(longest, device=device)
        # padding stands on the right: no token before it looks there
        causal = columns <= columns[:, None]
        self._cache.begin(torch.tensor(places, device=device), longest)
        self._model.base_model(
            input_ids=padded,
            attention_mask=self._additive(causal.expand(len(rows), 1, longest, longest)),
            position_ids=columns.expand(len(rows), longest),
            past_key_values=self._cache,
            use_cache=True,
        )

    def _close(self, gaps: list[int]) -> None:
        """Move the last live rows into the gaps."""
        remaining = len(self._rows) - len(gaps)
        gone = set(gaps)
        sources = [place for place in range(remaining, len(self._rows)) if place not in gone]
        targets = [place for place in gaps if place < remaining]
        if targets:
            width = int(self._positions.max())
            self._cache.move(sources, targets, width)
            for state in (self._rows, self._tokens, self._positions):
                state[targets] = state[sources]
        self._rows, self._tokens = self._rows[:remaining], self._tokens[:remaining]
        self._positions = self._positions[:remaining]

    def _additive(self, visible: Tensor) -> Tensor:
        """0 where a token may look, the lowest number elsewhere."""
        dtype = self._model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)
