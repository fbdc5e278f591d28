"""What is written is on the disk before it is in its place, and its place after that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamol_core.artifacts.atomic import atomic_folder, atomic_path


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int | str]:
    """In their order: the inodes that the disk was told of, and "move" for each rename."""
    steps: list[int | str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        steps.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        steps.append("move")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return steps


def test_bytes_are_on_the_disk_before_they_take_their_place(
    tmp_path: Path, done: list[int | str]
) -> None:
    out = tmp_path / "out"
    with atomic_path(out) as scratch:
        scratch.write_text("new")
    assert done == [out.stat().st_ino, "move", tmp_path.stat().st_ino]


def test_the_disk_is_told_of_all_that_a_folder_holds(tmp_path: Path, done: list[int | str]) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as scratch:
        for name in ("a", "b/c"):
            (scratch / name).parent.mkdir(exist_ok=True)
            (scratch / name).write_text("new")
    *of_the_folder, moved, parent = done
    assert set(of_the_folder) == {path.stat().st_ino for path in [out, *out.rglob("*")]}
    assert (moved, parent) == ("move", tmp_path.stat().st_ino)


def test_a_file_takes_the_place_of_a_link_to_the_same_bytes(tmp_path: Path) -> None:
    cached, out = tmp_path / "cached", tmp_path / "out"
    cached.write_text("same")
    out.symlink_to(cached)
    with atomic_path(out) as scratch:
        scratch.write_text("same")
    assert not out.is_symlink() and out.read_text() == cached.read_text() == "same"
