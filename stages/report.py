"""`lamol report`: the score matrix over the whole sequence, as figures, plots and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.runtime import DebugOption, JsonOption, SetOption, guarded, open_params, run_alone

CompareOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--compare",
        metavar="FOLDER",
        help="Set this run beside the finished ones in a folder, on the page (repeatable).",
    ),
]


@guarded
def report(
    overrides: SetOption = None,
    compare: CompareOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Summarise all tasks: reports/summary.json, index.html and plots.

    Example: lamol report --compare ../finetune --compare ../multitask
    """
    from lamol_core.artifacts.layout import Layout
    from lamol_core.reporting.comparison.finished_runs import read_folders, split_chains
    from lamol_core.reporting.comparison.render import comparison_chart, comparison_section
    from lamol_core.reporting.comparison.statistics import compare_runs
    from lamol_core.reporting.report import read_figures, write_report
    from lamol_core.reporting.summary import build_summary
    from lamol_core.reporting.tables import score_table
    from stages.console import print_json, print_table, say

    params, layout = open_params(overrides), Layout()
    order = list(params.tasks)
    figures = [read_figures(layout, name, params.tasks[name].after) for name in order]
    summary = build_summary(params.method, figures, order)
    curves = {one.task: one.curve for one in figures if one.task in summary["tasks"]}
    parameters = params.model_dump(mode="json", by_alias=True)
    section = None
    if compare:
        mine = split_chains("this run", parameters, summary, Path())
        comparison = compare_runs([*mine, *read_folders(compare, without=[Path()])])
        section = (comparison_section(comparison), comparison_chart(comparison))
    write_report(layout, summary, curves, parameters, section)
    if json:
        print_json(summary)
    else:
        print_table(score_table(summary))
    say(f"report: the page is {(layout.reports / 'index.html').resolve()}")


if __name__ == "__main__":
    run_alone(report)
