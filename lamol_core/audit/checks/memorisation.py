"""Memorisation: whether rows repeat what the model was trained on.

    longest_span, span_8_share, span_13_share, span_50_share
                          the longest run of words shared with one training row (Carlini et al. 2021
                          count 50 tokens; 8 and 13 are n-gram lengths of decontamination), and the
                          share of rows with so long a one
    overlap               that run / the row's words, mean over rows
    copied_share          rows equal to a training row, or nearer than 0.9 in edit similarity
    exact_copies          rows equal to a training row
    nearest_similarity    edit similarity to the nearest training row, mean over rows
    *_held_out            the same against rows that no training has seen; `training_rows` and
                          `held_out_rows` say how many there are of each
    overlap_excess, copied_excess
                          how much of overlap and copied_share is more than chance: THE HEADLINE.
                          The lower end of its 95 % interval is judged; *_mean and *_high are the
                          rest (excess.py), and single tasks' intervals hold for all tasks at
                          once. None without held-out rows

The teacher has learnt all earlier tasks: samples are held against the rows of every one of them
that are here, whichever task they are drawn for. A copy rate that is no higher than against rows
that no training has seen is chance, not memory.

Flagged: copies of a training row to which no held-out row is as near, and runs of 13 words or more
that are longer than what the sample, and 99 in 100 samples, share with held-out rows; rejected rows
too, which stand in the table that is shared.

Of forgotten rows there is a fingerprint alone, where one was kept: spans are then told by the steps
of hashing.py's LADDER, and a sample is a copy only where it equals a row: near ones are not known,
nor anything of samples that are too short to be told.
"""

from __future__ import annotations

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
from lamol_core.audit.excess import Pool, Shares, excess_of, pooled_excesses
from lamol_core.audit.fingerprint import Fingerprint
from lamol_core.audit.hashing import HashedTexts
from lamol_core.audit.neighbours import Nearest, nearest_rows
from lamol_core.audit.spans import SharedSpans, longest_shared_spans
from lamol_core.audit.words import words_of
from lamol_core.config import AuditParams
from lamol_core.records import Example, PseudoSample
from lamol_core.seeds import derive_seed

SPANS = (8, 13, 50)
COPIED = 0.9
FLAGGED_SPAN = 13
USUAL = 0.99
"""Of the runs that samples share with held-out rows: longer ones are flagged."""
HEADLINES = ("overlap", "copied")
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Memorisation(Check):
    name = "memorisation"
    title = "Does it repeat its training rows"
    limits = {"copied_excess": "high", "overlap_excess": "high"}  # noqa: RUF012

    def num_rows(self, task: SampledTask) -> int:
        return len(task.kept) if task.fingerprint is None else task.num_told

    def run(self, audited: Audited, params: AuditParams) -> Finding:
        by_task: dict[str, Mapping[str, Figure]] = {}
        parts: list[tuple[int, Mapping[str, Figure]]] = []
        flags: list[Flag] = []
        neighbours: Mapping[str, Neighbour] = {}
        kept = [task for task in audited.tasks if task.kept]
        among = max(len(kept), 1)
        if any(task.train for task in audited.tasks):
            rows = _AgainstRows.of(audited.tasks, audited.seed)
            flags, neighbours = rows.flags(self.name), rows.neighbours()
            kept = [task for task in kept if not task.forgotten_on]
            for task in kept:
                by_task[task.name] = rows.figures(rows.kept(task), among)
            if kept:
                everything = np.logical_or.reduce([rows.kept(task) for task in kept])
                parts.append((int(everything.sum()), rows.figures(everything)))
        for task in audited.tasks:
            if task.fingerprint is not None and task.kept:
                figures, found = _against_hashes(
                    task, task.fingerprint, audited.seed, self.name, among
                )
                by_task[task.name] = figures
                parts.append((self.num_rows(task), figures))
                flags += found
        in_order = {task.name: by_task[task.name] for task in audited.tasks if task.name in by_task}
        figures = _whole(parts)
        notes = _undecided(figures, params)
        return Finding(self.name, figures, in_order, flags, notes=notes, neighbours=neighbours)


def _undecided(figures: Mapping[str, Figure], params: AuditParams) -> list[str]:
    """Headlines that would be beyond a limit, had there been more to hold them against."""
    notes = []
    for name in (f"{one}_excess" for one in HEADLINES):
        low, mean, limit = figures.get(name), figures.get(f"{name}_mean"), params.limits
        if low is not None and mean is not None and low <= getattr(limit, name).warn < mean:
            notes.append(
                f"{name}: {mean:.1%} by estimate, but {low:.1%} is the lower end of its interval: "
                "with so few rows that chance is not ruled out."
            )
    return notes


