"""`lamol prepare T`: the task's rows from its source, and links to those of its predecessors."""

from pathlib import Path

from lamol_core.errors import ConfigError
from stages.runtime import StageRun, run_alone, stage


@stage("prepare")
def prepare(run: StageRun) -> None:
    """Read a task's source into data/TASK: train, dev and test rows.

    Example: lamol prepare home
    """

    from lamol_core.data.params import PrepareParams, TaskParams
    from lamol_core.data.prepare import prepare_task
    from lamol_core.data.task_data import TaskData
    from lamol_core.data.tombstones import forgotten_under_another_name, read_record, read_records

    task, layout = run.block(f"tasks.{run.task}", TaskParams), run.layout
    params = run.block("prepare", PrepareParams)
    records = read_records(layout.all_forgotten)
    if problem := forgotten_under_another_name(run.task, task.source, records, Path()):
        raise ConfigError(problem)
    out = layout.data(run.task)
    record = read_record(layout.forgotten(run.task))
    code = run.provenance().code
    for note in prepare_task(
        run.task, task, params, layout.data(run.after), out, Path(), record, code
    ):
        run.say(note)
    facts = TaskData.load(out, check=False).facts
    counts = ", ".join(f"{count} {split}" for split, count in facts.num_rows.items())
    run.say(f"{counts} rows, metric {facts.metric} -> {out}")


if __name__ == "__main__":
    run_alone(prepare)
