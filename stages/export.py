"""`lamol export T --to DIR`: copy a student into a model folder of its own."""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import STUDENT
from lamol_core.artifacts.store import bytes_below, check
from lamol_core.models.export import export_student, require_new_folder
from lamol_core.parameters import load_params
from stages.console import say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, TaskArgument

ToOption = Annotated[Path, typer.Option("--to", metavar="DIR", help="New or empty folder.")]
MergeOption = Annotated[
    bool, typer.Option("--merge", help="Merge an adapter into the weights of its backbone.")
]


@guarded
def export(
    task: TaskArgument, to: ToOption, merge: MergeOption = False, debug: DebugOption = False
) -> None:
    load_params(Path("params.yaml")).task(task)
    layout, out = Layout(), to.expanduser()
    check(layout, STUDENT, task)
    require_new_folder(out, (*layout.with_rows, layout.reports))
    held = export_student(layout.student(task), out, merge)
    say(f"export: {held}, {bytes_below(out) / 1e6:.0f} MB -> {out}")
    say(f'Plain transformers loads it: AutoModelForCausalLM.from_pretrained("{out}").')


if __name__ == "__main__":
    run_as_module("export")
