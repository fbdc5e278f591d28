"""Shows a comparison as a table for the terminal, as Markdown, as a chart and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
from rich import box
from rich.table import Table
from rich.text import Text

from lamol_core.artifacts.figures import write_json, write_text
from lamol_core.errors import ConfigError
from lamol_core.reporting.comparison import finished_runs
from lamol_core.reporting.comparison.sentences import sentences
from lamol_core.reporting.comparison.statistics import (
    COLUMNS,
    COMPARED,
    CONFIDENCE,
    RESAMPLES,
    Column,
    Comparison,
    Difference,
    Estimate,
    compare_runs,
)
from lamol_core.reporting.page import templates_of
from lamol_core.reporting.plots import INK, Chart, to_svg
from lamol_core.reporting.tables import markdown_table
from lamol_core.text.display import visible

COMPARED_COLUMNS = [column for column in COLUMNS if column.key in COMPARED]
LABEL_PIXELS = 420
"""The width of a method's name in the chart; longer names are cut off."""


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Return two tables with a row for each method and setting: one with the compared figures
    and their intervals, one with the other figures. Together they would not fit a terminal of 80
    columns."""
    rest = [column for column in _columns(comparison) if column.key not in COMPARED]
    spread = "mean ± standard deviation"
    return [
        _table(comparison, COMPARED_COLUMNS, f"{spread} [95 % bootstrap interval of the mean]"),
        _table(comparison, rest, spread),
    ]


def _table(comparison: Comparison, columns: Sequence[Column], caption: str) -> Table:
    rows = []
    for group in comparison.groups:
        row = [group.label, str(group.num_runs)]
        for column in columns:
            cell = _cell(column, group.figures[column.key], "\n")
            if column.key not in COMPARED:  # without the interval, and narrow
                cell = cell.partition("\n")[0].replace(" ±", "\n±")
            row.append(cell)
        rows.append(row)
    return _terminal_table(["runs", *(column.short for column in columns)], rows, caption)


def difference_table(comparison: Comparison) -> Table:
    """Return the differences of each method from the baseline, for a terminal of 80 columns."""
    shorts = [column.short.replace("%", "points") for column in COMPARED_COLUMNS]
    caption = "mean over seeds [Student's 95 % interval, from three seeds]"
    title = f"\nmore (+) or less (-) than {comparison.baseline}"
    rows = _difference_rows(comparison, "\n")
    return _terminal_table(["seeds", "pairs", *shorts], rows, caption, title)


def _terminal_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], caption: str, title: str = ""
) -> Table:
    """Return a table with a row for each method: its name, then numbers under `titles`."""
    table = Table(
        title=Text(title) if title else None,
        caption=Text(caption),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("method", overflow="fold", min_width=16)
    for heading in titles:
        table.add_column(heading, justify="right", no_wrap=True)
    for cells in rows:
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def set_beside(
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    folders: Sequence[Path],
    complete: finished_runs.Complete,
    defaults: Mapping[str, Any],
) -> tuple[dict[str, Any], Chart]:
    """Compare the run of the current folder with the finished runs in `folders`. Return the
    section for the report's page, and the chart. `defaults`: those of every parameter,
    flattened."""
    own = finished_runs.split_chains("this run", params, summary, Path(), complete)
    others = finished_runs.read_folders(folders, complete, without=[Path()])
    comparison = compare_runs([*own, *others], defaults)
    return comparison_section(comparison), comparison_chart(comparison)


def comparison_section(comparison: Comparison) -> dict[str, Any]:
    """Return the table and its conclusions as text, under "titles", "rows" and "sentences"."""
    columns = _columns(comparison)
    return {
        "titles": ["method", "runs", "orders", *(column.title for column in columns)],
        "rows": [
            [group.label, str(group.num_runs), str(group.num_orders)]
            + [_cell(column, group.figures[column.key]) for column in columns]
            for group in comparison.groups
        ],
        "sentences": sentences(comparison),
    }


def comparison_markdown(comparison: Comparison) -> str:
    """Return the table, the differences from the baseline if there is one, and the conclusions."""
    return templates_of("lamol_core.reporting").get_template("comparison.md.j2").render(
        section=comparison_section(comparison),
        baseline=comparison.baseline,
        compared=[column.title.replace("%", "points") for column in COMPARED_COLUMNS],
        differences=_difference_rows(comparison, " "),
        table=markdown_table,
    )  # fmt: skip


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return every estimate with the values of its runs, and every difference with those of its
    seeds."""
    return {
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "baseline": comparison.baseline,
        "groups": [asdict(group) for group in comparison.groups],
        "differences": [
            asdict(d) | {"mean": d.mean, "interval": d.interval, "told_apart": d.is_significant}
            for d in comparison.differences
        ],
        "sentences": sentences(comparison),
    }


