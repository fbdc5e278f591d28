"""Choose the next token of each row, and keep the tokens chosen so far."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lamol_core.text.template import End

Progress = Callable[[int], None]
"""A function that is called with the number of rows finished since its last call."""
NextTokens = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Chooses the next ids (B,) from logits (B, V), row indices (B,) and the number of tokens written
so far (B,).

The choice for a row must not depend on other rows. The function may overwrite the logits, except
those of the ids that it chooses."""

IN_CACHE = 2**19
"""How many fp32 numbers a processor's cache holds (2 MiB)."""


class Completion(NamedTuple):
    """The ids that followed a prompt, and their mean negative log-likelihood in nats (NaN if it was
    not computed)."""

    ids: tuple[int, ...]
    nll: float


class Writer:
    """Chooses and keeps the tokens of all rows. A row ends as its End says, or after `max_tokens`
    tokens.

    With `wants_nll` it also sums negative log-likelihoods, which needs the logits of the whole
    vocabulary."""

    def __init__(
        self,
        choose: NextTokens,
        ends: Sequence[End],
        max_tokens: int,
        device: torch.device,
        wants_nll: bool = False,
    ) -> None:
        self.max_tokens = max_tokens
        self._choose, self._wants_nll, num_rows = choose, wants_nll, len(ends)
        self._end = torch.tensor([end.token for end in ends], device=device)
        self._most = torch.tensor([min(end.most, max_tokens) for end in ends], device=device)
        self._ends_left = torch.tensor([end.times for end in ends], device=device)
        self._ids = torch.zeros(num_rows, max_tokens, dtype=torch.long, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._nll = torch.full((num_rows,), 0.0 if wants_nll else float("nan"), device=device)

    def write(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Choose and keep one token for each of these rows (B,), from logits (B, V).

        Returns the chosen ids (B,), and whether each row has ended (B,) bool."""
        normaliser = log_normaliser(logits) if self._wants_nll else None
        length = self._length[rows]
        tokens = self._choose(logits, rows, length)
        self._ids[rows, length] = tokens
        self._length[rows] = length + 1
        if normaliser is not None:
            self._nll[rows] += normaliser - logits.gather(1, tokens[:, None])[:, 0]
        self._ends_left[rows] -= (tokens == self._end[rows]).long()
        return tokens, (self._ends_left[rows] == 0) | (length + 1 == self._most[rows])

    def completions(self) -> list[Completion]:
        means = (self._nll / self._length).tolist()
        rows = zip(self._ids.tolist(), self._length.tolist(), means, strict=True)
        return [Completion(tuple(ids[:length]), nll) for ids, length, nll in rows]


def log_normaliser(logits: Tensor) -> Tensor:
    """log sum exp of each row of logits (B, V), in fp32. Result: (B,).

    A few rows are computed at a time, so that they stay in the processor's cache
    (docs/performance.md, "Rules")."""
    num_rows = max(IN_CACHE // logits.shape[-1], 1)
    return torch.cat([part.float().logsumexp(dim=-1) for part in logits.split(num_rows)])


def rows_by_length(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The indices of the prompts in ascending order of length. Neighbours then need little
    padding."""
    return sorted(range(len(prompts)), key=lambda row: len(prompts[row]))


def common_start(rows: Sequence[tuple[int, ...]]) -> int:
    """How many ids all rows begin with."""
    first, last = min(rows), max(rows)  # all others lie between them
    same = (i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(same, min(len(first), len(last)))
