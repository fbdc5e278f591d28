"""`lamol prepare T`: write the rows of task T from its source, and links to those of earlier
tasks.
"""

from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import DATA, TASK
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task
from lamol_core.data.task_data import TaskData
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("prepare")
def prepare(run: StageRun) -> None:
    task, params = run.block(TASK, TaskParams), run.block("prepare", PrepareParams)
    before = TaskData.read(run, "before")
    for note in prepare_task(run.task, task, params, before, run.layout, run.provenance()):
        run.say(note)
    written = run.path(DATA)
    metric = TaskData.load(written, check=False).facts.metric
    num_rows = read_manifest(written / MANIFEST, "").rows  # 0 where they were forgotten
    counts = ", ".join(f"{count} {split}" for split, count in num_rows.items())
    run.say(f"{counts} rows, metric {metric} -> {written}")
    run.show({"rows": num_rows, "metric": metric})


if __name__ == "__main__":
    run_as_module("prepare")
