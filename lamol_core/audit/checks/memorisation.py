"""Memorisation: whether rows repeat what the model was trained on.

    longest_span, span_8_share, span_13_share, span_50_share
                          the longest run of words shared with one training row (Carlini et al. 2021
                          count 50 tokens; 8 and 13 are n-gram lengths of decontamination), and the
                          share of rows with so long a one
    overlap               that run / the row's words, mean over rows
    copied_share          rows equal to a training row, or nearer than 0.9 in edit similarity
    nearest_similarity    edit similarity to the nearest training row, mean over rows
    overlap_excess, copied_excess
                          overlap and copied_share against training rows minus what is expected
                          of as many rows that no training has seen: THE HEADLINE. The lower end of
                          its 95 % interval is judged; *_mean and *_high are the rest. None without
                          held-out rows

Training and held-out rows are cut into blocks of one size, and each pseudo-sample (2,000 at the
most) is held against each block: excess.py.

A copy rate that is no higher than against rows that no training has seen is chance, not memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.base import (
    Audited,
    Check,
    Figure,
    Finding,
    Flag,
    Neighbour,
    SampledTask,
    pooled,
)
from lamol_core.audit.excess import Gap, cut_blocks, pooled_excesses
from lamol_core.audit.neighbours import Nearest, NearestRows
from lamol_core.audit.spans import Span, longest_shared_spans
from lamol_core.audit.words import words_of
from lamol_core.config import AuditParams
from lamol_core.seeds import derive_seed

SPANS = (8, 13, 50)
COPIED = 0.9
FLAGGED_SPAN = 13
MOST_ROWS = 2000
Numbers = NDArray[np.float64]


class Memorisation(Check):
    name = "memorisation"
    title = "Does it repeat its training rows"
    limits = {"copied_excess": "high", "overlap_excess": "high"}  # noqa: RUF012

    def run(self, audited: Audited, params: AuditParams) -> Finding:
        compared = [_compare(task, audited.seed) for task in audited.tasks if task.kept]
        by_task = {one.task.name: one.figures(audited.seed) for one in compared}
        flags = [flag for one in compared for flag in one.flags(self.name)]
        weights = {task.name: len(task.kept) for task in audited.tasks}
        figures = pooled(by_task, weights) | pooled_excesses(
            by_task, weights, ("overlap", "copied")
        )
        if compared:
            figures["longest_span"] = max(f["longest_span"] or 0.0 for f in by_task.values())
            figures["exact_copies"] = sum(f["exact_copies"] or 0.0 for f in by_task.values())
        neighbours = {
            sample.row_id: one.neighbour(place)
            for one in compared
            for place, sample in enumerate(one.task.kept)
        }
        return Finding(self.name, figures, by_task, flags, neighbours=neighbours)


@dataclass(frozen=True)
class _Compared:
    """Each pseudo-sample of a task against all its training rows, and the excesses."""

    task: SampledTask
    spans: Sequence[Span]
    nearest: Sequence[Nearest]
    nearest_held_out: Sequence[Nearest]
    held_out_words: Sequence[int]
    """The longest span shared with a held-out row."""
    overlap: Numbers
    gaps: dict[str, Gap]

    def figures(self, seed: int) -> dict[str, Figure]:
        lengths = _words(self.spans)
        near = np.array([one.similarity for one in self.nearest])
        figures: dict[str, Figure] = {
            "longest_span": float(lengths.max()),
            **{f"span_{n}_share": float((lengths >= n).mean()) for n in SPANS},
            "overlap": float(self.overlap.mean()),
            "copied_share": float((near >= COPIED).mean()),
            "exact_copies": float((near == 1.0).sum()),
            "nearest_similarity": float(near.mean()),
            "overlap_excess": None,
            "copied_excess": None,
        }
        for name, gap in self.gaps.items():
            low, mean, high = gap.interval(derive_seed(seed, "bootstrap", self.task.name, name))
            figures |= {
                f"{name}_excess": low,
                f"{name}_excess_mean": mean,
                f"{name}_excess_high": high,
            }
        return figures

    def neighbour(self, place: int) -> Neighbour:
        span, near = self.spans[place], self.nearest[place]
        return Neighbour(
            self.task.train[near.row].row_id if near.row >= 0 else "",
            near.similarity,
            self.task.train[span.corpus_row].row_id if span.words else "",
            span.start,
            span.words,
        )

    def flags(self, check: str) -> list[Flag]:
        found = []
        for place, sample in enumerate(self.task.kept):
            span, near = self.spans[place], self.nearest[place]
            far = self.nearest_held_out[place].similarity
            if near.similarity >= COPIED and near.similarity > far:
                reason, row = "exact_copy" if near.similarity == 1.0 else "near_copy", near.row
            elif FLAGGED_SPAN <= span.words > self.held_out_words[place]:
                reason, row = "long_span", span.corpus_row
            else:
                continue
            found.append(
                Flag(
                    sample.row_id, self.task.name, check, reason, near.similarity,
                    self.task.train[row].row_id, span.start, span.words,
                )
            )  # fmt: skip
        return found


def _compare(task: SampledTask, seed: int) -> _Compared:
    texts, train = task.texts(task.kept), task.texts(task.train)
    held_out = task.texts(task.held_out)
    spans, nearest = _search(texts, train)
    unseen_spans, unseen_nearest = _search(texts, held_out)
    return _Compared(
        task,
        spans,
        nearest,
        unseen_nearest,
        [span.words for span in unseen_spans],
        _overlaps(texts, spans),
        _gaps(texts, train, held_out, random.Random(derive_seed(seed, "blocks", task.name))),
    )


def _gaps(
    texts: Sequence[str], train: Sequence[str], held_out: Sequence[str], chooser: random.Random
) -> dict[str, Gap]:
    """The gaps of overlap and copied; none without held-out rows."""
    blocks = cut_blocks(train, held_out, chooser)
    if blocks is None:
        return {}
    some = texts if len(texts) <= MOST_ROWS else chooser.sample(texts, MOST_ROWS)

    def against(corpora: Sequence[Sequence[str]]) -> dict[str, Numbers]:
        found = [_search(some, corpus) for corpus in corpora]
        return {
            "overlap": np.stack([_overlaps(some, spans) for spans, _ in found], axis=1),
            "copied": np.stack([_copied(nearest) for _, nearest in found], axis=1),
        }

    seen, unseen = against(blocks.train), against(blocks.held_out)
    return {name: Gap(seen[name], unseen[name], blocks.scale) for name in seen}


def _search(texts: Sequence[str], corpus: Sequence[str]) -> tuple[list[Span], list[Nearest]]:
    """Each text's longest shared span with any row of the corpus, and its nearest row."""
    index = NearestRows(corpus)
    words = [words_of(text) for text in texts]
    spans = longest_shared_spans(words, [words_of(text) for text in corpus])
    return spans, [index.find(text) for text in texts]


def _overlaps(texts: Sequence[str], spans: Sequence[Span]) -> Numbers:
    """The share of each text that its longest shared span is."""
    return _words(spans) / np.array([max(len(words_of(text)), 1) for text in texts])


def _words(spans: Sequence[Span]) -> Numbers:
    return np.array([float(span.words) for span in spans])


def _copied(nearest: Sequence[Nearest]) -> Numbers:
    return np.array([float(one.similarity >= COPIED) for one in nearest])
