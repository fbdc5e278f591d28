"""Greedy answers to inputs: x ANS in, y out."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, NextTokens, Progress
from lamol_core.decoding.decode import decode
from lamol_core.text.template import ControlTokens


def likeliest(forbidden: Sequence[int], device: torch.device) -> NextTokens:
    """Chooses the likeliest token, never one of `forbidden`."""
    never = torch.tensor(forbidden, dtype=torch.long, device=device)
    return lambda logits, rows, length: logits.index_fill_(1, never, float("-inf")).argmax(dim=-1)


def answer_greedily(
    model: PreTrainedModel,
    control: ControlTokens,
    inputs: Sequence[Sequence[int]],
    max_tokens: int,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
) -> list[Completion]:
    """The likeliest answer to each input (ids), EOS included where it came within `max_tokens`."""
    choose = likeliest((control.ans, *control.never_in_text), model.device)
    prompts = [(*ids, control.ans) for ids in inputs]
    return decode(model, prompts, choose, max_tokens, control, batch_size, on_rows_done)
