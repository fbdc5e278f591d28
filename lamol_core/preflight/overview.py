"""Describes the tasks of a sequence by their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.data.prepare import find_facts, notes_on, read_task_rows
from lamol_core.data.tombstones import read_record
from lamol_core.parameters import Params
from lamol_core.records import SPLITS, TaskFacts, row_id


@dataclass(frozen=True)
class TaskOverview:
    """What `lamol check` shows of a task: facts, numbers of rows, distinct targets, notes."""

    task: str
    after: str
    facts: TaskFacts
    num_rows: Mapping[str, int]
    """The number of rows in each split; 0 where they were forgotten."""
    distinct_targets: int
    """The number of distinct targets among the training rows."""
    notes: tuple[str, ...] = ()
    """Sentences on the rows that a user may want to know."""
    rows_by_target: Mapping[str, str] = field(default_factory=dict)
    """The distinct targets of the training rows, each with the id of the first row that has it."""

    def row(self) -> dict[str, Any]:
        """Return the overview as a row of a table, by column title."""
        return {
            "task": self.task,
            "after": self.after,
            "targets": self.facts.targets,
            "metric": self.facts.metric,
            **{split: self.num_rows[split] for split in SPLITS},
            "distinct_targets": self.distinct_targets,
        }


def describe_sequence(params: Params, root: Path) -> list[TaskOverview]:
    """Return an overview of every task, in the order of params.yaml. Every source is read, except
    those of tasks whose rows were all forgotten.

    Raises SourceError (a ConfigError) where a source is wrong."""
    described = []
    for name, task in params.tasks.items():
        record = read_record(Layout(root).forgotten(name))
        if record is not None and record.is_complete:
            facts = record.facts
            num_rows, distinct = record.rows(facts), len(facts.learnt_classes)
            described.append(TaskOverview(name, task.after, facts, num_rows, distinct))
            continue
        read = read_task_rows(name, task, params.prepare, root)
        facts = find_facts(name, task, read.by_split)
        first: dict[str, str] = {}
        for number, row in enumerate(read.by_split["train"]):
            first.setdefault(row.target, row_id(name, "train", number))
        notes = tuple(notes_on(task, facts, read))
        num_rows = facts.num_rows if record is None else record.rows(facts)
        described.append(TaskOverview(name, task.after, facts, num_rows, len(first), notes, first))
    return described
