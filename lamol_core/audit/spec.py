"""What a check is given, what it declares, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from lamol_core.artifacts.manifest import Manifest
from lamol_core.audit.limits import Limit, Verdict
from lamol_core.audit.reference import Figure, RealRows, Reference
from lamol_core.config.section import Section
from lamol_core.data.canaries import Canary
from lamol_core.records import SURPLUS, Example, PseudoSample, TaskFacts
from lamol_core.text.normalise import normalise
from lamol_core.text.params import TextParams

if TYPE_CHECKING:
    from lamol_core.audit.fingerprint import Fingerprint

P = TypeVar("P", bound=Section)
FiguresByTask = Mapping[str, Mapping[str, Figure]]
NOT_JUDGED = "not judged"
CARRIED = "before.pseudo"
"""Among the inputs of a table some of whose rows come from the one before."""
SEVERITY: tuple[Verdict, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class SampledTask:
    """An earlier task: its pseudo-samples in a table, and its real rows.

    `age` counts the tasks that were learnt since it was learnt; 0 for the last one.
    """

    facts: TaskFacts
    age: int
    drawn: Sequence[PseudoSample]
    train: Sequence[Example]
    held_out: Sequence[Example]
    """Rows of the same task that no training has seen: dev and test."""
    place: int = 0
    """In the order of learning: its GEN token."""
    canaries: Sequence[Canary] = ()
    """Planted among its training rows."""
    forgotten_on: str = ""
    """When its training rows were removed (`lamol forget`); empty where they are here."""
    fingerprint: Fingerprint | None = None
    """What was kept of them."""

    @property
    def name(self) -> str:
        return self.facts.name

    @cached_property
    def kept(self) -> list[PseudoSample]:
        """The samples that are trained on."""
        return [sample for sample in self.drawn if sample.valid]

    @cached_property
    def rejected(self) -> list[PseudoSample]:
        return [s for s in self.drawn if not s.valid and s.reject_reason != SURPLUS]

    @cached_property
    def reference(self) -> Reference:
        """What the checks hold its samples against."""
        if self.forgotten_on:
            return self.fingerprint or Reference()
        targets = [normalise(row.target) for row in self.train] if self.has_classes else []
        return RealRows(self.texts(self.train), targets)

    @property
    def has_classes(self) -> bool:
        return self.facts.targets == "classes"

    @cached_property
    def is_blind(self) -> bool:
        """Whether its rows are gone, and nothing tells of most samples whether they repeat them."""
        is_mostly_untold = self.fingerprint is None or len(self.untold) > self.num_told
        return bool(self.forgotten_on) and is_mostly_untold

    @cached_property
    def untold(self) -> list[PseudoSample]:
        """Samples of which nothing tells whether they repeat forgotten rows: all, or those that are
        too short to be looked for in the fingerprint."""
        if not self.forgotten_on:
            return []
        texts = zip(self.kept, self.texts(self.kept), strict=True)
        known = self.fingerprint
        return [sample for sample, text in texts if known is None or not known.can_tell(text)]

    @property
    def num_told(self) -> int:
        return len(self.kept) - len(self.untold)

    @property
    def note(self) -> str:
        """What the audit cannot say of it, or only by its fingerprint; empty where it can."""
        if not self.forgotten_on:
            return ""
        gone = f"The training rows of {self.name} were forgotten on {self.forgotten_on}"
        if self.fingerprint is None:
            return (
                f"{gone}, and no fingerprint of them is here with its key: whether its samples "
                "repeat or resemble them is not known."
            )
        short = len(self.untold)
        too_short = f" {short} of {len(self.kept)} samples are too short for it." if short else ""
        return (
            f"{gone}: its samples are held against their kept fingerprint, by runs of words of "
            "certain lengths; drift, near copies and replayed personal data are not known."
            f"{too_short}"
        )

    def text(self, row: PseudoSample | Example) -> str:
        """What a row says: its input, and its target too where that is free text and no label."""
        return f"{row.input} {row.target}" if self.facts.targets == "text" else row.input

    def texts(self, rows: Sequence[PseudoSample] | Sequence[Example]) -> list[str]:
        return [normalise(self.text(row)) for row in rows]


@dataclass(frozen=True)
class Origin:
    """Where a table says that it comes from, and what is on disk to hold that against."""

    new_task: str
    seed: int
    table_is_as_written: bool
    table_sha256: str
    """Of the file as it lies there; its manifest says what it was."""
    manifest: Manifest
    teacher: Path
    teacher_sha256: str
    text: TextParams
    teacher_is_as_written: bool = True
    carried: Mapping[str, PseudoSample] = field(default_factory=dict)
    """Rows of the table before that could be carried over, by their ids."""


@dataclass(frozen=True)
class Teacher:
    """The checkpoint that wrote a table; None where its model may not be asked."""

    decode: Callable[[Sequence[int]], str]
    """Ids to text."""
    answers: Callable[[Sequence[PseudoSample]], list[str]] | None = None
    """What it answers itself to each sample's input."""
    score: Callable[[int, Sequence[str]], list[float]] | None = None
    """The negative log-likelihood of inputs of the task at this place, in nats."""


