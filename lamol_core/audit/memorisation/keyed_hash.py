"""Runs of words by keyed hash: what two corpora share can be told without the text of one.

A run of n words that a text shares with one row of a corpus is known for the n of LADDER: the
longest one is told as the longest n of them. Shorter runs are not kept: with the key, runs of three
or four words could be found by trying all of a vocabulary's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lamol_core.text.normalise import words_of

LADDER = (5, 6, 7, 8, 10, 13, 16, 20, 30, 50)
Hashes = NDArray[np.int64]


@dataclass(frozen=True)
class KeyedHash:
    """BLAKE2b with a secret key, 64 bits; without the key a hash says nothing of its text."""

    key: bytes

    def of(self, kind: str, text: str) -> int:
        digest = blake2b(f"{kind}\0{text}".encode(), key=self.key, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def row(self, text: str) -> int | None:
        """The whole of a normalised text; None for one of fewer words than are kept."""
        return self.of("row", text) if len(words_of(text)) >= LADDER[0] else None

    def runs(self, text: str) -> Iterator[tuple[int, int]]:
        """n and hash of every run of n words."""
        words = words_of(text)
        for n in LADDER:
            for start in range(len(words) - n + 1):
                yield n, self.of(f"{n} words", " ".join(words[start : start + n]))

    def corpus(self, texts: Iterable[str]) -> Hashes:
        """All runs and rows of some texts, in the order of their hashes."""
        hashes: set[int] = set()
        for text in texts:
            if (row := self.row(text)) is not None:
                hashes.add(row)
            hashes.update(value for _, value in self.runs(text))
        return np.array(sorted(hashes), dtype=np.int64)


class HashedTexts:
    """Normalised texts to look for in hashed corpora."""

    def __init__(self, texts: Sequence[str], hashed: KeyedHash) -> None:
        runs = [
            (place, n, value) for place, text in enumerate(texts) for n, value in hashed.runs(text)
        ]
        columns = np.array(runs, dtype=np.int64).reshape(-1, 3).T
        self._owners, self._lengths, self._hashes = columns
        rows = [hashed.row(text) for text in texts]
        self._rows = np.array([row or 0 for row in rows], dtype=np.int64)
        self._can_tell = np.array([row is not None for row in rows])

    def longest_runs(self, corpus: Hashes) -> NDArray[np.float64]:
        """Of each text the longest run of words, by the steps of LADDER, that a row has too."""
        longest = np.zeros(len(self._rows))
        hit = np.isin(self._hashes, corpus)
        np.maximum.at(longest, self._owners[hit], self._lengths[hit])
        return longest

    def are_rows(self, corpus: Hashes) -> NDArray[np.bool_]:
        """Whether each text is a row of the corpus, word for word; short ones cannot be told."""
        return np.isin(self._rows, corpus) & self._can_tell
