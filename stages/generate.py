"""`lamol generate T`: the teacher writes pseudo-samples of the tasks it knows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from stages.console import print_json, progress
from stages.runtime import MEASURED, JsonOption, StageRun, run_alone, stage

if TYPE_CHECKING:
    from lamol_core.generation.params import GenerateParams
    from lamol_core.records import PseudoSample


@stage("generate")
def generate(run: StageRun, json: JsonOption = False) -> None:
    """Draw the pseudo-samples for a task: runs/TASK/pseudo.parquet.

    Example: lamol generate travel --set generate.topk=5
    """
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.spec import PSEUDO, TEACHER
    from lamol_core.artifacts.tables import write_table
    from lamol_core.data.task_data import TaskData
    from lamol_core.generation.params import GenerateParams
    from lamol_core.generation.quotas import rows_wanted
    from lamol_core.methods.registry import find_method
    from lamol_core.text.params import TextParams

    params, text = run.block("generate", GenerateParams), run.block("text", TextParams)
    data = TaskData.load(run.layout.data(run.task))
    run.inputs["data"] = data.content_sha256
    run.check(TEACHER)
    counts = dict.fromkeys((facts.name for facts in data.earlier), 0)
    if find_method(run.method).rehearses:
        counts = rows_wanted(params, data.facts, data.earlier)
    carried = _carry_over(run, counts, params) if params.carry_over else []
    samples = carried
    if num_to_draw := sum(counts.values()) - len(carried):
        from lamol_core.generation.teacher import draw_from_checkpoint

        run.cost.imported()
        with progress(
            f"generate {run.task}", num_to_draw * params.draws_per_row, "rows"
        ) as advance:
            samples = draw_from_checkpoint(
                run.layout.teacher(run.task),
                run.inputs["teacher"],
                counts,
                params,
                text,
                new_task=run.task,
                labels_by_task={facts.name: facts.learnt_classes for facts in data.earlier},
                seed=run.seed,
                carried=carried,
                on_rows_done=advance,
            )
    acting: dict[str, Any] = {}
    if any(counts.values()):
        acting = {"seed": run.seed, "text": text.model_dump(), "generate": params.model_dump()}
    out = run.layout.pseudo(run.task)
    write_table(out, PSEUDO, samples, run.provenance(acting))
    figures = _figures(samples, len(carried), params.carry_over) | run.cost.figures()
    write_json(run.layout.figure(run.task, "generate"), figures, MEASURED)
    more = f" and {len(carried)} carried over" if carried else ""
    run.say(
        f"{figures['valid']} valid rows of {len(data.earlier)} earlier tasks{more}, "
        f"{figures['rejected']} rejected -> {out}"
    )
    if json:
        print_json({"task": run.task, **figures})


def _carry_over(
    run: StageRun, counts: dict[str, int], params: GenerateParams
) -> list[PseudoSample]:
    """Rows of the table before that its audit did not flag."""
    from lamol_core.artifacts.manifest import sha256_of
    from lamol_core.artifacts.spec import PSEUDO
    from lamol_core.data.gate import FLAGS, flagged_rows
    from lamol_core.generation.carry_over import carried_rows
    from lamol_core.records import PseudoSample, from_table

    table, _ = run.read(PSEUDO, "before")
    flagged = flagged_rows(run.layout, run.after)
    rows = [row for row in from_table(table, PseudoSample) if row.row_id not in flagged]
    run.inputs["before.flags"] = sha256_of(run.layout.audit(run.after) / FLAGS)
    return carried_rows(rows, counts, params.balance_labels)


def _figures(samples: list[PseudoSample], num_carried: int, keeps: bool) -> dict[str, Any]:
    """What the report tells of a table; `keeps`: its rows go on to later tasks."""

    from lamol_core.artifacts.tables import size_of
    from lamol_core.records import PSEUDO_SCHEMA, SURPLUS

    valid = [sample for sample in samples if sample.valid]
    rejected = Counter(sample.reject_reason for sample in samples if not sample.valid)
    surplus = rejected.pop(SURPLUS, 0)
    return {
        "carried": num_carried,
        "kept_bytes": size_of(valid if keeps else [], PSEUDO_SCHEMA),
        "valid": len(valid) - num_carried,
        "rejected": rejected.total(),
        "surplus": surplus,
        "reasons": dict(sorted(rejected.items())),
    }


if __name__ == "__main__":
    run_alone(generate)
