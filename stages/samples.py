"""`lamol samples T`: show the pseudo-samples of task T on a terminal, or print them for another
tool.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import AUDIT, PSEUDO, remedy
from lamol_core.artifacts.store import read_as_it_lies
from lamol_core.audit.samples import Judgement, SampleVerdict, choose, read_judgement, to_csv
from lamol_core.errors import ConfigError
from lamol_core.parameters import load_params
from lamol_core.records import PseudoSample, from_table
from lamol_core.text.display import visible
from stages.console import print_json, print_rows, say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, TaskArgument

TaskOption = Annotated[str, typer.Option("--task", help="Only rows of this earlier task.")]
LabelOption = Annotated[str, typer.Option(help="Only rows with this target.")]
VerdictOption = Annotated[
    SampleVerdict | None, typer.Option(help="Only rows with this verdict of the audit.")
]
GrepOption = Annotated[str, typer.Option(help="Only rows that contain this text.")]
LimitOption = Annotated[int, typer.Option(min=1, help="How many rows to show at most.")]
Shape = Literal["table", "json", "csv"]
FormatOption = Annotated[
    Shape, typer.Option("--format", help="table, json (an object a line) or csv.")
]

ON_A_TERMINAL = ("source_task", "history", "input", "target", "verdict", "reasons")
"""The columns that fit a line of 80 characters; the second one where some row has several turns.
json and csv also have row ids and likelihoods."""


@guarded
def samples(
    task: TaskArgument,
    source_task: TaskOption = "",
    label: LabelOption = "",
    verdict: VerdictOption = None,
    grep: GrepOption = "",
    limit: LimitOption = 20,
    shape: FormatOption = "table",
    debug: DebugOption = False,
) -> None:
    load_params(Path("params.yaml")).task(task)
    layout = Layout()
    table = read_as_it_lies(layout, PSEUDO, task)
    named = sorted(set(table.column("source_task").to_pylist()))
    if source_task and source_task not in named:
        there = f"has rows of {', '.join(named)}" if named else "has no rows at all"
        raise ConfigError(f"--task {source_task}: {layout.pseudo(task)} {there}.")
    judgement = read_judgement(layout, task)
    all_rows = from_table(table, PseudoSample)
    matching = list(
        choose(all_rows, judgement or Judgement(), source_task, label, verdict or "", grep)
    )
    found = matching[:limit]
    _print(found, shape)
    if judgement is None:
        say(
            f"samples {task}: there is no audit of this table, so no row has a verdict. "
            f"{remedy(AUDIT, task)}"
        )
    elif any(row["verdict"] == "unjudged" for row in found):
        say(
            f"samples {task}: rows are unjudged if their task's real rows were forgotten, and no "
            "fingerprint was kept or the rows are too short for it."
        )
    say(
        f"samples {task}: {len(found)} rows shown of {len(matching)} that match, "
        f"{table.num_rows} in all"
    )


def _print(rows: Sequence[dict[str, Any]], shape: Shape) -> None:
    if shape == "json":
        for row in rows:
            print_json(row)
    elif shape == "csv":
        text = to_csv(rows)
        typer.echo(visible(text) if sys.stdout.isatty() else text, nl=False)
    elif rows:
        shown = [name for name in ON_A_TERMINAL if name in rows[0]]
        print_rows([{name: row[name] for name in shown} for row in rows])


if __name__ == "__main__":
    run_as_module("samples")
