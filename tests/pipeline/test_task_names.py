"""Names of tasks that mean something to a shell, to an option parser or to a file system: nothing
of them is executed, and DVC removes nothing for them."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lamol_core.artifacts.spec import OF_A_TASK
from stages.backbone import backbone
from stages.cli import app
from tests.messages import names
from tests.pipeline.checkout import FIRST, copy_checkout, tiny_params, write_params
from tests.stages.sequences import run, stages_run

INSIDE = [
    "it's; touch pwned", '"; touch pwned; "', "$(touch pwned)", "`touch pwned`", "a|touch pwned",
    "&& touch pwned", "a\ntouch pwned", "${seed}", "--help", "a b", "Ä/ß", "/victim",
]  # fmt: skip
"""DVC has stages of these names, and paths within runs/ and data/."""
OUTSIDE = ["", ".", "..", "../victim", "a/../../victim", "../../victim", "../lamol_core", "a@b"]
"""DVC refuses them itself: what they write would be elsewhere, or overlap."""


def tasks_named(*given: str) -> dict[str, Any]:
    block = tiny_params()["tasks"][FIRST]
    return {name: json.loads(json.dumps(block)) for name in given}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Beside it, in it and among its rows lies what DVC would remove for a task of that name. (In
    runs/ it may.)"""
    folder = copy_checkout(tmp_path / "checkout")
    for parent in (tmp_path, folder, folder / "data"):
        for name in ("student", "state", "teacher"):
            kept = parent / "victim" / name / "kept"
            kept.parent.mkdir(parents=True)
            kept.write_text("kept", encoding="utf-8")
    return folder


def sound(checkout: Path) -> bool:
    """Whether nothing was executed and everything is there still."""
    top = checkout.parent
    victims = [path.read_text(encoding="utf-8") for path in top.rglob("kept")]
    code = {path.name for path in (checkout / "lamol_core").glob("*.py")}
    return not [*top.rglob("*pwned*")] and victims == ["kept"] * 9 and "records.py" in code


@pytest.mark.slow
def test_dvc_executes_and_removes_nothing(checkout: Path) -> None:
    write_params(checkout, tasks=tasks_named(*INSIDE))
    with chdir(checkout):
        backbone()
    run(checkout, "dvc", "commit", "--force", "backbone")
    command = ("dvc", "repro", "--keep-going", "prepare", "snapshot")
    told = run(checkout, *command, expect=255)
    for stage in ("prepare", "snapshot"):
        assert told.count(f"lamol {stage}, exited with 3") == len(INSIDE)
        assert all(f"'{stage}@{name}'" in told for name in INSIDE)
    made = {path.name for folder in ("runs", "data") for path in (checkout / folder).iterdir()}
    assert made == {"base", "victim"} and sound(checkout)

    for name in OUTSIDE:
        write_params(checkout, tasks=tasks_named(name))
        assert stages_run(run(checkout, "dvc", "repro", expect=255)) == [], name
        assert sound(checkout), name


def test_a_stage_by_hand_refuses_them(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    known = [name for name in (*INSIDE, *OUTSIDE) if name]
    write_params(checkout, tasks=tasks_named(*known))
    by_hand = [("train", name) for name in known] + [(stage, "../victim") for stage in OF_A_TASK]
    for stage, name in by_hand:
        ended = CliRunner().invoke(app, [stage, "--", name])
        assert ended.exit_code == 3 and names(ended.output, "params.yaml"), (stage, name)
    assert sound(checkout)
