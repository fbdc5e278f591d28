"""Rows that Git holds, now or in its history."""

import subprocess
from pathlib import Path

import pytest

from lamol_core.pipeline.git import rows_in_git
from lamol_core.pipeline.init import set_up_dvc
from tests.messages import names


def git(folder: Path, *command: str) -> None:
    own = ["-c", "user.name=n", "-c", "user.email=a@b"]
    subprocess.run(["git", *own, *command], cwd=folder, check=True, capture_output=True)


def test_tracked_files_and_those_of_any_commit_are_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "data" / "a[1]").mkdir(parents=True)
    for name in ("data/a[1]/train.parquet", "added.csv", "branch.csv", "other.csv"):
        (tmp_path / name).write_text("rows")
    git(tmp_path, "add", "data")
    git(tmp_path, "commit", "-qm", "rows")
    git(tmp_path, "rm", "-rq", "--cached", "data")
    git(tmp_path, "commit", "-qm", "no rows")
    git(tmp_path, "switch", "-qc", "aside")
    git(tmp_path, "add", "branch.csv")
    git(tmp_path, "commit", "-qm", "more rows")
    git(tmp_path, "switch", "-q", "-")
    (tmp_path / "branch.csv").unlink(missing_ok=True)
    git(tmp_path, "add", "added.csv")
    asked = ["data/a[1]", "data", "data/b", "added.csv", "branch.csv", "other.csv", "no/such/file"]
    told = list(rows_in_git(tmp_path / name for name in asked))
    held = ["data/a[1]", "data", "added.csv", "branch.csv"]
    assert len(told) == len(held)
    for sentence, name in zip(told, held, strict=True):
        assert names(sentence, tmp_path / name, "git filter-repo")


def test_without_a_repository_or_git_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.csv").touch()
    assert list(rows_in_git([tmp_path / "x.csv", tmp_path / "gone" / "y"])) == []
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "x.csv")
    assert list(rows_in_git([tmp_path / "x.csv"]))
    monkeypatch.setenv("PATH", "")
    assert list(rows_in_git([tmp_path / "x.csv"])) == []


def test_dvc_goes_without_git_where_git_ignores_the_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/ignored/\n")
    for name in ("ignored", "tracked"):
        (tmp_path / name).mkdir()
        set_up_dvc(tmp_path / name)
        config = (tmp_path / name / ".dvc" / "config").read_text()
        assert ("no_scm = true" in config) == (name == "ignored")
