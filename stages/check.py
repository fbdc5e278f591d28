"""`lamol check`: everything that is wrong with a sequence, before any hour is spent on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.runtime import (
    Cost,
    DebugOption,
    JsonOption,
    SetOption,
    guarded,
    run_alone,
    version_problems,
)

if TYPE_CHECKING:
    from lamol_core.config import Params
    from lamol_core.forecast.estimate import Estimate

EstimateOption = Annotated[
    bool,
    typer.Option("--estimate", help="Try a few steps, and say what the sequence will take."),
]


@guarded
def check(
    overrides: SetOption = None,
    estimate: EstimateOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Read params.yaml and every source, and report all problems at once.

    Example: lamol check --estimate
    """
    from pathlib import Path

    from lamol_core.checking import check_sequence, describe_sequence, find_hints
    from lamol_core.config import Params
    from lamol_core.errors import ConfigError
    from lamol_core.params_file import read_params
    from stages.console import print_json, print_rows, say
    from stages.new_sequence import pipeline_problems

    data = read_params(Path("params.yaml"), overrides or ())
    problems = check_sequence(data, Path())
    if not problems:
        params = Params.model_validate(data)
        problems = version_problems(params) + pipeline_problems(params, Path())
    if not problems:
        problems = _forgotten_rows_needed(Params.model_validate(data), data)
    foreseen = None
    if estimate and not problems:
        foreseen = _estimate(Params.model_validate(data))
    tasks = [] if problems else describe_sequence(Params.model_validate(data), Path())
    if json:
        told = {"problems": problems, "tasks": [{**one.row(), "notes": one.notes} for one in tasks]}
        print_json(told | ({"estimate": foreseen.as_dict()} if foreseen else {}))
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        where = "params.yaml with --set" if overrides else "params.yaml"
        raise ConfigError(f"{where}: {len(problems)} to mend:\n{listed}")
    for hint in find_hints(Params.model_validate(data)):
        say(f"check: {hint}")
    if not json:
        for one in tasks:
            for note in one.notes:
                say(f"check: {one.task}: {note}")
        print_rows([one.row() for one in tasks])
        if foreseen is not None:
            print_rows(foreseen.rows())
            say(f"check: {foreseen.sentence}")
        say("check: nothing is wrong; `dvc repro` runs the sequence.")


def _forgotten_rows_needed(params: Params, data: dict[str, Any]) -> list[str]:
    """What `dvc repro` would run again with params.yaml's `data` (or `dvc exp run`, where some of
    it is overridden), and can't without rows that were forgotten."""
    from pathlib import Path

    from lamol_core.config import FileSource
    from lamol_core.data.record import read_record
    from lamol_core.params_file import resolve_path
    from lamol_core.storage.layout import Layout
    from stages.pipeline import Pipeline

    layout = Layout()
    forgotten = [task for task in params.tasks if read_record(layout.forgotten(task))]
    if not forgotten:
        return []
    problems = []
    with Pipeline.opened() as pipeline:
        for task in forgotten:
            source = params.task(task).source
            path = resolve_path(source.path, Path()) if isinstance(source, FileSource) else None
            if path is not None and not path.exists():
                problems.append(
                    f"tasks.{task}.source: {path} is gone; its rows were forgotten, but DVC looks "
                    f"for the file. `dvc checkout` and `lamol forget {task} --empty-source` put an "
                    "empty one there."
                )
                continue
            stages = pipeline.before(task)
            stale = dict.fromkeys(pipeline.stale(stages, []))
            stale |= dict.fromkeys(pipeline.ran_with_others(stages, data))
            again = [name for name in stale if not name.startswith(("prepare@", "evaluate@"))]
            if again:
                problems.append(
                    f"tasks.{task}: its rows were forgotten, and `dvc repro` would run "
                    f"{', '.join(again)} again, which leads to training on them. Set back what "
                    "`dvc status` shows as changed, or leave out what --set changes."
                )
    return problems


def _estimate(params: Params) -> Estimate:
    cost = Cost()
    from pathlib import Path

    from lamol_core.config import BASE
    from lamol_core.forecast.estimate import estimate
    from lamol_core.forecast.run import try_sequence
    from lamol_core.storage.layout import Layout
    from stages.console import say

    cost.imported()
    student = Layout().student(BASE)
    work, rates = try_sequence(params, Path(), student, lambda text: say(f"check: {text}"))
    figures = cost.figures()
    peak = int(figures["peak_memory_bytes"])
    return estimate(work, rates, figures["start_up_seconds"], peak)


if __name__ == "__main__":
    run_alone(check)
