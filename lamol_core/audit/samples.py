"""Pseudo-samples as rows to look at: chosen, and as CSV that no spreadsheet runs."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow.parquet as pq

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import sha256_of
from lamol_core.artifacts.spec import AUDIT, AUDIT_FIGURES, AUDIT_FLAGS, remedy
from lamol_core.artifacts.store import check
from lamol_core.records import SURPLUS, PseudoSample
from lamol_core.text.normalise import normalise

SampleVerdict = Literal["clean", "unjudged", "flagged", "rejected", "surplus"]
COLUMNS = ("row_id", "source_task", "input", "target", "verdict", "reasons", "nll")
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
"""What makes a spreadsheet take a cell for a formula: full-width signs too."""


@dataclass(frozen=True)
class Wanted:
    """Which samples: empty values choose all."""

    task: str = ""
    label: str = ""
    verdict: str = ""
    grep: str = ""


@dataclass(frozen=True)
class Judgement:
    """What an audit says of single rows; empty where there is none."""

    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Why it flags rows, by their ids."""
    judged_tasks: Collection[str] = ()
    """Those whose samples were held against their real rows, or against a fingerprint of them."""
    unjudged_rows: Collection[str] = ()
    """The ids of samples of such a task that were too short for the fingerprint."""

    def verdict(self, sample: PseudoSample) -> SampleVerdict:
        """A row that nothing is known against is clean only where something was looked at."""
        if not sample.valid:
            return "surplus" if sample.reject_reason == SURPLUS else "rejected"
        if self.reasons.get(sample.row_id):
            return "flagged"
        looked_at = sample.source_task in self.judged_tasks
        return "clean" if looked_at and sample.row_id not in self.unjudged_rows else "unjudged"

    def reasons_of(self, sample: PseudoSample) -> list[str]:
        """Why it was rejected, and why it is flagged."""
        reasons = (sample.reject_reason, *self.reasons.get(sample.row_id, ()))
        return [reason for reason in reasons if reason]


def reasons_by_row(flags: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """From the row's id and the reason of every flag."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for row_id, reason in flags:
        reasons[row_id].append(reason)
    return reasons


def read_judgement(layout: Layout, task: str) -> Judgement | None:
    """What a task's audit says of its pseudo-samples; None if there is no audit, or it is that of
    another table. Raises ArtifactError where it was changed."""
    folder = layout.audit(task)
    if not folder.is_dir():
        return None
    if check(layout, AUDIT, task).inputs.get("table") != sha256_of(layout.pseudo(task)):
        return None
    flags = pq.read_table(folder / AUDIT_FLAGS)
    flagged = zip(flags["row_id"].to_pylist(), flags["reason"].to_pylist(), strict=True)
    audit = read_json(folder / AUDIT_FIGURES, remedy(AUDIT, task))
    return Judgement(reasons_by_row(flagged), audit["judged_tasks"], set(audit["unjudged_rows"]))


def choose(
    samples: Sequence[PseudoSample], judgement: Judgement, wanted: Wanted
) -> Iterator[dict[str, Any]]:
    """One row a sample that is wanted, in the table's order."""
    for sample in samples:
        verdict = judgement.verdict(sample)
        if (
            (wanted.task and sample.source_task != wanted.task)
            or (wanted.label and normalise(sample.target) != normalise(wanted.label))
            or (wanted.verdict and verdict != wanted.verdict)
            or normalise(wanted.grep) not in normalise(f"{sample.input} {sample.target}")
        ):
            continue
        yield {
            "row_id": sample.row_id,
            "source_task": sample.source_task,
            "input": sample.input,
            "target": sample.target,
            "verdict": verdict,
            "reasons": ", ".join(judgement.reasons_of(sample)),
            "nll": shown_nll(sample),
        }


def shown_nll(sample: PseudoSample) -> float | None:
    """To three places; None where it is not a number."""
    return None if math.isnan(sample.nll) else round(sample.nll, 3)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV in which every cell that a spreadsheet would run begins with an apostrophe. All are in
    quotes: no cell goes on as another one, wherever a reader ends a field or a line."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def _inert(value: object) -> object:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
