"""The command line: every command listed, its module loaded when it is called and not before."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamol_core.artifacts.spec import STAGES
from stages.cli import COMMANDS, LATE, app
from tests.code_imports import ROOT
from tests.messages import names
from tests.stages.sequences import edit_params, write_csv

EXAMPLES = [example for panel in COMMANDS.values() for example in panel]
NAMES = [example.split()[0] for example in EXAMPLES]
HEAVY = ("torch", "transformers", "datasets", "dvc", "pyarrow", "pydantic", "sklearn", "altair")


def loaded_after(*commands: list[str], cwd: Path = ROOT) -> tuple[list[int], set[str]]:
    """The exit codes of commands in one new process, and which heavy packages they have loaded."""
    code = (
        "import sys; from typer.testing import CliRunner; from stages.cli import app; "
        f"codes = [CliRunner().invoke(app, one).exit_code for one in {list(commands)}]; "
        f"print(*codes, *({set(HEAVY)} & {{*sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    )
    told = done.stdout.split()
    return [int(code) for code in told[: len(commands)]], set(told[len(commands) :])


def test_every_file_is_a_command_and_every_stage_is_listed_in_its_order() -> None:
    no_commands = {"__init__", "cli", "console", "guard", "options", "runtime"}
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == {*NAMES, *no_commands}
    assert NAMES[-len(STAGES) :] == list(STAGES)


@pytest.mark.parametrize("stage", LATE)
def test_a_stage_that_is_loaded_late_has_no_option_of_its_own(stage: str) -> None:
    body = getattr(import_module(f"stages.{stage}"), stage).body
    assert list(signature(body).parameters) == ["run"]


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_the_list_of_commands_loads_none(command: str) -> None:
    assert loaded_after([command]) == ([0], set())


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_help_with_an_example(name: str) -> None:
    told = CliRunner().invoke(app, [name, "--help"])
    assert told.exit_code == 0 and names(told.output, "--debug", f"lamol {name}")
    assert told.output.count("Example:") == 1
    assert CliRunner().invoke(app, [name, "--no-such-option"]).exit_code == 2


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_call_that_the_command_accepts(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder it misses params.yaml or a source: 3. A wrong call would be 2."""
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, shlex.split(example)).exit_code == 3


@pytest.mark.parametrize("text", [text for panel in COMMANDS.values() for text in panel.values()])
def test_a_help_is_one_sentence(text: str) -> None:
    assert text.endswith(".") and ". " not in text


def test_a_slip_is_answered_with_the_command_that_is_near() -> None:
    told = CliRunner().invoke(app, ["evalute"])
    assert told.exit_code == 2 and names(told.output, "evaluate")


@pytest.mark.slow
def test_a_wrong_task_or_parameter_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "colours")
    folder = tmp_path / "sequence"
    assert CliRunner().invoke(app, ["init", str(folder), "--task", f"a={source}"]).exit_code == 0
    commands = [
        [stage, *wrong]
        for stage in ("train", "evaluate", "generate", "audit")
        for wrong in (["b"], ["a", "--set", "text.max_length=x"])
    ]
    exit_codes, loaded = loaded_after(*commands, cwd=folder)
    assert exit_codes == [3] * len(commands) and not loaded & {"torch", "transformers"}


@pytest.mark.slow
def test_a_model_of_the_hub_is_missed_before_torch_is_loaded(tmp_path: Path) -> None:
    """The tests run with HF_HUB_OFFLINE, like a machine without a network."""
    source = write_csv(tmp_path / "a.csv", "colours")
    folder = tmp_path / "sequence"
    new = ["init", str(folder), "--task", f"a={source}"]
    assert CliRunner().invoke(app, [*new, "--backbone", "owner/model"]).exit_code == 3
    assert not folder.exists()
    assert CliRunner().invoke(app, new).exit_code == 0
    named = ["--set", "backbone.kind=hub", "--set", "backbone.path=owner/model"]
    commands = ["backbone", *named], ["check", "--estimate", *named]
    exit_codes, loaded = loaded_after(*commands, cwd=folder)
    assert exit_codes == [3, 3] and not loaded & {"torch", "transformers"}


@pytest.mark.slow
def test_who_answers_is_known_before_torch_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sequence"
    tasks = [f"{name}={write_csv(tmp_path / f'{name}.csv', 'colours')}" for name in "abc"]
    new = ["init", str(folder), *(word for task in tasks for word in ("--task", task))]
    assert CliRunner().invoke(app, new).exit_code == 0
    exit_codes, loaded = loaded_after(["ask", "x", "--task", "d"], ["ask", "x"], cwd=folder)
    assert exit_codes == [3, 4] and not loaded & {"torch", "transformers"}
    edit_params(folder, lambda params: params["tasks"]["c"].update(after="a"))
    monkeypatch.chdir(folder)
    ended = CliRunner().invoke(app, ["ask", "x"])
    assert ended.exit_code == 2 and names(ended.output, "b", "c", "--task")
