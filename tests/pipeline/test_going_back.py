"""After an experiment the former parameters cost nothing: DVC has seen all of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.code_imports import ROOT
from tests.pipeline.checkout import FIRST, SECOND, copy_checkout, run_here, write_params
from tests.stages.sequences import edit_params, run, stages_run

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_going_back_runs_what_dvc_keeps_no_copy_of_and_leaves_git_clean(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "checkout")
    write_params(folder)
    run_here(folder)
    shutil.copy(ROOT / ".gitignore", folder)
    for command in (["init", "-q"], ["add", "-A"]):
        run(folder, "git", *command)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    run(folder, "git", *who, "commit", "-q", "-m", "first")

    edit_params(folder, lambda params: params.update(lamol_kd={"temperature": 4.0}))
    assert f"train@{SECOND}" in stages_run(run(folder, "dvc", "repro"))
    assert run(folder, "git", "status", "--porcelain") != ""

    run(folder, "git", "checkout", "-q", "params.yaml")
    ran = set(stages_run(run(folder, "dvc", "repro")))
    assert ran <= {"backbone", f"prepare@{FIRST}", f"prepare@{SECOND}"}
    assert run(folder, "git", "status", "--porcelain") == ""