def comparison_chart(comparison: Comparison) -> Chart:
    """Return a chart with one panel for each figure (compared figures above) and one row for
    each method. Every run is a point; the mean is a tick, and its interval a line."""
    columns = _columns(comparison)
    points = [
        {
            "method": group.label,
            "figure": column.title,
            "mean": estimate.mean / column.divide_by,
            "low": estimate.low and estimate.low / column.divide_by,
            "high": estimate.high and estimate.high / column.divide_by,
            "value": value / column.divide_by,
        }
        for group in comparison.groups
        for column in columns
        if (estimate := group.figures[column.key]) is not None
        for value in estimate.values
    ]
    labels = [group.label for group in comparison.groups]
    axis = alt.Axis(labelLimit=LABEL_PIXELS)
    base = alt.Chart().encode(y=alt.Y("method:N", title=None, sort=labels, axis=axis))
    interval = base.mark_rule(strokeWidth=2.5, color="#2f7fc1").encode(
        x=alt.X("low:Q", title=None, scale=alt.Scale(zero=False)), x2="high:Q"
    )
    mean = base.mark_tick(thickness=3, size=16, color="#2f7fc1").encode(x="mean:Q")
    runs = base.mark_point(size=24, filled=True, opacity=0.55, color=INK).encode(x="value:Q")
    layers = alt.layer(interval, mean, runs).properties(width=230, height=alt.Step(24))
    titles = [column.title for column in columns]
    chart: Chart = layers.facet(
        facet=alt.Facet("figure:N", sort=titles, title=None), columns=len(COMPARED),
        data=alt.Data(values=points),
    ).resolve_scale(x="independent")  # fmt: skip
    return chart


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write comparison.md, .json and .svg into a folder. Raises ConfigError for a file."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file. Name a folder.")
    write_text(out / "comparison.md", comparison_markdown(comparison))
    write_json(out / "comparison.json", comparison_json(comparison))
    write_text(out / "comparison.svg", to_svg(comparison_chart(comparison), "white"))


def _columns(comparison: Comparison) -> list[Column]:
    """Return the columns of the figures that at least one group has."""
    return [
        column
        for column in COLUMNS
        if any(group.figures[column.key] is not None for group in comparison.groups)
    ]


def _difference_rows(comparison: Comparison, between: str) -> Iterator[list[str]]:
    """Yield a row for every method that has pairs with the baseline, best method first.
    `between` separates a number from its interval or addition."""
    for group in comparison.groups:
        if found := {d.figure: d for d in comparison.differences if d.first == group.label}:
            pairs = next(iter(found.values())).pairs
            num_pairs = str(pairs.num)
            if pairs.num_alike:
                num_pairs += f"{', ' if between == ' ' else between}{pairs.num_alike} alike"
            cells = [_difference_cell(found.get(key), between) for key in COMPARED]
            yield [group.label, str(len(pairs.by_seed)), num_pairs, *cells]


def _difference_cell(difference: Difference | None, between: str) -> str:
    if difference is None:
        return "not measured"
    text = f"{round(difference.mean, 1) + 0.0:+.1f}"  # no -0.0
    if difference.interval is None:
        return text
    return f"{text}{between}[{_joined(difference.interval, 1)}]"


def _cell(column: Column, estimate: Estimate | None, between: str = " ") -> str:
    if estimate is None:
        return "not measured"

    def shown(*values: float) -> str:
        return _joined([value / column.divide_by for value in values], column.decimals)

    text = shown(estimate.mean)
    if not estimate.deviation:
        return text
    text = f"{text} ± {shown(estimate.deviation)}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text}{between}[{shown(estimate.low, estimate.high)}]"


def _joined(values: Iterable[float], decimals: int) -> str:
    return ", ".join(f"{value:.{decimals}f}" for value in values)
