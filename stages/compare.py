"""`lamol compare`: compare methods over experiments or folders, with confidence intervals."""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.parameters import completed, defaults
from lamol_core.pipeline.experiments import read_experiments
from lamol_core.reporting.comparison import render
from lamol_core.reporting.comparison.finished_runs import flatten, read_folders
from lamol_core.reporting.comparison.labels import CommonName, differing_parameters
from lamol_core.reporting.comparison.sentences import claims, unlike_pairs
from lamol_core.reporting.comparison.statistics import compare_runs
from stages.console import print_json, print_rows, print_table, say
from stages.guard import guarded, run_as_module
from stages.options import DebugOption, JsonOption

DIFFERS = "parameters that differ"
FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Sequences, folders that contain some, or tables of kept runs (docs/results). "
        "Default: this folder's run, that of the commit, and the experiments of `dvc exp`."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(help="A folder for comparison.md, comparison.json and comparison.svg."),
]
AllOption = Annotated[
    bool, typer.Option("--all-commits", help="Experiments of every commit, not of HEAD alone.")
]
CallOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=SETTING,...",
        help="One name for several settings: better=unique,rows_per_class=5.",
    ),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="Compare all methods with this one alone, as a table. Spelt as the first table does.",
    ),
]


@guarded
def compare(
    folders: FoldersArgument = None,
    out: OutOption = None,
    all_commits: AllOption = False,
    call: CallOption = None,
    against: AgainstOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    names = [CommonName.parse(text) for text in call or ()]
    if folders:
        runs = read_folders(
            folders, completed, leave_out=lambda error: say(f"compare: left out: {error}")
        )
    else:
        runs = read_experiments(Path(), all_commits)
    comparison = compare_runs(runs, flatten(defaults()), names, against)
    differing = differing_parameters(runs, flatten(defaults()))
    listed = [{"run": run.name, DIFFERS: own} for run, own in zip(runs, differing, strict=True)]
    on_lines = [", ".join(f"{key}={value}" for key, value in own.items()) for own in differing]
    if json:
        print_json({"runs": listed} | render.comparison_json(comparison))
    else:
        if not folders:
            print_rows([{**row, DIFFERS: line} for row, line in zip(listed, on_lines, strict=True)])
        for table in render.comparison_tables(comparison):
            print_table(table)
        if against is not None:
            print_table(render.difference_table(comparison))
        for sentence in (*claims(comparison), *unlike_pairs(comparison)):
            say(sentence)
    if out is not None:
        render.write_comparison(comparison, out)
        say(f"compare: {len(runs)} runs -> {out}")


if __name__ == "__main__":
    run_as_module("compare")
