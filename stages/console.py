"""What a command prints: progress, lines for the user on stderr, figures on stdout."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

PLAIN_EVERY_S = 15.0
"""Seconds between two lines of progress where there is no terminal."""


class Advance(Protocol):
    def __call__(self, count: int = 1, note: str = "", seconds: float = 0.0) -> None:
        """More is done. `seconds`: how long it took, where that may have been in an earlier process
        (a resumed training reports the steps that it was spared)."""


def say(message: str) -> None:
    """One line for the user, on stderr: stdout is for figures."""
    typer.echo(message, err=True)


def print_json(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures))


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    """Yield an Advance; shows done/total, the rate and the time left: a bar on a terminal, a line
    now and then elsewhere."""
    started = printed = time.perf_counter()
    done, reported_s = 0, 0.0

    def pace() -> str:
        rate = done / max(time.perf_counter() - started, reported_s, 1e-9)
        left_s = max(total - done, 0) / rate if rate else 0
        return f"{rate:.1f} {unit}/s, {left_s:.0f} s left"

    with _bar(what, total) as show:

        def advance(count: int = 1, note: str = "", seconds: float = 0.0) -> None:
            nonlocal done, reported_s, printed
            done, reported_s = done + count, reported_s + seconds
            if show is not None:
                show(done, f"{pace()} {note}")
            elif time.perf_counter() - printed >= PLAIN_EVERY_S:
                printed = time.perf_counter()
                say(f"{what}: {done}/{total} {unit}, {pace()} {note}".rstrip())

        yield advance


@contextmanager
def _bar(what: str, total: int) -> Iterator[Any]:
    """Yield what moves the bar; None where there is no terminal or nothing to do."""
    if not total or not sys.stderr.isatty():
        yield None
        return
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bars:
        bar = bars.add_task(what, total=total, note="")
        yield lambda done, note: bars.update(bar, completed=done, note=note)


def print_table(table: Any) -> None:
    """A rich table on stdout; where the terminal is too narrow for its columns, as wide as they."""
    console = Console()
    unbound = console.options.update(max_width=10_000)
    for column in table.columns:
        if column.no_wrap:
            whole = [Measurement.get(console, unbound, cell).maximum for cell in column.cells]
            column.min_width = max([column.min_width or 0, *whole])
    needed = Measurement.get(console, unbound, table).minimum
    Console(width=max(console.width, needed)).print(table)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Dictionaries of equal keys as a table on stdout, in the order of the first."""
    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row[name])) for name in rows[0]))  # never markup
    print_table(table)
