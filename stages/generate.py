"""`lamol generate T`: the teacher writes pseudo-samples of the tasks it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stages.console import print_json, progress
from stages.runtime import MEASURED, JsonOption, StageRun, run_alone, stage

if TYPE_CHECKING:
    from lamol_core.generation.params import GenerateParams
    from lamol_core.records import PseudoSample, TaskFacts


@stage("generate")
def generate(run: StageRun, json: JsonOption = False) -> None:
    """Draw the pseudo-samples for a task: runs/TASK/pseudo.parquet.

    Example: lamol generate travel --set generate.topk=5
    """
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.spec import PSEUDO
    from lamol_core.artifacts.tables import write_table
    from lamol_core.generation.params import GenerateParams
    from lamol_core.text.params import TextParams

    params, text = run.block("generate", GenerateParams), run.block("text", TextParams)
    wanted = _read(run, params)
    samples = wanted.carried
    if wanted.num_to_draw:
        samples = _draw(run, params, text, wanted)
    acting: dict[str, Any] = {}
    if any(wanted.count_by_task.values()):
        acting = {"seed": run.seed, "text": text.model_dump(), "generate": params.model_dump()}
    out = run.layout.pseudo(run.task)
    write_table(out, PSEUDO, samples, run.provenance(acting))
    figures = _figures(samples, len(wanted.carried), params.carry_over) | run.cost.figures()
    write_json(run.layout.figure(run.task, "generate"), figures, MEASURED)
    carried = f" and {len(wanted.carried)} carried over" if wanted.carried else ""
    run.say(
        f"{figures['valid']} valid rows of {len(wanted.earlier)} earlier tasks{carried}, "
        f"{figures['rejected']} rejected -> {out}"
    )
    if json:
        print_json({"task": run.task, **figures})


@dataclass(frozen=True)
class _Wanted:
    """How many rows of which earlier tasks, and what there is of them already."""

    earlier: Sequence[TaskFacts]
    count_by_task: dict[str, int]
    carried: list[PseudoSample]

    @property
    def num_to_draw(self) -> int:
        return sum(self.count_by_task.values()) - len(self.carried)


def _read(run: StageRun, params: GenerateParams) -> _Wanted:
    from lamol_core.artifacts.spec import TEACHER
    from lamol_core.data.task_data import TaskData
    from lamol_core.generation.quotas import rows_wanted
    from lamol_core.methods.registry import find_method

    data = TaskData.load(run.layout.data(run.task))
    run.inputs["data"] = data.content_sha256
    run.check(TEACHER)
    counts = dict.fromkeys((facts.name for facts in data.earlier), 0)
    if find_method(run.method).rehearses:
        counts = rows_wanted(params, data.facts, data.earlier)
    carried = _carry_over(run, counts, params) if params.carry_over else []
    return _Wanted(data.earlier, counts, carried)


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


def _draw(run: StageRun, params: GenerateParams, text: Any, wanted: _Wanted) -> list[PseudoSample]:
    from lamol_core.generation.teacher import draw_from_checkpoint

    run.cost.imported()
    draws = wanted.num_to_draw * params.draws_per_row
    with progress(f"generate {run.task}", draws, "rows") as advance:
        return draw_from_checkpoint(
            run.layout.teacher(run.task),
            run.inputs["teacher"],
            wanted.count_by_task,
            params,
            text,
            new_task=run.task,
            labels_by_task={facts.name: facts.learnt_classes for facts in wanted.earlier},
            seed=run.seed,
            carried=wanted.carried,
            on_rows_done=advance,
        )


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
