"""`lamol generate T`: the teacher writes pseudo-samples of the tasks it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from lamol_core.artifacts.layout import Layout
    from lamol_core.config.blocks import GenerateParams, Params
    from lamol_core.methods.quotas import Sampling
    from lamol_core.records import PseudoSample, TaskFacts


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
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.kinds import PSEUDO
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.artifacts.tables import write_table
    from lamol_core.methods.quotas import drawing_settings
    from lamol_core.records import PSEUDO_SCHEMA
    from stages.console import print_json, say

    params, layout = open_params(overrides), Layout()
    wanted = _read(task, params, layout)
    samples = wanted.carried
    if wanted.sampling and wanted.num_to_draw:
        samples = _draw(task, params, layout, wanted, cost)
    acting: dict[str, object] = {}
    if wanted.sampling and any(wanted.count_by_task.values()):
        acting = drawing_settings(params, wanted.sampling)
    provenance = Provenance(acting, wanted.inputs)
    write_table(layout.pseudo(task), PSEUDO, samples, PSEUDO_SCHEMA, provenance)
    figures = _figures(samples, len(wanted.carried), params.generate.carry_over) | cost.figures()
    write_json(layout.figure(task, "generate"), figures, MEASURED)
    carried = f" and {len(wanted.carried)} carried over" if wanted.carried else ""
    say(
        f"generate {task}: {figures['valid']} valid rows of {len(wanted.earlier)} earlier tasks"
        f"{carried}, {figures['rejected']} rejected -> {layout.pseudo(task)}"
    )
    if json:
        print_json({"task": task, **figures})


@dataclass(frozen=True)
class _Wanted:
    """How many rows of which earlier tasks, what there is of them already, and what it hangs on."""

    sampling: Sampling | None
    """How the method samples; None where it has no use for pseudo-samples."""
    earlier: Sequence[TaskFacts]
    count_by_task: dict[str, int]
    carried: list[PseudoSample]
    inputs: dict[str, str]

    @property
    def num_to_draw(self) -> int:
        return sum(self.count_by_task.values()) - len(self.carried)


def _read(task: str, params: Params, layout: Layout) -> _Wanted:
    """Raises ArtifactError with the command that mends it."""
    from lamol_core.artifacts.kinds import CHECKPOINT
    from lamol_core.artifacts.manifest import check_folder
    from lamol_core.data.task_data import TaskData
    from lamol_core.methods.quotas import find_sampling, rows_wanted

    after = params.task(task).after
    data = TaskData.load(layout.data(task))
    remedy = f"Run `dvc repro snapshot@{task}` again."
    teacher = check_folder(layout.teacher(task), CHECKPOINT, remedy)
    inputs = {"teacher": teacher.content_sha256, "data": data.content_sha256}
    sampling = find_sampling(params)
    counts = rows_wanted(sampling, data.facts, data.earlier)
    carried: list[PseudoSample] = []
    if params.generate.carry_over:
        carried, of_carried = _carry_over(task, after, layout, counts, params.generate)
        inputs |= of_carried
    return _Wanted(sampling, data.earlier, counts, carried, inputs)


def _carry_over(
    task: str, after: str, layout: Layout, counts: dict[str, int], params: GenerateParams
) -> tuple[list[PseudoSample], dict[str, str]]:
    """Rows of the table before that its audit did not flag, and the hashes of both."""
    from lamol_core.artifacts.kinds import PSEUDO
    from lamol_core.artifacts.manifest import sha256_of
    from lamol_core.artifacts.tables import read_table
    from lamol_core.audit.gate import FLAGS, flagged_rows
    from lamol_core.generation.carry_over import carried_rows
    from lamol_core.records import PSEUDO_SCHEMA, PseudoSample, from_table

    remedy = f"Run `dvc repro generate@{task}` again."
    table, source = read_table(layout.pseudo(after), PSEUDO, PSEUDO_SCHEMA, remedy)
    flagged = flagged_rows(layout.audit(after), f"Run `dvc repro audit@{after}` again.")
    rows = [row for row in from_table(table, PseudoSample) if row.row_id not in flagged]
    hashes = {"carried": source.content_sha256, "flags": sha256_of(layout.audit(after) / FLAGS)}
    return carried_rows(rows, counts, params.balance_labels), hashes


def _draw(
    task: str, params: Params, layout: Layout, wanted: _Wanted, cost: Cost
) -> list[PseudoSample]:
    from lamol_core.generation.teacher import draw_from_checkpoint
    from stages.console import progress

    cost.imported()
    assert wanted.sampling is not None, "without it nothing is drawn"
    draws = wanted.num_to_draw * params.generate.draws_per_row
    with progress(f"generate {task}", draws, "rows") as advance:
        return draw_from_checkpoint(
            layout.teacher(task),
            wanted.inputs["teacher"],
            wanted.count_by_task,
            wanted.sampling,
            params.generate,
            new_task=task,
            labels_by_task={facts.name: facts.learnt_classes for facts in wanted.earlier},
            seed=params.seed,
            carried=wanted.carried,
            on_rows_done=advance,
        )


def _figures(samples: list[PseudoSample], num_carried: int, keeps: bool) -> dict[str, Any]:
    """What the report tells of a table; `keeps`: its rows go on to later tasks."""
    from collections import Counter

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
