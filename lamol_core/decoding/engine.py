"""The decoding engine: rows share the model's forwards, and finished rows make room for the next.

Where prompts are one token (GEN alone) a finished row's slot is taken at once; longer prompts are
read when a quarter of the slots is free, since reading them a few at a time wastes forwards.

A step gives every live row one token. A prompt is read when its row gets a slot, which gives the
row's first token where the model's head can be applied apart; else all but its last token is read,
and the last goes with the next step.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Progress, RowChooser, Written
from lamol_core.decoding.slots import SlotCache, bytes_per_slot
from lamol_core.models.head import linear_head

READ_AT_ONCE = 1024
"""Prompt tokens in one forward, padding included: what a processor's cache holds the states of
(docs/performance.md, "Rules")."""
CACHE_BYTES = 2**30
"""What the keys and values of all slots may take: fewer slots where rows are long."""


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
        # neighbours are of similar length: little padding when they are read, longest last
        by_length = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
        self._waiting = by_length[::-1]
        longest = len(prompts[by_length[-1]])
        self._reads = longest > 1
        self._head = linear_head(model) if self._reads else None
        capacity = longest - 1 + chooser.max_tokens
        fitting = max(CACHE_BYTES // bytes_per_slot(model, capacity), 1)
        self._num_slots = min(batch_size, len(prompts), fitting)
        self._cache = SlotCache(model.config, self._num_slots, capacity)
        none = torch.empty(0, dtype=torch.long, device=model.device)
        # of the live rows, by place: number, newest token, its position, whether it is the last
        self._rows = self._tokens = self._positions = none
        self._ended = none.bool()

    @torch.inference_mode()
    def run(self, on_rows_done: Progress) -> None:
        while True:
            self._settle()
            if not len(self._rows):
                return
            if not self._ended.any():
                self._step()
            if self._ended.any():
                on_rows_done(int(self._ended.sum()))

    def _step(self) -> None:
        """One token for each live row."""
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
        chosen = self._written.choose_next(logits, self._rows, self._chooser)
        self._tokens, self._ended = chosen
        self._positions = self._positions + 1

    def _settle(self) -> None:
        """Give the places of rows that ended to waiting ones, then close the gaps."""
        live, ended = len(self._rows), self._ended.nonzero()[:, 0].tolist()
        free = self._num_slots - live + len(ended)
        newcomers: list[int] = []
        # reading prompts a few at a time wastes forwards: wait for a quarter of the slots
        if not self._reads or 4 * free >= self._num_slots or free >= len(self._waiting):
            newcomers = [self._waiting.pop() for _ in range(min(free, len(self._waiting)))]
        places = [*ended, *range(live, self._num_slots)][: len(newcomers)]
        if newcomers:
            self._enter(newcomers, places)
        if gaps := ended[len(newcomers) :]:
            self._close(gaps)

    def _enter(self, newcomers: list[int], places: list[int]) -> None:
        """Read prompts into places: then their rows are live."""
        device = self._rows.device
        rows = torch.tensor(newcomers, device=device)
        lengths = [len(self._prompts[row]) for row in newcomers]
        positions = torch.tensor(lengths, device=device)
        last = [self._prompts[row][-1] for row in newcomers]
        if self._head is None:
            self._read([self._prompts[row][:-1] for row in newcomers], places)
            tokens, ended = torch.tensor(last, device=device), torch.zeros_like(rows).bool()
            positions = positions - 1
        else:
            states = self._read([self._prompts[row] for row in newcomers], places)
            logits = self._head.logits(states)
            tokens, ended = self._written.choose_next(logits, rows, self._chooser)
        size = max(len(self._rows), max(places) + 1)
        at = torch.tensor(places, device=device)

        def placed(old: Tensor, values: Tensor) -> Tensor:
            new = old.new_zeros(size)
            new[: len(old)] = old
            new[at] = values
            return new

        self._rows, self._tokens = placed(self._rows, rows), placed(self._tokens, tokens)
        self._positions = placed(self._positions, positions)
        self._ended = placed(self._ended, ended)

    def _read(self, prompts: list[Sequence[int]], places: list[int]) -> Tensor:
        """Put the keys and values of prompts into places; the states of their last tokens (B, d).

        Prompts are in ascending order of length. They may be empty, where the last token goes
        with the next step.
        """
        states, start = [], 0
        while start < len(prompts) and prompts[-1]:
            # prompts come in ascending order of length: the last one sets the width
            stop = start + 1
            while stop < len(prompts) and (stop + 1 - start) * len(prompts[stop]) <= READ_AT_ONCE:
                stop += 1
            states.append(self._read_padded(prompts[start:stop], places[start:stop]))
            start = stop
        return torch.cat(states) if states else torch.empty(0)

    def _read_padded(self, prompts: list[Sequence[int]], places: list[int]) -> Tensor:
        device, longest = self._rows.device, max(map(len, prompts))
        padded = [[*prompt, *[self._pad] * (longest - len(prompt))] for prompt in prompts]
        columns = torch.arange(longest, device=device)
        # padding stands on the right: no token before it looks there
        causal = columns <= columns[:, None]
        self._cache.begin(torch.tensor(places, device=device), longest)
        states = self._model.base_model(
            input_ids=torch.tensor(padded, dtype=torch.long, device=device),
            attention_mask=self._additive(causal.expand(len(prompts), 1, longest, longest)),
            position_ids=columns.expand(len(prompts), longest),
            past_key_values=self._cache,
            use_cache=True,
        )[0]
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
        return states[torch.arange(len(prompts), device=device), last]

    def _close(self, gaps: list[int]) -> None:
        """Move the last live rows into the gaps."""
        remaining, gone = len(self._rows) - len(gaps), set(gaps)
        sources = [place for place in range(remaining, len(self._rows)) if place not in gone]
        targets = [place for place in gaps if place < remaining]
        state = (self._rows, self._tokens, self._positions, self._ended)
        if targets:
            self._cache.move(sources, targets, int(self._positions.max()) + 1)
            for values in state:
                values[targets] = values[sources]
        self._rows, self._tokens, self._positions, self._ended = (
            values[:remaining] for values in state
        )

    def _additive(self, visible: Tensor) -> Tensor:
        """0 where a token may look, the lowest number elsewhere."""
        dtype = self._model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)
