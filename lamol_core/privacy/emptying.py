"""Empties the files that a forgotten task was read from."""

from collections.abc import Iterable
from pathlib import Path

from lamol_core.errors import ConfigError
from lamol_core.parameters import Params


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
