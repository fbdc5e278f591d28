"""`lamol report`: summarise the whole sequence as figures, plots and a page."""

from pathlib import Path
from typing import Annotated

import typer

from lamol_core.artifacts.spec import PAGE
from lamol_core.parameters import completed, declared_params, defaults
from lamol_core.reporting.comparison.finished_runs import flatten
from lamol_core.reporting.comparison.render import set_beside
from lamol_core.reporting.report import read_figures, write_report
from lamol_core.reporting.summary import build_summary
from lamol_core.reporting.tables import score_table
from stages.guard import run_as_module
from stages.runtime import StageRun, stage

CompareOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER",
        help="Compare this run with the finished runs in a folder, on the page (repeatable).",
    ),
]


@stage("report")
def report(run: StageRun, compare: CompareOption = None) -> None:
    params = declared_params(run.blocks)
    figures = [read_figures(run.layout, name, task.after) for name, task in params.tasks.items()]
    parameters = params.effective_params()
    summary = build_summary(parameters, figures)
    beside = None
    if compare:
        beside = set_beside(parameters, summary, compare, completed, flatten(defaults()))
    write_report(run.layout, summary, figures, parameters, beside)
    run.show(summary, score_table(summary))
    run.say(f"the page is {run.path(PAGE).resolve()}")


if __name__ == "__main__":
    run_as_module("report")
