"""Arguments and options that several commands share."""

from typing import Annotated

import typer

TaskArgument = Annotated[str, typer.Argument(help="The task's name in params.yaml.")]
StageTaskArgument = Annotated[
    str,
    typer.Argument(
        help="The task's name in params.yaml. Under DVC the stage names it.", show_default=False
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-S",
        metavar="KEY=VALUE",
        help="Override a parameter of params.yaml for this run (repeatable).",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]
