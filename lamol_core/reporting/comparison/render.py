"""A comparison as a table for the terminal, as Markdown, as a chart and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
from rich import box
from rich.table import Table
from rich.text import Text

from lamol_core.artifacts.atomic import atomic_path
from lamol_core.artifacts.figures import write_json
from lamol_core.errors import ConfigError
from lamol_core.reporting.comparison.finished_runs import (
    Complete,
    flatten,
    read_folders,
    split_chains,
)
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
from lamol_core.reporting.page import ComparisonTable
from lamol_core.reporting.plots import INK, Chart, save_svg
from lamol_core.reporting.tables import markdown_table

COMPARED_COLUMNS = [column for column in COLUMNS if column.key in COMPARED]
MEANS_INTERVAL = (
    "from three seeds or orders, 95 % bootstrap interval of the mean over them, too narrow with few"
)
LABEL_PIXELS = 420
"""Room for a method's name in the chart; what is longer is cut off."""


def comparison_tables(comparison: Comparison) -> list[Table]:
    """What is known at the end, and what it takes: a method and setting a row, the figures in two
    tables, as a terminal of 80 columns has room for."""
    columns = _columns(comparison)
    rest = [column for column in columns if column.key not in COMPARED]
    return [
        _table(comparison, COMPARED_COLUMNS, _caption(comparison)),
        _table(comparison, rest, _caption(comparison).partition(" [")[0]),
    ]


def _table(comparison: Comparison, columns: Sequence[Column], caption: str) -> Table:
    rows = []
    for group in comparison.groups:
        cells = [_cell(column, group.figures[column.key], "\n") for column in columns]
        narrow = [
            cell if column.key in COMPARED else cell.partition("\n")[0].replace(" ±", "\n±")
            for column, cell in zip(columns, cells, strict=True)
        ]
        rows.append([group.label, str(group.num_runs), *narrow])
    return _terminal_table(["runs", *(column.short for column in columns)], rows, caption)


def difference_table(comparison: Comparison) -> Table:
    """What each method has more than the baseline, for a terminal of 80 columns."""
    shorts = [column.short.replace("%", "points") for column in COMPARED_COLUMNS]
    caption = "mean over seeds [Student's 95 % interval, from three seeds]"
    title = f"\nmore (+) or less (-) than {comparison.baseline}"
    rows = _difference_rows(comparison, "\n")
    return _terminal_table(["seeds", "pairs", *shorts], rows, caption, title)


def _terminal_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], caption: str, title: str = ""
) -> Table:
    """A row a method, its name first; the other columns, which have these titles, are numbers."""
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
        table.add_row(*map(Text, cells))
    return table


def set_beside(
    params: Mapping[str, Any],
    summary: Mapping[str, Any],
    folders: Sequence[Path],
    complete: Complete,
    defaults: Mapping[str, Any],
) -> tuple[ComparisonTable, Chart]:
    """The run of the current folder beside the finished ones in `folders`, for its page."""
    mine = split_chains("this run", params, summary, Path(), complete)
    others = read_folders(folders, complete, without=[Path()])
    comparison = compare_runs([*mine, *others], flatten(defaults))
    return comparison_section(comparison), comparison_chart(comparison)


def comparison_section(comparison: Comparison) -> ComparisonTable:
    """The table and its sentences, for the report's page."""
    columns = _columns(comparison)
    titles = ["method", "runs", "orders", *(column.title for column in columns)]
    rows = [
        [group.label, str(group.num_runs), str(group.num_orders)]
        + [_cell(column, group.figures[column.key]) for column in columns]
        for group in comparison.groups
    ]
    return ComparisonTable(titles, rows, sentences(comparison))


