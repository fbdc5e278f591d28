"""Finds the stages that would train on forgotten rows, and the scores that a run would lose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import DATA, EVALUATE, METRICS, STUDENT, maker, repro
from lamol_core.config.task_names import BASE, lineage
from lamol_core.data.tombstones import Record, read_record
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_api import Pipeline

NANO_CORPUS = " (`backbone` reads backbone.nano.corpus, often a task's own source.)"


def what_forgotten_rows_cost(params: Params, data: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the problems and the hints of a run after rows were forgotten. A problem is a
    training on such rows, or a missing source; a hint is a score that would be lost. The run is
    `dvc repro`, or `dvc exp run` that overrides some of `data`."""
    layout = Layout()
    records = {task: read_record(layout.forgotten(task)) for task in params.tasks}
    forgotten = {task: record for task, record in records.items() if record is not None}
    problems: list[str] = []
    hints: list[str] = []
    if not forgotten:
        return problems, hints
    with Pipeline.opened() as pipeline:
        for task, record in forgotten.items():
            path = params.task(task).source.location(Path())
            if path is not None and not path.exists():
                problems.append(
                    f"tasks.{task}.source: {path} is missing; its rows were forgotten, but DVC "
                    f"looks for the file. `dvc checkout` and `lamol forget {task} --empty-source` "
                    "put an empty one there."
                )
            elif training := _leading_to_training(pipeline, task, forgotten, data):
                problems.append(
                    f"tasks.{task}: its rows were forgotten, but `dvc repro` would run "
                    f"{', '.join(training)} again, and then train on them. Undo what "
                    "`dvc status` shows as changed (`git checkout params.yaml dvc.lock`), then "
                    f"{repro(DATA, task)} and `dvc checkout`."
                    + (NANO_CORPUS if maker(STUDENT, BASE) in training else "")
                )
            elif params.evaluate.split in record.removed:
                learnt_on = [name for name in params.tasks if task in lineage(params.tasks, name)]
                scored = pipeline.that_ran(learnt_on)
                if again := [n for n in scored if pipeline.runs_again(pipeline.before(n), data)]:
                    hints.append(
                        f"{', '.join(maker(METRICS, name) for name in again)} would run again, and "
                        f"lose the score of {task}, whose {params.evaluate.split} rows were "
                        "forgotten. Undo what `dvc status` shows as changed to keep it."
                    )
    return problems, hints


def _leading_to_training(
    pipeline: Pipeline, task: str, forgotten: Mapping[str, Record], data: dict[str, Any]
) -> list[str]:
    """Return the stages up to a forgotten task's training that would run again. Stages that
    would leave the same bytes do not count: evaluations, and `prepare` of forgotten rows with
    the same parameters."""
    before = pipeline.before(task)
    stages = [name for name in before if not name.startswith(f"{EVALUATE.name}@")]
    unread = {maker(DATA, name) for name, record in forgotten.items() if record.is_complete}
    unread -= set(pipeline.ran_with_others(stages, data))
    return sorted(set(pipeline.runs_again(stages, data)) - unread)
