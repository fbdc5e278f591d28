"""`lamol generate T`: let the teacher write pseudo-samples of the tasks it has learnt."""

from lamol_core.artifacts.manifest import write_folder
from lamol_core.artifacts.spec import JUDGE, PSEUDO, TEACHER
from lamol_core.artifacts.tables import write_table
from lamol_core.data.task_data import TaskData
from lamol_core.generation.carry_over import count_rows, read_carried
from lamol_core.generation.params import GenerateParams
from lamol_core.generation.quotas import rows_wanted
from lamol_core.methods.registry import METHODS
from lamol_core.text.params import TextParams
from stages.console import progress
from stages.guard import run_as_module
from stages.runtime import StageRun, stage


@stage("generate")
def generate(run: StageRun) -> None:
    params, text = run.block("generate", GenerateParams), run.block("text", TextParams)
    data, teacher = TaskData.read(run), run.check(TEACHER)
    rehearses = METHODS[run.method].rehearses
    counts = rows_wanted(params, data.facts, data.earlier, rehearses)
    carried = read_carried(run, counts) if params.carry_over else []
    samples, judge, num_to_draw = carried, None, sum(counts.values()) - len(carried)
    if (judges := rehearses and params.judge == "features") or num_to_draw:
        from lamol_core.generation.drawing import draw_from_checkpoint  # both load torch
        from lamol_core.generation.judging import Judge

        run.cost.imported()
        judge = Judge.read(run, data) if judges else None
    if num_to_draw:
        with progress(f"generate {run.task}", num_to_draw, "rows") as advance:
            samples = draw_from_checkpoint(
                run.path(TEACHER),
                teacher.content_sha256,
                counts,
                params,
                text,
                new_task=run.task,
                facts_by_task={facts.name: facts for facts in data.earlier},
                seed=run.seed,
                carried=carried,
                judge=judge,
                on_rows_done=advance,
            )
    parameters = {"seed": run.seed, "text": text.model_dump(), "generate": params.model_dump()}
    made = run.provenance(parameters if any(counts.values()) else {})
    write_table(run.path(PSEUDO), PSEUDO, samples, made)
    write_folder(run.path(JUDGE), JUDGE.kind, made, judge.with_new_task.write if judge else None)
    figures = run.write_figures(count_rows(samples, carried, params, judge))
    more = f" and {len(carried)} carried over" if carried else ""
    run.say(
        f"{figures['valid']} valid rows of {len(data.earlier)} earlier tasks{more}, "
        f"{figures['rejected']} rejected -> {run.path(PSEUDO)}"
    )
    run.show(figures)


if __name__ == "__main__":
    run_as_module("generate")
