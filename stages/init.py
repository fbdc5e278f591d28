"""`lamol init DIR`: a sequence of one's own, ready for `dvc repro`."""

from __future__ import annotations

from typing import Annotated

import typer

from stages.runtime import DebugOption, guarded, run_alone


@guarded
def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="New or empty folder.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="NAME=PATH",
            help="A task and its rows, repeatable, in learning order. PATH: a CSV, TSV, JSONL or "
            "Parquet file, or a folder with train.* (and dev.*, test.*).",
        ),
    ] = None,
    input_column: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help='Their column, or a template of columns such as "{context} {question}": once for '
            "all tasks, or once for each in their order.",
            show_default="input",
        ),
    ] = None,
    target_column: Annotated[
        list[str] | None,
        typer.Option("--target", help="The same of what is to be answered.", show_default="target"),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(help="`nano`, a GGUF file, a folder that save_pretrained wrote, or a hub id."),
    ] = "nano",
    method: Annotated[str, typer.Option(help="One of the README's table of methods.")] = (
        "lamol_kd"
    ),
    debug: DebugOption = False,
) -> None:
    """Start a new sequence: writes params.yaml, dvc.yaml and .dvcignore, and sets up DVC.

    Example: lamol init mine --task news=news.csv --task mails=mails/ --backbone nano
    """
    from pathlib import Path
    from shlex import quote

    from lamol_core.errors import UsageError
    from lamol_core.pipeline.init import create_sequence
    from lamol_core.preflight.problems import check_sequence
    from stages.console import say

    if not task:
        raise UsageError("--task: name at least one, like --task news=news.csv.")
    columns = {"input": input_column or ["input"], "target": target_column or ["target"]}
    params = create_sequence(
        Path(folder), task, backbone, method, columns, find_problems=check_sequence
    )
    if params["backbone"]["kind"] == "hub":
        say(f"init: the backbone is the model {backbone} of the hub; `dvc repro` downloads it.")
    say(f"init: {folder} is ready. Next: cd {quote(folder)} && lamol check && dvc repro")


if __name__ == "__main__":
    run_alone(init)
