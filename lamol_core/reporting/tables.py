"""The score matrix as a table for the terminal and for Markdown; scores in percent."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from lamol_core.evaluation.matrix import ScoreMatrix

# A terminal of 100 columns holds a first column and about ten of scores; beyond that the matrix
# is cut to what one asks of it: the score when new, the score now, the points lost.
MAX_MATRIX_TASKS = 10


def score_table(summary: dict[str, Any]) -> Table:
    """The score matrix with the headline figures, for rich; percent, one decimal. With more than
    `MAX_MATRIX_TASKS` tasks: a line a task with its score when new, at the end, and points lost."""
    title = Text(f"{summary['method']}: score in percent", style="bold")
    table = Table(title=title, caption=Text(headline(summary)), caption_justify="left")
    tasks, rows = summary["tasks"], summary["score_matrix"]
    if len(tasks) > MAX_MATRIX_TASKS:
        _fill_by_task(table, tasks, rows)
        return table
    table.add_column("after learning", no_wrap=True)
    for task in tasks:
        table.add_column(Text(task), justify="right")
    for task, row in zip(tasks, rows, strict=True):
        scores = [cell(score) for score in row]
        table.add_row(Text(task), *scores, *[""] * (len(tasks) - len(row)))
    return table


def headline(summary: dict[str, Any]) -> str:
    """The four figures in one line, like "final average 80.1, ... forgetting not defined"."""
    names = ("final_average", "incremental_average", "forgetting", "backward_transfer")
    told = (f"{name.replace('_', ' ')} {cell(summary[name]) or 'not defined'}" for name in names)
    figures = ", ".join(told)
    not_scored = summary.get("not_scored")
    return f"{figures} (without {', '.join(not_scored)}: rows forgotten)" if not_scored else figures


def cell(score: float | None) -> str:
    """A score with one decimal; empty where the task's test rows were forgotten."""
    return "" if score is None else f"{score:.1f}"


def _fill_by_task(table: Table, tasks: list[str], rows: list[list[float | None]]) -> None:
    matrix = ScoreMatrix(tuple(tasks), tuple(tuple(row) for row in rows))
    lost = matrix.forgetting_by_task()
    for heading in ("task", "when new", "at the end", "points lost"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for j, task in enumerate(tasks):
        points = f"{lost[task]:+.1f}" if task in lost else ""
        table.add_row(Text(task), cell(rows[j][j]), cell(rows[-1][j]), points)


def markdown_row(*cells: object) -> str:
    """One row of a Markdown table; what would end a cell or begin a tag is escaped."""
    escaped = (
        str(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells
    )
    return "| " + " | ".join(escaped) + " |"


def markdown_table(
    titles: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = (0,)
) -> list[str]:
    """The lines of a Markdown table; `texts` are the places of the columns that are no numbers."""
    rules = ("---" if place in texts else "---:" for place in range(len(titles)))
    return [markdown_row(*titles), f"|{'|'.join(rules)}|", *(markdown_row(*row) for row in rows)]
