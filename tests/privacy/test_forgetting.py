"""Which files `lamol forget --empty-source` may empty: those that the task alone is read from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.data.params import PrepareParams, TaskParams
from lamol_core.data.prepare import prepare_task
from lamol_core.data.task_data import TaskData
from lamol_core.errors import ConfigError
from lamol_core.parameters import Params
from lamol_core.privacy.forgetting import empty_files, source_files
from lamol_core.records import SPLITS
from tests.messages import naming
from tests.preflight.sequences import forget


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


def test_of_chat_data_no_turn_stays_but_the_task_s_system_message(tmp_path: Path) -> None:
    roles = ("system", "user", "assistant", "user", "assistant")
    rows = [
        [{"role": role, "content": f"{role}-{i}" if role != "system" else "Be brief."}
         for role in roles]
        for i in range(40)
    ]  # fmt: skip
    lines = [json.dumps({"messages": row}) for row in rows]
    (tmp_path / "chats.jsonl").write_text("\n".join(lines))
    block = {"after": "base", "source": {"kind": "jsonl", "path": "chats.jsonl"}}
    forget("chats", tmp_path, block)
    data = TaskData.load(tmp_path / "data" / "chats")
    assert set(data.forgotten("chats")) == set(SPLITS)
    assert all(pq.read_table(data.file("chats", split)).num_rows == 0 for split in SPLITS)
    (facts,) = data.lineage
    assert facts.system == "Be brief." and set(facts.num_answers) == {2}
    (tmp_path / "chats.jsonl").unlink()
    for folder in (data.folder, Layout(tmp_path).forgotten("chats")):
        left = b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())
        assert b"user-" not in left and b"assistant-" not in left
    prepare_task(
        "chats", TaskParams.model_validate(block), PrepareParams(),
        TaskData.load(tmp_path / "data" / "base"), Layout(tmp_path),
    )  # fmt: skip
    assert TaskData.load(tmp_path / "data" / "chats").lineage == data.lineage


def test_a_file_that_is_gone_with_its_folder_is_empty_in_its_place(root: Path) -> None:
    gone = root / "moved" / "away" / "train.csv"
    empty_files([gone])
    assert gone.read_bytes() == b""
