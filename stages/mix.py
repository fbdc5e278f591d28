"""`lamol mix T`: the training set of a task, new rows and pseudo rows by reference."""

from __future__ import annotations

from stages.runtime import DebugOption, SetOption, TaskArgument, guarded, open_params, run_alone


@guarded
def mix(task: TaskArgument, overrides: SetOption = None, debug: DebugOption = False) -> None:
    """Mix a task's real rows with the valid pseudo rows: runs/TASK/mix.parquet.

    Example: lamol mix travel
    """
    from lamol_core.artifacts.kinds import MIX, PSEUDO
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Provenance, read_manifest, table_manifest
    from lamol_core.artifacts.tables import read_table, write_table
    from lamol_core.audit.gate import passed_table, require_rows
    from lamol_core.data.mixing import mix_rows
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.quotas import MIXES_REAL_ROWS, real_rows
    from lamol_core.records import MIX_SCHEMA, PSEUDO_SCHEMA, PseudoSample, from_table
    from stages.console import say

    params, layout = open_params(overrides), Layout()
    params.task(task)
    data = TaskData.load(layout.data(task))
    source = passed_table(layout, task, params.audit)
    remedy = f"Run `dvc repro generate@{task}` and `dvc repro audit@{task}` again."
    table, mixed = read_table(source, PSEUDO, PSEUDO_SCHEMA, remedy)
    drawn = read_manifest(table_manifest(layout.pseudo(task)), remedy)
    if params.method in MIXES_REAL_ROWS and data.earlier:
        names = ", ".join(facts.name for facts in data.earlier)
        say(f"mix {task}: {params.method} KEEPS AND REPLAYS THE REAL ROWS of {names}")
    real = real_rows(data, params.method)
    pseudo = from_table(table, PseudoSample)
    if params.audit.drop_flagged:
        require_rows(layout.pseudo(task), pseudo, data.earlier)
    rows = mix_rows(real, pseudo, task, params.seed)
    inputs = {
        "pseudo": drawn.content_sha256,
        "mixed": mixed.content_sha256,
        "data": data.content_sha256,
        "train.parquet": data.train_sha256,
    }
    write_table(layout.mix(task), MIX, rows, MIX_SCHEMA, Provenance({"seed": params.seed}, inputs))
    num_pseudo = sum(row.origin == "pseudo" for row in rows)
    say(f"mix {task}: {len(rows) - num_pseudo} real + {num_pseudo} pseudo -> {layout.mix(task)}")


if __name__ == "__main__":
    run_alone(mix)
