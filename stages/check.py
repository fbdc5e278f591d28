"""`lamol check`: everything that is wrong with a sequence, before any hour is spent on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamol_core.errors import ConfigError, as_list
from stages.console import print_json, print_rows, say
from stages.runtime import DebugOption, JsonOption, SetOption, guarded, run_alone, version_problems

if TYPE_CHECKING:
    from lamol_core.data.tombstones import Record
    from lamol_core.parameters import Params
    from lamol_core.pipeline.dvc_record import Pipeline
    from lamol_core.preflight.overview import TaskOverview

EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="Try a few steps, and say what the sequence will take.")
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

    from lamol_core.config.loading import read_params
    from lamol_core.methods.registry import find_method
    from lamol_core.parameters import Params

    data = read_params(Path("params.yaml"), overrides or ())
    found = _look(data, Path())
    foreseen = None
    if estimate and not found.problems:
        from lamol_core.preflight.estimate import estimate_sequence

        say("check: a few steps are trained, some rows drawn and answered")
        foreseen = estimate_sequence(Params.model_validate(data), Path())
        for note in foreseen.notes:
            say(f"check: {note}")
    if json:
        told = found.as_dict()
        print_json(told | ({"estimate": foreseen.as_dict()} if foreseen else {}))
    if found.problems:
        where = "params.yaml with --set" if overrides else "params.yaml"
        raise ConfigError(f"{where}: {len(found.problems)} to mend:{as_list(found.problems)}")
    for hint in found.hints:
        say(f"check: {hint}")
    if not json:
        method = find_method(data.get("method"))
        say(f"check: {method.name}: {method.privacy}")
        for one in found.tasks:
            for note in one.notes:
                say(f"check: {one.task}: {note}")
        print_rows([one.row() for one in found.tasks])
        if foreseen is not None:
            print_rows([one.row() for one in foreseen.tasks])
            say(f"check: {foreseen.sentence}")
        say("check: nothing is wrong; `dvc repro` runs the sequence.")


@dataclass(frozen=True)
class _Found:
    problems: list[str]
    hints: list[str] = field(default_factory=list)
    tasks: list[TaskOverview] = field(default_factory=list)
    """Empty where there are problems."""

    def as_dict(self) -> dict[str, Any]:
        tasks = [{**one.row(), "notes": one.notes} for one in self.tasks]
        return {"problems": self.problems, "hints": self.hints, "tasks": tasks}


def _look(data: dict[str, Any], root: Path) -> _Found:
    """All problems that can be told at once: those of params.yaml and of its sources, then what
    can be asked of a sound one alone."""
    from lamol_core.parameters import Params
    from lamol_core.pipeline.dvc_yaml import pipeline_hints, pipeline_problems
    from lamol_core.preflight.hints import find_hints, find_leftovers
    from lamol_core.preflight.overview import describe_sequence
    from lamol_core.preflight.problems import problems_before_a_run
    from lamol_core.preflight.targets import find_encode, target_problems

    if problems := version_problems(data.get("lamol_version")):  # all else may be right there
        return _Found(problems)
    if problems := problems_before_a_run(data, root):
        return _Found(problems)
    params = Params.model_validate(data)
    if problems := pipeline_problems(params, root):
        return _Found(problems)
    problems, lost = _what_forgotten_rows_cost(params, data)
    if problems:
        return _Found(problems)
    tasks = describe_sequence(params, root)
    hints = [*find_hints(params), *pipeline_hints(params, root), *find_leftovers(params, root)]
    hints += lost
    if encode := find_encode(params, root):
        problems, of_targets = target_problems(params, tasks, encode)
        hints += of_targets
    return _Found(problems, hints, [] if problems else tasks)


def _what_forgotten_rows_cost(params: Params, data: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What `dvc repro` would run again with params.yaml's `data` (or `dvc exp run`, where some of
    it is overridden): what it can't without rows that were forgotten, and the scores it loses."""

    from lamol_core.artifacts.layout import Layout
    from lamol_core.artifacts.spec import DATA, repro
    from lamol_core.data.tombstones import read_record
    from lamol_core.pipeline.dvc_record import Pipeline

    layout = Layout()
    records = {task: read_record(layout.forgotten(task)) for task in params.tasks}
    forgotten = {task: record for task, record in records.items() if record is not None}
    if not forgotten:
        return [], []
    problems, lost = [], []
    with Pipeline.opened() as pipeline:
        for task, record in forgotten.items():
            path = params.task(task).source.place(Path())
            if path is not None and not path.exists():
                problems.append(
                    f"tasks.{task}.source: {path} is gone; its rows were forgotten, but DVC looks "
                    f"for the file. `dvc checkout` and `lamol forget {task} --empty-source` put an "
                    "empty one there."
                )
                continue
            if training := _leading_to_training(pipeline, task, forgotten, data):
                problems.append(
                    f"tasks.{task}: its rows were forgotten, and `dvc repro` would run "
                    f"{', '.join(training)} again, which leads to training on them. Set back what "
                    "`dvc status` shows as changed, or leave out what --set changes; where a "
                    f"`prepare` ran with it already, {repro(DATA, task)} after that mends "
                    "the folders."
                    + (
                        " (`backbone` reads backbone.nano.corpus: often a task's own source, by a "
                        "YAML alias.)"
                        if "backbone" in training
                        else ""
                    )
                )
            elif params.evaluate.split in record.removed:
                scored = pipeline.that_ran(_learnt_on(params, task))
                again = [
                    name for name in scored if pipeline.runs_again(pipeline.before(name), data)
                ]
                if again:
                    lost.append(
                        f"{', '.join(f'evaluate@{name}' for name in again)} would run again, and "
                        f"lose the score of {task}, whose {params.evaluate.split} rows were "
                        "forgotten. Set back what `dvc status` shows as changed to keep it."
                    )
    return problems, lost


def _leading_to_training(
    pipeline: Pipeline, task: str, forgotten: Mapping[str, Record], data: dict[str, Any]
) -> list[str]:
    """The stages before a forgotten task's training, and it, that would run again, but for those
    that leave the same bytes: evaluations, and `prepare` of forgotten rows by the same parameters.
    """
    stages = [name for name in pipeline.before(task) if not name.startswith("evaluate@")]
    changed = set(pipeline.ran_with_others(stages, data))
    unread = {f"prepare@{name}" for name, record in forgotten.items() if record.is_complete}
    return [
        name
        for name in sorted(pipeline.runs_again(stages, data))
        if name in changed or name not in unread
    ]


def _learnt_on(params: Params, task: str) -> list[str]:
    """A task, and those that are learnt after it."""
    names = [task]
    while more := [n for n, one in params.tasks.items() if one.after in names and n not in names]:
        names += more
    return names


if __name__ == "__main__":
    run_alone(check)
