"""Greedy answers to inputs: x ANS in, y out."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lamol_core.decoding.completions import Completion, Progress
from lamol_core.decoding.decode import decode
from lamol_core.text.template import ControlTokens


class Greedy:
    """The likeliest token, never one of `forbidden`; a row ends at EOS or at its length limit."""

    wants_nll = False

    def __init__(
        self,
        num_rows: int,
        eos: int,
        forbidden: Sequence[int],
        max_tokens: int,
        device: torch.device,
    ) -> None:
        self.max_tokens, self._eos = max_tokens, eos
        self._forbidden = torch.tensor(list(forbidden), dtype=torch.long, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def choose(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        self._length[rows] += 1
        tokens = logits.index_fill_(1, self._forbidden, float("-inf")).argmax(dim=-1)
        return tokens, (tokens == self._eos) | (self._length[rows] >= self.max_tokens)


def answer_greedily(
    model: PreTrainedModel,
    control: ControlTokens,
    inputs: Sequence[Sequence[int]],
    max_tokens: int,
    batch_size: int,
    on_rows_done: Progress = lambda count: None,
) -> list[Completion]:
    """The likeliest answer to each input (ids), EOS included where it came within `max_tokens`."""
    forbidden = (control.ans, *control.never_in_text)
    chooser = Greedy(len(inputs), control.eos, forbidden, max_tokens, model.device)
    prompts = [(*ids, control.ans) for ids in inputs]
    return decode(model, prompts, chooser, batch_size, control.pad, on_rows_done)
