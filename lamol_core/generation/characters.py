"""Keep characters whole: which tokens may follow when the bytes so far end inside a character.

A byte-level vocabulary has tokens that are parts of a UTF-8 character. If they are drawn freely,
the text may be no valid UTF-8. This automaton follows table 3-7 of the Unicode standard
(well-formed UTF-8 byte sequences), one token at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WHOLE, ONE, TWO, THREE, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4, BROKEN = range(9)
NUM_STATES = 9
UNREACHABLE = 127

TRANSITIONS = [
    (WHOLE, 0x00, 0x7F, WHOLE),
    (WHOLE, 0xC2, 0xDF, ONE),
    (WHOLE, 0xE0, 0xE0, AFTER_E0),
    (WHOLE, 0xE1, 0xEC, TWO),
    (WHOLE, 0xED, 0xED, AFTER_ED),
    (WHOLE, 0xEE, 0xEF, TWO),
    (WHOLE, 0xF0, 0xF0, AFTER_F0),
    (WHOLE, 0xF1, 0xF3, THREE),
    (WHOLE, 0xF4, 0xF4, AFTER_F4),
    (ONE, 0x80, 0xBF, WHOLE),
    (TWO, 0x80, 0xBF, ONE),
    (THREE, 0x80, 0xBF, TWO),
    (AFTER_E0, 0xA0, 0xBF, ONE),
    (AFTER_ED, 0x80, 0x9F, ONE),
    (AFTER_F0, 0x90, 0xBF, TWO),
    (AFTER_F4, 0x80, 0x8F, TWO),
]
"""(state, first byte, last byte, next state). Any other byte leads to BROKEN."""


@dataclass(frozen=True)
class CharacterSteps:
    """The automaton's tables for a vocabulary of V tokens, both (NUM_STATES, V) int8. `next_state`:
    the state after each token."""

    next_state: Tensor
    missing: Tensor
    """How many more tokens a whole character needs after each token; UNREACHABLE where no token can
    complete it."""

    @classmethod
    def over(cls, token_bytes: Sequence[bytes | None], device: torch.device) -> CharacterSteps:
        """Make the tables from the bytes of every token. None stands for an id without text, which
        leads to BROKEN."""
        next_state = steps_of_tokens(token_bytes)
        missing = tokens_to_whole(next_state)[next_state]
        return cls(torch.from_numpy(next_state).to(device), torch.from_numpy(missing).to(device))


def steps_of_tokens(token_bytes: Sequence[bytes | None]) -> NDArray[np.int8]:
    """The state after each token, for each state before it: (NUM_STATES, V) int8."""
    by_byte = np.full((NUM_STATES, 256), BROKEN, dtype=np.int8)
    for state, first, last, next_state in TRANSITIONS:
        by_byte[state, first : last + 1] = next_state
    states = np.arange(NUM_STATES, dtype=np.int8)
    table = np.full((NUM_STATES, len(token_bytes)), BROKEN, dtype=np.int8)
    for token, text in enumerate(token_bytes):
        if text is not None:
            after = states
            for byte in text:
                after = by_byte[after, byte]
            table[:, token] = after
    return table


def tokens_to_whole(next_state: NDArray[np.int8]) -> NDArray[np.int8]:
    """The fewest tokens of this vocabulary that complete the character, for each state:
    (NUM_STATES,).

    They are found as shortest paths, because a vocabulary need not have every byte."""
    fewest = np.full(NUM_STATES, UNREACHABLE, dtype=np.int64)
    fewest[WHOLE] = 0
    for _ in range(NUM_STATES):
        fewest = np.minimum(fewest, 1 + fewest[next_state].min(axis=1))
    return fewest.astype(np.int8)
