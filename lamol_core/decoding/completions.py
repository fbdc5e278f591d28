"""The tokens that are written: how the next one is chosen, and what was chosen so far."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Progress = Callable[[int], None]
"""Called with the number of rows that were finished since the last call."""
NextTokens = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Next ids (B,) from logits (B, V), row indices (B,) and the number of tokens written so far (B,).

A row's next token does not depend on other rows. Logits of ids that are not chosen may be
overwritten."""

IN_CACHE = 2**19
"""Numbers that a processor's cache holds (2 MiB of fp32)."""


class Completion(NamedTuple):
    """What followed a prompt: ids, and their mean negative log-likelihood in nats (NaN where it was
    not computed)."""

    ids: tuple[int, ...]
    nll: float


class Writer:
    """Chooses the tokens of all rows and keeps them. A row ends with EOS or at `max_tokens`.

    With `wants_nll` it sums negative log-likelihoods too, which takes the whole vocabulary.
    """

    def __init__(
        self,
        choose: NextTokens,
        num_rows: int,
        max_tokens: int,
        eos: int,
        device: torch.device,
        wants_nll: bool = False,
    ) -> None:
        self.max_tokens = max_tokens
        self._choose, self._eos, self._wants_nll = choose, eos, wants_nll
        self._ids = torch.zeros(num_rows, max_tokens, dtype=torch.long, device=device)
        self._length = torch.zeros(num_rows, dtype=torch.long, device=device)
        self._nll = torch.full((num_rows,), 0.0 if wants_nll else float("nan"), device=device)

    def write(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Choose and keep one token for each of these rows (B,), by logits (B, V).

        The result is the ids (B,), and which rows end with them (B,) bool.
        """
        normaliser = log_normaliser(logits) if self._wants_nll else None
        length = self._length[rows]
        tokens = self._choose(logits, rows, length)
        self._ids[rows, length] = tokens
        self._length[rows] = length + 1
        if normaliser is not None:
            self._nll[rows] += normaliser - logits.gather(1, tokens[:, None])[:, 0]
        return tokens, (tokens == self._eos) | (length + 1 == self.max_tokens)

    def completions(self) -> list[Completion]:
        means = (self._nll / self._length).tolist()
        rows = zip(self._ids.tolist(), self._length.tolist(), means, strict=True)
        return [Completion(tuple(ids[:length]), nll) for ids, length, nll in rows]


def log_normaliser(logits: Tensor) -> Tensor:
    """log sum exp of each row (B, V) in fp32, (B,).

    A few rows at a time, so that a row is in the processor's cache from its cast to its sum
    (docs/performance.md, "Rules").
    """
    num_rows = max(IN_CACHE // logits.shape[-1], 1)
    return torch.cat([part.float().logsumexp(dim=-1) for part in logits.split(num_rows)])


def rows_by_length(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Row indices in ascending order of length: neighbours need little padding."""
    return sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
