"""The interface of a check: what it is given, what it declares, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from lamol_core.artifacts.manifest import Manifest
from lamol_core.artifacts.spec import PSEUDO, Read
from lamol_core.audit.figures import Figure, FiguresByTask, pooled, with_interval
from lamol_core.audit.limits import Limit, Verdict, worst
from lamol_core.audit.reference import RealRows, Reference
from lamol_core.config.section import Section
from lamol_core.data.canaries import Canary
from lamol_core.records import (
    Example,
    Flag,
    PseudoSample,
    RowVerdict,
    TaskFacts,
    all_texts,
    asked_text,
)
from lamol_core.text.normalise import normalise, words_of
from lamol_core.text.params import TextParams

if TYPE_CHECKING:
    from lamol_core.audit.fingerprint import Fingerprint
    from lamol_core.generation.judging import Judge

P = TypeVar("P", bound=Section)
About = Literal["privacy", "quality"]
NOT_JUDGED = "not judged"
# in a table's manifest: the table of the previous task, from which rows were carried over
CARRIED = Read(PSEUDO, "before").key


@dataclass(frozen=True)
class SampledTask:
    """An earlier task: its pseudo-samples in a table, and its real rows.

    `index` is its position in the order of learning, `tasks_since` the number of tasks learnt
    after it. `held_out` are its dev and test rows; `canaries` were planted among its training
    rows. `forgotten_on` is the date on which `lamol forget` removed the rows ("" where they are
    on disk), `fingerprint` is what was kept of them."""

    facts: TaskFacts
    tasks_since: int
    drawn: Sequence[PseudoSample]
    train: Sequence[Example]
    held_out: Sequence[Example]
    index: int = 0
    canaries: Sequence[Canary] = ()
    forgotten_on: str = ""
    fingerprint: Fingerprint | None = None

    @property
    def name(self) -> str:
        return self.facts.name

    @cached_property
    def kept(self) -> list[PseudoSample]:
        """The samples that are trained on."""
        return [sample for sample in self.drawn if sample.valid]

    @cached_property
    def rejected(self) -> list[PseudoSample]:
        return [s for s in self.drawn if not s.valid]

    @property
    def has_classes(self) -> bool:
        return self.facts.targets == "classes"

    @cached_property
    def reference(self) -> Reference:
        """What the checks compare the task's samples with."""
        if self.forgotten_on:
            return self.fingerprint or Reference()
        texts = self.texts(self.train)
        targets = [normalise(row.target) for row in self.train] if self.has_classes else []
        lengths = Counter(len(words_of(text)) for text in texts)
        return RealRows(labels=Counter(targets), lengths=lengths, texts=texts)

    @cached_property
    def unjudged(self) -> list[PseudoSample]:
        """Kept samples that can't be compared with forgotten rows: no fingerprint, or too short."""
        if not self.forgotten_on:
            return []
        if self.fingerprint is None:
            return self.kept
        texts = zip(self.kept, self.texts(self.kept), strict=True)
        return [sample for sample, text in texts if not self.fingerprint.covers(text)]

    @property
    def num_judged(self) -> int:
        return len(self.kept) - len(self.unjudged)

    @property
    def is_judged(self) -> bool:
        """Whether at least half of the kept samples can be compared with something."""
        has_reference = self.fingerprint is not None or not self.forgotten_on
        return has_reference and len(self.unjudged) <= self.num_judged

    @property
    def note(self) -> str:
        """A note on what the audit cannot know of forgotten rows; "" where the rows are on disk."""
        if not self.forgotten_on:
            return ""
        note = f"The training rows of {self.name} were forgotten on {self.forgotten_on}"
        if self.fingerprint is None:
            return f"{note}, without a usable fingerprint: whether samples copy them is not known."
        short = f"{len(self.unjudged)} of {len(self.kept)} samples are too short for it."
        return (
            f"{note}; samples are compared with their fingerprint. Drift, near copies and replayed "
            f"personal data are not known. {short if self.unjudged else ''}".rstrip()
        )

    def text(self, row: PseudoSample | Example) -> str:
        """Return the row's earlier turns and input, then its target if the targets are free
        text."""
        return "\n".join(all_texts(row)) if self.facts.targets == "text" else asked_text(row)

    def texts(self, rows: Sequence[PseudoSample] | Sequence[Example]) -> list[str]:
        """Return the normalised texts of rows."""
        return [normalise(self.text(row)) for row in rows]


@dataclass(frozen=True)
class TableOrigin:
    """What a table's manifest says of its origin, and what is on disk to compare it with.

    `table_sha256` is the hash of the file on disk, which can differ from the hash in the
    manifest. `carried` are the rows of the previous task's table that could be carried over, by
    id; `carried_is_lost`: that table is missing or was changed."""

    new_task: str
    table_is_as_written: bool
    table_sha256: str
    manifest: Manifest
    teacher: Path
    teacher_sha256: str
    text: TextParams
    teacher_is_as_written: bool = True
    carried: Mapping[str, PseudoSample] = field(default_factory=dict)
    carried_is_lost: bool = False


