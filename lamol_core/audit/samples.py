"""Selects pseudo-samples by verdict or text, and writes them as CSV safe for spreadsheets."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from lamol_core.artifacts.figures import read_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import sha256_of
from lamol_core.artifacts.spec import AUDIT, AUDIT_FIGURES, AUDIT_FLAGS, remedy
from lamol_core.artifacts.store import check
from lamol_core.artifacts.tables import read_rows
from lamol_core.records import ROW_VERDICTS, Flag, PseudoSample, RowVerdict, all_texts, from_table
from lamol_core.text.normalise import normalise

SampleVerdict = Literal["clean", "unjudged", "rejected", RowVerdict]
COLUMNS = ("row_id", "source_task", "input", "target", "verdict", "reasons", "nll")
HISTORY = "history"
"""A further column, where a sample has several turns."""
# a spreadsheet takes cells that begin with one of these for formulas
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True)
class Judgement:
    """What an audit says of single rows; empty where there is no audit.

    `flags`: the row verdict and the reason of each flag, by row id. `judged_tasks`: tasks with real
    rows or a fingerprint to compare with. `unjudged_rows`: ids of their samples that could not be
    compared."""

    flags: Mapping[str, Sequence[tuple[RowVerdict, str]]] = field(default_factory=dict)
    judged_tasks: Collection[str] = ()
    unjudged_rows: Collection[str] = ()

    def verdict(self, sample: PseudoSample) -> SampleVerdict:
        """Return the verdict on one sample. A kept row without a flag is "clean" only where it
        could be judged."""
        if not sample.valid:
            return "rejected"
        if flags := self.flags.get(sample.row_id):
            return min((verdict for verdict, _ in flags), key=ROW_VERDICTS.index)
        is_judged = sample.source_task in self.judged_tasks
        return "clean" if is_judged and sample.row_id not in self.unjudged_rows else "unjudged"

    def reasons_of(self, sample: PseudoSample) -> list[str]:
        """Return why the sample was rejected, and why it is flagged; [] where it is neither."""
        reasons = [reason for _, reason in self.flags.get(sample.row_id, ())]
        return [reason for reason in (sample.reject_reason, *reasons) if reason]


def judgement_of(
    flags: Iterable[Flag], judged_tasks: Collection[str], unjudged_rows: Collection[str]
) -> Judgement:
    """Return the judgement of an audit with these flags."""
    by_row: dict[str, list[tuple[RowVerdict, str]]] = defaultdict(list)
    for flag in flags:
        by_row[flag.row_id].append((cast(RowVerdict, flag.verdict), flag.reason))
    return Judgement(by_row, judged_tasks, set(unjudged_rows))


def read_judgement(layout: Layout, task: str) -> Judgement | None:
    """Return the judgement on a task's pseudo-samples; None where there is no audit, or the
    table was changed after it. Raises ArtifactError where the audit was changed."""
    folder = layout.audit(task)
    if not folder.is_dir():
        return None
    if check(layout, AUDIT, task).inputs.get("table") != sha256_of(layout.pseudo(task)):
        return None
    flags = from_table(read_rows(folder / AUDIT_FLAGS, AUDIT.schema, remedy(AUDIT, task)), Flag)
    audit = read_json(folder / AUDIT_FIGURES, remedy(AUDIT, task))
    return judgement_of(flags, audit["judged_tasks"], audit["unjudged_rows"])


def choose(
    samples: Sequence[PseudoSample],
    judgement: Judgement,
    source_task: str = "",
    label: str = "",
    wanted_verdict: str = "",
    grep: str = "",
) -> Iterator[dict[str, Any]]:
    """Yield the samples that match all criteria, as dictionaries with the keys in COLUMNS, and
    HISTORY if one of all samples has it. "" matches every sample; `grep` is looked for in all texts
    of a sample."""
    have_turns = any(sample.history for sample in samples)
    for sample in samples:
        verdict = judgement.verdict(sample)
        if (
            source_task in ("", sample.source_task)
            and (not label or normalise(sample.target) == normalise(label))
            and wanted_verdict in ("", verdict)
            and normalise(grep) in normalise(" ".join(all_texts(sample)))
        ):
            reasons = ", ".join(judgement.reasons_of(sample))
            own = (sample.row_id, sample.source_task, sample.input, sample.target)
            row = dict(zip(COLUMNS, (*own, verdict, reasons, shown_nll(sample)), strict=True))
            yield {**row, HISTORY: sample.history} if have_turns else row


def shown_nll(sample: PseudoSample) -> float | None:
    """Return the sample's `nll` with three decimals; None where it is NaN."""
    return None if math.isnan(sample.nll) else round(sample.nll, 3)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return CSV in which an apostrophe is put before cells that a spreadsheet would run as
    formulas. Every cell is quoted, so that no content can end a cell or a line."""
    buffer = io.StringIO()
    columns = rows[0] if rows else COLUMNS
    writer = csv.DictWriter(buffer, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def _inert(value: object) -> object:
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value
