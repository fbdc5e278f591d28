"""`lamol generate T`: the teacher writes pseudo-samples of the tasks it knows."""

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
def generate(
    task: TaskArgument,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the pseudo-samples for a task: runs/TASK/pseudo.parquet.

    Example: lamol generate travel --set lamol_kd.topk=5
    """
    cost = Cost()
    from collections import Counter

    from lamol_core.audit.gate import FLAGS, flagged_rows
    from lamol_core.data.mixing import pseudo_rows_by_task
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.rehearsal import drawing_settings, find_sampling
    from lamol_core.records import PSEUDO_SCHEMA, SURPLUS, PseudoSample, from_table
    from lamol_core.reporting.figures import write_json
    from lamol_core.sampling.carried import carried_rows
    from lamol_core.storage.kinds import CHECKPOINT, PSEUDO
    from lamol_core.storage.layout import Layout
    from lamol_core.storage.manifest import Provenance, check_folder, sha256_of
    from lamol_core.storage.tables import read_table, size_of, write_table
    from stages.console import print_json, say

    params, layout = open_params(overrides), Layout()
    after = params.task(task).after
    data = TaskData.load(layout.data(task))
    teacher = layout.teacher(task)
    manifest = check_folder(teacher, CHECKPOINT, f"Run `dvc repro snapshot@{task}` again.")
    sampling = find_sampling(params)
    shares = [0] * len(data.earlier)
    if sampling:
        shares = pseudo_rows_by_task(
            sampling.gamma,
            data.facts.num_rows["train"],
            [len(facts.learnt_classes) for facts in data.earlier],
            sampling.rows_per_class,
        )
    wanted = dict(zip((facts.name for facts in data.earlier), shares, strict=True))
    inputs = {"teacher": manifest.content_sha256, "data": data.content_sha256}
    carried: list[PseudoSample] = []
    if params.generate.carry_over:
        remedy = f"Run `dvc repro generate@{task}` again."
        table, source = read_table(layout.pseudo(after), PSEUDO, PSEUDO_SCHEMA, remedy)
        flagged = flagged_rows(layout.audit(after), f"Run `dvc repro audit@{after}` again.")
        rows = [s for s in from_table(table, PseudoSample) if s.row_id not in flagged]
        carried = carried_rows(rows, wanted, params.generate.balance_labels)
        inputs["carried"] = source.content_sha256
        inputs["flags"] = sha256_of(layout.audit(after) / FLAGS)
    total = sum(shares) - len(carried)

    samples = carried
    acting: dict[str, object] = {}
    if sampling and sum(shares):
        acting = drawing_settings(params, sampling)
    if sampling and total:
        from lamol_core.sampling.run import draw_from_checkpoint
        from stages.console import progress

        cost.imported()
        with progress(f"generate {task}", total * params.generate.draws_per_row, "rows") as advance:
            samples = draw_from_checkpoint(
                teacher,
                manifest.content_sha256,
                wanted,
                sampling,
                params.generate,
                new_task=task,
                labels_by_task={facts.name: facts.learnt_classes for facts in data.earlier},
                seed=params.seed,
                carried=carried,
                on_rows_done=advance,
            )
    write_table(
        layout.pseudo(task),
        PSEUDO,
        samples,
        PSEUDO_SCHEMA,
        Provenance(acting, inputs),
    )
    unused = Counter(sample.reject_reason for sample in samples if not sample.valid)
    surplus = unused.pop(SURPLUS, 0)
    rejected = unused
    kept = [sample for sample in samples if sample.valid and params.generate.carry_over]
    figures = {
        "carried": len(carried),
        "kept_bytes": size_of(kept, PSEUDO_SCHEMA),
        "valid": sum(sample.valid for sample in samples) - len(carried),
        "rejected": rejected.total(),
        "surplus": surplus,
        "reasons": dict(sorted(rejected.items())),
        **cost.figures(),
    }
    write_json(layout.figure(task, "generate"), figures, MEASURED)
    say(
        f"generate {task}: {figures['valid']} valid rows of {len(data.earlier)} earlier tasks"
        f"{f' and {len(carried)} carried over' if carried else ''}, "
        f"{figures['rejected']} rejected -> {layout.pseudo(task)}"
    )
    if json:
        print_json({"task": task, **figures})


if __name__ == "__main__":
    run_alone(generate)
