"""Emptying the file that a forgotten task was read from."""

from collections.abc import Iterable
from pathlib import Path

from lamol_core.errors import ConfigError
from lamol_core.parameters import Params


def source_files(params: Params, task: str, root: Path) -> list[Path]:
    """The files of a task's source; of a missing one, where it should be. `root` is the folder of
    params.yaml. Raises ConfigError for a source without files of its own, or a wrong folder."""
    source = params.task(task).source
    own = source.files(root)
    if not own:
        raise ConfigError(f"tasks.{task}.source: {source.kind} is no file that could be emptied.")
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
            "rows from it by hand once all are forgotten."
        )
    return sorted(own)


def empty_files(paths: Iterable[Path]) -> None:
    """Cut files to nothing, as they lie there: other names of the same file are empty too."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)  # where its folder is missing too
        path.write_bytes(b"")
