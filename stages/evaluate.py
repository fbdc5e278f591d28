"""`lamol evaluate T`: what the student of a task knows of all tasks learnt so far."""

from __future__ import annotations

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
    from pathlib import Path

    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.manifest import Provenance
    from lamol_core.config.blocks import Params
    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.scoring import Scored
    from lamol_core.records import Example


@guarded
def evaluate(
    task: TaskArgument,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a student on every task up to TASK: runs/TASK/metrics.json, predictions.parquet.

    Example: lamol evaluate travel --json
    """
    cost = Cost()
    from lamol_core.artifacts.atomic import atomic_path
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.kinds import PREDICTIONS
    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.tables import write_table
    from lamol_core.evaluation.scoring import predict_from_checkpoint
    from lamol_core.records import PREDICTION_SCHEMA
    from lamol_core.reporting.model_card import model_card
    from stages.console import print_json, progress

    cost.imported()
    params, layout = open_params(overrides), Layout()
    given = _read(task, params, layout)
    data, rows = given.data, given.rows
    metrics = {facts.name: facts.metric for facts in data.lineage if facts.name in rows}
    with progress(f"evaluate {task}", sum(map(len, rows.values())), "rows") as advance:
        scored = predict_from_checkpoint(
            layout.student(task), rows, metrics, params.evaluate, params.train.max_length, advance
        )
    zero_shot = None
    if params.evaluate.forward_transfer and data.earlier and task in rows:
        zero_shot = _zero_shot(task, data, params, layout)
    measured = {name: _percent(scored, name) for name in rows}
    scores = {facts.name: measured.get(facts.name) for facts in data.lineage}
    num_test_rows = {name: len(rows.get(name, ())) for name in scores}
    average = sum(measured.values()) / len(measured) if measured else None
    write_table(
        layout.predictions(task), PREDICTIONS, scored.predictions, PREDICTION_SCHEMA,
        given.provenance,
    )  # fmt: skip
    card = model_card(params.method, list(scores), scores, average, num_test_rows, given.audit)
    with atomic_path(layout.model_card(task)) as scratch:
        scratch.write_text(card, encoding="utf-8")
    averages = {} if average is None else {"average": average}
    write_json(layout.metrics(task), {**averages, **measured})
    figures = {
        "after": params.task(task).after,
        "scores": scores,
        **({"zero_shot": zero_shot} if zero_shot else {}),
        "num_test_rows": num_test_rows,
        "inputs_cut": scored.inputs_cut,
        "answers_cut": scored.answers_cut,
        **cost.figures(),
    }
    write_json(layout.figure(task, "evaluate"), figures, MEASURED)
    _tell(task, scored, scores, average, params.evaluate.max_target_tokens, layout.metrics(task))
    if json:
        print_json({"task": task, "average": average, **figures})


@dataclass(frozen=True)
class _Given:
    """What an evaluation reads, checked before anything takes time."""

    data: TaskData
    rows: dict[str, list[Example]]
    """Of the tasks whose rows were not forgotten, in the order of learning."""
    audit: dict[str, Any]
    """What the audit found; {} where it did not run."""
    provenance: Provenance


def _read(task: str, params: Params, layout: Layout) -> _Given:
    """Raises ArtifactError with the command that mends it."""
    from lamol_core.artifacts.figures import read_json
    from lamol_core.artifacts.kinds import CHECKPOINT
    from lamol_core.artifacts.manifest import Provenance, check_folder
    from lamol_core.data.task_data import TaskData

    params.task(task)
    data = TaskData.load(layout.data(task))
    remedy = f"Run `dvc repro train@{task}` again."
    student = check_folder(layout.student(task), CHECKPOINT, remedy)
    audited = layout.figure(task, "audit")
    audit = read_json(audited, f"Run `dvc repro audit@{task}` again.") if audited.is_file() else {}
    known = {f.name: data.rows_left(f.name, params.evaluate.split) for f in data.lineage}
    provenance = Provenance(
        {"evaluate": params.evaluate.model_dump(), "train.max_length": params.train.max_length},
        {"student": student.content_sha256, "data": data.content_sha256},
    )
    return _Given(data, {name: rows for name, rows in known.items() if rows}, audit, provenance)


def _percent(scored: Scored, task: str) -> float:
    scores = [p.score for p in scored.predictions if p.task == task]
    return 100 * sum(scores) / len(scores)


def _zero_shot(task: str, data: TaskData, params: Params, layout: Layout) -> dict[str, float]:
    """Percent scores on the task of models that have not learnt it: the teacher, the backbone."""
    from lamol_core.artifacts.kinds import CHECKPOINT
    from lamol_core.artifacts.manifest import check_folder
    from lamol_core.config.blocks import BASE
    from lamol_core.evaluation.scoring import predict_from_checkpoint

    rows, metric = {task: data.rows(params.evaluate.split)}, {task: data.facts.metric}
    found: dict[str, float] = {}
    for name, folder in (("before", layout.teacher(task)), ("untrained", layout.student(BASE))):
        check_folder(folder, CHECKPOINT, f"Run `dvc repro snapshot@{task}` again.")
        scored = predict_from_checkpoint(
            folder, rows, metric, params.evaluate, params.train.max_length
        )
        found[name] = _percent(scored, task)
    return found


def _tell(
    task: str,
    scored: Scored,
    scores: dict[str, float | None],
    average: float | None,
    max_target_tokens: int,
    written: Path,
) -> None:
    from lamol_core.evaluation.predict import CUT_TO_FIT
    from stages.console import say

    gone = [name for name, score in scores.items() if score is None]
    if gone:
        say(f"evaluate {task}: {', '.join(gone)} not scored, the rows were forgotten")
    if scored.inputs_cut:
        say(f"evaluate {task}: {scored.inputs_cut} inputs were cut {CUT_TO_FIT}")
    if scored.answers_cut:
        where = f"evaluate.max_target_tokens, {max_target_tokens}"
        say(f"evaluate {task}: {scored.answers_cut} answers ended at {where}")
    shown = ", ".join(f"{name} {s:.1f}" for name, s in scores.items() if s is not None)
    told = "no score" if average is None else f"average {average:.1f} ({shown})"
    say(f"evaluate {task}: {told} -> {written}")


if __name__ == "__main__":
    run_alone(evaluate)
