"""Decoding by `generate()` of transformers, for models that cannot share slots: slower."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
)

from lamol_core.decoding.completions import Progress, RowChooser, Written


class ChosenAlone(LogitsProcessor):
    """Has the chooser take each step: what it chose is all that is left to `generate()`, which
    stops the rows that it has `ended`."""

    def __init__(self, written: Written, chooser: RowChooser, rows: Tensor, pad: int) -> None:
        self._written, self._chooser, self._rows, self._pad = written, chooser, rows, pad
        self.ended = torch.zeros_like(rows, dtype=torch.bool)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V) in which one id a row is possible."""
        live = ~self.ended
        tokens = torch.full_like(self._rows, self._pad)
        tokens[live], self.ended[live] = self._written.choose_next(
            scores[live], self._rows[live], self._chooser
        )
        return torch.full_like(scores, float("-inf")).scatter_(1, tokens[:, None], 0.0)

    def stopped(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """What a StoppingCriteria is: True (B,) where a row has ended."""
        return self.ended


@torch.inference_mode()
def generate_rows(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    chooser: RowChooser,
    written: Written,
    batch_size: int,
    pad: int,
    on_rows_done: Progress,
) -> None:
    """Write every row, a batch of prompts of similar length at a time, padded on the left."""
    by_length = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    with _plain_generation(model):
        for start in range(0, len(by_length), batch_size):
            rows = by_length[start : start + batch_size]
            longest = max(len(prompts[row]) for row in rows)
            gaps = [longest - len(prompts[row]) for row in rows]
            ids = [[pad] * gap + list(prompts[row]) for row, gap in zip(rows, gaps, strict=True)]
            mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
            places = torch.tensor(rows, device=model.device)
            alone = ChosenAlone(written, chooser, places, pad)
            generate: Any = model.generate
            generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                generation_config=GenerationConfig(
                    do_sample=False, max_new_tokens=chooser.max_tokens, pad_token_id=pad
                ),
                logits_processor=LogitsProcessorList([alone]),
                stopping_criteria=StoppingCriteriaList([alone.stopped]),
            )
            on_rows_done(len(rows))


@contextmanager
def _plain_generation(model: PreTrainedModel) -> Iterator[None]:
    """Without what a hub's generation_config adds, a penalty for repeating say."""
    before = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = before
