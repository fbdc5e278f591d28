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

ASIDE = "replaced"
"""In scratch: the output that is being replaced."""
CLOCKS_DIFFER_S = 2.0
"""At the most, of processes and files: some file systems count whole seconds, or two."""


@contextmanager
def atomic_path(out: Path) -> Iterator[Path]:
    """Yield a scratch path beside `out`; on a clean exit it takes the place of `out`.

    A scratch that is a file replaces a file, a folder a folder. An existing output is never
    written into (it may be a link into a cache), and is left as it is when its bytes are the same.
    What a killed process left of the same output is removed.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in _scratch_of_the_dead(out):
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
    """Scratch folders below `parent`, outermost first: what processes write now (`writer_of`), or
    were writing when they were killed."""
    # os.walk passes over what goes away meanwhile; the names are mkdtemp's
    return sorted(
        Path(folder, name)
        for folder, names, _ in os.walk(parent)
        for name in fnmatch.filter(names, ".*.????????")
    )


def writer_of(scratch: Path) -> int | None:
    """The process that writes a scratch folder; None where it is no more, or none is named."""
    pid = _pid_of(scratch)
    return pid if pid is not None and _is_at_work(pid, scratch) else None


def _scratch_of_the_dead(out: Path) -> list[Path]:
    """Scratch folders of this output whose process is no more."""
    own = f".{out.name}"
    found = out.parent.glob(f"{glob.escape(own)}.*.????????")
    return [
        path
        for path in found
        if path.name.rsplit(".", 2)[0] == own
        if (pid := _pid_of(path)) is not None and not _is_at_work(pid, path)
    ]


def _pid_of(scratch: Path) -> int | None:
    _, pid, _ = scratch.name.rsplit(".", 2)
    return int(pid) if pid.isdecimal() else None


def _is_at_work(pid: int, scratch: Path) -> bool:
    """Whether the process is there and began before its scratch: ids are given out again, and in
    a container the first one is always 1."""
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() <= scratch.stat().st_mtime + CLOCKS_DIFFER_S)
    except (psutil.NoSuchProcess, FileNotFoundError):  # the latter: it has just ended
        return False
    except psutil.AccessDenied:
        return True


def _discard(holder: Path, out: Path) -> None:
    """Remove scratch; an output that had stepped aside comes back if none took its place."""
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
        # no rename goes over a full folder, or from a folder over a file: the old steps aside
        out.rename(holder / ASIDE)
    scratch.rename(out)


def _same_tree(left: Path, right: Path) -> bool:
    if left.is_dir() != right.is_dir() or not right.exists() or right.is_symlink():
        return False
    if left.is_file():
        return filecmp.cmp(left, right, shallow=False)
    if _names(left) != _names(right):
        return False
    names = [name for name, _ in _names(left)]
    return all(
        filecmp.cmp(left / name, right / name, shallow=False)
        for name in names
        if (left / name).is_file()
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
