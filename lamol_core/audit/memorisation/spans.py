"""The longest run of words that a row shares with any row of a corpus, in near linear time.

Runs of length 1, 2, 3 ... are looked up by a rolling hash of 64 bits; a place is dropped as soon as
its run stands nowhere in the corpus, so that the work is that of the runs that are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SharedSpans:
    """Of each row (n) its longest run of words that stands in a row of the corpus too, the first of
    several as long: how many words, from which on; 0 words and group -1 where nothing is shared."""

    words: NDArray[np.int64]
    start: NDArray[np.int64]
    group: NDArray[np.int64]
    """Rows with the same run are one group."""
    corpus_rows: Sequence[NDArray[np.int64]]
    """Those with the run, each once and in their order, by group."""

    def corpus_row(self, row: int) -> int:
        """The first row of the corpus that has it; -1 where nothing is shared."""
        return int(self.corpus_rows[self.group[row]][0]) if self.words[row] else -1


def longest_shared_spans(
    rows: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]]
) -> SharedSpans:
    """For each row, as words, its longest shared span."""
    codes: dict[str, int] = {}
    query, held = _Places.of(rows, codes), _Places.of(corpus, codes)
    generator = np.random.default_rng(0)
    code_of = generator.integers(1, 2**63, size=len(codes) + 1, dtype=np.uint64) | np.uint64(1)
    words, start, group = np.zeros((3, len(rows)), np.int64)
    group -= 1
    groups: list[NDArray[np.int64]] = []
    length, shorter_query, shorter_held = 0, query, held
    while True:
        query, held = query.longer(length, code_of), held.longer(length, code_of)
        query = query.only(np.isin(query.hashes, held.hashes))
        held = held.only(np.isin(held.hashes, query.hashes))
        if length:  # rows that have no longer run end here
            ends = np.setdiff1d(shorter_query.row, query.row)
            place = np.searchsorted(shorter_query.row, ends)  # places are in the order of rows
            words[ends] = length
            start[ends] = shorter_query.at[place] - shorter_query.begins[ends]
            hashes, of_hash = np.unique(shorter_query.hashes[place], return_inverse=True)
            group[ends] = of_hash + len(groups)
            groups += shorter_held.rows_with(hashes)
        if not len(query.at):
            return SharedSpans(words, start, group, groups)
        length, shorter_query, shorter_held = length + 1, query, held


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
        return replace(self, at=at, row=row, hashes=hashes)

    def rows_with(self, hashes: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
        """The rows in which each of these runs begins, each once."""
        order = np.argsort(self.hashes, kind="stable")
        known, rows = self.hashes[order], self.row[order]
        first, last = (np.searchsorted(known, hashes, side) for side in ("left", "right"))
        return [np.unique(rows[i:j]) for i, j in zip(first, last, strict=True)]

    def only(self, mask: NDArray[np.bool_]) -> _Places:
        return replace(self, at=self.at[mask], row=self.row[mask], hashes=self.hashes[mask])
