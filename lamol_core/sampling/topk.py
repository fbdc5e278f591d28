"""Top-k sampling at temperature 1, with a random stream of its own for every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lamol_core.sampling.characters import NOT_TO_BE_MENDED, WHOLE, CharacterSteps
from lamol_core.text.template import NUM_CONTROL, ControlTokens

NEVER = float("-inf")


@dataclass(frozen=True)
class Limits:
    """How many tokens x and y may have."""

    max_input_tokens: int
    max_target_tokens: int

    @property
    def max_tokens(self) -> int:
        """x, ANS, y, EOS."""
        return self.max_input_tokens + self.max_target_tokens + NUM_CONTROL["qa"]


@dataclass(frozen=True)
class Candidates:
    """The likeliest next tokens of each row: fp32 logits (B, K), descending, and ids (B, K)."""

    values: Tensor
    ids: Tensor

    @classmethod
    def among(cls, logits: Tensor, topk: int) -> Candidates:
        values, ids = logits.topk(min(topk, logits.shape[-1]), dim=-1)
        return cls(values.float(), ids)


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
        from_whole = characters.missing[WHOLE]
        self._ends = torch.tensor([control.ans, control.eos], device=device)
        self._control_ids = torch.tensor(
            [control.ans, control.eos, *control.never_in_text], device=device
        )
        unwritable = from_whole == NOT_TO_BE_MENDED
        unwritable[self._control_ids] = True
        self._never = unwritable.nonzero()[:, 0]
        self._most_missing = int(from_whole[from_whole < NOT_TO_BE_MENDED].max())
        self._character = torch.full((num_rows,), WHOLE, dtype=torch.long, device=device)
        self._in_target = torch.zeros(num_rows, dtype=torch.bool, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def candidates(self, logits: Tensor, rows: Tensor, topk: int) -> Candidates:
        """The likeliest ids that keep the format, by logits (B, V) of these rows."""
        ends = logits[:, self._ends]  # a copy: what is in the logits is written over
        ans, eos = ends.float().unbind(dim=1)
        in_target, length = self._in_target[rows], self._length[rows]
        inside = self._character[rows] != WHOLE
        limit = torch.where(
            in_target, self._limits.max_target_tokens, self._limits.max_input_tokens
        )
        room = (limit - length - 1).clamp(max=NOT_TO_BE_MENDED - 1)  # tokens that can follow

        # inside a character, or near the limit, it matters what each token leaves to be written
        strict = inside | (room < self._most_missing)
        checked = None
        if strict.any():
            missing = self._characters.missing[self._character[rows[strict]]]
            checked = logits[strict].masked_fill_(missing > room[strict, None], NEVER)
            checked.index_fill_(1, self._control_ids, NEVER)
        logits.index_fill_(1, self._never, NEVER)
        if checked is not None:
            logits[strict] = checked
        text = Candidates.among(logits, topk)

        barred = (length == 0) | inside
        to_target = torch.logaddexp(ans, eos).masked_fill(in_target | barred, NEVER)
        to_end = eos.masked_fill(~in_target | barred, NEVER)
        full = length >= limit
        values = torch.cat(
            [
                text.values.masked_fill(full[:, None], NEVER),
                to_target.masked_fill(full & ~in_target, 0.0)[:, None],
                to_end.masked_fill(full & in_target, 0.0)[:, None],
            ],
            dim=1,
        )
        logits[:, self._ends] = ends  # they can be chosen, so they stay as they were
        ids = torch.cat([text.ids, self._ends.expand(len(rows), 2)], dim=1)
        values, order = values.topk(min(topk, values.shape[1]), dim=1)
        return Candidates(values, ids.gather(1, order))

    def advance(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """Take a step with the chosen ids (B,) of these rows. True where a row has ended."""
        to_target = tokens == self._control.ans
        self._character[rows] = self._characters.next_state[self._character[rows], tokens].long()
        self._length[rows] = torch.where(to_target, 0, self._length[rows] + 1)
        self._in_target[rows] |= to_target
        return tokens == self._control.eos


class FreeFormat:
    """The published behaviour: anything goes until EOS or the length limit."""

    def __init__(
        self, num_rows: int, control: ControlTokens, limits: Limits, device: torch.device
    ) -> None:
        self._eos, self._max_tokens = control.eos, limits.max_tokens
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)

    def candidates(self, logits: Tensor, rows: Tensor, topk: int) -> Candidates:
        return Candidates.among(logits, topk)

    def advance(self, tokens: Tensor, rows: Tensor) -> Tensor:
        self._length[rows] += 1
        return (tokens == self._eos) | (self._length[rows] >= self._max_tokens)


class TopKSampler:
    """Draws among the k likeliest tokens. Row i uses the uniform numbers of `seeds[i]` alone, one
    a token, so its text does not depend on the rows it is drawn with (up to float order)."""

    wants_nll = True

    def __init__(
        self,
        seeds: Sequence[int],
        topk: int,
        text_format: FormatAutomaton | FreeFormat,
        limits: Limits,
        device: torch.device,
    ) -> None:
        self.max_tokens = limits.max_tokens
        self._topk, self._format = topk, text_format
        draws = [np.random.Generator(np.random.Philox(seed)).random(limits.max_tokens)
                 for seed in seeds]  # fmt: skip
        self._uniform = torch.tensor(np.stack(draws), dtype=torch.float64, device=device)
        self._step = torch.zeros(len(seeds), dtype=torch.long, device=device)

    def choose(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        # k first: softmax and drawing then cost k numbers a row, not the vocabulary
        candidates = self._format.candidates(logits, rows, self._topk)
        ids = candidates.ids
        cumulative = candidates.values.double().softmax(dim=-1).cumsum(dim=-1)
        point = self._uniform[rows, self._step[rows], None] * cumulative[:, -1:]
        # at equality the next token is taken: a token of probability 0 is never drawn
        choice = (cumulative <= point).sum(dim=-1, keepdim=True).clamp(max=ids.shape[-1] - 1)
        tokens = ids.gather(1, choice)[:, 0]
        self._step[rows] += 1
        return tokens, self._format.advance(tokens, rows)
