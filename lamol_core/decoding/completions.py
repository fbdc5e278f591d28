"""What is written for each row: how its next token is chosen, and what has been chosen so far."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Progress = Callable[[int], None]
"""Told how many rows are done since the last call."""

IN_CACHE = 2**19
"""Numbers that a processor's cache holds (2 MiB of fp32)."""


@dataclass(frozen=True)
class Completion:
    """What followed a prompt: ids, and their mean negative log-likelihood in nats (NaN where the
    chooser does not want it)."""

    ids: tuple[int, ...]
    nll: float


class RowChooser(Protocol):
    """Chooses the next token of each row. What it remembers of a row does not depend on others."""

    max_tokens: int
    """No row gets longer than this."""
    wants_nll: bool
    """Whether the likelihoods of what is written are to be computed, over the whole vocabulary."""

    def choose(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Next ids (B,) and which rows end with them (B,) bool, by logits (B, V) of the prompts
        with these numbers (B,). Logits of ids that are not chosen may be overwritten."""
        ...


class Written:
    """The tokens of all rows so far, and the sum of their negative log-likelihoods."""

    def __init__(self, num_rows: int, max_tokens: int, device: torch.device) -> None:
        self._ids = torch.zeros(num_rows, max_tokens, dtype=torch.long, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._nll = torch.zeros(num_rows, device=device)

    def choose_next(
        self, logits: Tensor, rows: Tensor, chooser: RowChooser
    ) -> tuple[Tensor, Tensor]:
        """Let the chooser take a step for these rows, by logits (B, V), and write it down."""
        normaliser = log_normaliser(logits) if chooser.wants_nll else None
        tokens, ended = chooser.choose(logits, rows)
        self._ids[rows, self._length[rows]] = tokens
        self._length[rows] += 1
        if normaliser is None:
            self._nll[rows] = float("nan")
        else:
            self._nll[rows] += normaliser - logits.gather(1, tokens[:, None])[:, 0]
        return tokens, ended

    def completions(self) -> list[Completion]:
        lengths = self._length.tolist()
        means = (self._nll / self._length).tolist()
        return [
            Completion(tuple(ids[:length]), nll)
            for ids, length, nll in zip(self._ids.tolist(), lengths, means, strict=True)
        ]


def log_normaliser(logits: Tensor) -> Tensor:
    """log sum exp of each row (B, V) in fp32, (B,).

    A few rows at a time, so that a row is in the processor's cache from its cast to its sum
    (docs/performance.md, "Rules").
    """
    num_rows = max(IN_CACHE // logits.shape[-1], 1)
    return torch.cat([part.float().logsumexp(dim=-1) for part in logits.split(num_rows)])
