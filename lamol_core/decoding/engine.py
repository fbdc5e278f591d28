"""The decoding engine: rows share the model's forwards, and a new row takes the slot of a finished
one.

Each step gives every live row one token. A prompt is read when its row gets a slot. Where the
model's head is a matrix, this gives the row's first token; otherwise the next step reads the
prompt's last token.

What all prompts begin with, such as a chat's system message, is read once. A prompt of one token
(GEN) gets a free slot at once. Longer prompts wait until a quarter of the slots is free, because
reading a few at a time wastes forwards.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Progress, Writer, common_start, rows_by_length
from lamol_core.decoding.slots import SlotCache, bytes_per_slot
from lamol_core.models.head import linear_head

READ_AT_ONCE = 1024
"""The most prompt tokens in one forward, with padding. Their states fit a processor's cache
(docs/performance.md, "Rules")."""
SHARED_FROM = 8
"""A common beginning of this many tokens is read once. Shorter ones save little."""
CACHE_BYTES = 2**30
"""The most bytes for the keys and values of all slots. Long rows therefore get fewer slots."""


def num_shared(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens of all prompts are read once: 0 where they begin differently too soon.

    Each row reads tokens of its own, whose states give its first token."""
    shared = common_start([tuple(prompt[:-2]) for prompt in prompts])
    return shared if shared >= SHARED_FROM else 0


class SlotEngine:
    """Decodes rows in the slots of a SlotCache. The live rows always have the first slots."""

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[Sequence[int]],
        writer: Writer,
        batch_size: int,
        pad: int,
    ) -> None:
        self._model, self._prompts, self._writer, self._pad = model, prompts, writer, pad
        self._waiting = rows_by_length(prompts)
        longest = len(prompts[self._waiting[-1]])
        self._reads = longest > 1
        self._head = linear_head(model) if self._reads else None
        capacity = longest - 1 + writer.max_tokens
        fitting = max(CACHE_BYTES // bytes_per_slot(model, capacity), 1)
        self._num_slots = min(batch_size, len(prompts), fitting)
        self._cache = SlotCache(model.config, self._num_slots, capacity)
        self._num_shared = num_shared(prompts)
        # of each slot: its row, the newest token, its position, whether the row has ended
        self._slots = torch.zeros(4, self._num_slots, dtype=torch.long, device=model.device)
        self._num_live = 0

    @torch.inference_mode()
    def run(self, on_rows_done: Progress) -> None:
        """Generate tokens for all rows until every row has ended. `on_rows_done` is called with the
        number of rows that have just ended."""
        if self._num_shared:
            self._read_padded([self._prompts[0][: self._num_shared]], [0], 0)
            self._cache.share(self._num_shared)
        while True:
            self._settle()
            if not self._num_live:
                return
            live = self._slots[:, : self._num_live]
            if not live[3].any():
                self._step(live)
            if num_ended := int(live[3].sum()):
                on_rows_done(num_ended)

    def _step(self, live: Tensor) -> None:
        """Write one token for each live row."""
        rows, tokens, positions, _ = live
        self._cache.advance(positions)
        columns = torch.arange(int(positions.max()) + 1, device=live.device)
        visible = columns <= positions[:, None]
        logits = self._model(
            input_ids=tokens[:, None],
            attention_mask=self._additive(visible[:, None, None]),
            position_ids=positions[:, None],
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        live[1], live[3] = self._writer.write(logits, rows)
        live[2] += 1

    def _settle(self) -> None:
        """Give free slots to waiting rows, then move live rows into the slots that stay empty."""
        ended = self._slots[3, : self._num_live].nonzero()[:, 0].tolist()
        unused = [*ended, *range(self._num_live, self._num_slots)]
        free = len(unused)
        newcomers: list[int] = []
        # reading prompts a few at a time wastes forwards: wait for a quarter of the slots
        if not self._reads or 4 * free >= self._num_slots or free >= len(self._waiting):
            newcomers, self._waiting = self._waiting[:free], self._waiting[free:]
        if newcomers:
            self._enter(newcomers, unused[: len(newcomers)])
        if gaps := ended[len(newcomers) :]:
            self._close(gaps)

    def _enter(self, newcomers: list[int], slots: list[int]) -> None:
        """Read the prompts of these rows into slots (ascending). The rows are live after that."""
        prompts, device = [self._prompts[row] for row in newcomers], self._slots.device
        rows = torch.tensor(newcomers, device=device)
        positions = torch.tensor([len(prompt) for prompt in prompts], device=device)
        if self._head is None:
            self._read([prompt[:-1] for prompt in prompts], slots)
            tokens = torch.tensor([prompt[-1] for prompt in prompts], device=device)
            positions, ended = positions - 1, torch.zeros_like(rows)
        else:
            logits = self._head.logits(self._read(prompts, slots))
            tokens, ended = self._writer.write(logits, rows)
        self._slots[:, slots] = torch.stack([rows, tokens, positions, ended.long()])
        self._num_live = max(self._num_live, slots[-1] + 1)

    def _read(self, prompts: list[Sequence[int]], slots: list[int]) -> Tensor:
        """Read prompts into slots; returns the states of their last tokens (B, d). The prompts must
        be in ascending order of length, and may be empty."""
        states, start = [], 0
        while start < len(prompts) and prompts[-1]:
            # the last prompt sets the width
            stop = start + 1
            while stop < len(prompts) and (
                (stop + 1 - start) * (len(prompts[stop]) - self._num_shared) <= READ_AT_ONCE
            ):
                stop += 1
            group = prompts[start:stop], slots[start:stop]
            states.append(self._read_padded(*group, self._num_shared))
            start = stop
        return torch.cat(states) if states else torch.empty(0)

    def _read_padded(self, prompts: list[Sequence[int]], slots: list[int], num_read: int) -> Tensor:
        """Read prompts, whose first `num_read` tokens are in the slots already."""
        device, longest = self._slots.device, len(prompts[-1])
        padded = [
            [*prompt[num_read:], *[self._pad] * (longest - len(prompt))] for prompt in prompts
        ]
        columns = torch.arange(longest, device=device)
        own = columns[num_read:]
        # padding is on the right, so no real token attends to it
        causal = columns <= own[:, None]
        self._cache.begin(torch.tensor(slots, device=device), longest, num_read)
        states: Tensor = self._model.base_model(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=self._additive(causal.expand(len(prompts), 1, *causal.shape)),
            position_ids=own.expand(len(prompts), len(own)),
            past_key_values=self._cache,
            use_cache=True,
        )[0]
        last = torch.tensor([len(prompt) - 1 - num_read for prompt in prompts], device=device)
        return states[torch.arange(len(prompts), device=device), last]

    def _close(self, gaps: list[int]) -> None:
        """Move the last live rows into the empty slots `gaps`."""
        live, remaining = self._num_live, self._num_live - len(gaps)
        sources = [slot for slot in range(remaining, live) if slot not in gaps]
        if targets := [slot for slot in gaps if slot < remaining]:
            self._cache.move(sources, targets, int(self._slots[2, :live].max()) + 1)
            self._slots[:, targets] = self._slots[:, sources]
        self._num_live = remaining

    def _additive(self, visible: Tensor) -> Tensor:
        """A mask to be added to scores: 0 where a token may attend, else the lowest number."""
        dtype = self._model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)
