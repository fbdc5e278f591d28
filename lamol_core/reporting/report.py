"""The report's files: what it reads of each task, what it writes below `reports/`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lamol_core.artifacts.atomic import atomic_folder, atomic_path
from lamol_core.artifacts.figures import read_json, write_csv, write_json
from lamol_core.artifacts.layout import Layout
from lamol_core.artifacts.spec import (
    CHARTS,
    FIGURES,
    HEADLINE,
    MODEL_CARDS,
    PAGE,
    SCORES,
    SUMMARY,
    remedy,
)
from lamol_core.errors import ArtifactError
from lamol_core.evaluation.matrix import ZeroShot
from lamol_core.reporting.comparison.statistics import COLUMNS
from lamol_core.reporting.model_card import model_card
from lamol_core.reporting.page import ComparisonTable, render_page
from lamol_core.reporting.plots import Chart, chart_spec, chart_specs, spec_to_svg
from lamol_core.reporting.summary import TaskFigures

HEADLINE_KEYS = tuple(column.key for column in COLUMNS)
"""What `dvc metrics` and `dvc exp show` tell of a whole sequence; null ones are left out."""


def read_figures(layout: Layout, task: str, after: str) -> TaskFigures:
    """What the stages of a task measured. Raises ArtifactError for a stage that has not run, and
    for files that this lamol did not write."""
    found = {
        stage: read_json(layout.figure(task, stage), remedy(FIGURES[stage], task))
        for stage in FIGURES
        if stage != "audit" or layout.figure(task, stage).is_file()
    }
    try:
        return _figures_of(task, after, found)
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{layout.reports / 'figures' / f'{task}.*.json'}: one of them was changed, or written "
            f"by an older lamol ({type(error).__name__}: {error}). Run `dvc repro` again."
        ) from error


def _figures_of(task: str, after: str, found: dict[str, dict[str, Any]]) -> TaskFigures:
    zero_shot = found["evaluate"].get("zero_shot")
    kept = found["train"]["kept"]
    return TaskFigures(
        task=task,
        after=after,
        scores=dict(found["evaluate"]["scores"]),
        num_test_rows=dict(found["evaluate"]["num_test_rows"]),
        seconds={stage: float(content["seconds"]) for stage, content in found.items()},
        peak_memory_bytes=max(int(content["peak_memory_bytes"]) for content in found.values()),
        pseudo=_pseudo_counts(found["generate"]),
        kept=kept | {"bytes": kept["bytes"] + found["generate"].get("kept_bytes", 0)},
        curve=found["train"]["curve"],
        zero_shot=ZeroShot(**zero_shot) if zero_shot else None,
        machine=found["train"].get("machine", {}),
        audit=found.get("audit", {}),
        flagged_dropped=int(found["evaluate"]["flagged_dropped"]),
    )


def _pseudo_counts(generated: dict[str, Any]) -> dict[str, int]:
    counts = {key: generated[key] for key in ("valid", "rejected")}
    more = {key: generated.get(key, 0) for key in ("carried", "surplus")}
    more["duplicates"] = generated.get("reasons", {}).get("duplicate", 0)
    return counts | {key: count for key, count in more.items() if count}


def write_report(
    layout: Layout,
    summary: dict[str, Any],
    figures: Sequence[TaskFigures],
    parameters: dict[str, Any],
    comparison: tuple[ComparisonTable, Chart] | None = None,
) -> None:
    """Write summary.json and its headline, the page, its charts, a table for `dvc plots`, and a
    model card a task.

    `figures` are those of all tasks; `comparison` is a section of the page alone."""
    root = layout.root
    write_json(SUMMARY.at("", root), summary)
    headline = {key: summary[key] for key in HEADLINE_KEYS if summary[key] is not None}
    write_json(HEADLINE.at("", root), headline)
    curves = {one.task: one.curve for one in figures if one.task in summary["tasks"]}
    specs = chart_specs(summary, curves)
    table = None
    if comparison is not None:
        table, chart = comparison
        specs["comparison"] = chart_spec(chart)
    charts = {name: spec_to_svg(spec) for name, spec in specs.items()}
    for name, chart_file in CHARTS.items():
        # a chart that is not defined (forgetting of one task) is an empty picture: dvc wants a file
        empty = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
        _write(chart_file.at("", root), charts.get(name, empty))
    page = render_page(summary, charts, parameters, specs, table)
    _write(PAGE.at("", root), page)
    write_csv(SCORES.at("", root), score_rows(summary), SCORE_COLUMNS)
    with atomic_folder(MODEL_CARDS.at("", root)) as cards:
        for one in figures:
            card = model_card(summary["method"], one)
            (cards / f"{one.task}.md").write_text(card, encoding="utf-8")


SCORE_COLUMNS = ("step", "after_learning", "score_on", "score")


def score_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The score matrix as one row a cell."""
    tasks = summary["tasks"]
    return [
        {"step": i, "after_learning": tasks[i], "score_on": tasks[j], "score": round(score, 4)}
        for i, row in enumerate(summary["score_matrix"])
        for j, score in enumerate(row)
        if score is not None
    ]


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
