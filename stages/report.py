"""`lamol report`: the score matrix over the whole sequence, as figures, plots and a page."""

from pathlib import Path
from typing import Annotated

import typer

from stages.console import print_json, print_table, say
from stages.runtime import JsonOption, StageRun, run_alone, stage

CompareOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--compare",
        metavar="FOLDER",
        help="Set this run beside the finished ones in a folder, on the page (repeatable).",
    ),
]


@stage("report")
def report(run: StageRun, compare: CompareOption = None, json: JsonOption = False) -> None:
    """Summarise all tasks: reports/summary.json, index.html, plots and model cards.

    Example: lamol report --compare ../finetune --compare ../multitask
    """
    from lamol_core.config.loading import params_error
    from lamol_core.parameters import completed, compose, defaults
    from lamol_core.reporting.comparison.finished_runs import flatten, read_folders, split_chains
    from lamol_core.reporting.comparison.render import comparison_chart, comparison_section
    from lamol_core.reporting.comparison.statistics import compare_runs
    from lamol_core.reporting.report import read_figures, write_report
    from lamol_core.reporting.summary import build_summary
    from lamol_core.reporting.tables import score_table

    params, problems = compose(run.data)
    if params is None or problems:
        raise params_error(problems, run.overridden)
    layout, order = run.layout, list(params.tasks)
    figures = [read_figures(layout, name, params.tasks[name].after) for name in order]
    summary = build_summary(params.method, figures, order)
    parameters = params.acting()
    section = None
    if compare:
        mine = split_chains("this run", parameters, summary, Path(), completed)
        others = read_folders(compare, completed, without=[Path()])
        comparison = compare_runs([*mine, *others], flatten(defaults()))
        section = (comparison_section(comparison), comparison_chart(comparison))
    write_report(layout, summary, figures, parameters, section)
    if json:
        print_json(summary)
    else:
        print_table(score_table(summary))
    say(f"report: the page is {(layout.reports / 'index.html').resolve()}")


if __name__ == "__main__":
    run_alone(report)
