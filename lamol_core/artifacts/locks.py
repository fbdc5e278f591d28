"""One writer of an output at a time: a second would write over the first's, or be written over.

DVC holds locks of its own, but not for a stage that outlived a killed `dvc`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lamol_core.artifacts.layout import Layout
from lamol_core.errors import ArtifactError

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Where launchers of several processes tell each which one it is."""
AGAIN = "Wait until it has ended, or end it, then run the same command again."


@contextmanager
def sole_writer(layout: Layout, outputs: Sequence[Path]) -> Iterator[None]:
    """Holds a lock for each output; the system lets go of them when the process ends, however it
    ends. Of several processes of one stage the first holds them for all.

    Raises ArtifactError where another process holds one."""
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
                raise ArtifactError(f"{output}: another process writes it. {AGAIN}") from error
            held.callback(lock.release)
        yield


def require_unlocked(layout: Layout) -> None:
    """Raises ArtifactError where any output is being written."""
    for path in sorted(layout.locks.glob("*.lock")):
        try:
            FileLock(path).acquire(timeout=0).lock.release()
        except Timeout as error:
            raise ArtifactError(f"{path}: a stage is at work. {AGAIN}") from error
