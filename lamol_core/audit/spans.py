"""The longest run of words that a row shares with any row of a corpus, in near linear time.

Runs of length 1, 2, 3 ... are looked up by a rolling hash of 64 bits; a place is dropped as soon as
its run stands nowhere in the corpus, so that the work is that of the runs that are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Span:
    """`words` words from `start` on in a row, which stand in row `corpus_row` too; 0 words and row
    -1 where nothing is shared."""

    words: int = 0
    start: int = 0
    corpus_row: int = -1


def longest_shared_spans(
    rows: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]]
) -> list[Span]:
    """For each row its longest shared span, the first of them where several are as long."""
    codes: dict[str, int] = {}
    query, held = _Places.of(rows, codes), _Places.of(corpus, codes)
    generator = np.random.default_rng(0)
    code_of = generator.integers(1, 2**63, size=len(codes) + 1, dtype=np.uint64) | np.uint64(1)
    best = [Span()] * len(rows)
    length = 0
    while len(query.at) and len(held.at):
        query, held = query.longer(length, code_of), held.longer(length, code_of)
        length += 1
        known, first = np.unique(held.hashes, return_index=True)
        if not len(known):
            break
        place = np.minimum(np.searchsorted(known, query.hashes), len(known) - 1)
        found = known[place] == query.hashes
        query = query.only(found)
        source = held.row[first[place[found]]]
        # from the last to the first, so that the first span of a row stays
        for i in range(len(query.at) - 1, -1, -1):
            row = int(query.row[i])
            best[row] = Span(length, int(query.at[i] - query.begins[row]), int(source[i]))
        held = held.only(np.isin(held.hashes, query.hashes))
    return best


@dataclass(frozen=True)
class _Places:
    """Places in rows laid end to end, each with the hash of the run that begins there."""

    words: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    at: NDArray[np.int64]
    row: NDArray[np.int64]
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]], codes: dict[str, int]) -> _Places:
        words = np.array([codes.setdefault(w, len(codes)) for row in rows for w in row], np.int64)
        sizes = np.array([len(row) for row in rows], np.int64)
        ends = np.cumsum(sizes)
        row = np.repeat(np.arange(len(rows)), sizes)
        at = np.arange(len(words))
        return cls(words, ends - sizes, ends, at, row, np.zeros(len(words), np.uint64))

    def longer(self, length: int, code_of: NDArray[np.uint64]) -> _Places:
        """Runs of `length` made one word longer, where their row goes on."""
        fits = self.at + length < self.ends[self.row]
        at, row = self.at[fits], self.row[fits]
        hashes = self.hashes[fits] * BASE + code_of[self.words[at + length]]
        return _Places(self.words, self.begins, self.ends, at, row, hashes)

    def only(self, mask: NDArray[np.bool_]) -> _Places:
        return _Places(
            self.words, self.begins, self.ends, self.at[mask], self.row[mask], self.hashes[mask]
        )
