"""`lamol evaluate T`: what the student of a task knows of all tasks learnt so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamol_core.config.task_names import BASE
from stages.console import print_json, progress
from stages.runtime import MEASURED, JsonOption, StageRun, run_alone, stage

if TYPE_CHECKING:
    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.params import EvaluateParams
    from lamol_core.evaluation.scoring import Scored


@stage("evaluate")
def evaluate(run: StageRun, json: JsonOption = False) -> None:
    """Score a student on every task up to TASK: runs/TASK/metrics.json, predictions.parquet.

    Example: lamol evaluate travel --json
    """
    from lamol_core.artifacts.figures import write_json
    from lamol_core.artifacts.spec import METRICS, PREDICTIONS, STUDENT
    from lamol_core.artifacts.tables import write_table
    from lamol_core.data.task_data import TaskData
    from lamol_core.evaluation.params import EvaluateParams
    from lamol_core.evaluation.scoring import predict_from_checkpoint
    from lamol_core.text.params import TextParams

    run.cost.imported()
    layout, task, params = run.layout, run.task, run.block("evaluate", EvaluateParams)
    max_length = run.block("text", TextParams).max_length
    data, student = TaskData.load(layout.data(task)), run.check(STUDENT)
    run.inputs["data"] = data.content_sha256
    # in the order of learning, without tasks whose rows were forgotten
    known = {facts.name: data.rows_left(facts.name, params.split) for facts in data.lineage}
    rows = {name: left for name, left in known.items() if left}
    metrics = {facts.name: facts.metric for facts in data.lineage if facts.name in rows}
    with progress(f"evaluate {task}", sum(map(len, rows.values())), "rows") as advance:
        scored = predict_from_checkpoint(
            layout.student(task), rows, metrics, params, max_length, advance
        )
    zero_shot = None
    if params.forward_transfer and data.earlier and task in rows:
        zero_shot = _zero_shot(run, data, params, max_length)
    measured = {name: _percent(scored, name) for name in rows}
    scores = {facts.name: measured.get(facts.name) for facts in data.lineage}
    average = sum(measured.values()) / len(measured) if measured else None
    acting = {"evaluate": params.model_dump(), "text.max_length": max_length}
    write_table(run.path(PREDICTIONS), PREDICTIONS, scored.predictions, run.provenance(acting))
    averages = {} if average is None else {"average": average}
    write_json(run.path(METRICS), {**averages, **measured})
    figures = {
        "after": run.after,
        "scores": scores,
        **({"zero_shot": zero_shot} if zero_shot else {}),
        "num_test_rows": {name: len(rows.get(name, ())) for name in scores},
        "flagged_dropped": student.parameters.get("mix.flagged_dropped", 0),
        "inputs_cut": scored.inputs_cut,
        "answers_cut": scored.answers_cut,
        **run.cost.figures(),
    }
    write_json(layout.figure(task, "evaluate"), figures, MEASURED)
    if gone := [name for name, score in scores.items() if score is None]:
        run.say(f"{', '.join(gone)} not scored, the rows were forgotten")
    _tell_of_cuts(run, scored, params)
    shown = ", ".join(f"{name} {score:.1f}" for name, score in measured.items())
    told = "no score" if average is None else f"average {average:.1f} ({shown})"
    run.say(f"{told} -> {run.path(METRICS)}")
    if json:
        print_json({"task": task, "average": average, **figures})


def _percent(scored: Scored, task: str) -> float:
    scores = [p.score for p in scored.predictions if p.task == task]
    return 100 * sum(scores) / len(scores)


def _zero_shot(
    run: StageRun, data: TaskData, params: EvaluateParams, max_length: int
) -> dict[str, float]:
    """Percent scores on the task of models that have not learnt it: the teacher, the backbone."""
    from lamol_core.artifacts.spec import STUDENT, TEACHER
    from lamol_core.evaluation.scoring import predict_from_checkpoint

    task = run.task
    rows, metric = {task: data.rows(params.split)}, {task: data.facts.metric}
    found: dict[str, float] = {}
    run.check(TEACHER), run.check(STUDENT, "base")
    models = {"before": run.layout.teacher(task), "untrained": run.layout.student(BASE)}
    for name, folder in models.items():
        scored = predict_from_checkpoint(folder, rows, metric, params, max_length)
        found[name] = _percent(scored, task)
    return found


def _tell_of_cuts(run: StageRun, scored: Scored, params: EvaluateParams) -> None:
    from lamol_core.evaluation.predict import CUT_TO_FIT

    if scored.inputs_cut:
        run.say(f"{scored.inputs_cut} inputs were cut {CUT_TO_FIT}")
    if scored.answers_cut:
        where = f"evaluate.max_target_tokens, {params.max_target_tokens}"
        run.say(f"{scored.answers_cut} answers ended at {where}")


if __name__ == "__main__":
    run_alone(evaluate)
