"""`lamol ask T`: answer a user's inputs with the student of task T."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STUDENT
from lamol_core.artifacts.store import check
from lamol_core.errors import UsageError
from lamol_core.parameters import load_params
from lamol_core.text.display import visible
from stages.console import print_json, say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, SetOption, TaskArgument

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Inputs, each in quotes. Default: the lines of stdin.", show_default=False),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="A JSON object a line, with input and answer.")
]


@guarded
def ask(
    task: TaskArgument,
    inputs: InputsArgument = None,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    params, layout = load_params(Path("params.yaml"), overrides or ()), Layout()
    params.task(task)
    check(layout, STUDENT, task)
    if not inputs and sys.stdin.isatty():
        say(f"ask {task}: one input a line; Ctrl-D ends them.")
    given = [_decoded(os.fsencode(text), "the input") for text in inputs or ()] or [
        _decoded(line, f"line {number} of the input")
        for number, line in enumerate(sys.stdin.buffer.read().splitlines(), start=1)
    ]
    asked = [text for text in given if text.strip()]
    if not asked:
        raise UsageError("ask: no input. Write one in quotes, or send lines to stdin.")
    from lamol_core.evaluation.scoring import answer_from_checkpoint  # loads torch

    answers = answer_from_checkpoint(
        layout.student(task), asked, params.evaluate, params.text.max_length
    )
    left = iter(answers.texts)
    for text in given:
        answer = next(left) if text.strip() else ""
        if json:
            print_json({"input": text, "answer": answer})
        else:
            line = " ".join(answer.splitlines())
            # a model's text could hold terminal codes
            typer.echo(visible(line) if sys.stdout.isatty() else line)
    if answers.inputs_cut:
        say(f"ask {task}: {answers.inputs_cut} inputs were cut")


def _decoded(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8-sig")  # a file may begin with a mark of its byte order
    except UnicodeDecodeError as error:
        raise UsageError(
            f"ask: {where} is not UTF-8. Send it as UTF-8 (`iconv -t utf-8` makes it so)."
        ) from error


if __name__ == "__main__":
    run_as_module("ask")