@dataclass(frozen=True)
class Teacher:
    """The checkpoint that wrote a table. `decode` turns token ids into text. `answers` returns
    the teacher's own answers to samples. `score` takes a task's index, inputs, and the label that
    their prompt names ("" for none), and returns the negative log-likelihood of each in nats. Both
    are None without `audit.ask_teacher`."""

    decode: Callable[[Sequence[int]], str]
    answers: Callable[[Sequence[PseudoSample]], list[str]] | None = None
    score: Callable[[int, Sequence[str], str], list[float]] | None = None
    forms: Callable[[Iterable[str]], Mapping[str, str]] = lambda texts: {}
    """Maps labels to the form in which the teacher writes them; others are written as they are."""


@dataclass(frozen=True)
class Audited:
    """A table of pseudo-samples with all that the checks may read. `seed`: of params.yaml."""

    tasks: Sequence[SampledTask]
    origin: TableOrigin
    seed: int
    teacher: Teacher
    judge: Callable[[], Judge] | None = None
    """Loads the judge of labels at its first call. Without it the labels of rows are not judged."""
    others: Sequence[SampledTask] = ()
    """The earlier tasks that nothing was drawn of. A row drawn of another may hold theirs."""

    @property
    def earlier(self) -> list[SampledTask]:
        return [*self.tasks, *self.others]

    @property
    def drawn(self) -> list[PseudoSample]:
        """All samples, rejected ones too."""
        return [sample for task in self.tasks for sample in task.drawn]

    @property
    def kept(self) -> list[PseudoSample]:
        return [sample for task in self.tasks for sample in task.kept]


@dataclass(frozen=True)
class Neighbour:
    """The training row nearest to a sample, and the training row with the longest run of words
    that the sample shares with any. An id is "" where there is none."""

    real_row_id: str
    similarity: float
    span_row_id: str
    span_start: int
    span_words: int


@dataclass(frozen=True)
class Judged:
    """A figure with its limits and verdict; `task` is "" for the whole table."""

    figure: str
    task: str
    value: float
    warn: float
    fail: float
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """What one check found. `neighbours` and `scores` are by sample id; a score is the probability
    that the sample is right.

    `judge` adds `judged`, `undecided` and what the check declares; `undecided` means that the
    check's headline figure could not be judged."""

    check: str
    figures: Mapping[str, Figure]
    by_task: FiguresByTask = field(default_factory=dict)
    flags: Sequence[Flag] = ()
    judged: Sequence[Judged] = ()
    notes: Sequence[str] = ()
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    undecided: bool = False
    title: str = ""
    about: About = "quality"
    row_verdict: str = ""

    @property
    def verdict(self) -> Verdict:
        return worst(judged.verdict for judged in self.judged)

    @property
    def shown_verdict(self) -> str:
        """The verdict; "not judged" where no figure was judged, and instead of "pass" where the
        headline figure was not."""
        is_known = self.judged and not (self.undecided and self.verdict == "pass")
        return self.verdict if is_known else NOT_JUDGED

    @property
    def shown_figures(self) -> list[tuple[Judged, str]]:
        """Judged figures with their values as text: the table's, and a task's beyond a limit."""
        scopes = {**self.by_task, "": self.figures}
        return [
            (judged, with_interval(judged.figure, scopes[judged.task]))
            for judged in self.judged
            if not judged.task or judged.verdict != "pass"
        ]

    @property
    def rows_flagged(self) -> int:
        return len({flag.row_id for flag in self.flags})


class Check(ABC, Generic[P]):
    """One question about a table. A new check is a file with a subclass, and a line in the
    registry.

    The file defines every figure and names its source. `about` says which of the audit's two
    verdicts it is part of, `row_verdict` what it calls the rows that it flags. `name` is the
    name of the file and of the check's block in `audit`; `title` is the question without its
    question mark. `limits` holds the figures that are judged. A table cannot pass where the figure
    `headline` could not be judged. With `needs_samples`, the check is skipped for a table without
    samples. With `shows_poor_samples`, the report calls the samples poor if the check fails."""

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[About]
    row_verdict: ClassVar[RowVerdict | Literal[""]] = ""
    limits: ClassVar[Mapping[str, Limit]]
    Params: ClassVar[type[Section]] = Section
    headline: ClassVar[str] = ""
    needs_samples: ClassVar[bool] = True
    shows_poor_samples: ClassVar[bool] = False

    @abstractmethod
    def run(self, audited: Audited, params: P) -> Finding:
        """Return the check's figures and flags, without verdicts."""

    def num_rows(self, task: SampledTask, origin: TableOrigin) -> int:
        """Return how many rows a task's figures are of. A task with few is not judged alone."""
        return len(task.kept)

    def pooled(self, audited: Audited, by_task: FiguresByTask) -> dict[str, Figure]:
        """Return the mean of each figure over tasks, weighted by `num_rows`."""
        sizes = {task.name: self.num_rows(task, audited.origin) for task in audited.tasks}
        return pooled(by_task, sizes)

    def flag(self, sample: PseudoSample, reason: str, real_row_id: str = "") -> Flag:
        return Flag(sample.row_id, sample.source_task, self.name, reason, real_row_id=real_row_id)
