"""`lamol prepare T`: the task's rows from its source, and links to those of its predecessors."""

from __future__ import annotations

from stages.runtime import DebugOption, SetOption, TaskArgument, guarded, open_params, run_alone


@guarded
def prepare(task: TaskArgument, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """Read a task's source into data/TASK: train, dev and test rows.

    Example: lamol prepare home
    """
    from pathlib import Path

    from lamol_core.artifacts.layout import Layout
    from lamol_core.data.prepare import prepare_task
    from lamol_core.data.task_data import TaskData
    from lamol_core.data.tombstones import forgotten_under_another_name, read_record, read_records
    from lamol_core.errors import ConfigError
    from stages.console import say

    params, layout = open_params(overrides), Layout()
    block = params.task(task)
    out = layout.data(task)
    records = read_records(layout.all_forgotten)
    if problem := forgotten_under_another_name(task, block.source, records, Path()):
        raise ConfigError(problem)
    notes = prepare_task(
        task,
        block,
        params.prepare,
        layout.data(block.after),
        out,
        Path(),
        params.audit.canaries,
        read_record(layout.forgotten(task)),
    )
    for note in notes:
        say(f"prepare {task}: {note}")
    facts = TaskData.load(out, check=False).facts
    counts = ", ".join(f"{count} {split}" for split, count in facts.num_rows.items())
    say(f"prepare {task}: {counts} rows, metric {facts.metric} -> {out}")


if __name__ == "__main__":
    run_alone(prepare)
