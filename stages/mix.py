"""`lamol mix T`: the training set of a task, new rows and pseudo rows by reference."""

from stages.runtime import StageRun, run_alone, stage


@stage("mix")
def mix(run: StageRun) -> None:
    """Mix a task's real rows with the pseudo rows that pass the gate: runs/TASK/mix.parquet.

    Example: lamol mix travel
    """
    from lamol_core.artifacts.spec import AUDIT, MIX
    from lamol_core.artifacts.tables import write_table
    from lamol_core.data.gate import pass_gate
    from lamol_core.data.mixing import mix_rows
    from lamol_core.data.params import MixParams
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.registry import find_method

    params, method = run.block("mix", MixParams), find_method(run.method)
    data = TaskData.load(run.layout.data(run.task))
    passed = pass_gate(run.layout, run.task, params, data.earlier)
    if method.mixes_real_rows and data.earlier:
        run.say(f"{method.name}: {method.privacy}")
    real = data.rows_to_mix(method.mixes_real_rows)
    rows = mix_rows(real, passed.samples, run.task, run.seed)
    if params.drop_flagged:
        run.check(AUDIT)
    run.inputs |= {
        "pseudo": passed.manifest.content_sha256,
        "data": data.content_sha256,
        "train.parquet": data.train_sha256,
    }
    parameters = {"seed": run.seed, "method": method.name, "flagged_dropped": passed.num_dropped}
    out = run.path(MIX)
    write_table(out, MIX, rows, run.provenance(parameters))
    num_pseudo = sum(row.origin == "pseudo" for row in rows)
    dropped = f" ({passed.num_dropped} flagged ones left out)" if passed.num_dropped else ""
    run.say(f"{len(rows) - num_pseudo} real + {num_pseudo} pseudo{dropped} -> {out}")


if __name__ == "__main__":
    run_alone(mix)
