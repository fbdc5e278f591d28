"""Top-k sampling at temperature 1. Each row has its own stream of random numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Candidates(NamedTuple):
    """The likeliest next tokens of each row: fp32 logits `values` (B, K) in descending order, and
    `ids` (B, K)."""

    values: Tensor
    ids: Tensor


class FreeFormat:
    """Allows any token at any place, as in the published code."""

    def candidates(self, logits: Tensor, rows: Tensor, topk: int) -> Candidates:
        """The `topk` likeliest allowed ids for these rows (B,), by logits (B, V), which may be
        overwritten."""
        values, ids = logits.topk(min(topk, logits.shape[-1]), dim=-1)
        return Candidates(values.float(), ids)

    def advance(self, tokens: Tensor, rows: Tensor) -> None:
        """Note the ids (B,) that were chosen for these rows (B,)."""


class TopKSampler:
    """Draws among the k likeliest tokens. Row i uses only the random numbers of `seeds[i]`, one per
    token, so its text does not depend on other rows (up to rounding)."""

    def __init__(
        self,
        seeds: Sequence[int],
        topk: int,
        text_format: FreeFormat,
        max_tokens: int,
        device: torch.device,
    ) -> None:
        self._topk, self._format = topk, text_format
        draws = [np.random.Generator(np.random.Philox(seed)).random(max_tokens)
                 for seed in seeds]  # fmt: skip
        self._uniform = torch.tensor(np.stack(draws), dtype=torch.float64, device=device)

    def choose(self, logits: Tensor, rows: Tensor, length: Tensor) -> Tensor:
        """Choose the next ids (B,). See NextTokens."""
        # k first: softmax and drawing then cost k numbers a row, not the vocabulary
        candidates = self._format.candidates(logits, rows, self._topk)
        cumulative = candidates.values.double().softmax(dim=-1).cumsum(dim=-1)
        point = self._uniform[rows, length, None] * cumulative[:, -1:]
        # at equality the next token is taken: a token of probability 0 is never drawn
        choice = (cumulative <= point).sum(dim=-1, keepdim=True)
        tokens = candidates.ids.gather(1, choice.clamp(max=cumulative.shape[-1] - 1))[:, 0]
        self._format.advance(tokens, rows)
        return tokens
