"""`lamol forget T`: removes a learnt task's real rows for good."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamol_core.errors import ArtifactError, ConfigError, UsageError
from stages.console import say
from stages.runtime import DebugOption, SetOption, TaskArgument, guarded, open_params, run_alone

if TYPE_CHECKING:
    from lamol_core.artifacts.layout import Layout
    from lamol_core.data.sources.registry import Source
    from lamol_core.data.task_data import TaskData
    from lamol_core.parameters import Params
    from lamol_core.pipeline.dvc_record import Pipeline

KeepOption = Annotated[
    bool, typer.Option("--keep-held-out", help="Keep its dev and test rows: it is still scored.")
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

    from lamol_core.artifacts.layout import Layout
    from lamol_core.privacy.emptying import source_files
    from lamol_core.privacy.refusals import require_learnt, require_no_other_rows, require_writable
    from lamol_core.privacy.removal import folders_with
    from lamol_core.records import SPLITS

    if keep_held_out and empty_source:
        raise UsageError(
            "forget: --keep-held-out keeps rows that a later `lamol prepare` reads from the "
            "source, which --empty-source empties. Give one of them."
        )
    params, layout = open_params(overrides), Layout()
    splits = ("train",) if keep_held_out else SPLITS
    require_learnt(task, params, layout)
    folders = folders_with(task, layout.data(task))
    require_no_other_rows(layout, type(params.chosen), task, folders)
    sources = source_files(params, task, Path()) if empty_source else []
    require_writable(sources)
    removal = _remove(task, splits, folders, sources, params, layout)
    _tell(task, folders, removal, layout)
    _tell_of_sources(task, sources, params, layout)


@dataclass(frozen=True)
class _Removal:
    """What a removal did."""

    rows: dict[str, int]
    """By split."""
    repeated: Sequence[str]
    """Sentences about pseudo-samples that are rows word for word."""
    fingerprint_bytes: int
    num_stages: int
    """That DVC has on record anew."""


def _remove(
    task: str,
    splits: Sequence[str],
    folders: Sequence[TaskData],
    sources: Sequence[Path],
    params: Params,
    layout: Layout,
) -> _Removal:
    """Remove the rows from every folder, and have DVC take what is there now for what it knows.

    Raises ArtifactError, before anything is removed, where DVC's record is not current."""

    from lamol_core.data.canaries import CANARIES
    from lamol_core.data.tombstones import write_record
    from lamol_core.pipeline.dvc_record import Pipeline
    from lamol_core.privacy.emptying import empty_files
    from lamol_core.privacy.fingerprinting import fingerprint_files
    from lamol_core.privacy.refusals import require_nothing_written
    from lamol_core.privacy.removal import forget_rows

    own = folders[0]
    given = params.task(task).source
    emptied = [str(path) for path in sources]
    if sources:
        emptied += [str(given.local_path), str(given.place(Path()))]
    touched = [folder.folder.as_posix() for folder in folders]
    # a folder whose rows went before, in a run that was cut off, is not what DVC knows
    known = [f.folder.as_posix() for f in folders if set(splits) <= set(f.forgotten(task))]
    with Pipeline.opened() as pipeline:
        _require_current(task, pipeline.stale(pipeline.before(task), [*known, *emptied]))
        stages = pipeline.stages_on([*touched, *emptied])
        stale = pipeline.stale(stages, [*known, *emptied])
        key_file, is_wanted = layout.fingerprint_key, params.forget.keep_fingerprint
        kept = fingerprint_files(own, key_file, params.seed, is_wanted)
        today = datetime.now(tz=UTC).date().isoformat()
        before = {name for name in splits if name in own.forgotten(task)}
        repeated = _repeated(layout, own)
        require_nothing_written(layout)
        for folder in folders:
            gone = forget_rows(folder, task, splits, today, kept)
        canaries = [CANARIES] if (own.folder / CANARIES).is_file() else []
        others = _others_with_its_rows(task, params, layout)
        # in a source that is emptied nothing is left to come back
        source = None if sources else given
        write_record(layout.forgotten(task), own, [*kept, *canaries], source, others)
        empty_files(sources)
        _remove_remains(layout, pipeline, task, splits)
        current = [stage for stage in stages if stage not in stale]
        pipeline.commit(current)
    rows = {split: gone[split].rows for split in splits if split not in before}
    return _Removal(rows, repeated, sum(map(len, kept.values())), len(current))


