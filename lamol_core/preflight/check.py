"""Runs all that `lamol check` looks at; each step relies on the earlier ones."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamol_core.config.loading import version_problems
from lamol_core.errors import ConfigError
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_yaml import interpolation_hints, pipeline_hints, pipeline_problems
from lamol_core.preflight.backbone import length_problems, what_is_missing
from lamol_core.preflight.forgotten import what_forgotten_rows_cost
from lamol_core.preflight.hints import find_leftovers, target_length_hints
from lamol_core.preflight.overview import TaskOverview, describe_sequence
from lamol_core.preflight.problems import problems_before_a_run
from lamol_core.preflight.targets import (
    count_around,
    find_codec,
    find_template,
    target_problems,
    turn_problems,
)

CUT_INSTEAD = (
    "A longer row stops a training. Lower text.max_length: rows are then cut at the front."
)


@dataclass(frozen=True)
class Found:
    """The problems of a sequence, hints for its user, and an overview of its tasks."""

    problems: list[str]
    hints: list[str] = field(default_factory=list)
    tasks: list[TaskOverview] = field(default_factory=list)
    """Empty where there are problems."""
    missing: list[str] = field(default_factory=list)
    """What the backbone lacks before `dvc repro` can run, where that was allowed."""

    def as_dict(self) -> dict[str, Any]:
        tasks = [{**task.row(), "notes": task.notes} for task in self.tasks]
        lists = {"problems": self.problems, "missing": self.missing, "hints": self.hints}
        return {**lists, "tasks": tasks}


def check_all(data: dict[str, Any], root: Path, config_alone: bool = False) -> Found:
    """Return the findings on params.yaml (`data`) in the folder `root`. The checks run in this
    order: params.yaml and its sources, dvc.yaml, forgotten rows, then hints and targets. They stop
    after the first step that finds a problem.

    `config_alone`: a backbone without weights or tokenizer is no problem, but told."""
    # another version may have other keys: its problems are not looked for
    if problems := version_problems(data) or problems_before_a_run(data, root, config_alone):
        return Found(problems)
    params = Params.model_validate(data)
    if problems := pipeline_problems(params, root):
        return Found(problems)
    problems, lost_scores = what_forgotten_rows_cost(params, data)
    if problems:
        return Found(problems)
    tasks = describe_sequence(params, root)
    facts = [task.facts for task in tasks]
    try:
        template = find_template(params, facts, root)
        _require_adapter(params, root)
    except ConfigError as error:
        return Found([str(error).removeprefix("params.yaml: ")])
    if problems := turn_problems(template, facts):
        return Found(problems)
    longest = {"text.max_length": params.text.max_length}
    num_around = count_around(template, facts)
    hints = [
        *target_length_hints(params, num_around),
        *length_problems(longest, params.backbone, root, CUT_INSTEAD),
    ]
    hints += [*pipeline_hints(params, root), *find_leftovers(params, root)]
    hints += [*interpolation_hints(data), *lost_scores]
    if codec := find_codec(params, root):
        problems, of_targets = target_problems(params, tasks, codec, num_around)
        hints += of_targets
    missing = what_is_missing(params.backbone, root)
    return Found(problems, hints, [] if problems else tasks, missing)


def _require_adapter(params: Params, root: Path) -> None:
    """Raises ConfigError where an adapter's targets are no linear layers of the backbone."""
    if params.adapter.is_used and params.adapter.targets != "all-linear":
        from lamol_core.preflight.unloaded import require_layers  # loads torch

        require_layers(params, root)
