"""`lamol ask`: answer a user's inputs with a student, by default the last one of the sequence."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STUDENT
from lamol_core.artifacts.store import check
from lamol_core.data.orders import last_learnt
from lamol_core.data.task_data import system_of
from lamol_core.errors import UsageError
from lamol_core.parameters import load_params
from lamol_core.text.display import visible
from stages.console import print_json, say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, SetOption

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="Inputs, each in quotes. Default: the lines of stdin."),
]
TaskOption = Annotated[
    str | None, typer.Option(help="The task whose student answers.", show_default="the last learnt")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="A JSON object a line, with input and answer.")
]


@guarded
def ask(
    inputs: InputsArgument = None,
    task: TaskOption = None,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    params, layout = load_params(Path("params.yaml"), overrides or ()), Layout()
    chosen = task or last_learnt(params.tasks, layout)
    params.task(chosen)
    check(layout, STUDENT, chosen)
    is_typed = not inputs and sys.stdin.isatty()
    texts = _texts(inputs or (), is_typed)
    batches = ([text] for text in texts) if is_typed else iter([list(texts)])
    from lamol_core.evaluation.predict import predict  # both load torch
    from lamol_core.evaluation.scoring import load_student

    student, system = load_student(layout.student(chosen)), system_of(layout.data(chosen))
    if is_typed or task is None:
        ends = "; one input a line, Ctrl-D ends them" if is_typed else ""
        say(f"ask: the student of {chosen} answers{ends}")
    for given in batches:
        asked = [text for text in given if text.strip()]
        told = [system] * len(asked)
        answers = predict(*student, asked, params.evaluate, params.text.max_length, systems=told)
        left = iter(answers.texts)
        for text in given:
            _show(text, next(left) if text.strip() else "", json)
        if answers.inputs_cut:
            say(f"ask: {answers.inputs_cut} inputs were cut")


def _texts(inputs: Sequence[str], is_typed: bool) -> Iterator[str]:
    """Yield the inputs, or the lines of stdin. Raises UsageError where one is not UTF-8, and for
    inputs without text that are not typed on a terminal."""
    raw: Iterable[bytes] = map(os.fsencode, inputs)
    if not inputs:
        stdin = sys.stdin.buffer
        raw = (line.rstrip(b"\r\n") for line in stdin) if is_typed else stdin.read().splitlines()
    has_text = is_typed
    for number, line in enumerate(raw, start=1):
        try:
            text = line.decode("utf-8-sig")  # a file may begin with a mark of its byte order
        except UnicodeDecodeError as error:
            where = f"{'input' if inputs else 'line'} {number}"
            raise UsageError(
                f"ask: {where} is not UTF-8. Send it as UTF-8 (`iconv -t utf-8` makes it so)."
            ) from error
        has_text = has_text or bool(text.strip())
        yield text
    if not has_text:
        raise UsageError("ask: no input. Write one in quotes, or send lines to stdin.")


def _show(text: str, answer: str, json: bool) -> None:
    if json:
        print_json({"input": text, "answer": answer})
    else:
        line = " ".join(answer.splitlines())
        # a model's text could hold terminal codes
        typer.echo(visible(line) if sys.stdout.isatty() else line)


if __name__ == "__main__":
    run_as_module("ask")
