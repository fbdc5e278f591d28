"""`lamol evaluate T`: score the student of task T on all tasks learnt so far."""

from lamol_core.artifacts.figures import write_json
from lamol_core.artifacts.spec import METRICS, PREDICTIONS, STUDENT, TEACHER
from lamol_core.artifacts.tables import write_table
from lamol_core.data.task_data import TaskData
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.evaluation.scoring import predict_from_checkpoint
from lamol_core.text.params import TextParams
from stages.console import progress
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("evaluate")
def evaluate(run: StageRun) -> None:
    task, params = run.task, run.block("evaluate", EvaluateParams)
    max_length = run.block("text", TextParams).max_length
    data, student = TaskData.read(run), run.check(STUDENT)
    rows = {facts.name: data.rows_left(facts.name, params.split) for facts in data.lineage}
    facts = {of_task.name: of_task for of_task in data.lineage}
    with progress(f"evaluate {task}", sum(map(len, rows.values())), "rows") as advance:
        scored = predict_from_checkpoint(
            run.path(STUDENT), rows, facts, params, max_length, advance
        )
    zero_shot: dict[str, float | None] = {}
    if params.forward_transfer and data.earlier and rows[task]:
        run.check(TEACHER)
        run.check(STUDENT, "base")
        models = {"before": run.path(TEACHER), "untrained": run.path(STUDENT, "base")}
        given = {task: rows[task]}, facts, params, max_length
        zero_shot = {k: predict_from_checkpoint(path, *given).average for k, path in models.items()}
    parameters = {"evaluate": params.model_dump(), "text.max_length": max_length}
    write_table(run.path(PREDICTIONS), PREDICTIONS, scored.predictions, run.provenance(parameters))
    average = {} if scored.average is None else {"average": scored.average}
    write_json(run.path(METRICS), average | scored.scores)
    figures = run.write_figures(
        {
            "after": run.after,
            "scores": {name: scored.scores.get(name) for name in rows},
            **({"zero_shot": zero_shot} if zero_shot else {}),
            "num_test_rows": {name: len(of_task) for name, of_task in rows.items()},
            "method": student.parameters.get("method"),
            "flagged_dropped": student.parameters.get("mix.flagged_dropped", 0),
            "rows_cut": scored.answers.rows_cut,
            "answers_cut": scored.answers.answers_cut,
        }
    )
    if forgotten := [name for name, of_task in rows.items() if not of_task]:
        run.say(f"{', '.join(forgotten)} not scored, because the rows were forgotten")
    for cut in scored.answers.cuts(params):
        run.say(cut)
    run.say(f"{scored.summary} -> {run.path(METRICS)}")
    run.show({"average": scored.average} | figures)


if __name__ == "__main__":
    run_as_module("evaluate")
