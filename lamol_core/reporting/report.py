"""Reads what the report needs of each task, and writes the report's files below `reports/`."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lamol_core.artifacts import spec
from lamol_core.artifacts.atomic import atomic_folder
from lamol_core.artifacts.figures import read_json, write_csv, write_json, write_text
from lamol_core.artifacts.layout import Layout
from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ScoreMatrix, ZeroShot
from lamol_core.reporting.comparison.statistics import COLUMNS
from lamol_core.reporting.page import page_script, render_page, templates_of
from lamol_core.reporting.plots import Chart, chart_spec, chart_specs, spec_to_svg
from lamol_core.reporting.summary import TaskFigures
from lamol_core.reporting.tables import cell, markdown_row, markdown_table
from lamol_core.text.params import TextFormat
from lamol_core.text.template import ANS

EMPTY_CHART = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
"""Stands for a chart that is not defined, such as forgetting of one task, because DVC expects a
file."""


def read_figures(layout: Layout, task: str, after: str) -> TaskFigures:
    """Return what the stages of a task measured. Raises ArtifactError for a stage that has not
    run, and for files that this version of lamol did not write."""
    found = {
        stage: read_json(layout.figure(task, stage), spec.remedy(spec.FIGURES[stage], task))
        for stage in spec.FIGURES
        if stage != "audit" or layout.figure(task, stage).is_file()
    }
    try:
        return _figures_of(task, after, found)
    except (AttributeError, KeyError, TypeError) as error:
        files = spec.ALL_FIGURES.at("", layout.root) / f"{task}.*.json"
        raise ArtifactError(
            f"{files}: one of them was changed, or written by an older lamol "
            f"({type(error).__name__}: {error}). Run `dvc repro` again."
        ) from error


def _figures_of(task: str, after: str, found: Mapping[str, dict[str, Any]]) -> TaskFigures:
    generated, trained, evaluated = (found[name] for name in ("generate", "train", "evaluate"))
    kept, zero_shot = trained["kept"], evaluated.get("zero_shot")
    more = {
        "carried": generated.get("carried", 0),
        "duplicates": generated.get("reasons", {}).get("duplicate", 0),
        "flagged_dropped": int(evaluated["flagged_dropped"]),
    }
    return TaskFigures(
        task=task,
        after=after,
        scores=dict(evaluated["scores"]),
        num_test_rows=dict(evaluated["num_test_rows"]),
        seconds={stage: float(content["seconds"]) for stage, content in found.items()},
        peak_memory_bytes=max(int(content["peak_memory_bytes"]) for content in found.values()),
        pseudo={key: generated[key] for key in ("valid", "rejected")}
        | {key: count for key, count in more.items() if count},
        held=dict(trained["held"]),
        kept=kept | {"bytes": kept["bytes"] + generated.get("kept_bytes", 0)},
        curve=trained["curve"],
        zero_shot=ZeroShot(**zero_shot) if zero_shot else None,
        machine=trained.get("machine", {}),
        audit=found.get("audit", {}),
        method=str(evaluated["method"]),
    )


def model_card(
    figures: TaskFigures, text_format: TextFormat = "tokens", has_adapter: bool = False
) -> str:
    """Return the card of the student after a task: Markdown with front matter for the Hugging Face
    hub. `text_format`: in which its rows are.

    Scores are in percent; their average leaves out tasks whose test rows were forgotten."""
    known = [score for score in figures.scores.values() if score is not None]
    template = templates_of("lamol_core.reporting").get_template("model_card.md.j2")
    average = fmean(known) if known else None
    return template.render(
        figures=figures,
        average=average,
        cell=cell,
        is_chat=text_format == "chat",
        has_adapter=has_adapter,
        ans=ANS,
        row=markdown_row,
        table=markdown_table,
    )


def write_report(
    layout: Layout,
    summary: dict[str, Any],
    figures: Sequence[TaskFigures],
    parameters: Mapping[str, Any],
    comparison: tuple[Mapping[str, Any], Chart] | None = None,
) -> None:
    """Write summary.json and its headline figures, the page, its charts, a table for `dvc plots`,
    and a model card for each task.

    `figures` are those of all tasks. `comparison` is a section and its chart; only the page
    shows it."""
    root = layout.root
    write_json(spec.SUMMARY.at("", root), summary)
    headline = {column.key: summary[column.key] for column in COLUMNS}
    write_json(spec.HEADLINE.at("", root), {k: v for k, v in headline.items() if v is not None})
    curves = {
        of_task.task: of_task.curve for of_task in figures if of_task.task in summary["tasks"]
    }
    specs = chart_specs(summary, curves)
    section = None
    if comparison is not None:
        section, chart = comparison
        specs["comparison"] = chart_spec(chart)
    charts = {name: spec_to_svg(spec) for name, spec in specs.items()}
    for name, chart_file in spec.CHARTS.items():
        write_text(chart_file.at("", root), charts.get(name, EMPTY_CHART))
    script = page_script(layout.page_script)
    page = render_page(summary, charts, parameters, specs, section, script)
    write_text(spec.PAGE.at("", root), page)
    columns = ("step", "after_learning", "score_on", "score")
    cells = ScoreMatrix.of(summary).cells()
    values = ((c["step"], c["after"], c["task"], round(c["score"], 4)) for c in cells)
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    write_csv(spec.SCORES.at("", root), rows, columns)
    with atomic_folder(spec.MODEL_CARDS.at("", root)) as cards:
        for of_task in figures:
            text_format = parameters.get("text", {}).get("format", "tokens")
            card = model_card(of_task, text_format, "adapter" in parameters)
            (cards / f"{of_task.task}.md").write_text(card, encoding="utf-8")
