"""`lamol forget T`: removes a learnt task's real rows for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from stages.runtime import DebugOption, SetOption, TaskArgument, guarded, open_params, run_alone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lamol_core.config import Params
    from lamol_core.data.task_data import TaskData
    from lamol_core.storage.layout import Layout
    from stages.pipeline import Pipeline

KeepOption = Annotated[
    bool,
    typer.Option("--keep-held-out", help="Keep its dev and test rows: it is still scored."),
]
EmptyOption = Annotated[
    bool,
    typer.Option(
        "--empty-source",
        help="Empty the task's own source file too. The empty file stays: DVC looks for it.",
    ),
]


@guarded
def forget(
    task: TaskArgument,
    keep_held_out: KeepOption = False,
    empty_source: EmptyOption = False,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    """Remove a learnt task's rows from data/. What was learnt, and every later stage, stays.

    Example: lamol forget travel --keep-held-out
    """
    from pathlib import Path

    from lamol_core.errors import ConfigError
    from lamol_core.forgetting.rows import folders_with
    from lamol_core.forgetting.sources import source_files
    from lamol_core.records import SPLITS
    from lamol_core.storage.layout import Layout

    if keep_held_out and empty_source:
        raise ConfigError(
            "forget: --keep-held-out keeps rows that a later `lamol prepare` reads from the "
            "source, which --empty-source empties. Give one of them."
        )
    params, layout = open_params(overrides), Layout()
    splits = ("train",) if keep_held_out else SPLITS
    _require_learnt(task, params, layout)
    folders = folders_with(task, layout.data(task))
    _require_no_other_rows(layout, params.method, task, folders)
    sources = source_files(params, task, Path()) if empty_source else []
    _require_writable(sources)
    removal = _remove(task, splits, folders, sources, params, layout)
    _tell(task, folders, removal, layout)
    _tell_of_sources(task, sources, params, layout)


@dataclass(frozen=True)
class _Removal:
    """What a removal did: rows by split, sentences about repeated rows, the fingerprint's files,
    and how many stages DVC has on record anew."""

    rows: dict[str, int]
    repeated: Sequence[str]
    fingerprint: dict[str, bytes]
    num_stages: int


def _remove(
    task: str,
    splits: Sequence[str],
    folders: Sequence[TaskData],
    sources: Sequence[Path],
    params: Params,
    layout: Layout,
) -> _Removal:
    """Remove the rows from every folder, and have DVC take what is there now for what it knows."""
    from datetime import UTC, datetime

    from lamol_core.config import FileSource
    from lamol_core.data.canaries import CANARIES
    from lamol_core.data.record import write_record
    from lamol_core.forgetting.rows import forget_rows
    from lamol_core.forgetting.sources import empty_files
    from stages.pipeline import Pipeline

    own = folders[0]
    given = params.task(task).source
    emptied = [given.path] if sources and isinstance(given, FileSource) else []
    touched = [folder.folder.as_posix() for folder in folders]
    # a folder whose rows went before, in a run that was cut off, is not what DVC knows
    known = [f.folder.as_posix() for f in folders if set(splits) <= set(f.forgotten(task))]
    with Pipeline.opened() as pipeline:
        _require_current(task, pipeline.stale(pipeline.before(task), [*known, *emptied]))
        stages = pipeline.stages_on([*touched, *emptied])
        stale = pipeline.stale(stages, [*known, *emptied])
        kept = _fingerprint(layout, own, params)
        today = datetime.now(tz=UTC).date().isoformat()
        before = {name for name in splits if name in own.forgotten(task)}
        repeated = _say_what_is_repeated(layout, own)
        for folder in folders:
            gone = forget_rows(folder, task, splits, today, kept)
        canaries = [CANARIES] if (own.folder / CANARIES).is_file() else []
        write_record(layout.forgotten(task), own, [*kept, *canaries])
        empty_files(sources)
        _remove_remains(layout, pipeline, task, splits)
        current = [stage for stage in stages if stage not in stale]
        pipeline.commit(current)
    rows = {split: gone[split].rows for split in splits if split not in before}
    return _Removal(rows, repeated, kept, len(current))


def _tell(task: str, folders: Sequence[TaskData], removal: _Removal, layout: Layout) -> None:
    from stages.console import say

    if removal.rows:
        counts = ", ".join(f"{rows} {split}" for split, rows in removal.rows.items())
        where = ", ".join(folder.folder.as_posix() for folder in folders)
        say(f"forget {task}: {counts} rows are gone from {where}")
    else:
        say(f"forget {task}: its rows were gone before; all folders and DVC's record were checked")
    for sentence in removal.repeated:
        say(f"forget {task}: {sentence}")
    if removal.fingerprint:
        say(
            f"forget {task}: a fingerprint is kept, "
            f"{sum(map(len, removal.fingerprint.values()))} bytes, and its key in "
            f"{layout.fingerprint_key}: whoever has both can test guesses of the rows."
        )
    if removal.num_stages:
        say(
            f"forget {task}: {removal.num_stages} stages are recorded anew, dvc repro runs none of "
            "them again; git commit dvc.lock keeps that."
        )


def _tell_of_sources(task: str, emptied: Sequence[Path], params: Params, layout: Layout) -> None:
    """Where the rows still are: the task's own source, other tasks of the same."""
    from lamol_core.config import FileSource
    from stages.console import say

    source = params.task(task).source
    if emptied:
        say(f"forget {task}: emptied {', '.join(map(str, emptied))}")
    elif isinstance(source, FileSource):
        say(
            f"forget {task}: {source.path} is yours and stays. `lamol forget {task} "
            "--empty-source` empties a file; do not delete it, DVC would look for it."
        )
    for other, block in params.tasks.items():
        if other != task and block.source == source and layout.data(other).is_dir():
            say(f"forget {task}: {other} has the same rows; `lamol forget {other}` for them too")


