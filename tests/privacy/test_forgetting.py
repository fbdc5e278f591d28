"""Which files `lamol forget --empty-source` may empty: those that the task alone is read from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamol_core.errors import ConfigError
from lamol_core.parameters import Params
from lamol_core.privacy.forgetting import empty_files, source_files
from tests.messages import naming


def params_of(**paths: str) -> Params:
    tasks, after = {}, "base"
    for name, path in paths.items():
        tasks[name] = {"after": after, "source": {"kind": "csv", "path": path}}
        after = name
    return Params.model_validate({"tasks": tasks})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mails").mkdir()
    for name in ("train.csv", "validation.csv", "test.csv", "train.json", "dev.md", "notes.csv"):
        (tmp_path / "mails" / name).write_text("input,target\n")
    return tmp_path


def test_of_a_folder_those_that_are_read_and_no_other(root: Path) -> None:
    found = source_files(params_of(mails="mails"), "mails", root)
    assert [path.name for path in found] == ["test.csv", "train.csv", "validation.csv"]


@pytest.mark.parametrize("other", ["./mails", "mails/../mails", "mails/train.csv"])
def test_a_file_that_another_task_reads_stays(other: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=naming("tasks.a.source", "b", "mails")):
        source_files(params_of(a="mails", b=other), "a", root)


def test_of_a_file_that_is_gone_its_place(root: Path) -> None:
    assert source_files(params_of(a="a.csv", b="mails"), "a", root) == [root / "a.csv"]


def test_a_folder_without_training_rows_is_told_before_anything_is_removed(root: Path) -> None:
    (root / "mails" / "train.csv").unlink()
    with pytest.raises(ConfigError, match=naming(root / "mails", "train.csv")):
        source_files(params_of(a="mails"), "a", root)
    (root / "b.csv").write_text("input,target\n")
    assert source_files(params_of(a="mails", b="b.csv"), "b", root) == [root / "b.csv"]


def test_an_emptied_file_is_empty_by_its_other_names_too(root: Path) -> None:
    train, other = root / "mails" / "train.csv", root / "linked.csv"
    os.link(train, other)
    empty_files([train])
    assert train.read_bytes() == other.read_bytes() == b""


def test_a_file_that_is_gone_with_its_folder_is_empty_in_its_place(root: Path) -> None:
    gone = root / "moved" / "away" / "train.csv"
    empty_files([gone])
    assert gone.read_bytes() == b""
