"""`lamol evaluate T`: what the student of a task knows of all tasks learnt so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    from lamol_core.config import Params
    from lamol_core.data.task_data import TaskData


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
    from lamol_core.config import BASE
    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.run import predict_from_checkpoint
    from lamol_core.records import PREDICTION_SCHEMA
    from lamol_core.reporting.figures import read_json, write_json
    from lamol_core.reporting.model_card import model_card
    from lamol_core.storage.atomic import atomic_path
    from lamol_core.storage.kinds import CHECKPOINT, PREDICTIONS
    from lamol_core.storage.layout import Layout
    from lamol_core.storage.manifest import Provenance, check_folder
    from lamol_core.storage.tables import write_table
    from stages.console import print_json, progress, say

    cost.imported()
    params, layout = open_params(overrides), Layout()
    params.task(task)
    data = TaskData.load(layout.data(task))
    student = layout.student(task)
    manifest = check_folder(student, CHECKPOINT, f"Run `dvc repro train@{task}` again.")
    audited = layout.figure(task, "audit")
    audit = read_json(audited, f"Run `dvc repro audit@{task}` again.") if audited.is_file() else {}
    split = params.evaluate.split
    known = {facts.name: data.rows_left(facts.name, split) for facts in data.lineage}
    rows = {name: of_task for name, of_task in known.items() if of_task}
    with progress(f"evaluate {task}", sum(map(len, rows.values())), "rows") as advance:
        scoring = predict_from_checkpoint(
            student,
            rows,
            {facts.name: facts.metric for facts in data.lineage if facts.name in rows},
            params.evaluate,
            params.train.max_length,
            on_rows_done=advance,
        )
    predictions = scoring.predictions
    zero_shot = None
    if params.evaluate.forward_transfer and data.earlier and task in rows:
        zero_shot = {
            name: _zero_shot_score(checkpoint, data, params)
            for name, checkpoint in (
                ("before", layout.teacher(task)),
                ("untrained", layout.student(BASE)),
            )
        }
    scored = {
        name: 100 * sum(p.score for p in predictions if p.task == name) / len(rows[name])
        for name in rows
    }
    scores = {name: scored.get(name) for name in known}
    provenance = Provenance(
        {"evaluate": params.evaluate.model_dump(), "train.max_length": params.train.max_length},
        {"student": manifest.content_sha256, "data": data.content_sha256},
    )
    write_table(layout.predictions(task), PREDICTIONS, predictions, PREDICTION_SCHEMA, provenance)
    average = sum(scored.values()) / len(scored) if scored else None
    num_test_rows = {name: len(of_task) for name, of_task in known.items()}
    with atomic_path(layout.model_card(task)) as scratch:
        card = model_card(params.method, list(scores), scores, average, num_test_rows, audit)
        scratch.write_text(card, encoding="utf-8")
    averages = {} if average is None else {"average": average}
    write_json(layout.metrics(task), {**averages, **scored})
    figures = {
        "after": params.task(task).after,
        "scores": scores,
        **({"zero_shot": zero_shot} if zero_shot else {}),
        "num_test_rows": num_test_rows,
        "inputs_cut": scoring.inputs_cut,
        "answers_cut": scoring.answers_cut,
        **cost.figures(),
    }
    write_json(layout.figure(task, "evaluate"), figures, MEASURED)
    shown = ", ".join(f"{name} {score:.1f}" for name, score in scored.items())
    if len(scored) < len(known):
        gone = ", ".join(name for name in known if name not in scored)
        say(f"evaluate {task}: {gone} not scored, the rows were forgotten")
    if scoring.inputs_cut:
        say(f"evaluate {task}: {scoring.inputs_cut} inputs were cut to fit train.max_length")
    if scoring.answers_cut:
        where = f"evaluate.max_target_tokens, {params.evaluate.max_target_tokens}"
        say(f"evaluate {task}: {scoring.answers_cut} answers ended at {where}")
    told = "no score" if average is None else f"average {average:.1f} ({shown})"
    say(f"evaluate {task}: {told} -> {layout.metrics(task)}")
    if json:
        print_json({"task": task, "average": average, **figures})


def _zero_shot_score(checkpoint: Path, data: TaskData, params: Params) -> float:
    """A model's percent score on a task that it has not learnt."""
    from lamol_core.evaluation.run import predict_from_checkpoint
    from lamol_core.storage.kinds import CHECKPOINT
    from lamol_core.storage.manifest import check_folder

    task = data.facts
    check_folder(checkpoint, CHECKPOINT, f"Run `dvc repro snapshot@{task.name}` again.")
    rows = {task.name: data.rows(params.evaluate.split)}
    scored = predict_from_checkpoint(
        checkpoint, rows, {task.name: task.metric}, params.evaluate, params.train.max_length
    )
    return 100 * sum(p.score for p in scored.predictions) / len(scored.predictions)


if __name__ == "__main__":
    run_alone(evaluate)
