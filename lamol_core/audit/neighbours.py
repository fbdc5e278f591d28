"""The nearest row of a corpus by edit similarity, without comparing with every row.

Candidates are the rows that share most of a text's rarest runs of five characters; a text without
a candidate has no near row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

RUN = 5
MAX_POSTINGS = 64
"""A run that more rows have tells none of them apart."""
RAREST = 12
CANDIDATES = 6


@dataclass(frozen=True)
class Nearest:
    """A row of the corpus and 1 - distance / length of the longer; row -1 where there is none."""

    row: int = -1
    similarity: float = 0.0


class NearestRows:
    """An index over the texts of a corpus."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._postings: dict[str, list[int]] = {}
        self._exact = {text: place for place, text in reversed(list(enumerate(texts)))}
        for place, text in enumerate(texts):
            for run in runs_of(text):
                self._postings.setdefault(run, []).append(place)

    def find(self, text: str) -> Nearest:
        """The nearest row, the first of several that are as near."""
        if text in self._exact:
            return Nearest(self._exact[text], 1.0)
        # in order: a set's own differs from process to process
        known = [self._postings[run] for run in sorted(runs_of(text)) if run in self._postings]
        telling = sorted((p for p in known if len(p) <= MAX_POSTINGS), key=len)[:RAREST]
        if not telling:  # all rows are built alike: one is as near as another
            telling = [postings[:MAX_POSTINGS] for postings in sorted(known, key=len)[:1]]
        votes = Counter(place for postings in telling for place in postings)
        best = Nearest()
        for place, _ in sorted(votes.items(), key=lambda v: (-v[1], v[0]))[:CANDIDATES]:
            similarity = Levenshtein.normalized_similarity(text, self._texts[place])
            if similarity > best.similarity:
                best = Nearest(place, similarity)
        return best


def runs_of(text: str) -> set[str]:
    """All runs of five characters; a shorter text is its own run."""
    return {text[i : i + RUN] for i in range(max(len(text) - RUN + 1, 1))}