def comparison_markdown(comparison: Comparison) -> str:
    """The table, and what may be said of every two groups."""
    section = comparison_section(comparison)
    lines = markdown_table(section.titles, section.rows)
    lines += ["", f"Mean ± standard deviation [{MEANS_INTERVAL}].", ""]
    if comparison.baseline is not None:
        named = [column.title.replace("%", "points") for column in COMPARED_COLUMNS]
        titles = [f"more (+) or less (-) than {comparison.baseline}", "seeds", "pairs", *named]
        lines += markdown_table(titles, _difference_rows(comparison, " "))
        lines += ["", "Mean over seeds [Student's 95 % interval].", ""]
    lines += [f"- {sentence}" for sentence in section.sentences]
    return "\n".join(lines) + "\n"


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Every estimate with the runs' own values, and every difference with its seeds' own."""
    return {
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "baseline": comparison.baseline,
        "groups": [asdict(group) for group in comparison.groups],
        "differences": [
            {
                **asdict(one),
                "mean": one.mean,
                "interval": one.interval,
                "told_apart": one.is_told_apart,
            }
            for one in comparison.differences
        ],
        "sentences": sentences(comparison),
    }


def comparison_chart(comparison: Comparison) -> Chart:
    """Every run a point, the mean and its interval a bar, a row a method, a panel a figure: what is
    known at the end above, what it takes below."""
    labels = [group.label for group in comparison.groups]
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
    axis = alt.Axis(labelLimit=LABEL_PIXELS)
    base = alt.Chart().encode(y=alt.Y("method:N", title=None, sort=labels, axis=axis))
    interval = base.mark_rule(strokeWidth=2.5, color="#2f7fc1").encode(
        x=alt.X("low:Q", title=None, scale=alt.Scale(zero=False)), x2="high:Q"
    )
    mean = base.mark_tick(thickness=3, size=16, color="#2f7fc1").encode(x="mean:Q")
    runs = base.mark_point(size=24, filled=True, opacity=0.55, color=INK).encode(x="value:Q")
    layers = alt.layer(interval, mean, runs).properties(width=230, height=alt.Step(24))
    titles = [column.title for column in columns]
    return layers.facet(
        facet=alt.Facet("figure:N", sort=titles, title=None), columns=len(COMPARED),
        data=alt.Data(values=points),
    ).resolve_scale(x="independent")  # fmt: skip


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write comparison.md, .json and .svg into a folder. Raises ConfigError where it is none."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: a file, and no folder. Name a folder.")
    with atomic_path(out / "comparison.md") as scratch:
        scratch.write_text(comparison_markdown(comparison), encoding="utf-8")
    write_json(out / "comparison.json", comparison_json(comparison))
    with atomic_path(out / "comparison.svg") as scratch:
        save_svg(comparison_chart(comparison), scratch)


def _caption(comparison: Comparison) -> str:
    found = [one for group in comparison.groups for one in group.figures.values() if one]
    if any(one.low is not None for one in found):
        return "mean ± standard deviation [95 % bootstrap interval of the mean]"
    return "mean ± standard deviation" if any(one.deviation is not None for one in found) else ""


def _columns(comparison: Comparison) -> list[Column]:
    return [
        column
        for column in COLUMNS
        if any(group.figures[column.key] is not None for group in comparison.groups)
    ]


def _difference_rows(comparison: Comparison, between: str) -> Iterator[list[str]]:
    """A row for every method that has pairs with the baseline, best first."""
    for group in comparison.groups:
        found = {one.figure: one for one in comparison.differences if one.first == group.label}
        if found:
            one = next(iter(found.values()))
            pairs = str(one.pairs.num)
            if one.pairs.num_alike:
                pairs += f"{', ' if between == ' ' else between}{one.pairs.num_alike} alike"
            cells = [_difference_cell(found.get(key), between) for key in COMPARED]
            yield [group.label, str(len(one.by_seed)), pairs, *cells]


def _difference_cell(one: Difference | None, between: str) -> str:
    if one is None:
        return "not measured"
    text = f"{round(one.mean, 1) + 0.0:+.1f}"  # no -0.0
    if one.interval is None:
        return text
    low, high = one.interval
    return f"{text}{between}[{low:.1f}, {high:.1f}]"


def _cell(column: Column, estimate: Estimate | None, between: str = " ") -> str:
    if estimate is None:
        return "not measured"

    def shown(value: float) -> str:
        return f"{value / column.divide_by:.{column.decimals}f}"

    text = shown(estimate.mean)
    if not estimate.deviation:
        return text
    text = f"{text} ± {shown(estimate.deviation)}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text}{between}[{shown(estimate.low)}, {shown(estimate.high)}]"