def _whole(parts: Sequence[tuple[int, Mapping[str, Figure]]]) -> dict[str, Figure]:
    """The figures of the whole table from those of its parts, each with its number of rows."""
    by_part = {str(place): figures for place, (_, figures) in enumerate(parts)}
    sizes = {str(place): size for place, (size, _) in enumerate(parts)}
    figures = pooled(by_part, sizes)
    if len(parts) > 1:
        excesses = [part for _, part in parts]
        figures |= pooled_excesses(excesses, list(sizes.values()), HEADLINES)
    for name in figures:
        known = [value for _, part in parts if (value := part.get(name)) is not None]
        if name.startswith("longest_span") and known:
            figures[name] = max(known)
        elif (
            name.startswith(("exact_copies", "training_rows", "held_out_rows", "rows_told"))
            and known
        ):
            figures[name] = sum(known)
    return figures


@dataclass(frozen=True)
class _Side:
    """Samples (n) against training rows, or against held-out ones."""

    rows: Sequence[Example]
    spans: SharedSpans
    nearest: Sequence[Nearest]
    similarity: Numbers
    lengths: Numbers
    """Words of the samples."""

    @classmethod
    def of(cls, texts: Sequence[str], rows: Sequence[Example], corpus: Sequence[str]) -> _Side:
        nearest = nearest_rows(texts, corpus)
        return cls(
            rows,
            longest_shared_spans([words_of(t) for t in texts], [words_of(t) for t in corpus]),
            nearest,
            np.array([one.similarity for one in nearest]),
            _lengths(texts),
        )

    def figures(self, samples: Mask) -> dict[str, float]:
        words, similarity = self.spans.words[samples], self.similarity[samples]
        return {
            "longest_span": float(words.max()),
            **{f"span_{n}_share": float((words >= n).mean()) for n in SPANS},
            "overlap": float((words / self.lengths[samples]).mean()),
            "copied_share": float((similarity >= COPIED).mean()),
            "exact_copies": float((similarity == 1.0).sum()),
            "nearest_similarity": float(similarity.mean()),
        }


@dataclass(frozen=True)
class _AgainstRows:
    """All samples, rejected ones and those of forgotten tasks too, against all rows that are
    here."""

    tasks: Sequence[SampledTask]
    samples: Sequence[PseudoSample]
    train: _Side
    held_out: _Side
    pool: Pool
    """Training rows, then held-out ones."""
    shares: Mapping[str, Shares]
    """To which of the pool's rows the samples are nearest, by HEADLINES."""
    seed: int

    @classmethod
    def of(cls, tasks: Sequence[SampledTask], seed: int) -> _AgainstRows:
        texts = [text for task in tasks for text in task.texts(task.drawn)]
        train = [row for task in tasks for row in task.train]
        held_out = [row for task in tasks for row in task.held_out]
        seen = [text for task in tasks for text in task.texts(task.train)]
        unseen = [text for task in tasks for text in task.texts(task.held_out)]
        places = [place for place, task in enumerate(tasks) for _ in task.train]
        places += [place for place, task in enumerate(tasks) for _ in task.held_out]
        sides = _Side.of(texts, train, seen), _Side.of(texts, held_out, unseen)
        return cls(
            tasks,
            [sample for task in tasks for sample in task.drawn],
            *sides,
            Pool(np.array(places), np.arange(len(places)) < len(train)),
            {"overlap": _by_spans(texts, [*seen, *unseen]), "copied": _by_nearness(*sides)},
            seed,
        )

    def kept(self, task: SampledTask) -> Mask:
        """Which samples are those of a task that are trained on."""
        return np.array([s.valid and s.source_task == task.name for s in self.samples], bool)

    def figures(self, samples: Mask, among: int = 1) -> dict[str, Figure]:
        """Of some of the samples, one at least; `among`: of so many sets of them (excess.py)."""
        names = {self.samples[place].source_task for place in np.flatnonzero(samples).tolist()}
        figures: dict[str, Figure] = {**self.train.figures(samples)}
        for name, value in self.held_out.figures(samples).items():
            figures[f"{name}_held_out"] = value if self.held_out.rows else None
        figures["training_rows"] = float(len(self.train.rows))
        figures["held_out_rows"] = float(len(self.held_out.rows))
        for name, shares in self.shares.items():
            level = float(shares.weight[samples].mean())
            seed = derive_seed(self.seed, "permutation", name, *sorted(names))
            given = shares.given(samples, len(self.pool))
            excess = excess_of(given, self.pool, level, seed, among)
            figures |= excess.figures(name) if excess else {f"{name}_excess": None}
        return figures

    def neighbours(self) -> dict[str, Neighbour]:
        found = {}
        for place, sample in enumerate(self.samples):
            near, row = self.train.nearest[place], self.train.spans.corpus_row(place)
            found[sample.row_id] = Neighbour(
                self.train.rows[near.row].row_id if near.rows else "",
                near.similarity,
                self.train.rows[row].row_id if row >= 0 else "",
                int(self.train.spans.start[place]),
                int(self.train.spans.words[place]),
            )
        return found

    def flags(self, check: str) -> list[Flag]:
        usual = {task.name: self._usual_span(self.kept(task)) for task in self.tasks}
        unseen, flags = self.held_out.spans.words, []
        for place, sample in enumerate(self.samples):
            near, words = self.train.nearest[place], int(self.train.spans.words[place])
            if near.similarity >= COPIED and near.similarity > self.held_out.similarity[place]:
                reason, row = "exact_copy" if near.similarity == 1.0 else "near_copy", near.row
            elif words >= FLAGGED_SPAN and words > max(usual[sample.source_task], unseen[place]):
                reason, row = "long_span", self.train.spans.corpus_row(place)
            else:
                continue
            flags.append(
                Flag(
                    sample.row_id, sample.source_task, check, reason, near.similarity,
                    self.train.rows[row].row_id, int(self.train.spans.start[place]), words,
                )
            )  # fmt: skip
        return flags

    def _usual_span(self, samples: Mask) -> float:
        words = self.held_out.spans.words[samples]
        return float(np.quantile(words, USUAL)) if len(words) else 0.0


