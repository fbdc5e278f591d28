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

Of forgotten rows there is a fingerprint alone, where one was kept: spans are then told by the steps
of hashing.py's LADDER, and a sample is a copy only where it equals a row: near ones are not known.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
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
from lamol_core.audit.fingerprint import Fingerprint
from lamol_core.audit.hashing import HashedTexts, Hashes
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
        found = [_compare(task, audited.seed, self.name) for task in audited.tasks if task.kept]
        compared = [one for one in found if one is not None]
        by_task = {one.task.name: one.figures(audited.seed) for one in compared}
        weights = {task.name: len(task.kept) for task in audited.tasks}
        figures = pooled(by_task, weights) | pooled_excesses(
            by_task, weights, ("overlap", "copied")
        )
        if compared:
            figures["longest_span"] = max(f["longest_span"] or 0.0 for f in by_task.values())
            figures["exact_copies"] = sum(f["exact_copies"] or 0.0 for f in by_task.values())
        neighbours = {k: near for one in compared for k, near in one.neighbours.items()}
        flags = [flag for one in compared for flag in one.flags]
        return Finding(self.name, figures, by_task, flags, neighbours=neighbours)


@dataclass(frozen=True)
class _Compared:
    """Each pseudo-sample of a task (n) against all its training rows, and the excesses."""

    task: SampledTask
    span_words: Numbers
    exact: Numbers
    """1.0 where the sample is a training row."""
    copied: Numbers
    overlap: Numbers
    similarity: Numbers | None
    """Of the nearest training row; None where there are hashes of them alone."""
    gaps: dict[str, Gap]
    flags: Sequence[Flag]
    neighbours: Mapping[str, Neighbour]

    def figures(self, seed: int) -> dict[str, Figure]:
        figures: dict[str, Figure] = {
            "longest_span": float(self.span_words.max()),
            **{f"span_{n}_share": float((self.span_words >= n).mean()) for n in SPANS},
            "overlap": float(self.overlap.mean()),
            "copied_share": float(self.copied.mean()),
            "exact_copies": float(self.exact.sum()),
            "nearest_similarity": None,
            "overlap_excess": None,
            "copied_excess": None,
        }
        if self.similarity is not None:
            figures["nearest_similarity"] = float(self.similarity.mean())
        for name, gap in self.gaps.items():
            low, mean, high = gap.interval(derive_seed(seed, "bootstrap", self.task.name, name))
            figures |= {
                f"{name}_excess": low,
                f"{name}_excess_mean": mean,
                f"{name}_excess_high": high,
            }
        return figures


def _compare(task: SampledTask, seed: int, check: str) -> _Compared | None:
    """None where the rows were forgotten and no fingerprint was kept."""
    chooser = random.Random(derive_seed(seed, "blocks", task.name))
    if not task.forgotten_on:
        return _against_rows(task, check, chooser)
    return _against_hashes(task, task.fingerprint, check, chooser) if task.fingerprint else None


def _against_rows(task: SampledTask, check: str, chooser: random.Random) -> _Compared:
    texts, train = task.texts(task.kept), task.texts(task.train)
    held_out = task.texts(task.held_out)
    spans, nearest = _search(texts, train)
    unseen_spans, unseen_nearest = _search(texts, held_out)
    flags, neighbours = [], {}
    for place, sample in enumerate(task.kept):
        span, near = spans[place], nearest[place]
        neighbours[sample.row_id] = Neighbour(
            task.train[near.row].row_id if near.row >= 0 else "",
            near.similarity,
            task.train[span.corpus_row].row_id if span.words else "",
            span.start,
            span.words,
        )
        if near.similarity >= COPIED and near.similarity > unseen_nearest[place].similarity:
            reason, row = "exact_copy" if near.similarity == 1.0 else "near_copy", near.row
        elif FLAGGED_SPAN <= span.words > unseen_spans[place].words:
            reason, row = "long_span", span.corpus_row
        else:
            continue
        flags.append(
            Flag(
                sample.row_id, task.name, check, reason, near.similarity,
                task.train[row].row_id, span.start, span.words,
            )
        )  # fmt: skip
    similarity = np.array([one.similarity for one in nearest])
    return _Compared(
        task,
        _words(spans),
        (similarity == 1.0).astype(float),
        _copied(nearest),
        _overlaps(texts, _words(spans)),
        similarity,
        _gaps(texts, train, held_out, chooser),
        flags,
        neighbours,
    )


def _against_hashes(
    task: SampledTask, fingerprint: Fingerprint, check: str, chooser: random.Random
) -> _Compared:
    texts = task.texts(task.kept)
    some = texts if len(texts) <= MOST_ROWS else chooser.sample(texts, MOST_ROWS)
    hashed, hashed_some = (HashedTexts(one, fingerprint.hashed) for one in (texts, some))
    train, held_out = fingerprint.all_train, fingerprint.all_held_out
    spans, exact = hashed.longest_runs(train), hashed.are_rows(train)
    unseen_spans, unseen_exact = hashed.longest_runs(held_out), hashed.are_rows(held_out)
    flags = []
    for place, sample in enumerate(task.kept):
        if exact[place] and not unseen_exact[place]:
            reason = "exact_copy"
        elif FLAGGED_SPAN <= spans[place] > unseen_spans[place]:
            reason = "long_span"
        else:
            continue
        flags.append(Flag(sample.row_id, task.name, check, reason, span_words=int(spans[place])))

    def against(corpora: Sequence[Hashes]) -> dict[str, Numbers]:
        runs = [_overlaps(some, hashed_some.longest_runs(corpus)) for corpus in corpora]
        rows = [hashed_some.are_rows(corpus).astype(float) for corpus in corpora]
        return {"overlap": np.stack(runs, axis=1), "copied": np.stack(rows, axis=1)}

    gaps = {}
    if fingerprint.train and fingerprint.held_out:
        seen, unseen = against(fingerprint.train), against(fingerprint.held_out)
        gaps = {name: Gap(seen[name], unseen[name], fingerprint.scale) for name in seen}
    copies = exact.astype(float)
    overlap = _overlaps(texts, spans)
    return _Compared(task, spans, copies, copies, overlap, None, gaps, flags, neighbours={})


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
            "overlap": np.stack([_overlaps(some, _words(spans)) for spans, _ in found], axis=1),
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


def _overlaps(texts: Sequence[str], span_words: Numbers) -> Numbers:
    """The share of each text that its longest shared span is."""
    return span_words / np.array([max(len(words_of(text)), 1) for text in texts])


def _words(spans: Sequence[Span]) -> Numbers:
    return np.array([float(span.words) for span in spans])


def _copied(nearest: Sequence[Nearest]) -> Numbers:
    return np.array([float(one.similarity >= COPIED) for one in nearest])
