"""Forgets a task: removes its rows and what is left of them elsewhere, and updates DVC's record."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from lamol_core.artifacts.atomic import find_scratch, writer_of
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import METRICS, PSEUDO, maker
from lamol_core.data.canaries import CANARIES
from lamol_core.data.overlap import may_share_rows
from lamol_core.data.sources.registry import Source
from lamol_core.data.task_data import SEEN, TaskData
from lamol_core.data.tombstones import write_record
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_api import Pipeline
from lamol_core.pipeline.git import rows_in_git
from lamol_core.privacy import refusals
from lamol_core.privacy.fingerprinting import fingerprint_files
from lamol_core.privacy.remains import num_repeated, tables_with_rows
from lamol_core.privacy.removal import folders_with, forget_rows
from lamol_core.records import SPLITS, inputs_of


def forget_task(
    task: str, params: Params, layout: Layout, splits: Sequence[str], empty_source: bool
) -> Iterator[str]:
    """Remove these splits of a learnt task from every folder, and record the stages that read or
    wrote them as up to date. With `empty_source`, empty the task's source files too. Yield a
    sentence for each thing as soon as it is done, then for what is left to do.

    Raises ConfigError or ArtifactError, before anything is removed, where the rows are needed
    again or are kept elsewhere, or where DVC's record of a stage with them is not up to date."""
    refusals.require_learnt(task, params, layout)
    folders = folders_with(task, layout.data(task))
    refusals.require_no_other_rows(layout, type(params.chosen), task, folders)
    source = params.task(task).source
    sources = source_files(params, task, layout.root) if empty_source else []
    refusals.require_writable(sources)
    emptied = [str(path) for path in sources]
    if sources:
        emptied += [str(source.local_path), str(source.location(layout.root))]
    own, others = folders[0], _others_with_its_rows(task, params, layout)
    touched = [folder.folder.as_posix() for folder in folders]
    # an interrupted `lamol forget` has changed these folders already, and DVC does not know it
    changed = [f.folder.as_posix() for f in folders if set(splits) <= set(f.forgotten(task))]
    with Pipeline.opened() as pipeline:
        stages = pipeline.stages_on([*touched, *emptied])
        needed = dict.fromkeys([*pipeline.before(task), *stages])
        stale = pipeline.stale(needed, [*changed, *emptied])
        _require_current(task, stale, [f.name for f in folders if f.name in params.tasks], pipeline)
        key_file, is_wanted = layout.fingerprint_key, params.forget.keep_fingerprint
        fingerprint = fingerprint_files(own, key_file, params.seed, is_wanted)
        before = own.forgotten(task)
        repeated = list(_repeated(layout, own))
        refusals.require_nothing_written(layout, pipeline)
        today = datetime.now(tz=UTC).date().isoformat()
        for folder in folders:
            removed = forget_rows(folder, task, splits, today, fingerprint)
        kept = [*fingerprint, *([CANARIES] if (own.folder / CANARIES).is_file() else [])]
        # rows of an emptied source cannot come back
        write_record(layout.forgotten(task), own, kept, None if sources else source, others)
        empty_files(sources)
        yield from _remove_remains(layout, pipeline, task, splits)
        pipeline.commit(stages)
    if counts := [f"{removed[split].rows} {split}" for split in splits if split not in before]:
        yield f"{', '.join(counts)} rows are removed from {', '.join(touched)}"
    else:
        yield "its rows were removed before; all folders and DVC's record were checked"
    yield from repeated
    in_data = [own.folder, *(folder.folder / SEEN / task for folder in folders[1:])]
    yield from rows_in_git([*in_data, *sorted(source.files(layout.root))])
    if num_bytes := sum(map(len, fingerprint.values())):
        yield (
            f"a fingerprint of {num_bytes} bytes is kept, and its key in {key_file}: with both, "
            "guesses of the rows can be tested."
        )
    if stages:
        yield f"dvc.lock has {len(stages)} stages as up to date without them; commit it to Git."
    if sources:
        yield f"emptied {', '.join(map(str, sources))}"
    elif _can_be_emptied(task, params, layout):
        yield (
            f"{source.local_path} is left as it is. `lamol forget {task} --empty-source` empties "
            "it; do not delete it, DVC looks for it."
        )
    for name in others:
        yield f"{name} has the same rows; run `lamol forget {name}` too"


