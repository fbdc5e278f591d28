"""Compares samples with the training and held-out rows on disk. The result is figures, flags and
neighbours of the check `memorisation`, whose file defines the figures."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from lamol_core.audit.figures import Figure
from lamol_core.audit.memorisation.neighbours import nearest_by_parts
from lamol_core.audit.memorisation.permutation import Mask, Numbers, Pool, Shares, excess_of
from lamol_core.audit.memorisation.spans import SharedSpans, longest_shared_spans
from lamol_core.audit.spec import Neighbour, SampledTask
from lamol_core.records import Example, Flag, PseudoSample, inputs_of
from lamol_core.seeds import derive_seed
from lamol_core.text.normalise import normalise, words_of

SPANS = (8, 13, 50)
COPIED = 0.9
FLAGGED_SPAN = 13
EXTRACTED_SPAN = 20
# words, with fewer than LEAST_HELD_OUT held-out rows; Carlini et al. (2021) take 50 tokens
EXTRACTED_ALONE = 50
LEAST_HELD_OUT = 20  # fewer held-out rows say nothing of chance
REPEATED = 5  # a training row counts as repeated if so many samples equal it
MOST_QUERIES = 2000  # training rows whose longest shared runs are looked for
USUAL = 0.99  # quantile of shared runs' lengths; longer ones stand out


class _Side:
    """Samples (n) compared with training rows, or with held-out rows."""

    def __init__(
        self,
        samples: Sequence[str],
        parts: Sequence[Sequence[str]],
        by_task: Sequence[tuple[SampledTask, Sequence[Example]]],
    ) -> None:
        """`parts`: each sample's `parts_of`."""
        self.rows = [row for _, rows in by_task for row in rows]
        self.task_of_row = [index for index, (_, rows) in enumerate(by_task) for _ in rows]
        self.texts = texts = [text for task, rows in by_task for text in task.texts(rows)]
        self.lengths = lengths_of(samples)
        self.spans = _shared_spans(samples, texts)
        own = [texts for task, rows in by_task for texts in parts_of(task, rows)]
        self.nearest = nearest_by_parts(parts, own)
        self.similarity = np.array([near.similarity for near in self.nearest])

    def row_id(self, row: int) -> str:
        return self.rows[row].row_id if row >= 0 else ""

    def figures(self, samples: Mask) -> dict[str, float]:
        words, similarity = self.spans.words[samples], self.similarity[samples]
        copies, exact = similarity >= COPIED, similarity == 1.0
        return {
            **overlap_figures(words, self.lengths[samples], copies, exact),
            "nearest_similarity": float(similarity.mean()),
        }


