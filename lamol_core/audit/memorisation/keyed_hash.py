"""Keyed hashes of runs of words show what a text shares with a corpus, without the corpus's text.

Hashed runs have the lengths in LADDER. A shared run therefore counts with the greatest of these
lengths that fits into it. With the key, short runs could be found by trying all combinations of a
vocabulary, and numbers by counting. So no run is kept that has fewer than five words with a letter,
and no e-mail address.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from lamol_core.text.normalise import words_of

ADDRESS = re.compile(r"\S+@\S+")
LADDER = (5, 6, 7, 8, 10, 13, 16, 20, 30, 50)
Hashes = NDArray[np.int64]


@dataclass(frozen=True)
class KeyedHash:
    """64-bit BLAKE2b with a secret key; without the key a hash reveals nothing of its text."""

    key: bytes

    def of(self, kind: str, text: str) -> int:
        digest = blake2b(f"{kind}\0{text}".encode(), key=self.key, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def row(self, text: str) -> int | None:
        """Return the hash of a whole normalised text; None where it has fewer than five words with
        a letter."""
        *_, telling = _telling_words(_words(text))
        return self.of("row", text) if telling >= LADDER[0] else None

    def runs(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield n and the hash of every run of n words, for each n in LADDER."""
        words = _words(text)
        telling = _telling_words(words)
        for n in LADDER:
            for start in range(len(words) - n + 1):
                if telling[start + n] - telling[start] >= LADDER[0]:
                    yield n, self.of(f"{n} words", " ".join(words[start : start + n]))

    def corpus(self, texts: Sequence[str]) -> Hashes:
        """Return the sorted hashes of all runs and all whole rows in some texts."""
        rows = {row for text in texts if (row := self.row(text)) is not None}
        runs = {value for text in texts for _, value in self.runs(text)}
        return np.array(sorted(rows | runs), dtype=np.int64)


def _words(text: str) -> list[str]:
    return words_of(ADDRESS.sub(" ", text))


def _telling_words(words: Sequence[str]) -> list[int]:
    """How many of the first 0, 1, 2, ... words have a letter."""
    return [0, *accumulate(any(map(str.isalpha, word)) for word in words)]


class HashedTexts:
    """The hashes of n normalised texts, to be compared with hashed corpora."""

    def __init__(self, texts: Sequence[str], hashed: KeyedHash) -> None:
        runs = [(row, n, value) for row, text in enumerate(texts) for n, value in hashed.runs(text)]
        self._owners, self._lengths, self._hashes = np.array(runs, np.int64).reshape(-1, 3).T
        rows = [hashed.row(text) for text in texts]
        self._rows = np.array([row or 0 for row in rows], dtype=np.int64)
        self._has_hash: NDArray[np.bool_] = np.array([row is not None for row in rows])

    def longest_runs(self, corpus: Hashes) -> NDArray[np.float64]:
        """Return (n,): the number of words in the longest run of each text that the corpus
        contains, as one of the lengths in LADDER; 0 where it contains none."""
        longest = np.zeros(len(self._rows))
        hit = np.isin(self._hashes, corpus)
        np.maximum.at(longest, self._owners[hit], self._lengths[hit])
        return longest

    def are_rows(self, corpus: Hashes) -> NDArray[np.bool_]:
        """Return (n,): whether each text equals a row of the corpus; False for texts too short
        for a hash."""
        return np.isin(self._rows, corpus) & self._has_hash
