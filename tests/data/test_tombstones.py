"""Records of forgotten tasks: found in copies of the project too, and never half read."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lamol_core.artifacts.layout import Layout
from lamol_core.data.canaries import CANARIES, read_canaries
from lamol_core.data.task_data import FORGOTTEN
from lamol_core.data.tombstones import FACTS, SOURCE, read_record, read_records
from lamol_core.errors import ArtifactError
from lamol_core.records import TaskFacts

GONE = {"train": {"rows": 3, "sha256": "0" * 64, "forgotten_on": "2026-01-01"}}


def write(root: Path) -> Path:
    folder = Layout(root).forgotten("a")
    folder.mkdir(parents=True)
    facts = TaskFacts("a", "accuracy", "classes", ("x", "y"), {"train": 3, "dev": 1, "test": 2})
    (folder / FACTS).write_text(json.dumps(asdict(facts)))
    (folder / FORGOTTEN).write_text(json.dumps(GONE))
    said = {"source": {"kind": "csv", "path": "a.csv"}, "also_of": {}}
    (folder / SOURCE).write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("inside", [".", "examples/mine"])
@pytest.mark.parametrize("copy", ["tmp1", "standalone/tmp1"])
def test_a_copy_that_dvc_exp_made_goes_by_the_project_s_own_record(
    tmp_path: Path, inside: str, copy: str
) -> None:
    record = write(tmp_path / inside)
    copied = tmp_path / ".dvc" / "tmp" / "exps" / copy / inside
    found = read_record(Layout(copied).forgotten("a"))
    assert found is not None and found.folder == record and set(found.removed) == {"train"}
    assert read_record(Layout(copied).forgotten("b")) is None
    cut_off = Layout(tmp_path / inside).all_forgotten / ".a.1.abcdefgh"
    cut_off.mkdir()
    (cut_off / FACTS).write_text("{")
    assert [one.task for one in read_records(Layout(copied).all_forgotten)] == ["a"]


def test_dvc_s_root_below_git_s(tmp_path: Path) -> None:
    record = write(tmp_path / "sub")
    copied = tmp_path / "sub" / ".dvc" / "tmp" / "exps" / "tmp1" / "sub"
    found = read_record(Layout(copied).forgotten("a"))
    assert found is not None and found.folder == record


def test_a_clone_knows_of_no_record(tmp_path: Path) -> None:
    write(tmp_path / "mine")
    assert read_record(Layout(tmp_path / "clone").forgotten("a")) is None


@pytest.mark.parametrize("name", [FACTS, FORGOTTEN, SOURCE])
@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "\x00"])
def test_a_broken_record_is_no_bug_and_no_leave_to_read_again(
    tmp_path: Path, name: str, text: str
) -> None:
    folder = write(tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(ArtifactError, match="lamol forget") as caught:
        read_record(folder)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"a": 1}]', "\x00"])
def test_broken_canaries_are_no_bug(tmp_path: Path, text: str) -> None:
    (tmp_path / CANARIES).write_text(text)
    with pytest.raises(ArtifactError, match="dvc repro prepare@") as caught:
        read_canaries(tmp_path)
    assert str(tmp_path / CANARIES) in str(caught.value)
