"""The nearest row of a corpus by edit similarity.

A small corpus is compared whole. In a larger one the candidates are the rows that share most of a
text's rarest runs of five characters: near copies are found, a nearest row that is far may be
missed, and a text without a candidate has none (tests/audit/memorisation/test_spans.py).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

RUN = 5
MAX_POSTINGS = 64  # a run that more rows have separates none of them
RAREST = 12
CANDIDATES = 6
ALL_PAIRS = 4_000_000  # up to so many pairs of texts are all compared: some seconds
CHUNK = 100


@dataclass(frozen=True)
class Nearest:
    """The rows of the corpus that are equally near, none where there is no candidate, and their
    similarity: 1 - distance / length of the longer text."""

    similarity: float = 0.0
    rows: tuple[int, ...] = ()

    @property
    def row(self) -> int:
        """The first of them; -1 for none."""
        return self.rows[0] if self.rows else -1


def nearest_rows(texts: Sequence[str], corpus: Sequence[str]) -> list[Nearest]:
    """For each text the nearest rows of the corpus."""
    if len(texts) * len(corpus) > ALL_PAIRS:
        index = _Index(corpus)
        return [index.find(text) for text in texts]
    if not corpus:
        return [Nearest()] * len(texts)
    every_row = np.arange(len(corpus))
    chunks = (texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK))
    scorer = Levenshtein.normalized_similarity
    return [
        _nearest(similarities, every_row)
        for chunk in chunks
        for similarities in cdist(chunk, corpus, scorer=scorer, dtype=np.float64)
    ]


def _nearest(similarities: np.ndarray, rows: np.ndarray) -> Nearest:
    """The most similar of some rows, which are sorted."""
    best = float(similarities.max(initial=0.0))
    return Nearest(best, tuple(rows[similarities == best].tolist())) if best else Nearest()


class _Index:
    """Runs of characters, and the rows that have them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._postings: dict[str, list[int]] = defaultdict(list)
        self._exact: dict[str, list[int]] = defaultdict(list)
        for row, text in enumerate(texts):
            self._exact[text].append(row)
            for run in runs_of(text):
                self._postings[run].append(row)

    def find(self, text: str) -> Nearest:
        if text in self._exact:
            return Nearest(1.0, tuple(self._exact[text]))
        # sorted, as the order of a set differs from process to process
        known = [self._postings[run] for run in sorted(runs_of(text)) if run in self._postings]
        rare = sorted((p for p in known if len(p) <= MAX_POSTINGS), key=len)[:RAREST]
        if not rare:  # all rows are built alike: one is as near as another
            rare = [postings[:MAX_POSTINGS] for postings in sorted(known, key=len)[:1]]
        votes = Counter(row for postings in rare for row in postings)
        most = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))[:CANDIDATES]
        rows = sorted(row for row, _ in most)
        near = [Levenshtein.normalized_similarity(text, self._texts[row]) for row in rows]
        return _nearest(np.array(near), np.array(rows))


def runs_of(text: str) -> set[str]:
    """All runs of five characters; a shorter text is its own run."""
    return {text[i : i + RUN] for i in range(max(len(text) - RUN + 1, 1))}
