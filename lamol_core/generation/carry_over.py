"""Reuse pseudo-samples of the previous table instead of drawing new ones.

The teacher that has just learnt a task writes its best rows; later teachers forget labels
(docs/method.md). With `generate.carry_over` a task's first rows are copied from table to table.
Each keeps its id, seed and teacher. No real row is kept.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import size_of
from lamol_core.data.gate import flagged_rows
from lamol_core.generation.selection import keep_best
from lamol_core.records import SURPLUS, PseudoSample, TaskFacts, from_table


def read_carried(
    inputs: Inputs, count_by_task: Mapping[str, int], balance: bool
) -> list[PseudoSample]:
    """Read the previous table; returns its `carried_rows`, without those that its audit flags.
    Raises ArtifactError where table or audit is missing or was changed."""
    table, _ = inputs.read(PSEUDO, "before")
    flagged = flagged_rows(inputs, "before")
    rows = [row for row in from_table(table, PseudoSample) if row.row_id not in flagged]
    return carried_rows(rows, count_by_task, balance)


def carried_rows(
    before: Sequence[PseudoSample], count_by_task: Mapping[str, int], balance: bool
) -> list[PseudoSample]:
    """The valid rows of the table `before` that are used again: of each task the first
    `count_by_task`, or with `balance` the first of each label in equal numbers."""
    carried: list[PseudoSample] = []
    for task, count in count_by_task.items():
        valid = [sample for sample in before if sample.valid and sample.source_task == task]
        if balance:
            kept = keep_best(valid, count, balance)
            valid = [sample for sample in valid if sample.row_id in kept]
        carried += valid[:count]
    return carried


def count_rows(
    samples: Sequence[PseudoSample],
    earlier: Sequence[TaskFacts],
    num_carried: int,
    carry_over: bool,
) -> dict[str, Any]:
    """Counts for the figures: carried, valid, rejected (also by reason) and surplus rows, those
    that hold each earlier task, and the bytes of those that later tables may carry over."""
    valid = [sample for sample in samples if sample.valid]
    rejected = Counter(sample.reject_reason for sample in samples if not sample.valid)
    surplus = rejected.pop(SURPLUS, 0)
    by_task = Counter(sample.source_task for sample in valid)
    return {
        "held": {
            facts.name: {"rows": by_task[facts.name], "classes": len(facts.learnt_classes)}
            for facts in earlier
        },
        "carried": num_carried,
        "kept_bytes": size_of(valid if carry_over else [], PSEUDO.schema),
        "valid": len(valid) - num_carried,
        "rejected": rejected.total(),
        "surplus": surplus,
        "reasons": dict(sorted(rejected.items())),
    }
