"""Pseudo-samples of the table before, used again instead of drawn anew.

A task's rows are written best by the teacher that has just learnt it; later ones forget labels one
by one (docs/method.md), and what is not written is not rehearsed. With `generate.carry_over` a
task's first rows go on from table to table, each under its own id, seed and teacher. They are what
a model wrote, and lie in `runs/*/pseudo.parquet` anyway: no real row is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lamol_core.records import PseudoSample
from lamol_core.sampling.selection import keep_best


def carried_rows(
    before: Sequence[PseudoSample], count_by_task: Mapping[str, int], balance: bool
) -> list[PseudoSample]:
    """The valid rows of a table that are used again, `count_by_task` at the most, by task; with
    `balance` as many of each label as there are."""
    carried: list[PseudoSample] = []
    for task, count in count_by_task.items():
        valid = [sample for sample in before if sample.valid and sample.source_task == task]
        kept = keep_best(valid, count, balance, likeliest=False)
        carried += [sample for sample in valid if sample.row_id in kept]
    return carried
