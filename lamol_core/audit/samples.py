"""Pseudo-samples as rows to look at: chosen, and as CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lamol_core.records import SURPLUS, PseudoSample
from lamol_core.text.normal import normalise

SampleVerdict = Literal["clean", "flagged", "rejected", "surplus"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula."""


@dataclass(frozen=True)
class Wanted:
    """Which samples: empty values choose all."""

    task: str = ""
    label: str = ""
    verdict: str = ""
    grep: str = ""


def verdict_of(sample: PseudoSample, reasons: Sequence[str]) -> SampleVerdict:
    """`reasons` are those for which the audit flags it."""
    if not sample.valid:
        return "surplus" if sample.reject_reason == SURPLUS else "rejected"
    return "flagged" if reasons else "clean"


def choose(
    samples: Sequence[PseudoSample], flags: Mapping[str, Sequence[str]], wanted: Wanted
) -> Iterator[dict[str, Any]]:
    """One row a sample that is wanted, in the table's order. `flags` are reasons by row id."""
    for sample in samples:
        reasons = list(flags.get(sample.row_id, ()))
        verdict = verdict_of(sample, reasons)
        text = normalise(f"{sample.input} {sample.target}")
        if (
            (wanted.task and sample.source_task != wanted.task)
            or (wanted.label and normalise(sample.target) != normalise(wanted.label))
            or (wanted.verdict and verdict != wanted.verdict)
            or (wanted.grep and normalise(wanted.grep) not in text)
        ):
            continue
        yield {
            "row_id": sample.row_id,
            "source_task": sample.source_task,
            "input": sample.input,
            "target": sample.target,
            "verdict": verdict,
            "reasons": ", ".join(reasons if sample.valid else [sample.reject_reason]),
            "nll": round(sample.nll, 3) if sample.nll == sample.nll else None,
        }


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV in which every cell that a spreadsheet would run begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return buffer.getvalue()


def _inert(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
