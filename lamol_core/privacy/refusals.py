"""What is looked at before rows are forgotten, so that nothing is removed by halves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from lamol_core.artifacts.atomic import find_scratch, writer_of
from lamol_core.artifacts.kinds import CHECKPOINT
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.manifest import MANIFEST, check_folder, read_manifest
from lamol_core.audit.gate import shows_real_rows
from lamol_core.config.blocks import BASE, Params
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.methods.quotas import MIXES_REAL_ROWS


def require_learnt(task: str, params: Params, layout: Layout) -> None:
    """Raises ConfigError for a task that params.yaml does not name, ArtifactError for one whose
    student is missing."""
    if task not in params.tasks and task != BASE and layout.data(task).is_dir():
        raise ConfigError(
            f"params.yaml: has no task {task!r} any more. Delete {layout.data(task)} and "
            f"{layout.run(task)}; tasks that followed it lose its rows by `dvc repro`."
        )
    params.task(task)
    remedy = f"Run `dvc repro train@{task}`: it is not learnt yet."
    check_folder(layout.student(task), CHECKPOINT, remedy)


def require_writable(sources: Sequence[Path]) -> None:
    """Raises ConfigError for a file that could not be emptied."""
    for path in sources:
        if path.exists() and not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: can't be emptied, no permission to write. Allow it first.")


def require_nothing_written(layout: Layout) -> None:
    """Raises ArtifactError where a task is trained, or a process writes where rows may lie: what it
    is about to leave may have some."""
    again = "Wait until it has ended, or end it, then run the same command again."
    for path in sorted(layout.training_lock("x").parent.glob("*.lock")):
        try:
            FileLock(path).acquire(timeout=0).lock.release()
        except Timeout as error:
            raise ArtifactError(f"{path}: `lamol train {path.stem}` is at work. {again}") from error
    for scratch in (path for folder in layout.with_rows for path in find_scratch(folder)):
        if (pid := writer_of(scratch)) is not None:
            raise ArtifactError(f"{scratch}: process {pid} writes there. {again}")


def require_no_other_rows(
    layout: Layout, method: str, task: str, folders: Sequence[TaskData]
) -> None:
    """Raises ConfigError where rows of the task are elsewhere than in `data/`, or will be needed
    again."""
    if method in MIXES_REAL_ROWS:
        raise ConfigError(
            f"params.yaml: {method} trains on the real rows of every task, {task!r} can't be "
            "forgotten. Choose a method that keeps none (lamol_kd, lamol, l2kd, ewc, finetune)."
        )
    for name in (folder.name for folder in folders):
        state, audit = layout.state(name), layout.audit(name)
        manifest = state / MANIFEST
        kept = read_manifest(manifest, "") if manifest.is_file() else None
        if kept is not None and kept.rows.get("real_rows", 0):
            keeper = kept.parameters.get("method", "the method that trained it")
            raise ConfigError(
                f"{state}: real rows are kept there, as {keeper} does by definition. {task!r} "
                f"can't be forgotten; `dvc repro train@{name}` by a method that keeps none first."
            )
        if name != task and shows_real_rows(audit):
            raise ConfigError(
                f"{audit / 'index.html'}: shows real rows of {task!r}. Set audit.show_real_rows: "
                f"false, run `dvc repro audit@{name}`, then forget."
            )
