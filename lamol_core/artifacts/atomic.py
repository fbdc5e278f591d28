"""Atomic writes: write to a scratch sibling, fsync, rename. Equal bytes are not written again.

The scratch folder of `out` is `.out.PID.????????`. Its name tells which process left it behind.
"""

import filecmp
import fnmatch
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ASIDE = "replaced"
"""The name, in the scratch folder, of the old output while it is being replaced."""
CLOCKS_DIFFER_S = 2.0
"""The most seconds by which the times of processes and files differ. Some file systems store even
seconds only."""


@contextmanager
def atomic_path(out: Path) -> Iterator[Path]:
    """Yield a scratch path beside `out`. On a clean exit, what was written there replaces `out`.

    The scratch path may become a file or a folder. An existing output is never written into,
    because it may be a link into a cache; it stays where its bytes are the same. Scratch folders
    that killed processes left of this output are removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{glob.escape(out.name)}.[0-9]*.????????"):
        if left.name.rsplit(".", 2)[0] == f".{out.name}" and writer_of(left) is None:
            _discard(left, out)
    holder = Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", dir=out.parent))
    scratch = holder / out.name
    try:
        yield scratch
        if not _same_tree(scratch, out):
            for path in [scratch, *(scratch.rglob("*") if scratch.is_dir() else ())]:
                _fsync(path)
            if out.is_dir() or (scratch.is_dir() and out.exists()):
                # a rename replaces no full folder, and no file by a folder: the old output moves
                out.rename(holder / ASIDE)
            scratch.rename(out)
            _fsync(out.parent)
    finally:
        _discard(holder, out)


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """`atomic_path` for a folder: the scratch folder already exists."""
    with atomic_path(out) as scratch:
        scratch.mkdir()
        yield scratch


def find_scratch(parent: Path) -> list[Path]:
    """All scratch folders below `parent`, outer ones first. Their processes may be running (see
    `writer_of`) or killed."""
    # os.walk skips what is deleted meanwhile; the pattern is that of mkdtemp's names
    return sorted(
        Path(folder, name)
        for folder, names, _ in os.walk(parent)
        for name in fnmatch.filter(names, ".*.????????")
    )


def writer_of(scratch: Path) -> int | None:
    """The id of the process that writes a scratch folder; None where it has ended, or the name has
    no id.

    Systems give out ids again, and in a container the first process always has id 1. So a process
    that began after its scratch folder does not count."""
    pid = scratch.name.rsplit(".", 2)[1]
    try:
        began = psutil.Process(int(pid)).create_time()
        return int(pid) if began <= scratch.stat().st_mtime + CLOCKS_DIFFER_S else None
    except psutil.AccessDenied:
        return int(pid)
    except (ValueError, psutil.NoSuchProcess, FileNotFoundError):  # the last: it has just ended
        return None


def _discard(holder: Path, out: Path) -> None:
    """Remove a scratch folder. An old output that was moved into it comes back if nothing has
    replaced it."""
    aside = holder / ASIDE
    if os.path.lexists(aside) and not os.path.lexists(out):
        aside.rename(out)
    shutil.rmtree(holder, ignore_errors=True)


def link_tree(source: Path, target: Path) -> None:
    """Hard-link every file of a folder into a new folder, or copy it where links are not
    possible."""
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _same_tree(left: Path, right: Path) -> bool:
    if left.is_dir() != right.is_dir() or not right.exists() or right.is_symlink():
        return False
    if left.is_file():
        return filecmp.cmp(left, right, shallow=False)
    names = _names(left)
    return names == _names(right) and all(
        is_folder or filecmp.cmp(left / name, right / name, shallow=False)
        for name, is_folder in names
    )


def _names(folder: Path) -> list[tuple[str, bool]]:
    """The relative path of everything below a folder, and whether it is a folder."""
    return sorted((str(path.relative_to(folder)), path.is_dir()) for path in folder.rglob("*"))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
