"""`lamol init DIR`: start a new sequence, ready for `dvc repro`."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from lamol_core.errors import UsageError
from lamol_core.methods.registry import DEFAULT_METHOD, METHODS
from lamol_core.pipeline.init import choose_format, create_sequence, make_params, read_example
from lamol_core.preflight.problems import problems_before_a_run
from stages.console import say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption


@guarded
def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="New or empty folder.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="A task and its rows, repeatable, in learning order. PATH: a CSV, TSV, JSON, "
            "JSONL or Parquet file, or a folder with train.* (and dev.*, test.*).",
        ),
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A params.yaml to start from instead of --task, like an example's. Its relative "
            "paths start from its own folder.",
        ),
    ] = None,
    input_column: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help='Column of the inputs, or a template such as "{context} {question}": once for all '
            "tasks, or once for each in their order.",
            show_default="input",
        ),
    ] = None,
    target_column: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Column of the targets, in the same way.", show_default="target"
        ),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(help="`nano`, a GGUF file, a folder that save_pretrained wrote, or a hub id."),
    ] = "nano",
    method: Annotated[
        str | None, typer.Option(help=f"{', '.join(METHODS)}.", show_default=DEFAULT_METHOD)
    ] = None,
    debug: DebugOption = False,
) -> None:
    if bool(task) == (params is not None):
        raise UsageError("--task: give one or more, like --task news=news.csv, or --params FILE.")
    about_format = ""
    if params is not None:
        if input_column or target_column or backbone != "nano":
            raise UsageError("--params: leave out --backbone, --input and --target: FILE has them.")
        written: dict[str, Any] = read_example(params, method)
    else:
        columns = {"input": input_column or ["input"], "target": target_column or ["target"]}
        written = make_params(task or [], backbone, method or DEFAULT_METHOD, columns)
        about_format = choose_format(written)
        if written["adapter"]["kind"] == "lora":
            say("init: adapter.kind is lora, because the backbone has over a billion weights.")
    create_sequence(Path(folder), written, problems_before_a_run, about_format)
    if about_format:
        say(f"init: {about_format}")
    if params is None and written["backbone"]["kind"] == "hub":
        say(f"init: the backbone is the model {backbone} of the hub; `dvc repro` downloads it.")
    say(f"init: {folder} is ready. Next: cd {quote(folder)} && lamol check && dvc repro")


if __name__ == "__main__":
    run_as_module("init")
