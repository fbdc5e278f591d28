"""`lamol train T`: learn the mix of a task, starting from (and taught by) the teacher."""

from __future__ import annotations

from stages.runtime import (
    MEASURED,
    Cost,
    DebugOption,
    JsonOption,
    SetOption,
    TaskArgument,
    guarded,
    open_params,
    run_alone,
)


@guarded
def train(
    task: TaskArgument,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a task's student: runs/TASK/student, state and train_log.csv.

    Example: lamol train travel --set train.epochs=3
    """
    cost = Cost()
    from lamol_core.config import BASE
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.registry import build_method
    from lamol_core.methods.rehearsal import KEEPS_REAL_ROWS, MIXES_REAL_ROWS, find_sampling
    from lamol_core.models.checkpoints import check_state
    from lamol_core.records import (
        MIX_SCHEMA,
        PSEUDO_SCHEMA,
        MixRow,
        PseudoSample,
        from_table,
    )
    from lamol_core.reporting.figures import write_csv, write_json
    from lamol_core.storage.kinds import CHECKPOINT, MIX, PSEUDO
    from lamol_core.storage.layout import Layout
    from lamol_core.storage.manifest import Provenance, check_folder
    from lamol_core.storage.tables import read_table
    from lamol_core.training.curves import thin_curve
    from lamol_core.training.kept import count_kept
    from lamol_core.training.loop import MEASURED_COLUMNS
    from lamol_core.training.run import (
        Checkpoints,
        TrainingSet,
        count_all_steps,
        train_from_checkpoint,
    )
    from stages.console import print_json, progress, say

    cost.imported()
    params, layout = open_params(overrides), Layout()
    after = params.task(task).after
    teacher = layout.teacher(task)
    data = TaskData.load(layout.data(task))
    teacher_manifest = check_folder(teacher, CHECKPOINT, f"Run `dvc repro snapshot@{task}` again.")
    state_manifest = check_state(layout.state(after), f"Run `dvc repro train@{after}` again.")
    mix_table, mix_manifest = read_table(
        layout.mix(task), MIX, MIX_SCHEMA, f"Run `dvc repro mix@{task}` again."
    )
    pseudo_table, pseudo_manifest = read_table(
        layout.pseudo(task), PSEUDO, PSEUDO_SCHEMA, f"Run `dvc repro generate@{task}` again."
    )
    method = build_method(params)
    inputs = {
        "data": data.content_sha256,
        "mix": mix_manifest.content_sha256,
        "pseudo": pseudo_manifest.content_sha256,
        "state": state_manifest.content_sha256,
        "teacher": teacher_manifest.content_sha256,
    }
    if method.expert_loss is not None:
        remedy = "Run `dvc repro backbone` again."
        inputs["backbone"] = check_folder(layout.student(BASE), CHECKPOINT, remedy).content_sha256
    mix = from_table(mix_table, MixRow)
    real = data.rows("train")
    if params.method in MIXES_REAL_ROWS:
        real += [row for facts in data.earlier for row in data.seen_rows(facts.name, "train")]
    pseudo = from_table(pseudo_table, PseudoSample)
    sampling = find_sampling(params)
    training_set = TrainingSet(
        mix,
        real,
        pseudo,
        lineage=tuple(facts.name for facts in data.lineage),
        task_specific_token=sampling is None or sampling.task_specific_token,
    )

    checkpoints = Checkpoints(
        teacher,
        states=layout.teacher_states(task),
        state=layout.state(after),
        backbone=layout.student(BASE),
        resume=layout.resume(task),
    )
    if params.method in KEEPS_REAL_ROWS - MIXES_REAL_ROWS:
        say(
            f"train {task}: {params.method} KEEPS REAL ROWS in {layout.state(task)} (while it "
            f"trains in {layout.resume(task)} too)"
        )
    with progress(f"train {task}", count_all_steps(mix, method, params.train), "steps") as advance:
        trained = train_from_checkpoint(
            checkpoints,
            training_set,
            method,
            params.train,
            params.seed,
            on_step=lambda row, _: advance(1, f"loss {row['loss']:.3f}"),
            say=lambda message: say(f"train {task}: {message}"),
        )
    provenance = Provenance(
        parameters={
            "method": params.method,
            "seed": params.seed,
            **{f"{params.method}.{k}": v for k, v in method.parameters(bool(pseudo)).items()},
            **{f"train.{k}": v for k, v in params.train.model_dump().items()},
        },
        inputs=inputs,
    )
    trained.save(layout.student(task), teacher, provenance)
    trained.save_state(layout.state(task), provenance)
    write_csv(layout.train_log(task), trained.log_rows, MEASURED_COLUMNS)
    last = trained.log_rows[-1]
    figures = {
        "rows": len(mix),
        "steps": len(trained.log_rows),
        "tokens": sum(row["tokens"] for row in trained.log_rows),
        "final_loss": last["loss"],
        "inputs_cut": trained.num_cut,
        "curve": thin_curve(trained.log_rows),
        "kept": count_kept(layout.state(task), data, params.method).as_dict(),
        **cost.figures(trained.seconds_before),
    }
    write_json(layout.figure(task, "train"), figures, MEASURED)
    trained.discard_resumes()
    if trained.num_cut:
        say(f"train {task}: {trained.num_cut} inputs were cut to fit train.max_length")
    say(
        f"train {task}: {figures['steps']} steps, loss {last['loss']:.4f}, "
        f"{figures['seconds']:.0f} s -> {layout.student(task)}"
    )
    if json:
        print_json({"task": task, **{key: figures[key] for key in figures if key != "curve"}})


if __name__ == "__main__":
    run_alone(train)