class AgainstRows:
    """All samples, including rejected ones and those of forgotten tasks, compared with all real
    rows on disk, those of `others` too. `pool` lists the training rows first, then the held-out
    rows."""

    def __init__(
        self, tasks: Sequence[SampledTask], seed: int, others: Sequence[SampledTask] = ()
    ) -> None:
        self.tasks, self.seed = tasks, seed
        self.samples = [sample for task in tasks for sample in task.drawn]
        texts = [text for task in tasks for text in task.texts(task.drawn)]
        parts = [texts for task in tasks for texts in parts_of(task, task.drawn)]
        self.train = _Side(texts, parts, [(task, task.train) for task in (*tasks, *others)])
        self.held_out = _Side(texts, parts, [(task, task.held_out) for task in (*tasks, *others)])
        task_of_row = np.array(self.train.task_of_row + self.held_out.task_of_row)
        self.pool = Pool(task_of_row, np.arange(len(task_of_row)) < len(self.train.rows))
        spans = _shared_spans(texts, self.train.texts + self.held_out.texts)
        by_overlap = Shares(spans.words / lengths_of(texts), spans.group, spans.corpus_rows)
        self.shares = {"overlap": by_overlap, "copied": self._copied_rows()}

    def kept(self, task: SampledTask) -> Mask:
        """Return a mask over all samples: those of one task that are trained on."""
        return np.array([s.valid and s.source_task == task.name for s in self.samples], bool)

    def figures(self, samples: Mask, num_comparisons: int = 1) -> dict[str, Figure]:
        """Return the figures of the samples that the mask selects; it must select at least one.
        Intervals are corrected for `num_comparisons` comparisons made together."""
        names = {self.samples[index].source_task for index in np.flatnonzero(samples).tolist()}
        num_held_out = len(self.held_out.rows)
        figures: dict[str, Figure] = {**self.train.figures(samples)}
        for name, value in self.held_out.figures(samples).items():
            figures[f"{name}_held_out"] = value if num_held_out else None
        figures["extracted_share"] = float(self._is_extracted[samples].mean())
        figures["repeated_share"] = float(self._is_repeated[samples].mean())
        figures["training_rows"] = float(len(self.train.rows))
        figures["held_out_rows"] = float(num_held_out)
        for name, shares in self.shares.items():
            mean = float(shares.weight[samples].mean())
            seed = derive_seed(self.seed, "permutation", name, *sorted(names))
            received, excess = shares.received(samples, len(self.pool)), None
            if num_held_out >= LEAST_HELD_OUT:
                excess = excess_of(received, self.pool, mean, seed, num_comparisons)
            figures |= excess.figures(name) if excess else {f"{name}_excess": None}
        return figures

    @cached_property
    def neighbours(self) -> list[Neighbour]:
        """For each sample its nearest training row, and its longest run shared with a training
        row."""
        spans = self.train.spans
        return [
            Neighbour(
                self.train.row_id(near.row),
                near.similarity,
                self.train.row_id(spans.corpus_row(index)),
                int(spans.start[index]),
                int(spans.words[index]),
            )
            for index, near in enumerate(self.train.nearest)
        ]

    def flags(self, check: str) -> list[Flag]:
        unseen, flags = self.held_out.spans.words, []
        usual = {task.name: usual_span(unseen[self.kept(task)]) for task in self.tasks}
        for index, (sample, near) in enumerate(zip(self.samples, self.neighbours, strict=True)):
            unseen_similarity, words = self.held_out.similarity[index], near.span_words
            if near.similarity >= COPIED and near.similarity > unseen_similarity:
                reason = "exact_copy" if near.similarity == 1.0 else "near_copy"
                row_id = near.real_row_id
            elif words >= FLAGGED_SPAN and words > max(usual[sample.source_task], unseen[index]):
                reason, row_id = "long_span", near.span_row_id
            else:
                continue
            found = near.similarity, row_id, near.span_start, words
            flags.append(Flag(sample.row_id, sample.source_task, check, reason, *found))
        return flags

    @cached_property
    def _is_extracted(self) -> Mask:
        """Mask of the samples that share a run with exactly one training row, if the run is too
        long to be chance."""
        spans, least = self.train.spans, EXTRACTED_ALONE
        if len(self.held_out.rows) >= LEAST_HELD_OUT:
            least = max(EXTRACTED_SPAN, 2 * int(self.held_out.spans.words.max()))
        of_one_row = np.array([len(rows) == 1 for rows in spans.corpus_rows] + [False], bool)
        found: Mask = (spans.words >= least) & of_one_row[spans.group]
        if found.any():  # the search among training rows is slow, and needed here alone
            words = [words_of(text) for text in self.train.texts]
            step = max(2, math.ceil(len(words) / MOST_QUERIES))
            others = [row for index, row in enumerate(words) if index % step]
            usual = usual_span(longest_shared_spans(words[::step], others).words)
            found &= spans.words >= 2 * usual
        return found

    @cached_property
    def _is_repeated(self) -> Mask:
        """Mask of the kept samples that equal exactly one training row and no held-out row, if
        at least REPEATED samples equal that training row."""
        rows = [
            near.row if sample.valid and near.similarity == 1.0 and len(near.rows) == 1 else -1
            for near, sample in zip(self.train.nearest, self.samples, strict=True)
        ]
        times = Counter(row for row in rows if row >= 0)
        is_unseen: Mask = self.held_out.similarity != 1.0
        return np.array([times[row] >= REPEATED for row in rows], bool) & is_unseen

    def _copied_rows(self) -> Shares:
        """Return the weights of copies. Each copy gives 1, in equal parts, to the rows that it
        copies."""
        weight = np.zeros(len(self.samples))
        groups: dict[tuple[int, ...], int] = {}
        group = np.full(len(weight), -1)
        pairs = zip(self.train.nearest, self.held_out.nearest, strict=True)
        for index, (seen, unseen) in enumerate(pairs):
            best = max(seen.similarity, unseen.similarity)
            if best < COPIED:
                continue
            rows = seen.rows if seen.similarity == best else ()
            if unseen.similarity == best:
                rows += tuple(row + len(self.train.rows) for row in unseen.rows)
            weight[index], group[index] = 1.0, groups.setdefault(rows, len(groups))
        return Shares(weight, group, [np.array(rows) for rows in groups])


def parts_of(
    task: SampledTask, rows: Sequence[PseudoSample] | Sequence[Example]
) -> list[list[str]]:
    """Return the texts by which each row's copies are found: the whole; for a task with several
    turns also what the user says in each."""
    if not task.facts.has_turns:
        return [[text] for text in task.texts(rows)]
    return [
        [normalise(text) for text in (task.text(row), *inputs_of(row.input, row.history))]
        for row in rows
    ]


def _shared_spans(texts: Sequence[str], corpus: Sequence[str]) -> SharedSpans:
    return longest_shared_spans([*map(words_of, texts)], [*map(words_of, corpus)])


def overlap_figures(
    words: np.ndarray, lengths: Numbers, copies: Mask, exact: Mask
) -> dict[str, float]:
    """Return figures of n samples. `words` and `lengths` are the words of each sample's longest
    shared run and of the whole sample; `copies` and `exact` mark near or exact copies and exact
    copies."""
    return {
        "longest_span": float(words.max()),
        **{f"span_{n}_share": float((words >= n).mean()) for n in SPANS},
        "overlap": float((words / lengths).mean()),
        "copied_share": float(copies.mean()),
        "exact_copies": float(exact.sum()),
    }


def usual_span(words: np.ndarray) -> float:
    """Return the length that 99 in 100 shared runs do not exceed; 0 where there is no run."""
    return float(np.quantile(words, USUAL)) if len(words) else 0.0


def lengths_of(texts: Sequence[str]) -> Numbers:
    """Return (n,): the number of words in each text, at least 1 so that it can be a divisor."""
    return np.array([max(len(words_of(text)), 1) for text in texts], float)