def _require_current(
    task: str, stale: Sequence[str], learnt_on: Sequence[str], pipeline: Pipeline
) -> None:
    """Raises ArtifactError where stages that need the task's rows would run again. `learnt_on` are
    the task and those after it."""
    if stale:
        again = [name for name in learnt_on if not set(stale).isdisjoint(pipeline.before(name))]
        last = " ".join(maker(METRICS, name) for name in again)
        raise ArtifactError(
            f"dvc.lock: not up to date, and in need of rows of {task!r}: {', '.join(stale)} (see "
            f"`dvc status`). Run `dvc repro {last}`, then forget."
        )


def source_files(params: Params, task: str, root: Path) -> list[Path]:
    """Return the files of a task's source; a missing file stands where it should be. `root` is
    the folder of params.yaml. Raises ConfigError for a source that is no file, a folder with
    wrong content, or a file that another task reads too."""
    source = params.task(task).source
    own = source.files(root)
    if not own:
        raise ConfigError(f"tasks.{task}.source: kind {source.kind} has no file to empty.")
    if any(path.is_dir() for path in own):
        source.split_files(root)  # says what is wrong with the folder
    sharing = [
        name
        for name, other in params.tasks.items()
        if name != task and own & other.source.files(root)
    ]
    if sharing:
        raise ConfigError(
            f"tasks.{task}.source: {', '.join(sharing)} reads {source.local_path} too. Remove the "
            "rows from it by hand when all these tasks are forgotten."
        )
    return sorted(own)


def empty_files(paths: Iterable[Path]) -> None:
    """Empty files in place, so that other names of the same file are empty too. A missing file
    is created empty."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)  # where its folder is missing too
        path.write_bytes(b"")


def _can_be_emptied(task: str, params: Params, layout: Layout) -> bool:
    """Whether --empty-source would empty any file."""
    with suppress(ConfigError, OSError):
        return any(file.stat().st_size for file in source_files(params, task, layout.root))
    return False


def _others_with_its_rows(task: str, params: Params, layout: Layout) -> dict[str, Source]:
    """Return the sources of other tasks that may have the same rows, by task. Only tasks that
    are prepared and not forgotten count."""
    given = params.task(task).source
    return {
        other: block.source
        for other, block in params.tasks.items()
        if other != task and layout.data(other).is_dir()
        if not layout.forgotten(other).is_dir() and may_share_rows(block.source, given, layout.root)
    }


def _repeated(layout: Layout, own: TaskData) -> Iterator[str]:
    """Yield a sentence for each table whose pseudo-samples repeat rows of the task word for
    word."""
    rows = [row for split in SPLITS for row in own.rows_left(own.name, split)]
    inputs = {text for row in rows for text in inputs_of(row.input, row.history)}
    for path in sorted(layout.root.glob(PSEUDO.path.format(task="*"))):
        if num := num_repeated(path, inputs):
            yield (
                f"{path} repeats its rows word for word {num} times: pseudo-samples stay, also in "
                "DVC's cache and on the audit's page."
            )


def _remove_remains(
    layout: Layout, pipeline: Pipeline, task: str, splits: Sequence[str]
) -> Iterator[str]:
    """Remove audit pages that show real rows, scratch folders of killed processes, and tables with
    the task's rows from earlier or interrupted runs. Yield a sentence for each.

    Pages of all tasks go: an old one can show rows that its task's data no longer has. Tables in
    copies that `dvc exp` made are named, but not removed."""
    for page in layout.pages_with_real_rows:
        page.unlink()
        yield f"{page} is removed: it showed real rows"
    for folder in layout.with_rows:
        for scratch in find_scratch(folder):
            if not scratch.exists() or writer_of(scratch) is not None:
                continue  # removed with an outer one, or its process has just begun
            shutil.rmtree(scratch)
            yield f"{scratch} is removed: a killed stage left it behind"
    for folder in filter(None, (layout.private, pipeline.cache)):
        found = list(tables_with_rows(folder, task, splits))
        for path in found:
            path.unlink()
        if found:
            yield f"{len(found)} tables with its rows are removed from {folder}"
    if pipeline.experiments is not None:
        for path in tables_with_rows(pipeline.experiments, task, splits):
            yield f"{path}, in a copy that `dvc exp` made, has its rows too: delete it"