def _tell(task: str, folders: Sequence[TaskData], removal: _Removal, layout: Layout) -> None:

    if removal.rows:
        counts = ", ".join(f"{rows} {split}" for split, rows in removal.rows.items())
        where = ", ".join(folder.folder.as_posix() for folder in folders)
        say(f"forget {task}: {counts} rows are gone from {where}")
    else:
        say(f"forget {task}: its rows were gone before; all folders and DVC's record were checked")
    for sentence in removal.repeated:
        say(f"forget {task}: {sentence}")
    if removal.fingerprint_bytes:
        say(
            f"forget {task}: a fingerprint is kept, {removal.fingerprint_bytes} bytes, and its "
            f"key in {layout.fingerprint_key}: whoever has both can test guesses of the rows."
        )
    if removal.num_stages:
        say(
            f"forget {task}: {removal.num_stages} stages are recorded anew, dvc repro runs none of "
            "them again; git commit dvc.lock keeps that."
        )


def _tell_of_sources(task: str, sources: Sequence[Path], params: Params, layout: Layout) -> None:
    """Where the rows still are: the task's own source, other tasks of the same."""
    given = params.task(task).source
    if sources:
        say(f"forget {task}: emptied {', '.join(map(str, sources))}")
    elif _can_be_emptied(task, params):
        say(
            f"forget {task}: {given.local_path} is yours and stays. `lamol forget {task} "
            "--empty-source` empties a file; do not delete it, DVC would look for it."
        )
    for other in _others_with_its_rows(task, params, layout):
        say(f"forget {task}: {other} has its rows too; `lamol forget {other}` for them")


def _can_be_emptied(task: str, params: Params) -> bool:
    """Whether --empty-source would do anything."""

    from lamol_core.privacy.emptying import source_files

    try:
        return any(file.stat().st_size for file in source_files(params, task, Path()))
    except (ConfigError, OSError):
        return False


def _others_with_its_rows(task: str, params: Params, layout: Layout) -> dict[str, Source]:
    """Tasks of the same source that are prepared, and were not forgotten themselves."""

    from lamol_core.data.overlap import may_share_rows

    given = params.task(task).source
    return {
        other: block.source
        for other, block in params.tasks.items()
        if other != task and layout.data(other).is_dir()
        if not layout.forgotten(other).is_dir() and may_share_rows(block.source, given, Path())
    }


def _require_current(task: str, stale: Sequence[str]) -> None:
    from lamol_core.artifacts.spec import METRICS, repro

    if stale:
        raise ArtifactError(
            f"dvc.lock: {', '.join(stale)} did not run yet, or what it reads was changed or is "
            f"missing (`dvc status` says what): it could not run without the rows of {task!r}. Put "
            f"that back, or run {repro(METRICS, task)}, then forget."
        )


def _repeated(layout: Layout, own: TaskData) -> list[str]:
    """How many pseudo-samples are rows of the task word for word: a model wrote them, they stay."""
    from lamol_core.privacy.remains import num_repeated
    from lamol_core.records import SPLITS

    inputs = {row.input for split in SPLITS for row in own.rows_left(own.name, split)}
    tables = sorted(layout.all_runs.glob("*/pseudo.parquet"))
    found = {path: num for path in tables if (num := num_repeated(path, own.name, inputs))}
    return [
        f"{path} repeats its rows word for word {num} times: a model wrote that, it stays (and in "
        "DVC's cache, and on the audit's page)."
        for path, num in found.items()
    ]


def _remove_remains(layout: Layout, pipeline: Pipeline, task: str, splits: Sequence[str]) -> None:
    """What killed processes were writing, and tables of earlier or interrupted runs that have rows
    of the task; copies that `dvc exp` made are whole projects, and are named."""

    from lamol_core.artifacts.atomic import find_scratch, writer_of
    from lamol_core.privacy.remains import tables_with_rows

    for folder in layout.with_rows:
        for scratch in find_scratch(folder):
            if not scratch.exists() or writer_of(scratch) is not None:
                continue  # it was inside another one; somebody has just begun
            shutil.rmtree(scratch)
            say(f"forget {task}: {scratch} removed, which a killed stage left behind")
    for folder in filter(None, (layout.private, pipeline.cache)):
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
