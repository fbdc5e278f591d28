"""A write is whole or absent: a scratch sibling, fsync, rename; the same bytes are left alone.

The scratch of `out` is `.out.PID.????????`: what a killed process leaves is known by its PID.
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
"""The name, in scratch, of the output that is being replaced."""
CLOCKS_DIFFER_S = 2.0
"""How far the clocks of processes and files are apart at most: some file systems store even
seconds."""


@contextmanager
def atomic_path(out: Path) -> Iterator[Path]:
    """Yield a scratch path beside `out`; on a clean exit it replaces `out`.

    A scratch that is a file replaces a file, a folder a folder. An existing output is never
    written into (it may be a link into a cache), and is left as it is when its bytes are the same.
    What a killed process left of the same output is removed.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{glob.escape(out.name)}.[0-9]*.????????"):
        if left.name.rsplit(".", 2)[0] == f".{out.name}" and writer_of(left) is None:
            _discard(left, out)
    holder = Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", dir=out.parent))
    scratch = holder / out.name
    try:
        yield scratch
        if not _same_tree(scratch, out):
            _fsync_tree(scratch)
            _replace(scratch, out, holder)
            _fsync(out.parent)
    finally:
        _discard(holder, out)


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """`atomic_path` for a folder that is made already."""
    with atomic_path(out) as scratch:
        scratch.mkdir()
        yield scratch


def find_scratch(parent: Path) -> list[Path]:
    """Scratch folders below `parent`, outermost first, of processes at work (`writer_of`) and of
    killed ones."""
    # os.walk passes over what is deleted meanwhile; the names are mkdtemp's
    return sorted(
        Path(folder, name)
        for folder, names, _ in os.walk(parent)
        for name in fnmatch.filter(names, ".*.????????")
    )


def writer_of(scratch: Path) -> int | None:
    """The process that writes a scratch folder; None where it has ended, or none is named.

    A process that began after its scratch is another one: ids are given out again, and in a
    container the first one is always 1."""
    pid = scratch.name.rsplit(".", 2)[1]
    try:
        began = psutil.Process(int(pid)).create_time()
        return int(pid) if began <= scratch.stat().st_mtime + CLOCKS_DIFFER_S else None
    except psutil.AccessDenied:
        return int(pid)
    except (ValueError, psutil.NoSuchProcess, FileNotFoundError):  # the last: it has just ended
        return None


def _discard(holder: Path, out: Path) -> None:
    """Remove scratch; an output that was moved into it comes back if nothing has replaced it."""
    aside = holder / ASIDE
    if os.path.lexists(aside) and not os.path.lexists(out):
        aside.rename(out)
    shutil.rmtree(holder, ignore_errors=True)


def link_tree(source: Path, target: Path) -> None:
    """Hard-link every file of a folder into a new folder; copy where links are not possible."""
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _replace(scratch: Path, out: Path, holder: Path) -> None:
    if out.is_dir() or (scratch.is_dir() and out.exists()):
        # a rename does not replace a full folder, or a file by a folder: the old one moves first
        out.rename(holder / ASIDE)
    scratch.rename(out)


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
    """Everything below a folder, and whether it is a folder itself."""
    return sorted((str(path.relative_to(folder)), path.is_dir()) for path in folder.rglob("*"))


def _fsync_tree(path: Path) -> None:
    for entry in [path, *(path.rglob("*") if path.is_dir() else ())]:
        _fsync(entry)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
