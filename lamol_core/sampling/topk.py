"""Top-k sampling at temperature 1, with a random stream of its own for every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lamol_core.sampling.characters import WHOLE, CharacterSteps
from lamol_core.text.template import ControlTokens

NEVER = float("-inf")


@dataclass(frozen=True)
class Limits:
    """How many tokens x and y may have."""

    max_input_tokens: int
    max_target_tokens: int

    @property
    def max_tokens(self) -> int:
        """x, ANS, y, EOS."""
        return self.max_input_tokens + self.max_target_tokens + 2


class FormatAutomaton:
    """Two states a row, `in x` and `in y`, that let through only what keeps a sample well formed.

    In x: EOS counts as ANS (their probabilities are added), no GEN, no empty x.
    In y: no ANS, no GEN, no empty y. A length limit forces the step to y, or the end.
    In both: whole characters, so no step to y and no end inside one (`characters`).
    """

    def __init__(
        self, num_rows: int, control: ControlTokens, limits: Limits, characters: CharacterSteps
    ) -> None:
        device = characters.next_state.device
        self._control, self._limits, self._characters = control, limits, characters
        self._never = torch.tensor(control.never_in_text, device=device)
        self._character = torch.full((num_rows,), WHOLE, dtype=torch.long, device=device)
        self._in_target = torch.zeros(num_rows, dtype=torch.bool, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def constrain(self, logits: Tensor) -> Tensor:
        """Logits (B, V) in which tokens that would break the format are -inf."""
        ans, eos = self._control.ans, self._control.eos
        in_target, empty = self._in_target, self._length == 0
        logits = logits.index_fill(1, self._never, NEVER)
        to_target = torch.logaddexp(logits[:, ans], logits[:, eos])
        logits[:, ans] = to_target.masked_fill(in_target | empty, NEVER)
        logits[:, eos] = logits[:, eos].masked_fill(~in_target | empty, NEVER)

        limit = torch.where(
            in_target, self._limits.max_target_tokens, self._limits.max_input_tokens
        )
        room = limit - self._length - 1  # tokens that can follow this one
        logits.masked_fill_(self._characters.missing[self._character] > room[:, None], NEVER)
        full = self._length >= limit
        if full.any():
            logits[full] = NEVER
            logits[full & ~in_target, ans] = 0.0
            logits[full & in_target, eos] = 0.0
        return logits

    def advance(self, tokens: Tensor) -> Tensor:
        """Take a step with the chosen ids (B,). True where a row has ended."""
        to_target = tokens == self._control.ans
        self._character = self._characters.next_state[self._character, tokens].long()
        self._length = torch.where(to_target, 0, self._length + 1)
        self._in_target = self._in_target | to_target
        return tokens == self._control.eos

    def keep(self, rows: Tensor) -> None:
        self._in_target, self._length = self._in_target[rows], self._length[rows]
        self._character = self._character[rows]


class FreeFormat:
    """The published behaviour: anything goes until EOS or the length limit."""

    def __init__(self, control: ControlTokens, limits: Limits) -> None:
        self._eos, self._max_tokens, self._length = control.eos, limits.max_tokens, 0

    def constrain(self, logits: Tensor) -> Tensor:
        return logits

    def advance(self, tokens: Tensor) -> Tensor:
        self._length += 1
        return (tokens == self._eos) | (self._length >= self._max_tokens)

    def keep(self, rows: Tensor) -> None:
        """All rows are of one length: there is nothing a row."""


class TopKSampler:
    """Draws among the k likeliest tokens. Row i uses the uniform numbers of `seeds[i]` alone, one
    a token, so its text does not depend on the batch it is drawn in (up to float order)."""

    def __init__(
        self,
        seeds: Sequence[int],
        topk: int,
        text_format: FormatAutomaton | FreeFormat,
        limits: Limits,
        device: torch.device,
    ) -> None:
        self._topk, self._format, self._step = topk, text_format, 0
        draws = [np.random.Generator(np.random.Philox(seed)).random(limits.max_tokens)
                 for seed in seeds]  # fmt: skip
        self._uniform = torch.tensor(np.stack(draws), dtype=torch.float64, device=device)

    def choose(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        allowed = self._format.constrain(logits)
        # k first: softmax and drawing then cost k numbers a row, not the vocabulary
        values, ids = allowed.topk(min(self._topk, allowed.shape[-1]), dim=-1)
        cumulative = values.double().softmax(dim=-1).cumsum(dim=-1)
        point = self._uniform[:, self._step, None] * cumulative[:, -1:]
        # at equality the next token is taken: a token of probability 0 is never drawn
        choice = (cumulative <= point).sum(dim=-1, keepdim=True).clamp(max=ids.shape[-1] - 1)
        tokens = ids.gather(1, choice)[:, 0]
        self._step += 1
        return tokens, self._format.advance(tokens)

    def keep(self, rows: Tensor) -> None:
        self._uniform = self._uniform[rows]
        self._format.keep(rows)
