"""Locks: only one process may write an output at a time.

DVC has its own locks, but they do not cover a stage that still runs after `dvc` was killed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lamol_core.artifacts.layout import Layout
from lamol_core.errors import ArtifactError

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Environment variables in which launchers of several processes give each its number."""
AGAIN = "Wait until it has ended, or end it, then run the same command again."


@contextmanager
def sole_writer(layout: Layout, outputs: Sequence[Path]) -> Iterator[None]:
    """Hold a lock for each output. The system releases them whenever and however the process ends.

    Where a launcher starts several processes of one stage, the first one holds the locks for all.
    Raises ArtifactError where another process holds a lock."""
    with ExitStack() as held:
        if any(os.environ.get(name, "0") != "0" for name in RANKS):
            yield
            return
        for output in outputs:
            path = layout.lock(output)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise ArtifactError(f"{output}: another process is writing it. {AGAIN}") from error
            held.callback(lock.release)
        yield


def require_unlocked(layout: Layout) -> None:
    """Raises ArtifactError where a process is writing any output of the sequence."""
    for path in sorted(layout.locks.glob("*.lock")):
        try:
            FileLock(path).acquire(timeout=0).lock.release()
        except Timeout as error:
            raise ArtifactError(f"{path}: a running stage holds this lock. {AGAIN}") from error