def _require_learnt(task: str, params: Params, layout: Layout) -> None:
    from lamol_core.errors import ConfigError
    from lamol_core.storage.kinds import CHECKPOINT
    from lamol_core.storage.manifest import check_folder

    if task not in params.tasks and layout.data(task).is_dir():
        raise ConfigError(
            f"params.yaml: has no task {task!r} any more. Delete {layout.data(task)} and "
            f"{layout.run(task)}; tasks that followed it lose its rows by `dvc repro`."
        )
    params.task(task)
    remedy = f"Run `dvc repro train@{task}`: it is not learnt yet."
    check_folder(layout.student(task), CHECKPOINT, remedy)


def _require_writable(sources: Sequence[Path]) -> None:
    """Before anything is removed."""
    import os

    from lamol_core.errors import ConfigError

    for path in sources:
        if path.exists() and not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: can't be emptied, no permission to write. Allow it first.")


def _require_no_other_rows(
    layout: Layout, method: str, task: str, folders: Sequence[TaskData]
) -> None:
    """Refuse where rows of the task are elsewhere than in `data/`, or will be needed again."""
    from lamol_core.audit.gate import shows_real_rows
    from lamol_core.errors import ConfigError
    from lamol_core.methods.rehearsal import MIXES_REAL_ROWS
    from lamol_core.storage.manifest import MANIFEST, read_manifest

    if method in MIXES_REAL_ROWS:
        raise ConfigError(
            f"params.yaml: {method} trains on the real rows of every task, {task!r} can't be "
            "forgotten. Choose a method that keeps none (lamol_kd, lamol, l2kd, ewc, finetune)."
        )
    for name in (folder.name for folder in folders):
        state, audit = layout.state(name), layout.audit(name)
        manifest = state / MANIFEST
        if manifest.is_file() and read_manifest(manifest, "").rows.get("real_rows", 0):
            raise ConfigError(
                f"{state}: real rows are kept there, as the method {method} does by definition. "
                f"{task!r} can't be forgotten; choose a method that keeps none."
            )
        if name != task and shows_real_rows(audit):
            raise ConfigError(
                f"{audit / 'index.html'}: shows real rows of {task!r}. Set audit.show_real_rows: "
                f"false, run `dvc repro audit@{name}`, then forget."
            )


def _require_current(task: str, stale: Sequence[str]) -> None:
    from lamol_core.errors import ArtifactError

    if stale:
        raise ArtifactError(
            f"dvc.lock: {', '.join(stale)} did not run yet, or what it reads was changed or is "
            f"missing (`dvc status` says what): it could not run without the rows of {task!r}. Put "
            f"that back, or run `dvc repro evaluate@{task}`, then forget."
        )


def _say_what_is_repeated(layout: Layout, own: TaskData) -> list[str]:
    """How many pseudo-samples are rows of the task word for word: a model wrote them, they stay."""
    from lamol_core.forgetting.remains import num_repeated
    from lamol_core.records import SPLITS

    inputs = {row.input for split in SPLITS for row in own.rows_left(own.name, split)}
    tables = sorted(layout.run(own.name).parent.glob("*/pseudo.parquet"))
    found = {path: num for path in tables if (num := num_repeated(path, own.name, inputs))}
    return [
        f"{path} repeats its rows word for word {num} times: a model wrote that, it stays (and in "
        "DVC's cache, and on the audit's page)."
        for path, num in found.items()
    ]


def _fingerprint(layout: Layout, own: TaskData, params: Params) -> dict[str, bytes]:
    """The files of the task's fingerprint: those that are there, new ones where they are asked for
    and all rows are still here, else none."""
    from lamol_core.audit.fingerprint import FIGURES, HASHES, own_key, to_files
    from lamol_core.audit.reading import sampled_task
    from lamol_core.forgetting.fingerprinting import fingerprint_of

    there = {name: own.folder / name for name in (HASHES, FIGURES)}
    if all(path.is_file() for path in there.values()):
        return {name: path.read_bytes() for name, path in there.items()}
    if own.forgotten(own.name) or not params.audit.keep_fingerprint:
        return {}
    key = own_key(layout.fingerprint_key)
    task = sampled_task(own, len(own.lineage) - 1, (), layout.fingerprint_key)
    return to_files(fingerprint_of(task, key, params.seed))


def _remove_remains(layout: Layout, pipeline: Pipeline, task: str, splits: Sequence[str]) -> None:
    """Tables of earlier or interrupted runs that have rows of the task; copies that `dvc exp` made
    are whole projects, and are named."""
    from lamol_core.forgetting.remains import tables_with_rows
    from stages.console import say

    ours: list[Path] = [layout.resume(task).parent.parent, *layout.data(task).parent.glob(".*.*")]
    if pipeline.cache is not None:
        ours.append(pipeline.cache)
    for folder in ours:
        found = list(tables_with_rows(folder, task, splits))
        for path in found:
            path.unlink()
        if found:
            say(f"forget {task}: {len(found)} tables with its rows removed from {folder}")
    if pipeline.experiments is not None:
        for path in tables_with_rows(pipeline.experiments, task, splits):
            say(f"forget {task}: {path} has its rows too, in a copy that `dvc exp` made: delete it")


if __name__ == "__main__":
    run_alone(forget)
