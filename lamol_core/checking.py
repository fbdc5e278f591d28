"""`lamol check`: all that is wrong with a sequence before anything of it runs, sources included."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from lamol_core.config import (
    BASE,
    BackboneParams,
    FileSource,
    GenerateParams,
    Params,
    PrepareParams,
    Source,
    TaskParams,
)
from lamol_core.data.columns import SourceError
from lamol_core.data.prepare import find_facts, notes_on, read_task_rows
from lamol_core.data.record import forgotten_under_another_name, read_record, read_records
from lamol_core.data.sources import read_source
from lamol_core.methods.rehearsal import Sampling, find_sampling
from lamol_core.params_file import find_problems, resolve_path
from lamol_core.records import SPLITS, TaskFacts
from lamol_core.storage.layout import Layout
from lamol_core.text.template import NUM_CONTROL

M = TypeVar("M", bound=BaseModel)


def check_sequence(data: Mapping[str, Any], root: Path) -> list[str]:
    """All problems of a params.yaml (as plain data) at once, one sentence each; [] when sound.

    `root` is the folder of params.yaml. Opens every source whose own block is well-formed."""
    problems = find_problems(data)
    backbone = _valid(BackboneParams, data.get("backbone", {}))
    tasks = data.get("tasks")
    if backbone is not None:
        problems += _backbone_problems(backbone, root, tasks if isinstance(tasks, Mapping) else {})
    if not isinstance(tasks, Mapping):
        return problems
    sampling = _sampling(data)
    if backbone is not None and sampling is not None:
        if sampling.task_specific_token:
            problems += _depth_problems(tasks, backbone.max_tasks)
        draws = sampling.gamma > 0 or sampling.rows_per_class > 0
        if draws and any(_depth(tasks, name) > 1 for name in tasks):
            generate = _valid(GenerateParams, data.get("generate", {})) or GenerateParams()
            problems += _length_problems(generate, backbone, root)
    prepare = _valid(PrepareParams, data.get("prepare", {})) or PrepareParams()
    records = read_records(Layout(root).all_forgotten)
    gone = {record.task for record in records if record.is_complete}
    for name, task in tasks.items():
        source = _source_of(task)
        if source is None or name in gone:  # nothing reads it any more: it need not be readable
            continue
        if back := forgotten_under_another_name(str(name), source, records, root):
            problems.append(back)
            continue
        problems += _place_problems(source, str(name), tasks, root)
        problems += _source_problems(source, str(name), prepare, root)
    return problems


def find_hints(params: Params) -> list[str]:
    """What is allowed and does nothing, a sentence each."""
    generate = params.generate
    chooses = generate.known_labels or generate.draws_per_row > 1 or generate.carry_over
    if find_sampling(params) is not None and generate.balance_labels and not chooses:
        return [
            "generate.balance_labels has nothing to choose from: set generate.known_labels, or "
            "generate.draws_per_row above 1."
        ]
    return []


@dataclass(frozen=True)
class TaskOverview:
    """A task as its rows show it."""

    task: str
    after: str
    facts: TaskFacts
    num_rows: Mapping[str, int]
    """By split; 0 where they were forgotten."""
    distinct_targets: int
    """Of the training rows."""
    notes: tuple[str, ...] = ()
    """What a user may want to know of the rows."""

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {
            "task": self.task,
            "after": self.after,
            "targets": self.facts.targets,
            "metric": self.facts.metric,
            **{split: self.num_rows[split] for split in SPLITS},
            "distinct_targets": self.distinct_targets,
        }


def describe_sequence(params: Params, root: Path) -> list[TaskOverview]:
    """Every task in the order of params.yaml; reads every source.

    Raises SourceError (a ConfigError) when a source is wrong."""
    described = []
    for name, task in params.tasks.items():
        record = read_record(Layout(root).forgotten(name))
        if record is not None and record.is_complete:
            facts, distinct, notes = record.facts, record.facts.num_classes, []
        else:
            read = read_task_rows(name, task, params.prepare, root)
            facts = find_facts(name, task, read.by_split)
            distinct = len({row.target for row in read.by_split["train"]})
            notes = notes_on(task, facts, read.num_cut, read.by_split)
        num_rows = facts.num_rows if record is None else record.rows(facts)
        described.append(TaskOverview(name, task.after, facts, num_rows, distinct, tuple(notes)))
    return described


def _place_problems(source: Source, name: str, tasks: Mapping[Any, Any], root: Path) -> list[str]:
    """Of a file that a stage would write over, or DVC remove."""
    if not isinstance(source, FileSource):
        return []
    layout = Layout(root)
    written = [layout.reports, *(place(str(task)) for task in (BASE, *tasks)
                                 for place in (layout.data, layout.run))]  # fmt: skip
    path = resolve_path(source.path, root)
    inside = [folder for folder in written if path.resolve().is_relative_to(folder.resolve())]
    return [
        f"tasks.{name}.source: {path} lies in {folder}, which a stage writes anew. Move it to "
        "another folder."
        for folder in inside
    ]


def _source_problems(source: Source, name: str, prepare: PrepareParams, root: Path) -> list[str]:
    task = TaskParams(after=BASE, source=source)
    return _problems_of(partial(read_task_rows, name, task, prepare, root))


def _problems_of(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except SourceError as error:
        return list(error.problems)
    return []


def _backbone_problems(backbone: BackboneParams, root: Path, tasks: Mapping[Any, Any]) -> list[str]:
    if backbone.kind == "nano":
        problems = []
        of_tasks = [_source_of(task) for task in tasks.values()]  # told there, or forgotten
        for index, source in enumerate(backbone.nano.corpus):
            if source in of_tasks:
                continue
            found = _problems_of(partial(read_source, source, root))
            problems += [f"backbone.nano.corpus.{index}: {problem}" for problem in found]
        return problems
    if backbone.path is None:
        return [f"backbone.path: missing, and kind {backbone.kind!r} needs it."]
    path = resolve_path(backbone.path, root)
    if backbone.kind == "folder" and not path.is_dir():
        return [f"backbone.path: {path} is no folder. Name one that `save_pretrained` wrote."]
    if backbone.kind == "gguf" and not path.is_file():
        return [f"backbone.path: {path} is no file. Name the .gguf file itself."]
    return []


def _sampling(data: Mapping[str, Any]) -> Sampling | None:
    """How the method draws pseudo-samples, whatever else is wrong."""
    names = ("method", "lamol_kd", "lamol", "l2kd")
    given = {name: data[name] for name in names if name in data}
    alone = {name: data[name] for name in names[:1] if name in data}
    params = _valid(Params, {"tasks": {}, **given}) or _valid(Params, {"tasks": {}, **alone})
    return None if params is None else find_sampling(params)


def _length_problems(generate: GenerateParams, backbone: BackboneParams, root: Path) -> list[str]:
    """Of pseudo-samples that are longer than the model can read, which the second task would meet:
    where its positions are known without loading it."""
    positions = _positions(backbone, root)
    wanted = generate.max_input_tokens + generate.max_target_tokens + NUM_CONTROL["gen"]
    if positions is None or wanted <= positions:
        return []
    return [
        f"generate.max_input_tokens and generate.max_target_tokens: pseudo-samples of {wanted} "
        f"tokens are wanted, the backbone has {positions} positions. Lower them, or take a model "
        "with more."
    ]


def _positions(backbone: BackboneParams, root: Path) -> int | None:
    """How many tokens a row of the backbone can have; None where that takes loading it."""
    if backbone.kind == "nano":
        return backbone.nano.max_positions
    if backbone.kind != "folder" or backbone.path is None:
        return None
    try:
        path = resolve_path(backbone.path, root) / "config.json"
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # `lamol backbone` tells what is wrong with it
        return None
    said = said.get("text_config", said) if isinstance(said, dict) else {}
    found = said.get("max_position_embeddings") if isinstance(said, dict) else None
    return found if isinstance(found, int) else None


def _depth_problems(tasks: Mapping[Any, Any], max_tasks: int) -> list[str]:
    deep = [(name, depth) for name in tasks if (depth := _depth(tasks, name)) > max_tasks]
    if not deep:
        return []
    name, depth = max(deep, key=lambda entry: entry[1])
    return [
        f"backbone.max_tasks: {max_tasks}, but task {name!r} is number {depth} of its order. Raise "
        "it before the first run (a change of it prepares the backbone anew, and all that follows)."
    ]


def _depth(tasks: Mapping[Any, Any], name: Any) -> int:
    """How many tasks are learnt from the base to this one; 0 in a cycle."""
    path: list[Any] = []
    while name in tasks:
        if name in path:
            return 0
        path.append(name)
        after = tasks[name].get("after") if isinstance(tasks[name], Mapping) else None
        name = after if isinstance(after, str) else None
    return len(path)


def _valid(model: type[M], block: object) -> M | None:
    try:
        return model.model_validate(block)
    except ValidationError:
        return None


def _source_of(task: object) -> Source | None:
    """The source of a task's block, or None where either is not well-formed."""
    if not isinstance(task, Mapping):
        return None
    try:
        return TypeAdapter[Source](Source).validate_python(task.get("source"))
    except ValidationError:
        return None
