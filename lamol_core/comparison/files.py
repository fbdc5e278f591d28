"""A comparison as a table for the terminal, as Markdown, as a chart and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
from rich import box
from rich.table import Table
from rich.text import Text

from lamol_core.comparison.statistics import COLUMNS, Column, Comparison, Estimate, Group
from lamol_core.reporting.figures import write_json
from lamol_core.reporting.page import ComparisonTable
from lamol_core.reporting.plots import INK, Chart, save_svg
from lamol_core.reporting.tables import markdown_row
from lamol_core.storage.atomic import atomic_path

CHART_FIGURES = ("final_average", "incremental_average", "forgetting")


def comparison_table(comparison: Comparison) -> Table:
    """One line a method and setting, with the figures that a terminal has room for."""
    table = Table(
        caption=Text("mean ± standard deviation, 95 % bootstrap interval of the mean below"),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    columns = [column for column in _columns(comparison) if column.short]
    table.add_column("method", overflow="fold", min_width=10)
    for title in ("runs", *(column.short for column in columns)):
        table.add_column(title, justify="right", no_wrap=True)
    for group in comparison.groups:
        cells = [_cell(column, group.figures[column.key], "\n") for column in columns]
        table.add_row(*map(Text, (group.label, str(len(group.names)), *cells)))
    return table


def told_apart(comparison: Comparison) -> list[str]:
    """What is claimed; where nothing is, one sentence that says so."""
    claims = [one.sentence for one in comparison.differences if one.is_told_apart]
    if claims or len(comparison.groups) < 2:
        return claims
    return ["compare: no two methods are told apart by these runs (comparison.md says why)."]


def comparison_section(comparison: Comparison) -> ComparisonTable:
    """The table and its sentences, for the report's page."""
    rows = [_cells(group, comparison) for group in comparison.groups]
    return ComparisonTable(_titles(comparison), rows, comparison.sentences)


def comparison_markdown(comparison: Comparison) -> str:
    """The table, and what may be said of every two groups."""
    titles = _titles(comparison)
    lines = [markdown_row(*titles), "|---|" + "---:|" * (len(titles) - 1)]
    lines += [markdown_row(*_cells(group, comparison)) for group in comparison.groups]
    lines += ["", "Mean ± standard deviation [95 % bootstrap interval of the mean].", ""]
    lines += [f"- {sentence}" for sentence in comparison.sentences]
    return "\n".join(lines) + "\n"


def comparison_chart(comparison: Comparison) -> Chart:
    """Every run a point, the mean and its interval a bar, a row a method, a panel a figure."""
    labels = [group.label for group in comparison.groups]
    points: list[dict[str, Any]] = []
    for group in comparison.groups:
        for key in CHART_FIGURES:
            estimate = group.figures[key]
            if estimate is not None:
                mean = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
                named = {"method": group.label, "figure": key.replace("_", " ")}
                points += [{**named, **mean, "value": value} for value in estimate.values]
    base = alt.Chart().encode(y=alt.Y("method:N", title=None, sort=labels))
    interval = base.mark_rule(strokeWidth=2.5, color="#2f7fc1").encode(
        x=alt.X("low:Q", title="percent or points", scale=alt.Scale(zero=False)), x2="high:Q"
    )
    mean = base.mark_tick(thickness=3, size=16, color="#2f7fc1").encode(x="mean:Q")
    runs = base.mark_point(size=24, filled=True, opacity=0.55, color=INK).encode(x="value:Q")
    layers = alt.layer(interval, mean, runs).properties(width=230, height=alt.Step(24))
    names = [key.replace("_", " ") for key in CHART_FIGURES]
    return layers.facet(
        facet=alt.Facet("figure:N", sort=names, title=None), columns=3,
        data=alt.Data(values=points),
    ).resolve_scale(x="independent")  # fmt: skip


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write comparison.md, .json and .svg into a folder."""
    with atomic_path(out / "comparison.md") as scratch:
        scratch.write_text(comparison_markdown(comparison), encoding="utf-8")
    write_json(out / "comparison.json", comparison.as_dict())
    with atomic_path(out / "comparison.svg") as scratch:
        save_svg(comparison_chart(comparison), scratch)


def _columns(comparison: Comparison) -> list[Column]:
    return [
        column
        for column in COLUMNS
        if any(group.figures[column.key] is not None for group in comparison.groups)
    ]


def _titles(comparison: Comparison) -> list[str]:
    return ["method", "runs", "orders", *(column.title for column in _columns(comparison))]


def _cells(group: Group, comparison: Comparison) -> list[str]:
    figures = [(column, group.figures[column.key]) for column in _columns(comparison)]
    numbers = [_cell(column, estimate) for column, estimate in figures]
    return [group.label, str(len(group.names)), str(group.num_orders), *numbers]


def _cell(column: Column, estimate: Estimate | None, between: str = " ") -> str:
    if estimate is None:
        return "not measured"

    def shown(value: float) -> str:
        return f"{value / column.divide_by:.{column.decimals}f}"

    text = shown(estimate.mean)
    if estimate.deviation is None or estimate.low is None or estimate.high is None:
        return text
    if estimate.deviation == 0:
        return text
    interval = f"[{shown(estimate.low)}, {shown(estimate.high)}]"
    return f"{text} ± {shown(estimate.deviation)}{between}{interval}"
