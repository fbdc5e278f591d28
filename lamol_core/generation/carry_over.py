"""Pseudo-samples of the table before, used again instead of drawn anew.

A task's rows are written best by the teacher that has just learnt it; later ones forget labels one
by one (docs/method.md), and what is not written is not rehearsed. With `generate.carry_over` a
task's first rows go on from table to table, each under its own id, seed and teacher. They are what
a model wrote, and lie in `runs/*/pseudo.parquet` anyway: no real row is kept. Rows that the audit
of their table flags are left out (stages/generate.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from lamol_core.generation.selection import even_quotas
from lamol_core.records import PseudoSample
from lamol_core.text.normalise import normalise


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
