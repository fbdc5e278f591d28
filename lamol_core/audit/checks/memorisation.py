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
                          its 95 % bootstrap interval over rows is judged; *_mean and *_high are the
                          rest. None without held-out rows

With m held-out rows for N training rows, copied_excess takes N/m times the share that is copied
from held-out rows off copied_share (more than chance gives, never less); overlap_excess compares
with m training rows, and N/m times that difference is what all N give.

A copy rate that is no higher than against rows that no training has seen is chance, not memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.base import Audited, Check, Figure, Finding, Flag, Neighbour, SampledTask
from lamol_core.audit.neighbours import Nearest, NearestRows
from lamol_core.audit.spans import Span, longest_shared_spans
from lamol_core.audit.words import words_of
from lamol_core.config import AuditParams
from lamol_core.seeds import derive_seed

SPANS = (8, 13, 50)
COPIED = 0.9
FLAGGED_SPAN = 13
RESAMPLES = 1000
Numbers = NDArray[np.float64]


class Memorisation(Check):
    name = "memorisation"
    title = "Does it repeat its training rows"
    limits = {"copied_excess": "high", "overlap_excess": "high"}  # noqa: RUF012

    def run(self, audited: Audited, params: AuditParams) -> Finding:
        compared = [_compare(task, audited.seed) for task in audited.tasks if task.kept]
        by_task = {one.task.name: one.figures(audited.seed) for one in compared}
        flags = [flag for one in compared for flag in one.flags(self.name)]
        figures = _joined(compared).figures(audited.seed) if compared else {}
        neighbours = {
            sample.row_id: one.neighbour(place)
            for one in compared
            for place, sample in enumerate(one.task.kept)
        }
        return Finding(self.name, figures, by_task, flags, neighbours=neighbours)


@dataclass(frozen=True)
class _Compared:
    """Each row against the training rows, and against as many of them as of the held-out ones."""

    task: SampledTask
    spans: Sequence[Span]
    nearest: Sequence[Nearest]
    nearest_held_out: Sequence[Nearest]
    held_out_words: Sequence[int]
    """The longest span shared with a held-out row."""
    overlap: Numbers
    overlap_gap: Numbers
    copied_gap: Numbers

    def figures(self, seed: int) -> dict[str, Figure]:
        lengths = np.array([span.words for span in self.spans])
        near = np.array([one.similarity for one in self.nearest])
        figures: dict[str, Figure] = {
            "longest_span": float(lengths.max()),
            **{f"span_{n}_share": float((lengths >= n).mean()) for n in SPANS},
            "overlap": float(self.overlap.mean()),
            "copied_share": float((near >= COPIED).mean()),
            "exact_copies": float((near == 1.0).sum()),
            "nearest_similarity": float(near.mean()),
        }
        for name, gaps in (("overlap", self.overlap_gap), ("copied", self.copied_gap)):
            if np.isnan(gaps).all():
                figures |= {f"{name}_excess": None}
                continue
            gaps = gaps[~np.isnan(gaps)]
            low, high = interval_of_mean(gaps, derive_seed(seed, "bootstrap", name))
            figures |= {
                f"{name}_excess": low,
                f"{name}_excess_mean": float(gaps.mean()),
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
    texts, train, held_out = map(task.texts, (task.kept, task.train, task.held_out))  # type: ignore[arg-type]
    words, train_words = [words_of(t) for t in texts], [words_of(t) for t in train]
    spans = longest_shared_spans(words, train_words)
    index = NearestRows(train)
    nearest = [index.find(text) for text in texts]
    size = min(len(train), len(held_out))
    chooser = random.Random(derive_seed(seed, "held-out", task.name))
    scale = len(train) / size if size else float("nan")
    some = chooser.sample(train, size) if size < len(train) else train
    unseen = chooser.sample(held_out, size) if size < len(held_out) else held_out
    unseen_index = NearestRows(unseen)
    near_unseen = [unseen_index.find(text) for text in texts]
    sizes = np.array([max(len(row), 1) for row in words])

    def overlap(found: Sequence[Span]) -> Numbers:
        return np.array([span.words for span in found]) / sizes

    with_some = spans
    if some is not train:
        with_some = longest_shared_spans(words, [words_of(text) for text in some])
    with_unseen = longest_shared_spans(words, [words_of(text) for text in unseen])
    return _Compared(
        task,
        spans,
        nearest,
        near_unseen,
        [span.words for span in with_unseen],
        overlap(spans),
        scale * (overlap(with_some) - overlap(with_unseen)),
        _copied(nearest) - scale * _copied(near_unseen),
    )


def _copied(nearest: Sequence[Nearest]) -> Numbers:
    return np.array([float(one.similarity >= COPIED) for one in nearest])


def _joined(compared: Sequence[_Compared]) -> _Compared:
    """All tasks' rows as those of one."""
    return _Compared(
        compared[0].task,
        [span for one in compared for span in one.spans],
        [near for one in compared for near in one.nearest],
        [near for one in compared for near in one.nearest_held_out],
        [words for one in compared for words in one.held_out_words],
        *(
            np.concatenate([getattr(one, name) for one in compared])
            for name in ("overlap", "overlap_gap", "copied_gap")
        ),
    )


def interval_of_mean(values: Numbers, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean (Efron 1979), by counts of equal values: as quick for
    many rows as for few where values repeat, as these do."""
    distinct, counts = np.unique(np.round(values, 6), return_counts=True)
    draws = np.random.default_rng(seed).multinomial(
        len(values), counts / counts.sum(), size=RESAMPLES
    )
    low, high = np.quantile(draws @ distinct / len(values), [0.025, 0.975])
    return float(low), float(high)
