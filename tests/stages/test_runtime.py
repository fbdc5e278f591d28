"""What every command does before and after its work: versions, names, locks, errors."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from lamol_core import __version__
from lamol_core.artifacts.spec import OF_A_TASK, STAGES
from lamol_core.errors import ArtifactError, ConfigError, DivergedError, UsageError
from lamol_core.generation.params import GenerateParams
from stages.cli import app
from stages.guard import guarded
from stages.runtime import Cost, StageRun, task_of_dvc
from tests.messages import names, naming
from tests.stages.sequences import edit_params, write_csv

FULL = OSError(errno.ENOSPC, "No space left on device", "runs/a/student")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("params.yaml: wrong."), 3, "params.yaml: wrong."),
        (ArtifactError("gone."), 4, "gone."),
        (DivergedError("not finite."), 5, "not finite."),
        (FULL, 4, "runs/a/student: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "data/a"), 4, "data/a: Permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "FileNotFoundError"),
        (KeyError("tasks"), 1, "KeyError"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_a_sentence_and_a_code(
    error: Exception, code: int, said: str, debug: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    @guarded
    def command(debug: bool) -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command(debug=debug)
    assert ended.value.exit_code == code
    told = capsys.readouterr().err
    assert said in told and ("Traceback" in told) == debug


def test_a_reader_that_went_away_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):  # which Typer ends quietly
        command()
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def new_sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two tasks, a and b."""
    root = tmp_path_factory.mktemp("new")
    tasks = [f"{name}={write_csv(root / f'{name}.csv', 'colours')}" for name in "ab"]
    folder = root / "sequence"
    made = call("init", str(folder), *(word for task in tasks for word in ("--task", task)))
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def sequence(new_sequence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy as the current folder."""
    folder = shutil.copytree(new_sequence, tmp_path / "sequence")
    monkeypatch.chdir(folder)
    return folder


def call(*command: str) -> Result:
    return CliRunner().invoke(app, command)


def command_of(stage: str, task: str) -> list[str]:
    return [stage, task] if stage in OF_A_TASK else [stage]


OTHERS = [["check"], ["ask", "a"], ["samples", "a"], ["forget", "a"]]


def test_a_folder_of_another_version_is_refused_with_the_way_on(sequence: Path) -> None:
    """Whatever else is wrong: the other version may know it."""
    edit_params(sequence, lambda params: params.update(lamol_version="0.0.1", newer={}))
    for command in (*OTHERS, *(command_of(stage, "a") for stage in STAGES)):
        told = call(*command)
        assert told.exit_code == 3, command
        assert names(told.output, "lamol_version", "0.0.1", __version__), command
    edit_params(sequence, lambda params: params.update(lamol_version=__version__))
    told = call("check")
    assert told.exit_code == 3 and names(told.output, "newer")
    edit_params(sequence, lambda params: params.pop("newer"))
    assert call("check").exit_code == 0


@pytest.mark.parametrize("block", [None, [], {"source": {}}, {"after": 3}])
def test_a_task_that_names_none_before_it_is_no_bug(block: object, sequence: Path) -> None:
    edit_params(sequence, lambda params: params["tasks"].update(b=block))
    for stage in ("prepare", "snapshot", "train"):
        told = call(stage, "b")
        assert told.exit_code == 3 and names(told.output, "tasks.b.after"), told.output


@pytest.mark.parametrize(
    ("broken", "key"),
    [
        ({"tasks": ["a"]}, "tasks"),
        ({"backbone": "nano"}, "backbone"),
        ({"tasks": {"a": {"source": 3}}}, "tasks.a.source"),
    ],
)
def test_a_broken_example_is_told_and_nothing_written(
    broken: dict[str, object], key: str, sequence: Path
) -> None:
    edit_params(sequence, lambda params: params.update(broken))
    told = call("init", "new", "--params", "params.yaml")
    assert told.exit_code == 3 and names(told.output, "params.yaml", key)
    assert not (sequence / "new").exists()


def test_what_an_example_says_can_t_be_said_by_an_option_too(sequence: Path) -> None:
    for option in ("--backbone", "--input", "--target"):
        told = call("init", "new", "--params", "params.yaml", option, "x")
        assert told.exit_code == 2 and names(told.output, "--params", option)
    assert not (sequence / "new").exists()


def test_a_misspelt_method_asks_for_no_block(sequence: Path) -> None:
    edit_params(sequence, lambda params: params.update(method="lamol_kdd"))
    told = call("check")
    assert told.exit_code == 3 and names(told.output, "1 problem", "method", "lamol_kdd")


@pytest.mark.parametrize("command", ["report", "check"])
def test_a_method_that_is_no_name_is_no_bug(command: str, sequence: Path) -> None:
    edit_params(sequence, lambda params: params.update(method=["a"]))
    told = call(command)
    assert told.exit_code == 3 and names(told.output, "method")


def test_a_stage_reads_no_block_that_it_does_not_declare(sequence: Path) -> None:
    run = StageRun.open("train", "a", (), Cost())
    with pytest.raises(AssertionError):
        run.block("generate", GenerateParams)


def hold(folder: Path, held: Event, end: Event) -> None:
    """What every stage of task a writes."""
    os.chdir(folder)
    with ExitStack() as locks:
        for stage in STAGES:
            run = StageRun.open(stage, "a" if stage in OF_A_TASK else "", (), Cost())
            locks.enter_context(run.locked())
        held.set()
        end.wait(60)


def test_of_a_stage_one_process_works_on_a_task(sequence: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held, end = spawn.Event(), spawn.Event()
    first = spawn.Process(target=hold, args=(sequence, held, end))
    first.start()
    try:
        assert held.wait(60)
        for stage, declared in STAGES.items():
            told = call(*command_of(stage, "a"))
            written = declared.writes[0].at("a" if declared.of_task else "base")
            assert told.exit_code == 4 and names(told.output, written), stage
        for stage in OF_A_TASK:
            with StageRun.open(stage, "b", (), Cost()).locked():
                pass
    finally:
        end.set()
        first.join(60)
    assert first.exitcode == 0
    for stage in STAGES:
        with StageRun.open(stage, "a" if stage in OF_A_TASK else "", (), Cost()).locked():
            pass


@pytest.mark.parametrize("address", ["train@a-b_1", "dvc.yaml:train@a-b_1", "x/y:train@a-b_1"])
def test_a_stage_under_dvc_knows_its_task(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", address)
    assert task_of_dvc("train") == "a-b_1"


@pytest.mark.parametrize(
    "name", ["../x", "a;b", "a\nb", "a b", "--help", "a\n", "@", ":x", "A", "é"]
)
def test_what_is_no_name_of_a_task_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", f"train@{name}")
    with pytest.raises(ConfigError, match=naming("params.yaml")):
        task_of_dvc("train")


@pytest.mark.parametrize("address", ["", "mix@a", "train", "train@"])
def test_without_a_task_of_its_own_a_stage_asks_for_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", address)
    with pytest.raises((UsageError, ConfigError)):
        task_of_dvc("train")
