"""Emptying the file that a forgotten task was read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lamol_core.config import FileSource, Params
from lamol_core.errors import ConfigError
from lamol_core.records import SPLITS


def source_files(params: Params, task: str) -> list[Path]:
    """The files of a task's source. Raises ConfigError where it is no file of its own."""
    source = params.task(task).source
    if not isinstance(source, FileSource):
        raise ConfigError(f"tasks.{task}.source: {source.kind} is no file that could be emptied.")
    sharing = [
        name
        for name, other in params.tasks.items()
        if name != task and getattr(other.source, "path", None) == source.path
    ]
    if sharing:
        raise ConfigError(
            f"tasks.{task}.source: {', '.join(sharing)} reads {source.path} too, it can't be "
            "emptied. Remove the rows from it by hand once all are forgotten."
        )
    path = Path(source.path).expanduser()
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.stem in SPLITS and p.is_file())
    return [path]


def empty_files(paths: Iterable[Path]) -> None:
    """Cut files to nothing, as they lie there: other names of the same file are empty too."""
    for path in paths:
        path.write_bytes(b"")
