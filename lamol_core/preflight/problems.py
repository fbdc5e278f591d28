"""`lamol check`: all that is wrong with a sequence before anything of it runs, sources included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from lamol_core.artifacts.layout import Layout
from lamol_core.config.blocks import (
    BASE,
    BackboneParams,
    FileSource,
    GenerateParams,
    Params,
    PrepareParams,
    Source,
    TaskParams,
)
from lamol_core.config.loading import find_problems, resolve_path
from lamol_core.data.columns import SourceError
from lamol_core.data.prepare import read_task_rows
from lamol_core.data.sources.reading import read_source
from lamol_core.data.tombstones import forgotten_under_another_name, read_records
from lamol_core.methods.quotas import Sampling, find_sampling
from lamol_core.preflight.backbone import backbone_problems, length_problems

M = TypeVar("M", bound=BaseModel)


def check_sequence(data: Mapping[str, Any], root: Path) -> list[str]:
    """All problems of a params.yaml (as plain data) at once, one sentence each; [] when sound.

    `root` is the folder of params.yaml. Opens every source whose own block is well-formed."""
    problems = find_problems(data)
    backbone = _valid(BackboneParams, data.get("backbone", {}))
    tasks = data.get("tasks")
    if backbone is not None:
        problems += backbone_problems(backbone, root)
        problems += _corpus_problems(backbone, root, tasks if isinstance(tasks, Mapping) else {})
    if not isinstance(tasks, Mapping):
        return problems
    sampling = _sampling(data)
    if backbone is not None and sampling is not None:
        if sampling.task_specific_token:
            problems += _depth_problems(tasks, backbone.max_tasks)
        if sampling.draws and any(_depth(tasks, name) > 1 for name in tasks):
            generate = _valid(GenerateParams, data.get("generate", {})) or GenerateParams()
            problems += length_problems(generate, backbone, root)
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


def _corpus_problems(backbone: BackboneParams, root: Path, tasks: Mapping[Any, Any]) -> list[str]:
    """Of what a nano model's tokenizer is trained on, where that is no task's own source."""
    if backbone.kind != "nano":
        return []
    of_tasks = [_source_of(task) for task in tasks.values()]  # told there, or forgotten
    return [
        f"backbone.nano.corpus.{index}: {problem}"
        for index, source in enumerate(backbone.nano.corpus)
        if source not in of_tasks
        for problem in _problems_of(partial(read_source, source, root))
    ]


def _sampling(data: Mapping[str, Any]) -> Sampling | None:
    """How the method draws pseudo-samples, whatever else is wrong."""
    names = ("method", "lamol_kd", "lamol", "l2kd")
    given = {name: data[name] for name in names if name in data}
    alone = {name: data[name] for name in names[:1] if name in data}
    params = _valid(Params, {"tasks": {}, **given}) or _valid(Params, {"tasks": {}, **alone})
    return None if params is None else find_sampling(params)


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
