"""Pseudo-samples of the table before, used again instead of drawn anew.

A task's rows are written best by the teacher that has just learnt it; later ones forget labels one
by one (docs/method.md), and what is not written is not rehearsed. With `generate.carry_over` a
task's first rows go on from table to table, each under its own id, seed and teacher. They are what
a model wrote, and lie in `runs/*/pseudo.parquet` anyway: no real row is kept.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lamol_core.artifacts.spec import PSEUDO
from lamol_core.artifacts.store import Inputs
from lamol_core.artifacts.tables import size_of
from lamol_core.data.gate import flagged_rows
from lamol_core.generation.selection import even_quotas
from lamol_core.records import SURPLUS, PseudoSample, from_table
from lamol_core.text.normalise import normalise


def read_carried(
    inputs: Inputs, count_by_task: Mapping[str, int], balance: bool
) -> list[PseudoSample]:
    """`carried_rows` of the table before, without those that its audit flags."""
    table, _ = inputs.read(PSEUDO, "before")
    flagged = flagged_rows(inputs, "before")
    rows = [row for row in from_table(table, PseudoSample) if row.row_id not in flagged]
    return carried_rows(rows, count_by_task, balance)


def carried_rows(
    before: Sequence[PseudoSample], count_by_task: Mapping[str, int], balance: bool
) -> list[PseudoSample]:
    """The valid rows of a table that are used again, by task: the first ones, `count_by_task` at
    the most; with `balance` the first of each label, as many of each as there are."""
    carried: list[PseudoSample] = []
    for task, count in count_by_task.items():
        valid = [sample for sample in before if sample.valid and sample.source_task == task]
        if not balance:
            carried += valid[:count]
            continue
        left = even_quotas(dict(Counter(normalise(sample.target) for sample in valid)), count)
        for sample in valid:
            if left[normalise(sample.target)] > 0:
                left[normalise(sample.target)] -= 1
                carried.append(sample)
    return carried


def count_rows(
    samples: Sequence[PseudoSample], num_carried: int, carry_over: bool
) -> dict[str, Any]:
    """The table's rows by their fate, and the bytes that go on to later tables."""
    valid = [sample for sample in samples if sample.valid]
    rejected = Counter(sample.reject_reason for sample in samples if not sample.valid)
    surplus = rejected.pop(SURPLUS, 0)
    return {
        "carried": num_carried,
        "kept_bytes": size_of(valid if carry_over else [], PSEUDO.schema),
        "valid": len(valid) - num_carried,
        "rejected": rejected.total(),
        "surplus": surplus,
        "reasons": dict(sorted(rejected.items())),
    }
