"""Reuse pseudo-samples of the previous table instead of drawing new ones.

The teacher that has just learnt a task writes its best rows; what later teachers write fades
(docs/method.md). With `generate.carry_over` a task's first rows are copied from table to table.
Each keeps its id, seed and teacher. No real row is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import size_of
from lamol_core.data.gate import flagged_rows
from lamol_core.generation.params import GenerateParams
from lamol_core.records import PRIVACY_VERDICTS, PseudoSample, from_table
from lamol_core.text.normalise import normalise

if TYPE_CHECKING:
    from lamol_core.generation.judging import Judge


def read_carried(inputs: Inputs, count_by_task: Mapping[str, int]) -> list[PseudoSample]:
    """The first valid rows of each task in the previous table, at most `count_by_task`, without
    those that may be real ones by its audit. Raises ArtifactError where table or audit is missing
    or was changed, and where the audit is of another table."""
    table, _ = inputs.read(PSEUDO, "before")
    flagged = flagged_rows(inputs, "before", PRIVACY_VERDICTS)
    rows = [row for row in from_table(table, PseudoSample) if row.row_id not in flagged]
    return first_rows(rows, count_by_task)


def first_rows(
    rows: Sequence[PseudoSample], count_by_task: Mapping[str, int]
) -> list[PseudoSample]:
    """The first valid rows of each task, at most `count_by_task`. Each target keeps as many as any
    other, as far as there are: rows drawn by label stand label by label."""
    chosen: list[PseudoSample] = []
    for task, count in count_by_task.items():
        own = [row for row in rows if row.valid and row.source_task == task]
        seen: Counter[str] = Counter()
        places: list[tuple[int, int]] = []  # of each row among those with its target, and among all
        for place, row in enumerate(own):
            target = normalise(row.target)
            places.append((seen[target], place))
            seen[target] += 1
        chosen += [own[place] for place in sorted(place for _, place in sorted(places)[:count])]
    return chosen


def count_rows(
    samples: Sequence[PseudoSample],
    carried: Sequence[PseudoSample],
    params: GenerateParams,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Counts for the figures: carried, valid and rejected (also by reason) rows, and the bytes
    kept: of rows that later tables may carry over, and of the judge."""
    valid = [sample for sample in samples if sample.valid]
    rejected = Counter(sample.reject_reason for sample in samples if not sample.valid)
    return {
        "carried": len(carried),
        "kept_bytes": size_of(valid if params.carry_over else [], PSEUDO.schema)
        + (judge.with_new_task.num_bytes if judge else 0),
        "valid": len(valid) - len(carried),
        "rejected": rejected.total(),
        "reasons": dict(sorted(rejected.items())),
    }
