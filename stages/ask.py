"""`lamol ask`: answer a user's inputs with a student, by default the last one of the sequence."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STUDENT
from lamol_core.artifacts.store import check
from lamol_core.data.orders import last_learnt
from lamol_core.data.task_data import system_of
from lamol_core.parameters import load_params
from lamol_core.records import Exchange, to_history
from lamol_core.text.display import visible
from stages.console import print_json, read_texts, say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, SetOption

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="Inputs, each in quotes. Default: the lines of stdin."),
]
TaskOption = Annotated[
    str | None, typer.Option(help="The task whose student answers.", show_default="the last learnt")
]
ChatOption = Annotated[
    bool,
    typer.Option(
        "--chat", help="Keep one conversation: an input is answered with those before it."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="A JSON object a line, with input and answer.")
]


@guarded
def ask(
    inputs: InputsArgument = None,
    task: TaskOption = None,
    chat: ChatOption = False,
    overrides: SetOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    params, layout = load_params(Path("params.yaml"), overrides or ()), Layout()
    chosen = task or last_learnt(params.tasks, layout)
    params.task(chosen)
    check(layout, STUDENT, chosen)
    is_typed = not inputs and sys.stdin.isatty()
    read = read_texts("ask", inputs or (), is_typed)
    texts = read if is_typed else list(read)
    batches = ([text] for text in texts) if is_typed or chat else iter([texts])
    from lamol_core.evaluation.predict import predict  # both load torch
    from lamol_core.evaluation.scoring import load_student

    student, system = load_student(layout.student(chosen)), system_of(layout.data(chosen))
    if is_typed or task is None:
        ends = "; one input a line, Ctrl-D ends them" if is_typed else ""
        begins = f", after the system message of {chosen}" if system else ""
        say(f"ask: the student of {chosen} answers{begins}{ends}")
    turns: list[Exchange] = []
    for given in batches:
        asked = [text for text in given if text.strip()]
        told, before = [system] * len(asked), [to_history(turns)] * len(asked)
        answers = predict(
            *student, asked, params.evaluate, params.text.max_length, systems=told, histories=before
        )
        turns += zip(asked, answers.texts, strict=True) if chat else ()
        left = iter(answers.texts)
        for text in given:
            _show(text, next(left) if text.strip() else "", json)
        for cut in answers.cuts(params.evaluate):
            say(f"ask: {cut}")


def _show(text: str, answer: str, json: bool) -> None:
    if json:
        print_json({"input": text, "answer": answer})
    else:
        line = " ".join(answer.splitlines())
        # a model's text could hold terminal codes
        typer.echo(visible(line) if sys.stdout.isatty() else line)


if __name__ == "__main__":
    run_as_module("ask")
