"""Forgotten rows: which stages would run again without them, and which scores would be lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import DATA, repro
from lamol_core.data.tombstones import Record, read_record
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_api import Pipeline


def what_forgotten_rows_cost(params: Params, data: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What `dvc repro` would run again with params.yaml's `data` (or `dvc exp run`, where some of
    it is overridden): what it can't without rows that were forgotten, and the scores it loses."""
    layout = Layout()
    records = {task: read_record(layout.forgotten(task)) for task in params.tasks}
    forgotten = {task: record for task, record in records.items() if record is not None}
    if not forgotten:
        return [], []
    problems, lost = [], []
    with Pipeline.opened() as pipeline:
        for task, record in forgotten.items():
            path = params.task(task).source.place(Path())
            if path is not None and not path.exists():
                problems.append(
                    f"tasks.{task}.source: {path} is gone; its rows were forgotten, but DVC looks "
                    f"for the file. `dvc checkout` and `lamol forget {task} --empty-source` put an "
                    "empty one there."
                )
                continue
            if training := _leading_to_training(pipeline, task, forgotten, data):
                problems.append(
                    f"tasks.{task}: its rows were forgotten, and `dvc repro` would run "
                    f"{', '.join(training)} again, which leads to training on them. Set back what "
                    "`dvc status` shows as changed, or leave out what --set changes; where a "
                    f"`prepare` ran with it already, {repro(DATA, task)} after that mends "
                    "the folders."
                    + (
                        " (`backbone` reads backbone.nano.corpus: often a task's own source, by a "
                        "YAML alias.)"
                        if "backbone" in training
                        else ""
                    )
                )
            elif params.evaluate.split in record.removed:
                scored = pipeline.that_ran(_learnt_on(params, task))
                again = [
                    name for name in scored if pipeline.runs_again(pipeline.before(name), data)
                ]
                if again:
                    lost.append(
                        f"{', '.join(f'evaluate@{name}' for name in again)} would run again, and "
                        f"lose the score of {task}, whose {params.evaluate.split} rows were "
                        "forgotten. Set back what `dvc status` shows as changed to keep it."
                    )
    return problems, lost


def _leading_to_training(
    pipeline: Pipeline, task: str, forgotten: Mapping[str, Record], data: dict[str, Any]
) -> list[str]:
    """The stages before a forgotten task's training, and it, that would run again, but for those
    that leave the same bytes: evaluations, and `prepare` of forgotten rows by the same parameters.
    """
    stages = [name for name in pipeline.before(task) if not name.startswith("evaluate@")]
    changed = set(pipeline.ran_with_others(stages, data))
    unread = {f"prepare@{name}" for name, record in forgotten.items() if record.is_complete}
    return [
        name
        for name in sorted(pipeline.runs_again(stages, data))
        if name in changed or name not in unread
    ]


def _learnt_on(params: Params, task: str) -> list[str]:
    """A task, and those that are learnt after it."""
    names = [task]
    while more := [n for n, one in params.tasks.items() if one.after in names and n not in names]:
        names += more
    return names
