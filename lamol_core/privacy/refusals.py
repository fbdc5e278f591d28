"""Checks before rows are forgotten: if one of them fails, nothing is removed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import find_scratch, writer_of
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.locks import AGAIN, require_unlocked
from lamol_core.artifacts.manifest import MANIFEST, read_manifest
from lamol_core.artifacts.spec import STATE, STUDENT, repro
from lamol_core.artifacts.store import check
from lamol_core.config.task_names import BASE
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ArtifactError, ConfigError
from lamol_core.methods.registry import METHODS
from lamol_core.methods.spec import Method
from lamol_core.parameters import Params
from lamol_core.pipeline.dvc_api import Pipeline


def require_learnt(task: str, params: Params, layout: Layout) -> None:
    """Raises ConfigError for a task that params.yaml does not name, ArtifactError for one whose
    student is missing."""
    if task not in params.tasks and task != BASE and layout.data(task).is_dir():
        raise ConfigError(
            f"params.yaml: has no task {task!r} any more. Delete {layout.data(task)} and "
            f"{layout.run(task)}, then run `dvc repro`."
        )
    params.task(task)
    check(layout, STUDENT, task)


def require_writable(sources: Sequence[Path]) -> None:
    """Raises ConfigError for a file that can't be emptied, because writing to it is not
    permitted."""
    for path in sources:
        if path.exists() and not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: can't be emptied, no permission to write. Allow it first.")


def require_nothing_written(layout: Layout, pipeline: Pipeline) -> None:
    """Raises ArtifactError while a stage is running, a process is writing to a folder that may
    hold rows, or experiments are queued: they start from the rows."""
    if num := pipeline.num_unfinished_experiments:
        raise ArtifactError(
            f"dvc queue: {num} experiments are running or waiting, and need the rows. Let them end "
            "(`dvc queue start`), or take them out (`dvc queue remove --queued`)."
        )
    require_unlocked(layout)
    for scratch in (path for folder in layout.with_rows for path in find_scratch(folder)):
        if (pid := writer_of(scratch)) is not None:
            raise ArtifactError(f"{scratch}: process {pid} writes there. {AGAIN}")


def require_no_other_rows(
    layout: Layout, method: type[Method[Any]], task: str, folders: Sequence[TaskData]
) -> None:
    """Raises ConfigError where the method will train on the task's rows again, or a method's
    state holds real rows."""
    if method.mixes_real_rows:
        none = [m.name for m in METHODS.values() if not (m.mixes_real_rows or m.keeps_real_rows)]
        raise ConfigError(
            f"params.yaml: {method.name} trains on the real rows of every task, so {task!r} can't "
            f"be forgotten. Choose a method that keeps none ({', '.join(none)})."
        )
    for name in (folder.name for folder in folders):
        manifest = layout.state(name) / MANIFEST
        kept = read_manifest(manifest, "") if manifest.is_file() else None
        if kept is not None and kept.rows.get("real_rows", 0):
            keeper = kept.parameters.get("method", "its method")
            raise ConfigError(
                f"{layout.state(name)}: {keeper} keeps real rows there, so {task!r} can't be "
                f"forgotten. Choose a method that keeps none, then {repro(STATE, name)}."
            )
