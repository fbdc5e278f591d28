"""The longest run of words that a row shares with any row of a corpus, in near linear time.

Runs of 1, 2, 3 ... words are looked up by a rolling hash of 64 bits. A run that is not in the
corpus is dropped at once, so that the work depends on the number of shared runs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SharedSpans:
    """For each of n rows its longest run of words that the corpus contains: the number of `words`
    and the index of the first word, `start`. Of equally long runs it is the first one. A row that
    shares nothing has 0 words and group -1.

    Rows with the same run have the same `group`; `corpus_rows` lists for each group the rows of
    the corpus that contain the run, sorted."""

    words: NDArray[np.int64]
    start: NDArray[np.int64]
    group: NDArray[np.int64]
    corpus_rows: Sequence[NDArray[np.int64]]

    def corpus_row(self, row: int) -> int:
        """Return the first row of the corpus that contains this row's run; -1 where nothing is
        shared."""
        return int(self.corpus_rows[self.group[row]][0]) if self.words[row] else -1


def longest_shared_spans(
    rows: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]]
) -> SharedSpans:
    """Return for each row its longest run of words that a row of the corpus contains. A row is a
    sequence of words."""
    codes: dict[str, int] = {}
    query, found = _Runs.of(rows, codes), _Runs.of(corpus, codes)
    rng = np.random.default_rng(0)
    code_of = rng.integers(1, 2**63, size=len(codes) + 1, dtype=np.uint64) | np.uint64(1)
    words, start, group = np.zeros((3, len(rows)), np.int64)
    group -= 1
    groups: list[NDArray[np.int64]] = []
    length, shorter_query, shorter_found = 0, query, found
    while True:
        query, found = query.longer(length, code_of), found.longer(length, code_of)
        query = query.only(np.isin(query.hashes, found.hashes))
        found = found.only(np.isin(found.hashes, query.hashes))
        if length:  # rows without a longer run are finished
            done = np.setdiff1d(shorter_query.row, query.row)
            first = np.searchsorted(shorter_query.row, done)  # runs are in the order of rows
            words[done] = length
            start[done] = shorter_query.at[first] - shorter_query.begins[done]
            hashes, of_hash = np.unique(shorter_query.hashes[first], return_inverse=True)
            group[done] = of_hash + len(groups)
            groups += shorter_found.rows_with(hashes)
        if not len(query.at):
            return SharedSpans(words, start, group, groups)
        length, shorter_query, shorter_found = length + 1, query, found


@dataclass(frozen=True)
class _Runs:
    """Runs of equal length in rows laid end to end: the position `at` which each begins, its
    row, and its hash. `words` are the codes of all words; row i begins at `begins[i]` and ends
    before `ends[i]`."""

    words: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    at: NDArray[np.int64]
    row: NDArray[np.int64]
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]], codes: dict[str, int]) -> _Runs:
        """Return runs of zero words, one beginning at each word. A word that is not in `codes`
        gets the next code."""
        words = np.array([codes.setdefault(w, len(codes)) for row in rows for w in row], np.int64)
        sizes = np.array([len(row) for row in rows], np.int64)
        ends = np.cumsum(sizes)
        row = np.repeat(np.arange(len(rows)), sizes)
        at = np.arange(len(words))
        return cls(words, ends - sizes, ends, at, row, np.zeros(len(words), np.uint64))

    def longer(self, length: int, code_of: NDArray[np.uint64]) -> _Runs:
        """Return the runs of `length` words, each extended by one word. Runs at the end of a row
        are left out."""
        runs = self.only(self.at + length < self.ends[self.row])
        next_codes = code_of[self.words[runs.at + length]]
        return replace(runs, hashes=runs.hashes * BASE + next_codes)

    def rows_with(self, hashes: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
        """Return for each hash the sorted rows that contain the run."""
        order = np.argsort(self.hashes, kind="stable")
        known, rows = self.hashes[order], self.row[order]
        first, last = (np.searchsorted(known, hashes, side) for side in ("left", "right"))
        return [np.unique(rows[i:j]) for i, j in zip(first, last, strict=True)]

    def only(self, mask: NDArray[np.bool_]) -> _Runs:
        return replace(self, at=self.at[mask], row=self.row[mask], hashes=self.hashes[mask])