def _by_spans(texts: Sequence[str], pool: Sequence[str]) -> Shares:
    """Every sample gives its overlap to the rows that have its longest shared run."""
    spans = longest_shared_spans([words_of(t) for t in texts], [words_of(t) for t in pool])
    return Shares(spans.words / _lengths(texts), spans.group, spans.corpus_rows)


def _by_nearness(train: _Side, held_out: _Side) -> Shares:
    """Every copy gives 1 to the rows that it is a copy of."""
    weight = np.zeros(len(train.nearest))
    groups: dict[tuple[int, ...], int] = {}
    group = np.full(len(weight), -1)
    for place, (seen, unseen) in enumerate(zip(train.nearest, held_out.nearest, strict=True)):
        best = max(seen.similarity, unseen.similarity)
        if best < COPIED:
            continue
        rows = seen.rows if seen.similarity == best else ()
        if unseen.similarity == best:
            rows += tuple(row + len(train.rows) for row in unseen.rows)
        weight[place], group[place] = 1.0, groups.setdefault(rows, len(groups))
    return Shares(weight, group, [np.array(rows) for rows in groups])


def _against_hashes(
    task: SampledTask, fingerprint: Fingerprint, seed: int, check: str, among: int
) -> tuple[dict[str, Figure], list[Flag]]:
    """Figures and flags of the samples that can be told; None of all others."""
    kept = [s for s in task.kept if fingerprint.can_tell(task.texts([s])[0])]
    figures: dict[str, Figure] = {"rows_told": float(len(kept))}
    if not kept:
        return figures, []
    texts = task.texts(kept)
    hashed, lengths = HashedTexts(texts, fingerprint.hashed), _lengths(texts)
    train, held_out = fingerprint.all_train, fingerprint.all_held_out
    spans, exact = hashed.longest_runs(train), hashed.are_rows(train)
    unseen_spans, unseen_exact = hashed.longest_runs(held_out), hashed.are_rows(held_out)
    usual = float(np.quantile(unseen_spans, USUAL))
    flags = []
    for place, sample in enumerate(kept):
        if exact[place] and not unseen_exact[place]:
            reason = "exact_copy"
        elif spans[place] >= FLAGGED_SPAN and spans[place] > max(usual, unseen_spans[place]):
            reason = "long_span"
        else:
            continue
        flags.append(Flag(sample.row_id, task.name, check, reason, span_words=int(spans[place])))
    for name, words, copies in (
        ("", spans, exact),
        ("_held_out", unseen_spans, unseen_exact),
    ):
        figures |= {
            f"longest_span{name}": float(words.max()),
            **{f"span_{n}_share{name}": float((words >= n).mean()) for n in SPANS},
            f"overlap{name}": float((words / lengths).mean()),
            f"copied_share{name}": float(copies.mean()),
            f"exact_copies{name}": float(copies.sum()),
        }
    blocks = [*fingerprint.train, *fingerprint.held_out]
    if blocks:
        pool = Pool(np.zeros(len(blocks), int), np.arange(len(blocks)) < len(fingerprint.train))
        runs = np.stack([hashed.longest_runs(block) for block in blocks], axis=1)
        rows = np.stack([hashed.are_rows(block) for block in blocks], axis=1).astype(float)
        levels = {
            "overlap": np.maximum(spans, unseen_spans) / lengths,
            "copied": (exact | unseen_exact).astype(float),
        }
        for name, against, scale in (("overlap", runs, lengths), ("copied", rows, 1.0)):
            shares = _by_blocks(against, scale)
            given = shares.given(np.ones(len(kept), bool), len(pool))
            permuted = derive_seed(seed, "permutation", name, task.name)
            excess = excess_of(given, pool, float(levels[name].mean()), permuted, among)
            figures |= excess.figures(name) if excess else {}
    return figures, flags


def _by_blocks(against: Numbers, scale: Numbers | float) -> Shares:
    """Every sample gives its best figure (n, blocks) / scale to the blocks that have it."""
    best = against.max(axis=1)
    nearest = (against == best[:, None]) & (best > 0)[:, None]
    sets, group = np.unique(nearest, axis=0, return_inverse=True)
    return Shares(best / scale, group.reshape(-1), [np.flatnonzero(one) for one in sets])


def _lengths(texts: Sequence[str]) -> Numbers:
    """Words of each text; 1 for none, so that it can divide."""
    return np.array([max(len(words_of(text)), 1) for text in texts], float)
