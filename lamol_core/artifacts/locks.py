"""One training of a task at a time: a second would write over the first's student, or be written
over by it. (`dvc` holds a lock of its own, but not for a training that outlived a killed `dvc`.)"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from filelock import FileLock, Timeout

from lamol_core.errors import ArtifactError


@contextmanager
def sole_training(path: Path, task: str) -> Iterator[None]:
    """Holds the lock `path`; the system lets go of it when the process ends, however it ends.

    The processes of one training (`accelerate launch`) hold it together, by their main one. Raises
    ArtifactError where another training of the task holds it."""
    # the first PartialState decides for all, and would not ask whether processes are on CPUs
    if not PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).is_main_process:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ArtifactError(
            f"{path}: another `lamol train {task}` is at work here and will write the same student "
            "(one that outlived a killed `dvc repro`, perhaps). Wait until it has ended, or end "
            "it, then run the same command again."
        ) from error
    try:
        yield
    finally:
        lock.release()
