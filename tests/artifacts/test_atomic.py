"""A write is whole or absent, never touches what is linked, and leaves the same bytes alone."""

import os
import subprocess
from pathlib import Path

import pytest

from lamol_core.artifacts.atomic import (
    atomic_folder,
    atomic_path,
    find_scratch,
    link_tree,
    writer_of,
)


def write(path: Path, text: str) -> None:
    with atomic_path(path) as scratch:
        scratch.write_text(text)


def write_folder(path: Path, files: dict[str, str]) -> None:
    with atomic_folder(path) as scratch:
        for name, text in files.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text(text)


def tree(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_an_exception_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    write(out, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(out) as scratch:
        scratch.write_text("half")
        assert out.read_text() == "old"
        raise ZeroDivisionError
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_scratch_of_a_process_that_was_killed_is_found(tmp_path: Path) -> None:
    write(tmp_path / "run" / ".x.abcdefgh", "a file")
    (tmp_path / "run" / ".x.short").mkdir()
    with atomic_path(tmp_path / "run" / "memory.parquet") as scratch:
        scratch.write_text("half")
        assert find_scratch(tmp_path) == [scratch.parent]
        assert writer_of(scratch.parent) == os.getpid()
    assert find_scratch(tmp_path) == []


def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_scratch_of_a_killed_process_goes_with_the_next_write_of_its_output(tmp_path: Path) -> None:
    out, dead = tmp_path / "student", dead_process()
    of_the_dead = tmp_path / f".student.{dead}.abcdefgh"
    others = [
        tmp_path / f".student.{os.getppid()}.abcdefgh",
        tmp_path / f".student.json.{dead}.abcdefgh",
        tmp_path / f".teacher.{dead}.abcdefgh",
        tmp_path / ".student.notes.abcdefgh",
    ]
    for folder in (of_the_dead, *others):
        write_folder(folder / "student", {"a": "half"})
    write_folder(out, {"a": "1"})
    assert set(tmp_path.iterdir()) == {out, *others}


def test_who_writes_scratch_is_known_while_that_process_lives(tmp_path: Path) -> None:
    names = {
        f".student.{os.getppid()}.abcdefgh": os.getppid(),
        f".student.{dead_process()}.abcdefgh": None,
        f".student.{10**30}.abcdefgh": None,
        ".student.notes.abcdefgh": None,
        ".animals.x1y2z3w4": None,
    }
    for name in names:
        (tmp_path / name).mkdir()
    assert {name: writer_of(tmp_path / name) for name in names} == names
    older = tmp_path / f".student.{os.getpid()}.abcdefgh"
    older.mkdir()
    assert writer_of(older) == os.getpid()
    os.utime(older, (1e9, 1e9))
    assert writer_of(older) is None, "of another process that had this id"


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_output_that_stepped_aside_comes_back(
    tmp_path: Path, is_killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": "1"})
    if is_killed:
        left = tmp_path / f".out.{dead_process()}.abcdefgh"
        left.mkdir()
        out.rename(left / "replaced")
    rename = Path.rename

    def cut_off(self: Path, target: Path) -> Path:
        if target == out and self.name != "replaced":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", cut_off)
    with pytest.raises(KeyboardInterrupt):
        write_folder(out, {"a": "2"})
    assert tree(out) == {"a": "1"} and list(tmp_path.iterdir()) == [out]


def test_an_exception_leaves_the_old_folder_and_no_scratch(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": "1", "b/c": "2"})
    with pytest.raises(KeyboardInterrupt), atomic_folder(out) as scratch:
        (scratch / "a").write_text("3")
        raise KeyboardInterrupt
    assert tree(out) == {"a": "1", "b/c": "2"}
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_written_is_an_error_that_keeps_the_old_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": "1"})
    with pytest.raises(FileNotFoundError), atomic_path(out):
        pass
    assert tree(out) == {"a": "1"}


def test_parents_are_made_and_scratch_is_a_sibling(tmp_path: Path) -> None:
    out = tmp_path / "x" / "y" / "out.txt"
    with atomic_path(out) as scratch:
        # a rename within one file system is atomic: the scratch must lie below the same folder
        assert out.parent in scratch.parents
        scratch.write_text("new")
    assert out.read_text() == "new"
    assert list(out.parent.iterdir()) == [out]


def test_same_bytes_leave_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    write(out, "same")
    before = out.stat()
    write(out, "same")
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write(out, "sama")
    assert out.read_text() == "sama" and out.stat().st_ino != before.st_ino


def test_same_tree_leaves_the_same_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = {"a": "1", "b/c": "2"}
    write_folder(out, files)
    before = {p: p.stat().st_ino for p in [out, *out.rglob("*")]}
    write_folder(out, files)
    assert {p: p.stat().st_ino for p in [out, *out.rglob("*")]} == before


@pytest.mark.parametrize(
    "files",
    [{"a": "1"}, {"a": "1", "b/c": "2", "d": ""}, {"a": "1", "b/c": "3"}, {"a": "1", "e/c": "2"}],
)
def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path, files: dict[str, str]) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": "1", "b/c": "2"})
    write_folder(out, files)
    assert tree(out) == files
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_takes_the_place_of_a_folder_and_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": "1"})
    write(out, "file")
    assert out.read_text() == "file"
    write_folder(out, {"a": "1"})
    assert tree(out) == {"a": "1"}


def test_an_empty_folder_takes_the_place_of_an_empty_file_of_its_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a": ""})
    with atomic_folder(out) as scratch:
        (scratch / "a").mkdir()
    assert (out / "a").is_dir()


def test_a_folder_takes_the_place_of_a_link_to_a_folder(tmp_path: Path) -> None:
    cached, out = tmp_path / "cached", tmp_path / "out"
    write_folder(cached, {"a": "1"})
    out.symlink_to(cached)
    write_folder(out, {"a": "2"})
    assert tree(out) == {"a": "2"} and tree(cached) == {"a": "1"}


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_never_writes_through_a_link(tmp_path: Path, link) -> None:  # type: ignore[no-untyped-def]
    cached, out = tmp_path / "cached", tmp_path / "out.txt"
    cached.write_text("cached")
    cached.chmod(0o444)
    link(cached, out)
    write(out, "new")
    assert cached.read_text() == "cached"
    assert out.read_text() == "new" and not out.is_symlink()


def test_never_writes_through_a_link_inside_a_folder(tmp_path: Path) -> None:
    cached, out = tmp_path / "cached", tmp_path / "out"
    cached.write_text("cached")
    out.mkdir()
    os.link(cached, out / "a")
    write_folder(out, {"a": "new"})
    assert cached.read_text() == "cached"
    assert tree(out) == {"a": "new"}


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    write(out, "x")
    plain = tmp_path / "plain.txt"
    plain.write_text("x")
    assert out.stat().st_mode == plain.stat().st_mode


def test_link_tree_links_and_copies_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write_folder(source, {"a": "1", "b/c": "2"})
    link_tree(source, target)
    assert tree(target) == tree(source)
    for name in ("a", "b/c"):
        assert (target / name).stat().st_ino == (source / name).stat().st_ino


def test_link_tree_links_the_file_behind_a_symlink(tmp_path: Path) -> None:
    cached, source, target = tmp_path / "cached", tmp_path / "source", tmp_path / "target"
    cached.write_text("1")
    source.mkdir()
    (source / "a").symlink_to(cached)
    link_tree(source, target)
    cached.rename(tmp_path / "moved")
    assert (target / "a").read_text() == "1"


def test_link_tree_copies_where_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    source, target = tmp_path / "source", tmp_path / "target"
    write_folder(source, {"a": "1"})
    monkeypatch.setattr(os, "link", refuse)
    link_tree(source, target)
    assert tree(target) == {"a": "1"}
    assert (target / "a").stat().st_ino != (source / "a").stat().st_ino
