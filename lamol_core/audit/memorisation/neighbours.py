"""The nearest row of a corpus by edit similarity.

In a small corpus every row is compared. In a larger one only candidates are: the rows that share
most of a text's rarest runs of five characters. Near copies are found. A nearest row that is not
very similar may be missed, and a text that shares no run with any row has no nearest row
(tests/audit/memorisation/test_spans.py).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

RUN = 5
MAX_POSTINGS = 64  # a run that more rows contain does not tell them apart
RAREST = 12
CANDIDATES = 6
ALL_PAIRS = 4_000_000  # up to so many pairs, every pair is compared, in some seconds
CHUNK = 100


@dataclass(frozen=True)
class Nearest:
    """The indices of the nearest rows of the corpus, which are equally similar, and their
    similarity: 1 - edit distance / length of the longer text. `rows` is empty where there is no
    candidate."""

    similarity: float = 0.0
    rows: tuple[int, ...] = ()

    @property
    def row(self) -> int:
        """The index of the first nearest row; -1 where there is none."""
        return self.rows[0] if self.rows else -1


def nearest_rows(texts: Sequence[str], corpus: Sequence[str]) -> list[Nearest]:
    """Return for each text the nearest rows of the corpus, in the order of the texts."""
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


def nearest_by_parts(
    samples: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]]
) -> list[Nearest]:
    """Return for each sample the nearest rows of the corpus, where samples and rows are given as
    texts: the whole and its parts. The most similar pair of a sample's and a row's texts counts."""
    row_of = [row for row, texts in enumerate(corpus) for _ in texts]
    found = iter(nearest_rows([*chain(*samples)], [*chain(*corpus)]))
    nearest = []
    for texts in samples:
        near = list(islice(found, len(texts)))
        best = max(one.similarity for one in near)
        rows = {row_of[part] for one in near if one.similarity == best for part in one.rows}
        nearest.append(Nearest(best, tuple(sorted(rows))))
    return nearest


def _nearest(similarities: np.ndarray, rows: np.ndarray) -> Nearest:
    """Return the most similar of some rows. `similarities` are those of `rows`, which are sorted
    indices."""
    best = float(similarities.max(initial=0.0))
    return Nearest(best, tuple(rows[similarities == best].tolist())) if best else Nearest()


class _Index:
    """An index of a corpus, from each run of five characters to the rows that contain it."""

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
        if not rare:  # the rows are much alike, so that any of them will do
            rare = [postings[:MAX_POSTINGS] for postings in sorted(known, key=len)[:1]]
        votes = Counter(row for postings in rare for row in postings)
        most = sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))[:CANDIDATES]
        rows = sorted(row for row, _ in most)
        near = [Levenshtein.normalized_similarity(text, self._texts[row]) for row in rows]
        return _nearest(np.array(near), np.array(rows))


def runs_of(text: str) -> set[str]:
    """Return all runs of five characters in a text; a shorter text is its own only run."""
    return {text[i : i + RUN] for i in range(max(len(text) - RUN + 1, 1))}
