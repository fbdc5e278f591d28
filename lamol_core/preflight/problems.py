"""Finds all problems of a sequence and its sources before any stage runs (`lamol check`)."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import METHOD, STAGES, TASK
from lamol_core.config.task_names import BASE, lineage
from lamol_core.data.columns import SourceError
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import read_task_rows
from lamol_core.data.sources.registry import Source, parse_source, read_source
from lamol_core.data.tombstones import forgotten_under_another_name, read_records
from lamol_core.evaluation.params import EvaluateParams
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.models.params import BackboneParams
from lamol_core.parameters import Params, compose, find_block
from lamol_core.preflight.backbone import backbone_problems, chat_problems, length_problems
from lamol_core.text.template import NEEDS_CHAT, NUM_CONTROL


def check_sequence(data: Mapping[str, Any], root: Path, config_alone: bool = False) -> list[str]:
    """Return a sentence for each problem of params.yaml, which is given as plain data; [] where
    there is none.

    `root` is the folder of params.yaml. Every source with a well-formed block is opened.
    `config_alone`: the backbone's folder need have neither weights nor a tokenizer."""
    _, problems = compose(data)
    backbone: BackboneParams | None = find_block(data, "backbone")
    tasks = data.get("tasks")
    if backbone is not None:
        problems += backbone_problems(backbone, root, config_alone)
        problems += _corpus_problems(backbone, root, tasks if isinstance(tasks, Mapping) else {})
    if not isinstance(tasks, Mapping):
        return problems
    text, generate = find_block(data, "text"), find_block(data, "generate")
    method = METHODS.get(str(data.get("method", DEFAULT_METHOD)))
    evaluate = find_block(data, "evaluate") or EvaluateParams()
    lengths = {"evaluate.max_target_tokens": evaluate.max_target_tokens + NUM_CONTROL["qa"]}
    is_chat = text is not None and text.format == "chat"
    if is_chat and backbone is not None:
        problems += chat_problems(backbone, root, config_alone)
    if method is not None and method.rehearses and backbone is not None and text is not None:
        if text.use_task_specific_gen_token and not is_chat:
            problems += _depth_problems(tasks, backbone.max_tasks)
        draws = generate is None or generate.draws
        if draws and any(len(lineage(tasks, name)) > 1 for name in tasks):
            keys = "text.max_input_tokens and text.max_target_tokens"
            lengths[keys] = text.max_sample_tokens + 1  # GEN
    if backbone is not None:
        problems += length_problems(lengths, backbone, root)
    prepare = find_block(data, "prepare") or PrepareParams()
    layout = Layout(root)
    records = read_records(layout.all_forgotten)
    forgotten = {record.task for record in records if record.is_complete}
    names = [BASE, *map(str, tasks)]
    written = [layout.reports, *map(layout.data, names), *map(layout.run, names)]
    for name, task in tasks.items():
        source = _source_of(task)
        if source is None or name in forgotten:  # its source is not read any more
            continue
        if problem := forgotten_under_another_name(str(name), source, records, root):
            problems.append(problem)
            continue
        in_written = source.location_problems(written, root)
        problems += [f"tasks.{name}.source: {problem}" for problem in in_written]
        block = TaskParams(after=BASE, source=source)
        needs_one_turn = text is not None and not is_chat
        read = partial(_read_rows, str(name), block, prepare, root, needs_one_turn)
        problems += _problems_of(read)
    return problems


def problems_before_a_run(
    data: Mapping[str, Any], root: Path, config_alone: bool = False
) -> list[str]:
    """Return all that would stop `dvc repro`: the problems of `check_sequence`, and missing
    blocks."""
    return check_sequence(data, root, config_alone) + missing_blocks(data)


def missing_blocks(data: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each block that a stage reads and params.yaml lacks. DVC would stop
    there."""
    method = str(data.get("method", DEFAULT_METHOD))
    wanted = dict.fromkeys(
        method if block == METHOD else block
        for stage in STAGES.values()
        for block in stage.blocks
        if block != TASK
    )
    return [
        f"{block}: missing, but DVC needs it. Write `{block}: {_least(block)}`."
        for block in wanted
        if block in Params.model_fields and block not in data and block != "tasks"
    ]


def _least(block: str) -> object:
    """Return the shortest value of a block that leaves its defaults unchanged."""
    default = Params.model_fields[block].default
    return default if isinstance(default, int | str) else "{}"


def _read_rows(
    name: str, task: TaskParams, prepare: PrepareParams, root: Path, needs_one_turn: bool
) -> None:
    """Read a task's rows. Raises SourceError as `read_task_rows` does, and where a row has several
    turns but `needs_one_turn`."""
    rows = read_task_rows(name, task, prepare, root).by_split.values()
    if needs_one_turn and any(row.history for part in rows for row in part):
        raise SourceError([NEEDS_CHAT]).below(f"tasks.{name}.source")


def _problems_of(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except SourceError as error:
        return list(error.problems)
    return []


def _corpus_problems(backbone: BackboneParams, root: Path, tasks: Mapping[Any, Any]) -> list[str]:
    """Return the problems of a nano model's corpus. Sources that a task reads too are left out,
    because they are checked as the task's."""
    if backbone.kind != "nano":
        return []
    of_tasks = [_source_of(task) for task in tasks.values()]  # checked there, or forgotten
    return [
        f"backbone.nano.corpus.{index}: {problem}"
        for index, source in enumerate(backbone.nano.corpus)
        if source not in of_tasks
        for problem in _problems_of(partial(read_source, source, root))
    ]


def _depth_problems(tasks: Mapping[Any, Any], max_tasks: int) -> list[str]:
    deepest = max((lineage(tasks, name) for name in tasks), key=len, default=[])
    if len(deepest) <= max_tasks:
        return []
    return [
        f"backbone.max_tasks: {max_tasks}, but task {deepest[0]!r} is number {len(deepest)} of its "
        "order. Raise it before the first run: a later change makes everything run again."
    ]


def _source_of(task: object) -> Source | None:
    """Return the source in a task's block; None where either is not well-formed."""
    if not isinstance(task, Mapping):
        return None
    try:
        return parse_source(task.get("source"))
    except ValidationError:
        return None
