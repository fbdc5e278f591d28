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
    from lamol_core.evaluation.run import Scored
    from lamol_core.storage.layout import Layout


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
    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.run import predict_from_checkpoint
    from lamol_core.reporting.figures import write_json
    from lamol_core.storage.kinds import CHECKPOINT
    from lamol_core.storage.layout import Layout
    from lamol_core.storage.manifest import check_folder
    from stages.console import print_json, progress

    cost.imported()
    params, layout = open_params(overrides), Layout()
    params.task(task)
    data = TaskData.load(layout.data(task))
    student = layout.student(task)
    manifest = check_folder(student, CHECKPOINT, f"Run `dvc repro train@{task}` again.")
    known = {f.name: data.rows_left(f.name, params.evaluate.split) for f in data.lineage}
    rows = {name: of_task for name, of_task in known.items() if of_task}
    with progress(f"evaluate {task}", sum(map(len, rows.values())), "rows") as advance:
        scored = predict_from_checkpoint(
            student,
            rows,
            {facts.name: facts.metric for facts in data.lineage if facts.name in rows},
            params.evaluate,
            params.train.max_length,
            on_rows_done=advance,
        )
    zero_shot = None
    if params.evaluate.forward_transfer and data.earlier and task in rows:
        zero_shot = _zero_shot(task, data, params, layout)
    scores = {name: _percent(scored, name) if name in rows else None for name in known}
    num_test_rows = {name: len(of_task) for name, of_task in known.items()}
    inputs = {"student": manifest.content_sha256, "data": data.content_sha256}
    average = _write(task, params, layout, scored, scores, num_test_rows, inputs)
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
    _say_scores(task, params, scored, scores, average, layout.metrics(task))
    if json:
        print_json({"task": task, "average": average, **figures})


def _percent(scored: Scored, task: str) -> float:
    scores = [p.score for p in scored.predictions if p.task == task]
    return 100 * sum(scores) / len(scores)


def _zero_shot(task: str, data: TaskData, params: Params, layout: Layout) -> dict[str, float]:
    """Percent scores on the task of models that have not learnt it: the teacher, the backbone."""
    from lamol_core.config import BASE
    from lamol_core.evaluation.run import predict_from_checkpoint
    from lamol_core.storage.kinds import CHECKPOINT
    from lamol_core.storage.manifest import check_folder

    rows, metric = {task: data.rows(params.evaluate.split)}, {task: data.facts.metric}
    found = {}
    for name, folder in (("before", layout.teacher(task)), ("untrained", layout.student(BASE))):
        check_folder(folder, CHECKPOINT, f"Run `dvc repro snapshot@{task}` again.")
        scored = predict_from_checkpoint(
            folder, rows, metric, params.evaluate, params.train.max_length
        )
        found[name] = _percent(scored, task)
    return found


def _write(
    task: str,
    params: Params,
    layout: Layout,
    scored: Scored,
    scores: dict[str, float | None],
    num_test_rows: dict[str, int],
    inputs: dict[str, str],
) -> float | None:
    """The predictions, the model card and metrics.json; the average of the tasks with rows."""
    from lamol_core.records import PREDICTION_SCHEMA
    from lamol_core.reporting.figures import read_json, write_json
    from lamol_core.reporting.model_card import model_card
    from lamol_core.storage.atomic import atomic_path
    from lamol_core.storage.kinds import PREDICTIONS
    from lamol_core.storage.manifest import Provenance
    from lamol_core.storage.tables import write_table

    acting = {"evaluate": params.evaluate.model_dump(), "train.max_length": params.train.max_length}
    write_table(
        layout.predictions(task), PREDICTIONS, scored.predictions, PREDICTION_SCHEMA,
        Provenance(acting, inputs),
    )  # fmt: skip
    measured = {name: score for name, score in scores.items() if score is not None}
    average = sum(measured.values()) / len(measured) if measured else None
    audited = layout.figure(task, "audit")
    audit = read_json(audited, f"Run `dvc repro audit@{task}` again.") if audited.is_file() else {}
    with atomic_path(layout.model_card(task)) as scratch:
        card = model_card(params.method, list(scores), scores, average, num_test_rows, audit)
        scratch.write_text(card, encoding="utf-8")
    averages = {} if average is None else {"average": average}
    write_json(layout.metrics(task), {**averages, **measured})
    return average


def _say_scores(
    task: str,
    params: Params,
    scored: Scored,
    scores: dict[str, float | None],
    average: float | None,
    written: Path,
) -> None:
    from stages.console import say

    gone = [name for name, score in scores.items() if score is None]
    if gone:
        say(f"evaluate {task}: {', '.join(gone)} not scored, the rows were forgotten")
    if scored.inputs_cut:
        say(f"evaluate {task}: {scored.inputs_cut} inputs were cut to fit train.max_length")
    if scored.answers_cut:
        where = f"evaluate.max_target_tokens, {params.evaluate.max_target_tokens}"
        say(f"evaluate {task}: {scored.answers_cut} answers ended at {where}")
    shown = ", ".join(f"{name} {s:.1f}" for name, s in scores.items() if s is not None)
    told = "no score" if average is None else f"average {average:.1f} ({shown})"
    say(f"evaluate {task}: {told} -> {written}")


if __name__ == "__main__":
    run_alone(evaluate)
