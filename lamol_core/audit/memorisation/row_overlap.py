"""Samples against the training rows and the held-out rows that are here: figures, flags, neighbours
of the check `memorisation`, whose file defines them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lamol_core.audit.memorisation.neighbours import Nearest, nearest_rows
from lamol_core.audit.memorisation.permutation import Pool, Shares, excess_of
from lamol_core.audit.memorisation.spans import SharedSpans, longest_shared_spans
from lamol_core.audit.spec import Figure, Flag, Neighbour, SampledTask
from lamol_core.records import Example, PseudoSample
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import words_of

SPANS = (8, 13, 50)
COPIED = 0.9
FLAGGED_SPAN = 13
EXTRACTED_SPAN = 20
EXTRACTED_ALONE = 50
"""Where fewer rows were held out; Carlini et al. (2021) take as many tokens."""
LEAST_HELD_OUT = 20
"""Fewer held-out rows tell nothing of chance."""
REPEATED = 5
"""Samples that say one row word for word."""
MOST_ASKED = 2000
"""Training rows whose longest shared runs are looked for."""
USUAL = 0.99
"""Of the runs that samples, or training rows, share with other rows: longer ones stand out."""
Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
            lengths_of(texts),
        )

    def figures(self, samples: Mask) -> dict[str, float]:
        words, similarity = self.spans.words[samples], self.similarity[samples]
        copies, exact = similarity >= COPIED, similarity == 1.0
        return {
            **overlap_figures(words, self.lengths[samples], copies, exact),
            "nearest_similarity": float(similarity.mean()),
        }


@dataclass(frozen=True)
class AgainstRows:
    """All samples, rejected ones and those of forgotten tasks too, against all rows that are
    here."""

    tasks: Sequence[SampledTask]
    samples: Sequence[PseudoSample]
    train: _Side
    held_out: _Side
    pool: Pool
    """Training rows, then held-out ones."""
    shares: Mapping[str, Shares]
    """To which of the pool's rows the samples are nearest, for `overlap` and `copied`."""
    seed: int

    @classmethod
    def of(cls, tasks: Sequence[SampledTask], seed: int) -> AgainstRows:
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
        """Of some of the samples, one at least; `among`: of so many sets of them."""
        names = {self.samples[place].source_task for place in np.flatnonzero(samples).tolist()}
        figures: dict[str, Figure] = {**self.train.figures(samples)}
        for name, value in self.held_out.figures(samples).items():
            figures[f"{name}_held_out"] = value if self.held_out.rows else None
        figures["extracted_share"] = float(self._is_extracted[samples].mean())
        figures["repeated_share"] = float(self._is_of_a_repeated_row[samples].mean())
        figures["training_rows"] = float(len(self.train.rows))
        figures["held_out_rows"] = float(len(self.held_out.rows))
        for name, shares in self.shares.items():
            level = float(shares.weight[samples].mean())
            seed = derive_seed(self.seed, "permutation", name, *sorted(names))
            given = shares.given(samples, len(self.pool))
            excess = None
            if len(self.held_out.rows) >= LEAST_HELD_OUT:
                excess = excess_of(given, self.pool, level, seed, among)
            figures |= excess.figures(name) if excess else {f"{name}_excess": None}
        return figures

    @cached_property
    def _is_extracted(self) -> Mask:
        """Which samples have a run of one training row, and of no other, too long for chance."""
        spans, bar = self.train.spans, EXTRACTED_ALONE
        if len(self.held_out.rows) >= LEAST_HELD_OUT:
            bar = max(EXTRACTED_SPAN, 2 * int(self.held_out.spans.words.max()))
        of_one = np.array([len(rows) == 1 for rows in spans.corpus_rows] + [False], bool)
        found = (spans.words >= bar) & of_one[spans.group]
        if found.any():  # what real rows share is looked at where it matters alone
            found &= spans.words >= 2 * self._usual_among_training_rows()
        return found

    def _usual_among_training_rows(self) -> float:
        """The run that 99 in 100 training rows, of MOST_ASKED, share at most with the others."""
        words = [words_of(text) for task in self.tasks for text in task.texts(task.train)]
        step = max(2, math.ceil(len(words) / MOST_ASKED))
        others = [row for place, row in enumerate(words) if place % step]
        return float(np.quantile(longest_shared_spans(words[::step], others).words, USUAL))

    @cached_property
    def _is_of_a_repeated_row(self) -> Mask:
        """Which samples are a training row, one alone and no held-out one, that REPEATED are."""
        rows = [
            near.row if sample.valid and near.similarity == 1.0 and len(near.rows) == 1 else -1
            for near, sample in zip(self.train.nearest, self.samples, strict=True)
        ]
        unseen = self.held_out.similarity == 1.0
        times = Counter(row for row in rows if row >= 0)
        return np.array([times[row] >= REPEATED for row in rows], bool) & ~unseen

    def _is_copy(self, place: int, near: Nearest) -> bool:
        """Whether a sample is a copy of a training row, and nearer to it than to held-out ones."""
        return near.similarity >= COPIED and near.similarity > self.held_out.similarity[place]

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
            if self._is_copy(place, near):
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
    return Shares(spans.words / lengths_of(texts), spans.group, spans.corpus_rows)


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


def overlap_figures(
    words: np.ndarray, lengths: Numbers, copies: Mask, exact: Mask
) -> dict[str, float]:
    """What rows and hashes both tell of samples, by the words of their longest shared runs."""
    return {
        "longest_span": float(words.max()),
        **{f"span_{n}_share": float((words >= n).mean()) for n in SPANS},
        "overlap": float((words / lengths).mean()),
        "copied_share": float(copies.mean()),
        "exact_copies": float(exact.sum()),
    }


def lengths_of(texts: Sequence[str]) -> Numbers:
    """Words of each text; 1 for none, so that it can divide."""
    return np.array([max(len(words_of(text)), 1) for text in texts], float)
