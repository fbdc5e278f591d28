"""Emptying the file that a forgotten task was read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lamol_core.config.paths import resolve_path
from lamol_core.data.overlap import files_of
from lamol_core.data.sources.reading import find_files
from lamol_core.data.sources.spec import FileSource
from lamol_core.errors import ConfigError
from lamol_core.parameters import Params


def source_files(params: Params, task: str, root: Path) -> list[Path]:
    """The files that a task's source is read from, `root` being the folder of params.yaml; of a
    file that is gone, its place. Raises ConfigError where they are no files of its own, or a folder
    is not what a task can be read from."""
    source = params.task(task).source
    if not isinstance(source, FileSource):
        raise ConfigError(f"tasks.{task}.source: {source.kind} is no file that could be emptied.")
    if resolve_path(source.path, root).is_dir():
        find_files(source, root)
    own = files_of(source, root)
    sharing = [
        name
        for name, other in params.tasks.items()
        if name != task and isinstance(other.source, FileSource)
        if own & files_of(other.source, root)
    ]
    if sharing:
        raise ConfigError(
            f"tasks.{task}.source: {', '.join(sharing)} reads {source.path} too, it can't be "
            "emptied. Remove the rows from it by hand once all are forgotten."
        )
    return sorted(own)


def empty_files(paths: Iterable[Path]) -> None:
    """Cut files to nothing, as they lie there: other names of the same file are empty too."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)  # of a file that is gone with its folder
        path.write_bytes(b"")