@dataclass(frozen=True)
class Audited:
    """A table of pseudo-samples with all that the checks may look at."""

    tasks: Sequence[SampledTask]
    origin: Origin
    seed: int
    """Of resampling: the same table has the same figures."""
    teacher: Teacher

    @property
    def has_forgotten_rows(self) -> bool:
        return any(task.forgotten_on for task in self.tasks)


@dataclass(frozen=True)
class Flag:
    """A row that a check points at, and why; no text of a real row."""

    row_id: str
    source_task: str
    check: str
    reason: str
    value: float = 0.0
    real_row_id: str = ""
    span_start: int = 0
    span_words: int = 0


@dataclass(frozen=True)
class Neighbour:
    """The real row that is nearest to a sample, and the longest run of words shared with any."""

    real_row_id: str
    similarity: float
    span_row_id: str
    span_start: int
    span_words: int


@dataclass(frozen=True)
class Judged:
    """A figure beside its limits."""

    figure: str
    task: str
    """Empty for the whole table."""
    value: float
    warn: float
    fail: float
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    figures: Mapping[str, Figure]
    by_task: FiguresByTask = field(default_factory=dict)
    flags: Sequence[Flag] = ()
    judged: Sequence[Judged] = ()
    notes: Sequence[str] = ()
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    """By the ids of the samples."""
    undecided: bool = False
    """Whether its headline could not be judged."""
    title: str = ""
    """The check's, once it is judged."""

    @property
    def verdict(self) -> Verdict:
        return worst(judged.verdict for judged in self.judged)

    @property
    def told_verdict(self) -> str:
        """The verdict; "not judged" where no figure could be held against a limit, or not the
        headline."""
        is_known = self.judged and not (self.undecided and self.verdict == "pass")
        return self.verdict if is_known else NOT_JUDGED

    @property
    def rows_flagged(self) -> int:
        return len({flag.row_id for flag in self.flags})


class Check(ABC, Generic[P]):
    """One question to a table. Its file has the definition and source of every figure. A new one is
    a file with a subclass, and a line in the registry."""

    name: ClassVar[str]
    """That of its file, and of its own block in `audit`."""
    title: ClassVar[str]
    """The question, without its mark."""
    limits: ClassVar[Mapping[str, Limit]]
    """Of the figures that are judged; `audit.limits` can change them."""
    Params: ClassVar[type[Section]] = Section
    headline: ClassVar[str] = ""
    """The figure without which a table is no pass."""
    needs_samples: ClassVar[bool] = True
    """Whether it is left out where no sample was drawn."""
    tells_poor_samples: ClassVar[bool] = False
    """Whether the report calls the samples poor where it fails."""

    @abstractmethod
    def run(self, audited: Audited, params: P) -> Finding:
        """Figures and flags, not judged yet."""

    def num_rows(self, task: SampledTask, origin: Origin) -> int:
        """How many rows its figures of a task stand on: few are not judged alone."""
        return len(task.kept)

    def pooled(self, audited: Audited, by_task: FiguresByTask) -> dict[str, Figure]:
        """The mean of each figure over tasks, weighted by the rows that it stands on."""
        sizes = {task.name: self.num_rows(task, audited.origin) for task in audited.tasks}
        return pooled(by_task, sizes)


def number(value: Figure) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"


def with_interval(figure: str, figures: Mapping[str, Figure]) -> str:
    """A figure as it is shown: of an interval's lower end the interval."""
    low, high = figures.get(figure), figures.get(f"{figure}_high")
    return number(low) if low is None or high is None else f"{low:.3f} to {high:.3f}"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=SEVERITY.index, default="pass")


def pooled(by_task: FiguresByTask, weights: Mapping[str, int]) -> dict[str, Figure]:
    """The mean of each figure over tasks, weighted by their rows; None where no task has it."""
    means: dict[str, Figure] = {}
    for name in dict.fromkeys(name for figures in by_task.values() for name in figures):
        known = [
            (value, weights[task])
            for task, figures in by_task.items()
            if (value := figures.get(name)) is not None
        ]
        total = sum(weight for _, weight in known)
        means[name] = sum(v * w for v, w in known) / total if total else None
    return means
