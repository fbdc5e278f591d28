"""The decoding loop: batches of prompts, a key-value cache, rows leave when they are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

Progress = Callable[[int], None]
"""Told how many rows are done since the last call."""


@dataclass(frozen=True)
class Completion:
    """What followed a prompt: ids, and their mean negative log-likelihood in nats."""

    ids: tuple[int, ...]
    nll: float


class RowChooser(Protocol):
    """Chooses the next token of each row that is still being written."""

    def choose(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Next ids (B,) and which rows end with them (B,) bool, for fp32 logits (B, V)."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these, given by their index (K,)."""
        ...


class ChooserFactory(Protocol):
    def __call__(self, rows: Sequence[int], device: torch.device) -> RowChooser:
        """A chooser for the prompts with these numbers."""
        ...


class Greedy:
    """The likeliest token, never one of `forbidden`; a row ends at EOS or at its length limit."""

    def __init__(
        self, eos: int, forbidden: Sequence[int], max_tokens: int, device: torch.device
    ) -> None:
        self._eos, self._max_tokens = eos, max_tokens
        self._forbidden = torch.tensor(list(forbidden), dtype=torch.long, device=device)
        self._length = 0

    def choose(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        self._length += 1
        tokens = logits.index_fill(1, self._forbidden, float("-inf")).argmax(dim=-1)
        return tokens, (tokens == self._eos) | (self._length >= self._max_tokens)

    def keep(self, rows: Tensor) -> None:
        """All rows are of one length: there is nothing a row."""


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    chooser_for: ChooserFactory,
    batch_size: int,
    pad: int,
    on_rows_done: Progress = lambda count: None,
) -> list[Completion]:
    """Continue every prompt; the results stand in the order of the prompts.

    Prompts are taken in order of length, so that a batch holds little padding.
    """
    by_length = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    results: dict[int, Completion] = {}
    for start in range(0, len(by_length), batch_size):
        rows = by_length[start : start + batch_size]
        chooser = chooser_for(rows, model.device)
        _decode_batch(model, prompts, rows, chooser, pad, results, on_rows_done)
    return [results[row] for row in range(len(prompts))]


def _decode_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    rows: list[int],
    chooser: RowChooser,
    pad: int,
    results: dict[int, Completion],
    on_rows_done: Progress,
) -> None:
    device = model.device
    ids, mask = _left_padded([prompts[row] for row in rows], pad, device)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    written: dict[int, list[int]] = {row: [] for row in rows}
    nll = torch.zeros(len(rows), device=device)
    live = list(rows)
    while live:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()
        tokens, ended = chooser.choose(logits)
        nll += logits.logsumexp(dim=-1) - logits.gather(1, tokens[:, None])[:, 0]
        for row, token in zip(live, tokens.tolist(), strict=True):
            written[row].append(token)
        if ended.any():
            for place in ended.nonzero()[:, 0].tolist():
                row = live[place]
                mean_nll = nll[place].item() / len(written[row])
                results[row] = Completion(tuple(written[row]), mean_nll)
            on_rows_done(int(ended.sum()))
            kept = (~ended).nonzero()[:, 0]
            live = [live[place] for place in kept.tolist()]
            if not live:
                return
            cache.batch_select_indices(kept)
            chooser.keep(kept)
            tokens, mask, positions, nll = tokens[kept], mask[kept], positions[kept], nll[kept]
        ids = tokens[:, None]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
        positions = positions[:, -1:] + 1


def _left_padded(
    prompts: list[Sequence[int]], pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    ids = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
