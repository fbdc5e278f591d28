"""Shows the score matrix as a table for the terminal, and writes Markdown tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from lamol_core.evaluation.matrix import ScoreMatrix

# A terminal of 100 columns has room for a first column and about ten of scores.
MAX_MATRIX_TASKS = 10


def score_table(summary: dict[str, Any]) -> Table:
    """Return the score matrix as a rich table, with the headline figures; scores in percent with
    one decimal. With more than `MAX_MATRIX_TASKS` tasks it has one line for each task instead:
    the score when new, the score at the end, and the points lost."""
    title = Text(f"{summary['method']}: score in percent", style="bold")
    table = Table(title=title, caption=Text(headline(summary)), caption_justify="left")
    tasks, rows = summary["tasks"], summary["score_matrix"]
    if len(tasks) > MAX_MATRIX_TASKS:
        _fill_by_task(table, summary)
        return table
    table.add_column("after learning", no_wrap=True)
    for task in tasks:
        table.add_column(Text(task), justify="right")
    for task, row in zip(tasks, rows, strict=True):
        table.add_row(Text(task), *map(cell, row))
    return table


def headline(summary: dict[str, Any]) -> str:
    """Return the four figures in one line, like "final average 80.1, ... forgetting not
    defined"."""
    names = ("final_average", "incremental_average", "forgetting", "backward_transfer")
    figures = ", ".join(
        f"{name.replace('_', ' ')} {cell(summary[name]) or 'not defined'}" for name in names
    )
    if not summary["not_scored"]:
        return figures
    return f"{figures} (rows of {', '.join(summary['not_scored'])} forgotten)"


def cell(score: float | None) -> str:
    """Return a score with one decimal; "" where the task's test rows were forgotten."""
    return "" if score is None else f"{score:.1f}"


def _fill_by_task(table: Table, summary: dict[str, Any]) -> None:
    lost = ScoreMatrix.of(summary).forgetting_by_task()
    table.add_column("task")
    for heading in ("when new", "at the end", "points lost"):
        table.add_column(heading, justify="right")
    rows = summary["score_matrix"]
    for j, task in enumerate(summary["tasks"]):
        points = f"{lost[task]:+.1f}" if task in lost else ""
        table.add_row(Text(task), cell(rows[j][j]), cell(rows[-1][j]), points)


def markdown_row(*cells: object) -> str:
    """Return a row of a Markdown table. Characters that would end a cell or begin a tag are
    escaped."""
    escaped = (
        str(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells
    )
    return "| " + " | ".join(escaped) + " |"


def markdown_table(
    titles: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = (0,)
) -> list[str]:
    """Return the lines of a Markdown table; `texts` are the indices of the columns that hold
    text."""
    rules = ("---" if index in texts else "---:" for index in range(len(titles)))
    return [markdown_row(*titles), f"|{'|'.join(rules)}|", *(markdown_row(*row) for row in rows)]
