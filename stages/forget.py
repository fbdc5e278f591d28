"""`lamol forget T`: remove a learnt task's real rows for good."""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.errors import UsageError
from lamol_core.parameters import load_params
from lamol_core.privacy.forgetting import forget_task
from lamol_core.records import SPLITS
from stages.console import say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, SetOption, TaskArgument

KeepOption = Annotated[
    bool, typer.Option("--keep-held-out", help="Keep its dev and test rows: it is still scored.")
]
EmptyOption = Annotated[
    bool,
    typer.Option(
        "--empty-source",
        help="Empty the task's own source file too. The empty file stays: DVC looks for it.",
    ),
]


@guarded
def forget(
    task: TaskArgument,
    keep_held_out: KeepOption = False,
    empty_source: EmptyOption = False,
    overrides: SetOption = None,
    debug: DebugOption = False,
) -> None:
    if keep_held_out and empty_source:
        raise UsageError(
            "forget: --keep-held-out keeps rows that a later `lamol prepare` reads from the "
            "source, which --empty-source empties. Give one of them."
        )
    params = load_params(Path("params.yaml"), overrides or ())
    splits = ("train",) if keep_held_out else SPLITS
    for note in forget_task(task, params, Layout(), splits, empty_source):
        say(f"forget {task}: {note}")


if __name__ == "__main__":
    run_as_module("forget")
